import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from camray.adapters.images.grayscale import MAX_CHUNKS, PNG_MAGIC, is_picture, read_picture, read_picture_header
from camray.adapters.images.photo import read_colours
from camray.domain.errors import ImageError
from camray.domain.records import RefusalReason as Reason

RAMP = np.arange(96 * 80).reshape(96, 80)


def refusal(path: Path) -> ImageError:
    with pytest.raises(ImageError) as refused:
        read_picture(path)
    return refused.value


def test_eight_bit_png_is_shown_as_it_is(tmp_path: Path) -> None:
    values = (RAMP % 256).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "film.png")
    film = read_picture(tmp_path / "film.png")
    np.testing.assert_array_equal(film.values, values)
    assert (film.header.image_id, film.header.rows, film.header.cols) == ("film", 96, 80)
    assert (film.header.bits_stored, film.header.transfer_syntax, film.header.lossy) == (8, "png", False)
    window = film.grey.windows[0]
    assert [(value - window.centre) / window.width + 0.5 for value in (0, 255)] == [0, 1]


def test_sixteen_bit_png_keeps_its_depth_and_has_no_window(tmp_path: Path) -> None:
    values = (RAMP * 8).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "film.png")
    film = read_picture(tmp_path / "film.png")
    np.testing.assert_array_equal(film.values, values)
    assert film.header.bits_stored == 16
    assert film.grey.windows == ()


def test_jpeg(tmp_path: Path) -> None:
    values = np.tile(np.arange(80, dtype=np.uint8) * 2, (96, 1))
    Image.fromarray(values).save(tmp_path / "film.jpg", quality=95)
    film = read_picture(tmp_path / "film.jpg")
    assert np.abs(film.values.astype(int) - values).max() <= 6
    assert (film.header.transfer_syntax, film.header.lossy) == ("jpeg", True)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_colour_pictures_of_equal_channels_are_grey(tmp_path: Path, mode: str) -> None:
    values = (RAMP % 256).astype(np.uint8)
    Image.fromarray(values).convert(mode).save(tmp_path / "film.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "film.png").values, values)


def test_colour_is_refused(tmp_path: Path) -> None:
    values = np.zeros((96, 80, 3), np.uint8)
    values[5, 7] = (0, 0, 1)
    Image.fromarray(values).save(tmp_path / "film.png")
    assert refusal(tmp_path / "film.png").reason == Reason.COLOUR


def test_small_picture_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((63, 80), np.uint8)).save(tmp_path / "film.png")
    assert refusal(tmp_path / "film.png").reason == Reason.TOO_SMALL


def test_bilevel_picture_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RAMP % 2 == 0).save(tmp_path / "film.png")
    assert refusal(tmp_path / "film.png").reason == Reason.UNSUPPORTED_BITS


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: int, cols: int, depth: int, colour: int, data: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_sixteen_bit_colour_is_refused_rather_than_read_as_eight(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_bytes(png(64, 64, 16, 2, (b"\0" + bytes(64 * 6)) * 64))
    assert refusal(tmp_path / "film.png").reason == Reason.UNSUPPORTED_BITS


def test_giant_picture_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_bytes(png(60000, 60000, 8, 0, b""))
    assert refusal(tmp_path / "film.png").reason == Reason.UNREADABLE_PIXELS


@pytest.mark.parametrize("name", ["film.png", "film.jpg"])
def test_cut_pictures_are_refused_wherever_they_are_cut(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (96, 80)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        assert refusal(path).reason in {Reason.TRUNCATED, Reason.UNREADABLE_PIXELS}


# what undoes each EXIF orientation: 6 (row 0 is the right side) is undone by a quarter turn clockwise
TURNED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).T,
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize(("kind", "mode"), [("png", np.uint8), ("png", np.uint16), ("jpg", np.uint8)])
def test_exif_rotated_is_read_upright_by_every_reader(tmp_path: Path, orientation: int, kind: str, mode: type) -> None:
    shown = np.zeros((96, 80), mode)
    shown[8:24, 40:72] = 200
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"film.{kind}"
    Image.fromarray(np.ascontiguousarray(TURNED[orientation](shown))).save(path, exif=exif)
    film, header = read_picture(path), read_picture_header(path)
    assert (film.header.rows, film.header.cols, header.rows, header.cols) == (96, 80, 96, 80)
    np.testing.assert_allclose(film.values, shown, atol=0 if kind == "png" else 60)
    if mode is np.uint8:
        np.testing.assert_array_equal(read_colours(path)[..., 0], film.values)


def test_exif_rotated_as_found(cases: Path) -> None:
    lying, upright = (read_picture(cases / "exif_rotated" / f"{name}.jpg").values for name in ("lying", "upright"))
    assert lying.shape == upright.shape == (96, 80)
    assert np.abs(lying.astype(int) - upright).mean() < 2


@pytest.mark.parametrize(("name", "kind"), [("film.png", "PNG"), ("film.jpg", "MPO")])
def test_a_file_of_several_pictures_is_refused_by_every_reader(tmp_path: Path, name: str, kind: str) -> None:
    first, second = (Image.fromarray(np.full((96, 80), grey, np.uint8)) for grey in (40, 90))
    first.save(tmp_path / name, kind, save_all=True, append_images=[second])
    for read in (read_picture, read_picture_header, read_colours):
        with pytest.raises(ImageError, match="the file holds 2 pictures; expected 1") as refused:
            read(tmp_path / name)
        assert refused.value.reason == Reason.MULTI_FRAME
    first.save(tmp_path / name, kind, save_all=True)
    assert read_picture(tmp_path / name).values.shape == (96, 80)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_other_formats_of_several_pictures_are_no_pictures_here(tmp_path: Path, kind: str) -> None:
    first, second = (Image.fromarray(np.full((96, 80), grey, np.uint8)) for grey in (40, 90))
    first.save(tmp_path / "film", kind, save_all=True, append_images=[second])
    assert not is_picture((tmp_path / "film").read_bytes()[:16])


def test_first_bytes_tell_a_picture() -> None:
    assert is_picture(b"\x89PNG\r\n\x1a\n....")
    assert is_picture(b"\xff\xd8\xff\xe0....")
    assert not is_picture(b"")
    assert not is_picture(b"GIF89a")


def _with_texts(path: Path, count: int) -> Path:
    """Write a film as PNG with so many texts behind its first chunk."""
    Image.fromarray((RAMP % 256).astype(np.uint8)).save(path)
    data, first = path.read_bytes(), len(PNG_MAGIC) + 25
    text = b"tEXta\0b"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    path.write_bytes(data[:first] + chunk * count + data[first:])
    return path


def test_a_png_of_very_many_chunks_is_refused_by_every_reader(tmp_path: Path) -> None:
    path = _with_texts(tmp_path / "film.png", MAX_CHUNKS)  # its first chunk counts too
    for read in (read_picture, read_picture_header, read_colours):
        with pytest.raises(ImageError, match=f"more than {MAX_CHUNKS} chunks") as refused:
            read(path)
        assert refused.value.reason == Reason.UNREADABLE_PIXELS
    np.testing.assert_array_equal(read_picture(_with_texts(path, MAX_CHUNKS - 1)).values, RAMP % 256)
