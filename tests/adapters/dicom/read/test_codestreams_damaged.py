"""Damaged codestreams that decode to other pixels are refused; whole ones of every kind are not."""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, get_frame

from camray.adapters.dicom.read.image import read_dicom
from camray.adapters.dicom.read.j2k_damage import j2k_damage
from camray.domain.errors import ImageError, IncompleteError
from camray.domain.records import RefusalReason as Reason
from camray.io.film_files import read_film
from tests.film_factory import FilmRecipe

Write = Callable[..., Path]
TEXTURE = np.random.default_rng(5).normal(0, 9, (96, 80)) + FilmRecipe(bits_allocated=8, bits_stored=8).shown
FILM = TEXTURE.clip(0, 255).astype(np.uint8)


def flipped(stream: bytes, start: int, count: int, seed: int) -> bytes:
    random, damaged = np.random.default_rng(seed), bytearray(stream)
    for at in random.integers(start, len(stream) - 2, count):
        damaged[at] ^= 1 << int(random.integers(8))
    return bytes(damaged)


def jpeg_of(values: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def j2k_of(**options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(FILM).save(out, "JPEG2000", no_jp2=True, **options)
    return out.getvalue()


def with_frame(path: Path, syntax: str, frame: bytes) -> Path:
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = uid.UID(syntax)
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    ds.save_as(path)
    return path


@pytest.fixture
def write_frame(write_film: Write) -> Callable[[str, bytes], Path]:
    """Return a writer of an 8-bit film of 96 x 80 px with these compressed pixels."""
    recipe = FilmRecipe(bits_allocated=8, bits_stored=8)
    return lambda syntax, frame: with_frame(write_film(recipe), syntax, frame)


@pytest.mark.parametrize("count", [3, 20, 60])
@pytest.mark.parametrize("bits", [8, 12])
def test_damaged_dicom_px_flip_gives_no_other_pixels(write_film: Write, bits: int, count: int) -> None:
    recipe = FilmRecipe(bits_allocated=16, bits_stored=bits, syntax=uid.JPEG2000Lossless)
    noise = np.random.default_rng(1).integers(0, 2 ** (bits - 3), (96, 80))
    values = (recipe.stored + noise).clip(0, 2**bits - 1)
    ds_path = write_film(recipe, PixelData=values.astype("<u2").tobytes())
    frame = get_frame(dcmread(ds_path).PixelData, 0, number_of_frames=1)
    np.testing.assert_array_equal(read_dicom(ds_path, None).values, values)
    for seed in range(15):
        path = with_frame(ds_path, uid.JPEG2000Lossless, flipped(frame, 100, count, seed))
        with pytest.raises(ImageError) as refused:
            read_dicom(path, None)
        assert refused.value.reason in {Reason.UNREADABLE_PIXELS, Reason.TRUNCATED}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"irreversible": True, "quality_layers": [20]},
        {"irreversible": True, "quality_layers": [40, 20, 10]},
        {"irreversible": False, "quality_layers": [30, 5]},
        {"irreversible": True, "quality_mode": "dB", "quality_layers": [35, 45]},
        {"codeblock_size": (32, 32), "num_resolutions": 3},
        {"tile_size": (64, 64), "progression": "RPCL"},
    ],
)
def test_whole_jpeg_2000_streams_show_no_damage(options: dict[str, object]) -> None:
    assert j2k_damage(j2k_of(**options)) is None


