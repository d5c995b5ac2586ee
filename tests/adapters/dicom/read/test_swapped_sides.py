"""Rows and Columns exchanged: refused where the file shows it, and no film by mistake."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, uid
from pydicom.sequence import Sequence

from camray.adapters.dicom.read.image import read_dicom, read_dicom_header
from camray.adapters.dicom.read.swapped_sides import check_row_length
from camray.core.phantom.film import render_film
from camray.domain.errors import PixelError
from camray.domain.records import RefusalReason
from tests.film_factory import FilmRecipe

Write = Callable[..., Path]


def _chest(rows: int, cols: int) -> NDArray[np.integer]:
    image = render_film(3, 0, 512).image
    at = np.ix_(*(np.linspace(0, side - 1, n).astype(int) for side, n in zip(image.shape, (rows, cols), strict=True)))
    return np.rint(image[at] * 4000).astype(np.int64)


@pytest.mark.parametrize("shape", [(180, 150), (150, 180), (201, 160), (256, 255)])
def test_only_exchanged_sides_are_refused(shape: tuple[int, int]) -> None:
    values = _chest(*shape)
    check_row_length(values)
    check_row_length(values[::-1])
    check_row_length(-values)
    if shape == (256, 255):  # sheared by one pixel a row: alike both ways
        check_row_length(values.reshape(shape[::-1]))
        return
    with pytest.raises(PixelError, match=f"the pixels fit rows of {shape[1]} px: Rows and Columns are exchanged"):
        check_row_length(values.reshape(shape[::-1]))


def test_noise_constant_films_stripes_and_multiples_are_not_judged() -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (120, 90))
    lines = _chest(120, 90) + 40 * (np.arange(120) % 2)[:, None]  # a grid's lines
    for values in (noise, np.full((120, 90), 7), lines, _chest(120, 60), _chest(60, 120), _chest(90, 90)):
        check_row_length(values)
        check_row_length(values.T)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_a_film_with_exchanged_sides_is_refused(write_film: Write, syntax: str) -> None:
    path = write_film(FilmRecipe(rows=180, cols=140, bits_stored=16))
    ds = dcmread(path)
    ds.PixelData = _chest(180, 140).astype("<u2").tobytes()
    if syntax == uid.RLELossless:
        ds.compress(syntax)
    ds.save_as(path)
    assert read_dicom(path, None).values.shape == (180, 140)
    ds.Rows, ds.Columns = 140, 180
    ds.save_as(path)
    with pytest.raises(PixelError, match="Rows and Columns") as refused:
        read_dicom(path, None)
    assert refused.value.reason == RefusalReason.UNREADABLE_PIXELS


@pytest.mark.parametrize(
    ("icon", "is_refused"), [((64, 50), False), ((50, 64), True), ((64, 64), False), ((0, 0), False), ((64, 63), False)]
)
def test_an_icon_of_the_exchanged_shape_refuses_the_film(
    write_film: Write, icon: tuple[int, int], is_refused: bool
) -> None:
    path = write_film(FilmRecipe(rows=180, cols=140))
    ds, item = dcmread(path), Dataset()
    item.Rows, item.Columns = icon
    ds.IconImageSequence = Sequence([item])
    ds.save_as(path)
    for read in (read_dicom, read_dicom_header):
        if not is_refused:
            read(path, None)
            continue
        with pytest.raises(PixelError, match="the film's icon is 50 x 64 px"):
            read(path, None)
