"""Pictures turned upright by their EXIF orientation (CIPA DC-008, tag 0x0112), as viewers show them."""

from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(picture: Image.Image) -> Image.Image:
    """Return the picture turned upright; the same object where nothing is to be turned."""
    turn = _TURNS.get(_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return rows and columns of the upright picture without decoding it."""
    is_on_its_side = _orientation(picture) in (5, 6, 7, 8)
    return picture.size if is_on_its_side else (picture.height, picture.width)


def _orientation(picture: Image.Image) -> int:
    stated = picture.getexif().get(ExifTags.Base.Orientation)
    return stated if isinstance(stated, int) else 1