def test_jpeg_2000_tile_that_ends_early_is_damaged() -> None:
    stream = j2k_of()
    assert j2k_damage(stream[: len(stream) * 2 // 3] + b"\xff\xd9") is not None


def test_damaged_dicom_px_flip_as_found(cases: Path) -> None:
    folder = cases / "damaged_dicom"
    assert read_dicom(folder / "s16_000_SEED.dcm", None).values.shape == (89, 67)
    with pytest.raises(ImageError) as refused:
        read_dicom(folder / "s16_113_px_flip.dcm", None)
    assert refused.value.reason == Reason.UNREADABLE_PIXELS


def damaged_jpegs(stream: bytes) -> dict[str, bytes]:
    """Streams of which libjpeg decodes something: bytes lost or too many, a scan that ends early, no end marker."""
    middle = (stream.index(b"\xff\xda") + len(stream)) // 2
    return {
        "bytes lost": stream[:middle] + stream[middle + 40 :],
        "scan cut": stream[:middle] + b"\xff\xd9",
        "bytes added": stream[:-2] + bytes(50) + stream[-2:],
        "restart marker": stream[:middle] + b"\xff\xd3" + stream[middle:],
    }


@pytest.mark.parametrize("damage", ["bytes lost", "scan cut", "bytes added", "restart marker"])
def test_damaged_jpeg_is_refused(write_frame: Callable[[str, bytes], Path], tmp_path: Path, damage: str) -> None:
    stream = jpeg_of(FILM)
    np.testing.assert_allclose(read_dicom(write_frame(uid.JPEGBaseline8Bit, stream), None).values, FILM, atol=30)
    (tmp_path / "film.jpg").write_bytes(damaged_jpegs(stream)[damage])
    for path in (write_frame(uid.JPEGBaseline8Bit, damaged_jpegs(stream)[damage]), tmp_path / "film.jpg"):
        with pytest.raises(ImageError) as refused:
            read_film(path, None)
        assert refused.value.reason in {Reason.UNREADABLE_PIXELS, Reason.TRUNCATED}


def test_jpeg_without_an_end_is_refused(write_frame: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    stream = jpeg_of(FILM)[:-2]
    (tmp_path / "film.jpg").write_bytes(stream)
    for path in (write_frame(uid.JPEGBaseline8Bit, stream), tmp_path / "film.jpg"):
        with pytest.raises(ImageError) as refused:
            read_film(path, None)
        assert refused.value.reason in {Reason.UNREADABLE_PIXELS, Reason.TRUNCATED}


def test_no_film_is_called_damaged_for_want_of_a_temporary_file(
    write_frame: Callable[[str, bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")
    stream = jpeg_of(FILM)
    assert read_dicom(write_frame(uid.JPEGBaseline8Bit, stream), None).values.shape == FILM.shape
    with pytest.raises(ImageError, match="decode with warnings"):
        read_dicom(write_frame(uid.JPEGBaseline8Bit, damaged_jpegs(stream)["bytes added"]), None)
    with pytest.raises(IncompleteError, match=r"/dev/null/none.*: no temporary file can be written.*TMPDIR"):
        read_dicom(Path(str(get_testdata_file("JPGExtended.dcm"))), None)  # 12 bit: its decoder reads only files


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"comment": b"x"}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_whole_jpegs_are_read(tmp_path: Path, mode: str, options: dict[str, object]) -> None:
    colours = np.asarray(Image.fromarray(FILM).convert(mode))
    (tmp_path / "film.jpg").write_bytes(jpeg_of(colours, **options))
    assert read_film(tmp_path / "film.jpg", None).pixels.shape == (96, 80)
    (tmp_path / "film.jpg").write_bytes(jpeg_of(colours, **options) + b"a camera's trailer")
    assert read_film(tmp_path / "film.jpg", None).pixels.shape == (96, 80)


@pytest.mark.parametrize("count", [3, 20])
def test_flipped_bits_in_jpeg_ls_give_no_other_pixels(write_film: Write, count: int) -> None:
    recipe = FilmRecipe(syntax=uid.JPEGLSLossless)
    values = recipe.stored + np.random.default_rng(1).integers(0, 99, (96, 80))
    path = write_film(recipe, PixelData=values.astype("<u2").tobytes())
    frame = get_frame(dcmread(path).PixelData, 0, number_of_frames=1)
    for seed in range(15):
        with pytest.raises(ImageError):
            read_dicom(with_frame(path, uid.JPEGLSLossless, flipped(frame, 40, count, seed)), None)


def boxed(stream: bytes, is_long: bool = False) -> bytes:
    """Put a codestream into the boxes of a JP2 file, which DICOM forbids and some writers leave."""
    out = io.BytesIO()
    Image.fromarray(FILM).save(out, "JPEG2000")
    file = out.getvalue()
    short, long = (len(stream) + 8).to_bytes(4, "big"), (len(stream) + 16).to_bytes(8, "big")
    head = b"\0\0\0\1jp2c" + long if is_long else short + b"jp2c"  # a length of 1: of 8 bytes, behind the kind
    return file[: file.index(b"jp2c") - 4] + head + stream


def test_a_codestream_in_boxes_is_held_to_what_one_without_is(write_frame: Callable[[str, bytes], Path]) -> None:
    stream = j2k_of()
    np.testing.assert_array_equal(read_dicom(write_frame(uid.JPEG2000Lossless, boxed(stream)), None).values, FILM)
    siz, samples = stream.index(b"\xff\x51"), (2**14).to_bytes(2, "big")
    many = (
        (38 + 3 * 2**14).to_bytes(2, "big") + stream[siz + 4 : siz + 38] + samples + stream[siz + 40 : siz + 43] * 2**14
    )
    changed = {
        Reason.COLOUR: stream[: siz + 2] + many + stream[siz + 43 :],  # each sample takes memory; OpenJPEG aborts
        Reason.UNREADABLE_PIXELS: stream[: siz + 6] + (40_000).to_bytes(4, "big") * 2 + stream[siz + 14 :],
    }
    for reason, frame in changed.items():
        for data in (frame, boxed(frame), boxed(frame, is_long=True)):
            with pytest.raises(ImageError) as refused:
                read_dicom(write_frame(uid.JPEG2000Lossless, data), None)
            assert refused.value.reason == reason
            assert "codestream" in refused.value.message
    assert j2k_damage(boxed(stream)) is None
    assert j2k_damage(boxed(flipped(stream, 200, 20, 1))) is not None


def test_a_codestream_that_states_no_size_is_refused(write_frame: Callable[[str, bytes], Path]) -> None:
    with pytest.raises(ImageError, match="does not state its size"):
        read_dicom(write_frame(uid.JPEG2000Lossless, b"\0\0\0\x0cjP  \r\n\x87\n" + j2k_of()[:4] + b"\xff\xd9"), None)
