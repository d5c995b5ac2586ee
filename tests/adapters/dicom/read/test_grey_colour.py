"""Grey films stored in colour are read as the same film in grey; colour is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import uid

from camray.adapters.dicom.read.image import read_dicom
from camray.domain.errors import ImageError
from camray.domain.records import RefusalReason as Reason
from camray.io.film_files import read_film
from tests.film_factory import FilmRecipe, film_dataset

Write = Callable[..., Path]
GREY = FilmRecipe(bits_allocated=8, bits_stored=8).shown.astype(np.uint8)
SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
)


def write_colour(
    path: Path, samples: np.ndarray, syntax: str = uid.ExplicitVRLittleEndian, space: str = "RGB", planar: int = 0
) -> Path:
    """Write samples of shape (rows, cols, 3)."""
    bits = samples.dtype.itemsize * 8
    ds = film_dataset(FilmRecipe(bits_allocated=bits, bits_stored=bits), WindowCenter="40", WindowWidth="9")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, space, planar
    ds.PixelData = (np.moveaxis(samples, -1, 0) if planar else samples).tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    target = uid.UID(syntax)
    if target.is_compressed and target != uid.DeflatedExplicitVRLittleEndian:
        ds.compress(target, generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = target
    ds.save_as(path, enforce_file_format=True)
    return path


def colour(grey: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=-1))


@pytest.mark.parametrize(
    ("syntax", "planar"),
    [*((syntax, 0) for syntax in SYNTAXES), *((syntax, 1) for syntax in SYNTAXES[:3])],  # codecs define their own order
)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_rgb_dicom_of_three_equal_samples(tmp_path: Path, syntax: str, planar: int, depth: type) -> None:
    grey = GREY.astype(depth) * (1 if depth is np.uint8 else 257)
    film = read_dicom(write_colour(tmp_path / "film.dcm", colour(grey), syntax, planar=planar), None)
    np.testing.assert_array_equal(film.values, grey)
    assert not film.grey.is_inverted


def test_the_film_equals_its_png(tmp_path: Path) -> None:
    Image.fromarray(colour(GREY)).save(tmp_path / "film.png")
    film = read_film(write_colour(tmp_path / "film.dcm", colour(GREY)), None)
    picture = read_film(tmp_path / "film.png", None)
    np.testing.assert_array_equal(film.pixels, picture.pixels)  # the header's window is not for colour
    assert film.pixel_sha256 == picture.pixel_sha256


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_luminance_without_colour_is_grey(tmp_path: Path, syntax: str) -> None:
    samples = colour(GREY)
    samples[..., 1:] = 128
    film = read_dicom(write_colour(tmp_path / "film.dcm", samples, syntax, "YBR_FULL"), None)
    np.testing.assert_array_equal(film.values, GREY)
    samples[5, 7, 2] = 129
    with pytest.raises(ImageError) as refused:
        read_dicom(write_colour(tmp_path / "film.dcm", samples, syntax, "YBR_FULL"), None)
    assert refused.value.reason == Reason.COLOUR


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: uid.UID(syntax).name)
def test_a_single_pixel_of_colour_is_refused(tmp_path: Path, syntax: str) -> None:
    samples = colour(GREY)
    samples[5, 7, 1] += 1
    with pytest.raises(ImageError) as refused:
        read_dicom(write_colour(tmp_path / "film.dcm", samples, syntax), None)
    assert refused.value.reason == Reason.COLOUR
    assert "grey" in refused.value.message


def test_grey_rgb_dicom_as_found(cases: Path) -> None:
    first, second = (read_dicom(cases / "grey_rgb_dicom" / f"planar{n}.dcm", None).values for n in (0, 1))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (72, 64)
