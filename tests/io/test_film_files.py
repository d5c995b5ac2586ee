import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.data import get_testdata_files
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from camray.core.imaging.resampling import to_model_grid
from camray.domain.errors import ImageError
from camray.domain.films import Film, FilmPolicy
from camray.domain.geometry import Box
from camray.domain.records import RefusalReason as Reason
from camray.io.film_files import file_of_bytes, pixel_digest, read_film, read_film_header
from tests.film_factory import FilmRecipe, lut_item

Write = Callable[..., Path]
SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
)
DEFAULT_POLICY = FilmPolicy(("CR", "DX", "RG"), ("CHEST", "THORAX", "LUNG", "RIB", "RIBCAGE", ""), ("PA", "AP", ""))


def outcome(path: Path, policy: FilmPolicy | None = None) -> Film | Reason:
    try:
        return read_film(path, policy)
    except ImageError as error:
        refused = error
    assert "CANARY" not in refused.message.upper()
    return refused.reason


def film_of(path: Path) -> Film:
    film = outcome(path)
    assert isinstance(film, Film)
    return film


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("is_signed", [False, True])
def test_what_is_bright_comes_out_bright(write_film: Write, photometric: str, bits: int, is_signed: bool) -> None:
    recipe = FilmRecipe(
        photometric=photometric, bits_allocated=8 if bits == 8 else 16, bits_stored=bits, is_signed=is_signed
    )
    top = 2**bits - 1
    middle = (top / 2) - (2 ** (bits - 1) if is_signed else 0)
    window = {"WindowCenter": middle, "WindowWidth": top, "VOILUTFunction": "LINEAR_EXACT"}
    film = film_of(write_film(recipe, **window))
    assert film.pixels.dtype == np.float32
    np.testing.assert_allclose(film.pixels, recipe.shown / top, atol=1e-6)


def test_square_lands_where_the_transform_says(write_film: Write) -> None:
    recipe = FilmRecipe(rows=200, cols=120, box=Box(30, 80, 70, 150))
    film = film_of(write_film(recipe, ImagerPixelSpacing=["0.2", "0.3"]))
    model, grid = to_model_grid(
        film.pixels, 128, 128, "letterbox", film.header.row_spacing_mm, film.header.col_spacing_mm
    )
    lit = model > 0.7
    there = grid.box_to_model(recipe.box)
    rows, cols = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    found = (cols[0], rows[0], cols[-1] + 1, rows[-1] + 1)
    np.testing.assert_allclose(found, there.as_tuple(), atol=0.51)
    # 40 x 70 px are 12 x 14 mm
    assert (there.x1 - there.x0) / (there.y1 - there.y0) == pytest.approx(12 / 14)


def test_digest_is_the_same_in_every_lossless_encoding(write_film: Write) -> None:
    films = [film_of(write_film(FilmRecipe(syntax=syntax))) for syntax in SYNTAXES]
    assert len({film.pixel_sha256 for film in films}) == 1
    for film in films[1:]:
        np.testing.assert_array_equal(film.pixels, films[0].pixels)


def test_digest_knows_values_and_shape_but_not_the_type() -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    digest = pixel_digest(values)
    for dtype in (np.int8, np.uint16, np.int16, np.int32, ">u2"):
        assert pixel_digest(values.astype(dtype)) == digest
    assert pixel_digest(np.asfortranarray(values)) == digest
    assert pixel_digest(values.reshape(4, 3)) != digest
    assert pixel_digest(values.astype(np.int16) - 1) != digest
    # -1 and 65535 are the same 16 bits
    assert pixel_digest(np.full((2, 2), -1, np.int16)) != pixel_digest(np.full((2, 2), 65535, np.uint16))


def test_picture_and_film_of_equal_pixels_digest_equal(write_film: Write, tmp_path: Path) -> None:
    recipe = FilmRecipe(bits_allocated=8, bits_stored=8)
    Image.fromarray(recipe.stored.astype(np.uint8)).save(tmp_path / "film.png")
    assert film_of(tmp_path / "film.png").pixel_sha256 == film_of(write_film(recipe)).pixel_sha256


