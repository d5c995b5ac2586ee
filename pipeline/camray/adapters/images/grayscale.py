"""Films from PNG and JPEG files."""

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.images.orientation import upright, upright_size
from camray.domain.errors import PixelError
from camray.domain.films import MAX_AREA_PX, MIN_SIDE_PX, FilmHeader, GreyScale, StoredFilm, VoiWindow
from camray.domain.records import RefusalReason

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
MAX_CHUNKS = 2**12  # of a PNG beside its pixels; Pillow takes 20 microseconds for each text
_FAULTS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, MemoryError, struct.error, zlib.error)
_FAULTS_AND_BOMB = (*_FAULTS, Image.DecompressionBombError)


def is_picture(start: bytes) -> bool:
    """Return whether a file that starts with these bytes is a PNG or JPEG."""
    return start.startswith((PNG_MAGIC, JPEG_MAGIC))


def read_picture(path: Path) -> StoredFilm:
    """Read a PNG or JPEG as a film.

    Parameters
    ----------
    path : Path
        8 or 16 bit grey, or colour with three equal channels of 8 bits; an alpha channel is ignored. The picture is
        turned upright as its EXIF orientation says (CIPA DC-008, tag 0x0112), which is how viewers show it.

    Returns
    -------
    StoredFilm
        ``image_id`` is the file's stem. 8-bit values are displayed unchanged (0 dark, 255 bright); 16-bit values, whose
        range is not defined, have no window.

    Raises
    ------
    PixelError
        If the image is damaged, in colour, too small, of another depth, or one of several in its file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_chunks(path)
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                _check_size(picture.height, picture.width)
                check_single(picture)
                syntax = str(picture.format).lower()
                values, bits = _grey_values(upright(picture), _png_depth(path))
    except _FAULTS_AND_BOMB as error:
        is_cut = "truncated" in str(error) or isinstance(error, EOFError)
        reason = RefusalReason.TRUNCATED if is_cut else RefusalReason.UNREADABLE_PIXELS
        raise PixelError(reason, f"the image cannot be decoded ({type(error).__name__})") from None
    windows = (VoiWindow(127.5, 255.0, "LINEAR_EXACT"),) if bits == 8 else ()
    header = FilmHeader(
        image_id=path.stem,
        rows=values.shape[0],
        cols=values.shape[1],
        bits_stored=bits,
        transfer_syntax=syntax,
        lossy=syntax == "jpeg",
    )
    return StoredFilm(values, GreyScale(bits_stored=bits, windows=windows), header)


def read_picture_header(path: Path) -> FilmHeader:
    """Read the size of an image, upright, without decoding it.

    Raises
    ------
    PixelError
        If it is not an image, too small or too large, or one of several in its file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_chunks(path)
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                _check_size(picture.height, picture.width)
                check_single(picture)
                rows, cols = upright_size(picture)
                return FilmHeader(path.stem, rows=rows, cols=cols)
    except _FAULTS_AND_BOMB as error:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS, f"the image cannot be read ({type(error).__name__})"
        ) from None


def check_single(picture: Image.Image) -> None:
    """Refuse a file of several pictures: an animated PNG, or a JPEG with more pictures behind the first (MPO).

    Raises
    ------
    PixelError
        With ``MULTI_FRAME``.
    """
    if (pictures := getattr(picture, "n_frames", 1)) > 1:
        raise PixelError(
            RefusalReason.MULTI_FRAME, f"the file holds {pictures} pictures; expected 1; save the film by itself"
        )


def _check_size(rows: int, cols: int) -> None:
    if min(rows, cols) < MIN_SIDE_PX:
        raise PixelError(RefusalReason.TOO_SMALL, f"{rows} x {cols} px; expected at least {MIN_SIDE_PX} per side")
    if rows * cols > MAX_AREA_PX:
        raise PixelError(RefusalReason.UNREADABLE_PIXELS, f"{rows} x {cols} px; expected at most {MAX_AREA_PX} px")


def check_chunks(path: Path) -> None:
    """Refuse a PNG of very many chunks beside its pixels, which take a second for each 50,000.

    Raises
    ------
    PixelError
        With ``UNREADABLE_PIXELS``.
    """
    with path.open("rb") as stream:
        is_png, others = stream.read(len(PNG_MAGIC)) == PNG_MAGIC, 0
        while is_png and len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
            others += head[4:] != b"IDAT"
            if others > MAX_CHUNKS:
                raise PixelError(
                    RefusalReason.UNREADABLE_PIXELS, f"more than {MAX_CHUNKS} chunks beside the pixels; expected a film"
                )
            stream.seek(int.from_bytes(head[:4], "big") + 4, 1)


def _png_depth(path: Path) -> int:
    """Return the bits per sample in the first chunk of a PNG; 8 for a JPEG."""
    with path.open("rb") as stream:
        start = stream.read(26)
    return start[24] if start.startswith(PNG_MAGIC) and len(start) == 26 else 8


def _grey_values(picture: Image.Image, depth: int) -> tuple[NDArray[np.integer[Any]], int]:
    if picture.mode in ("I;16", "I;16B", "I") and depth == 16:
        return np.asarray(picture).astype(np.uint16), 16
    if depth not in (8, 1, 2, 4) or (depth != 8 and picture.mode != "P"):
        raise PixelError(RefusalReason.UNSUPPORTED_BITS, f"{depth} bits in mode {picture.mode}; expected 8 or 16, grey")
    if picture.mode in ("L", "LA"):
        return np.asarray(picture.getchannel("L")), 8
    if picture.mode not in ("RGB", "RGBA", "P", "PA"):
        raise PixelError(RefusalReason.COLOUR, f"the image has mode {picture.mode}; expected grey")
    red, green, blue = (np.asarray(band) for band in picture.convert("RGB").split())
    if not (np.array_equal(red, green) and np.array_equal(red, blue)):
        raise PixelError(RefusalReason.COLOUR, "the colour channels differ; expected grey")
    return red, 8
