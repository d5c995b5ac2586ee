import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from camray.adapters.phantom_dicom import SYNTAXES, Encoding, PhantomHeader, Voi, draw_encoding, encode_film, film_uid

HEADER = PhantomHeader(5, 11, 8, "F", 47, "PA", 0.8398, 0.6719)
DRAWN = [draw_encoding(np.random.default_rng([1, index])) for index in range(400)]


def picture(rows: int = 48, cols: int = 40) -> np.ndarray:
    """Every grey from 0 to 1, both ends included."""
    return np.linspace(0, 1, rows * cols, dtype=np.float32).reshape(rows, cols)


def shown(film: Dataset) -> np.ndarray:
    """What a display shows, 0-1, by the standard's own formulas (PS3.3 C.11.1.1, C.11.2.1) and nothing of camray's."""
    stored = film.pixel_array.astype(np.float64)
    value = stored * float(film.get("RescaleSlope", 1)) + float(film.get("RescaleIntercept", 0))
    if "VOILUTSequence" in film:
        item = film.VOILUTSequence[0]
        entries, first, bits = item.LUTDescriptor
        table = np.frombuffer(item.LUTData, "<u2")
        grey = table[np.clip(value - first, 0, entries - 1).astype(int)] / (2**bits - 1)
    elif "WindowCenter" in film:
        centre, width = (np.atleast_1d(np.array(film[key].value, float))[0] for key in ("WindowCenter", "WindowWidth"))
        match film.get("VOILUTFunction", "LINEAR"):
            case "LINEAR":
                grey = (value - (centre - 0.5)) / (width - 1) + 0.5
            case "LINEAR_EXACT":
                grey = (value - centre) / width + 0.5
            case _:
                grey = 1 / (1 + np.exp(-4 * (value - centre) / width))
    else:
        grey = value / (2**film.BitsStored - 1)
    grey = np.clip(grey, 0, 1)
    return 1 - grey if film.PhotometricInterpretation == "MONOCHROME1" else grey


def written(encoding: Encoding, image: np.ndarray | None = None) -> Dataset:
    return dcmread(BytesIO(encode_film(picture() if image is None else image, HEADER, encoding)))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("voi", ["LINEAR", "LINEAR_EXACT", "SIGMOID", "LUT", "NONE"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_every_encoding_shows_the_same_film(photometric: str, voi: Voi, bits: int) -> None:
    if voi == "LUT" and bits > 12:
        pytest.skip("tables are drawn for 10 and 12 bits only")
    encoding = Encoding(
        photometric=photometric,  # type: ignore[arg-type]
        bits_stored=bits,
        voi=voi,
        low=0.07,
        high=0.91,
        lut_gamma=1.6,
        has_second_window=True,
    )
    # a sigmoid is steepest in its middle: 1/4 per quarter width, and its width is 0.29 of the window's reach
    steepest = {"SIGMOID": 3.5, "LUT": 1.6}.get(voi, 1.0) / 0.84
    margin = {"SIGMOID": 0.0009, "LUT": 0.51 / 4095}.get(voi, 0.0)  # the table's own entries have 12 bits here
    tolerance = 0.51 * steepest / (2**bits - 1) + margin + 2e-6
    assert np.abs(shown(written(encoding)) - picture()).max() <= tolerance


@pytest.mark.parametrize("slope", [0.25, 2.0])
@pytest.mark.parametrize("intercept", [-1024.0, 0.0, 100.0])
@pytest.mark.parametrize("voi", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_rescaled_film_shows_the_same_and_is_computed_radiography(slope: float, intercept: float, voi: Voi) -> None:
    film = written(Encoding(voi=voi, slope=slope, intercept=intercept, low=0.05, high=0.95))
    assert film.Modality == "CR"
    assert np.abs(shown(film) - picture()).max() <= 0.0017


@pytest.mark.parametrize("index", range(40))
def test_drawn_encodings_show_the_same_film(index: int) -> None:
    assert np.abs(shown(written(DRAWN[index])) - picture()).max() <= 1 / 1023


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_every_syntax_is_lossless(syntax: str, bits: int) -> None:
    plain, packed = (written(Encoding(bits_stored=bits, syntax=s)) for s in (next(iter(SYNTAXES)), syntax))
    assert packed.file_meta.TransferSyntaxUID == syntax
    assert (plain.pixel_array == packed.pixel_array).all()
    assert plain.SOPInstanceUID == packed.SOPInstanceUID


def test_photometric_and_presentation_shape_agree() -> None:
    for photometric, shape in (("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")):
        film = written(Encoding(photometric=photometric))  # type: ignore[arg-type]
        assert (film.PhotometricInterpretation, film.PresentationLUTShape) == (photometric, shape)


def test_the_header_is_the_films_own() -> None:
    film = written(Encoding())
    assert (film.PatientName, film.PatientID) == ("PHANTOM^0009", "PH0009")
    assert (film.PatientSex, film.PatientAge, film.ViewPosition) == ("F", "047Y", "PA")
    assert [float(value) for value in film.ImagerPixelSpacing] == [0.8398, 0.6719]
    assert film.SOPInstanceUID == HEADER.image_id == film_uid(5, 11, "instance")
    assert (film.Rows, film.Columns) == (48, 40)


def test_equal_arguments_give_equal_bytes_and_uids_differ() -> None:
    for syntax in SYNTAXES:
        encoding = Encoding(syntax=syntax)
        assert encode_film(picture(), HEADER, encoding) == encode_film(picture(), HEADER, encoding)
    uids = {film_uid(seed, index, what) for seed in (1, 2) for index in range(50) for what in ("instance", "study")}
    assert len(uids) == 200
    assert all(len(uid) <= 64 for uid in uids)


def test_all_kinds_are_drawn() -> None:
    assert {encoding.voi for encoding in DRAWN} == {"LINEAR", "LINEAR_EXACT", "SIGMOID", "LUT", "NONE"}
    assert {encoding.bits_stored for encoding in DRAWN} == {10, 12, 14, 16}
    assert {RLELossless, JPEGLSLossless, JPEG2000Lossless} < {encoding.syntax for encoding in DRAWN}
    assert any(encoding.slope != 1 for encoding in DRAWN)
    assert 0.02 < np.mean([encoding.is_cr for encoding in DRAWN]) < 0.35


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("index", range(12))
def test_the_standards_checker_has_no_complaint(index: int, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(encode_film(picture(), HEADER, DRAWN[index]))
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert "Error" not in said
    assert said.startswith("CRImage" if DRAWN[index].is_cr else "DXImageForPresentation")