def test_policy_concerns_films_and_not_pictures(write_film: Write, tmp_path: Path) -> None:
    recipe = FilmRecipe(bits_allocated=8, bits_stored=8)
    Image.fromarray(recipe.stored.astype(np.uint8)).save(tmp_path / "film.png")
    assert isinstance(outcome(tmp_path / "film.png", DEFAULT_POLICY), Film)
    assert outcome(write_film(recipe, Modality="CT"), DEFAULT_POLICY) == Reason.WRONG_MODALITY


def test_blank_film_is_refused(write_film: Write) -> None:
    path = write_film(FilmRecipe(), PixelData=np.full(96 * 80, 7, "<u2").tobytes())
    assert outcome(path) == Reason.BLANK


@pytest.mark.parametrize(
    "rescale", [("1e-310", "-1"), ("nan", "0"), ("inf", "0"), ("1e308", "0"), ("1", "1e300"), ("1e-30", "5")]
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_damaged_dicom_nanrescale_is_not_applied(write_film: Write, rescale: tuple[str, str], photometric: str) -> None:
    recipe = FilmRecipe(photometric=photometric)
    plain = film_of(write_film(recipe))
    path = write_film(recipe)
    ds = dcmread(path)
    for keyword, value in zip(("RescaleSlope", "RescaleIntercept"), rescale, strict=True):
        tag = Tag(keyword)
        ds[tag] = RawDataElement(tag, "DS", len(value), value.encode() + b" " * (len(value) % 2), 0, False, True)
    ds.save_as(path)
    film = film_of(path)
    np.testing.assert_array_equal(film.pixels, plain.pixels)
    assert plain.note == ""
    assert ("not applied" in film.note) == (rescale[0] not in ("nan", "inf"))  # those count as absent


def test_a_useless_window_is_noted(write_film: Write) -> None:
    film = film_of(write_film(FilmRecipe(), WindowCenter="40000", WindowWidth="2000"))
    np.testing.assert_array_equal(film.pixels, film_of(write_film(FilmRecipe())).pixels)
    assert "percentiles" in film.note


def test_a_modality_table_of_one_output_is_refused(write_film: Write) -> None:
    path = write_film(FilmRecipe(), ModalityLUTSequence=lut_item(0, [7] * 4096, 12))
    assert outcome(path) == Reason.BLANK


def test_damaged_dicom_nanrescale_as_found(cases: Path) -> None:
    film = film_of(cases / "damaged_dicom" / "s18_069_nanrescale.dcm")
    assert np.ptp(film.pixels) > 0.9
    assert "not applied" in film.note


def test_a_file_that_takes_too_much_memory_is_refused(write_film: Write, tmp_path: Path) -> None:
    path = write_film(FilmRecipe())
    whole = path.read_bytes()
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    private = b"\x29\x00\x10\x10OB\0\0" + (2**32 - 2).to_bytes(4, "little")  # 4 GiB of zeros that take no disk
    path.write_bytes(whole[:at] + private)
    with path.open("r+b") as file:
        file.truncate(at + len(private) + 2**32 - 2)
    for read in (read_film, read_film_header):
        with pytest.raises(ImageError) as refused:
            read(path, None)
        assert refused.value.reason == Reason.UNREADABLE_PIXELS
        assert "memory" in refused.value.message


def test_a_strip_of_a_film_is_refused_by_header_and_by_pixels(write_film: Write, tmp_path: Path) -> None:
    """The model grid would show nothing of it, and the first map of it ended the run."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 700), np.uint8)
    Image.fromarray(noise).save(tmp_path / "film.png")
    tall = write_film(FilmRecipe(rows=120, cols=80, spacing_mm=(0.9, 0.1)))
    for path in (tmp_path / "film.png", tall):
        for read in (read_film, read_film_header):
            with pytest.raises(ImageError) as refused:
                read(path, None)
            assert refused.value.reason == Reason.TOO_SMALL


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "\ud800.dcm"])
def test_a_name_that_no_file_can_have_is_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as refused:
        read_film(tmp_path / name, None)
    assert refused.value.reason == Reason.MISSING_FILE


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert outcome(tmp_path / "nowhere") == Reason.MISSING_FILE
    assert outcome(tmp_path / "dangling") == Reason.MISSING_FILE
    assert outcome(tmp_path) == Reason.NOT_DICOM
    assert outcome(tmp_path / "pipe") == Reason.NOT_DICOM


@pytest.mark.parametrize("content", [b"", b"x", b"id,label\n1,2\n" * 50, b"\0" * 132, b"\0" * 5000, b"GIF89a" * 99])
def test_other_files_are_not_dicom(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert outcome(tmp_path / "file") == Reason.NOT_DICOM


def test_preamble_alone_is_no_film(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(128) + b"DICM")
    assert outcome(tmp_path / "file") in {Reason.UNREADABLE_HEADER, Reason.TRUNCATED, Reason.NO_PIXELS}


@pytest.mark.parametrize("start", [b"", bytes(128) + b"DICM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_random_bytes_are_refused(tmp_path: Path, start: bytes) -> None:
    random = np.random.default_rng(0)
    for size in (1, 7, 100, 1000, 20_000):
        for _ in range(10):
            (tmp_path / "file").write_bytes(start + random.bytes(size))
            assert isinstance(outcome(tmp_path / "file"), Reason)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: uid.UID(syntax).name)
def test_spoilt_films_end_as_film_or_refusal(write_film: Write, syntax: str) -> None:
    path = write_film(FilmRecipe(syntax=syntax, rows=64, cols=64), WindowCenter=["2000", "9"], WindowWidth=["400", "0"])
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    for _ in range(60):
        spoilt = bytearray(whole)
        for place in random.integers(132, min(len(whole), 900), random.integers(1, 6)):
            spoilt[place] = random.integers(256)
        path.write_bytes(bytes(spoilt))
        assert isinstance(outcome(path), Film | Reason)


def test_pydicoms_own_files_are_all_accounted_for() -> None:
    paths = [Path(path) for path in get_testdata_files()]
    films = {path.name for path in paths if isinstance(outcome(path), Film)}
    assert len(paths) > 100
    assert films >= {"CT_small.dcm", "JPGExtended.dcm", "693_J2KI.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm"}
    assert all(isinstance(outcome(path, DEFAULT_POLICY), Film | Reason) for path in paths)


@pytest.mark.realdata
def test_real_variety(real_data: Path) -> None:
    folder = real_data / "dicom_variety"
    found = {path.stem.split(".")[0]: outcome(path, DEFAULT_POLICY) for path in sorted(folder.iterdir())}
    hips = {name for name in found if name.startswith("RG2_")}
    assert {found.pop(name) for name in hips} == {Reason.WRONG_BODY_PART}
    assert found.pop("test5") == Reason.WRONG_MODALITY  # a chest film that calls itself CT
    assert all(isinstance(film, Film) for film in found.values())
    assert len(found) == 8


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_content_of_a_file_is_a_film_until_the_block_ends(
    write_film: Write, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    path = write_film(FilmRecipe(rows=96, cols=128))
    with file_of_bytes(path.read_bytes()) as copy:
        np.testing.assert_array_equal(film_of(copy).pixels, film_of(path).pixels)
    assert not copy.exists()


@pytest.mark.realdata
def test_real_encodings_of_one_film_are_equal(real_data: Path) -> None:
    films = [film_of(path) for path in sorted((real_data / "dicom_variety").glob("RG2_*"))]
    assert len(films) == 4
    assert len({film.pixel_sha256 for film in films}) == 1
    for film in films[1:]:
        np.testing.assert_array_equal(film.pixels, films[0].pixels)


@pytest.mark.realdata
def test_real_chest_halves_have_dark_lungs(real_data: Path) -> None:
    # below the lung lies the belly, which is bright; on one film in fourteen that spot is air beside the chest
    darker = 0
    paths = sorted((real_data / "tb_hemithorax" / "dicom").iterdir())[::20]
    for path in paths:
        pixels = film_of(path).pixels
        rows, cols = pixels.shape
        lung = pixels[int(rows * 0.3) : int(rows * 0.6), int(cols * 0.3) : int(cols * 0.7)].mean()
        belly = pixels[int(rows * 0.9) :, int(cols * 0.3) : int(cols * 0.7)].mean()
        darker += bool(lung < belly)
    assert darker >= 0.85 * len(paths)
