"""Evidence that a header has Rows and Columns exchanged: their product fits, but the film would be sheared."""

import math

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from camray.adapters.dicom.read.elements import integer_of, items_of
from camray.domain.errors import PixelError
from camray.domain.films import FilmHeader
from camray.domain.records import RefusalReason

# 1,027 films: 0.01 to 0.47 as stored, from 2.1 with their sides exchanged; no film is refused by mistake
CERTAIN = 2.0
SAMPLED_PX = 2**18
_FAR_FROM_SQUARE, _SAME_SHAPE = math.log(1.1), math.log(1.05)


def check_row_length(values: NDArray[np.integer]) -> None:
    """Refuse pixels whose rows are as long as the film is said to be high.

    Pixels one row apart are alike. Where they differ `CERTAIN` times more than pixels one column's length apart, the
    sides are exchanged. Not seen are sides of which one is a multiple of the other, or nearly, and noise.

    Parameters
    ----------
    values : ndarray of shape (rows, cols), any integer dtype
        As the header says.

    Raises
    ------
    PixelError
        With ``UNREADABLE_PIXELS``.
    """
    rows, cols = values.shape
    if max(rows, cols) % min(rows, cols) and _step(values, cols) > CERTAIN * _step(values, rows):
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS,
            f"{rows} x {cols} px, but the pixels fit rows of {rows} px: Rows and Columns are exchanged; correct them",
        )


def check_icon(ds: Dataset, header: FilmHeader) -> None:
    """Refuse a film whose icon has the shape of the film with its sides exchanged.

    Raises
    ------
    PixelError
        With ``UNREADABLE_PIXELS``.
    """
    for icon in items_of(ds, "IconImageSequence"):
        rows, cols = integer_of(icon, "Rows"), integer_of(icon, "Columns")
        if min(rows, cols) <= 0:
            continue
        own, of_icon = math.log(header.rows / header.cols), math.log(rows / cols)
        if abs(own) > _FAR_FROM_SQUARE and abs(own + of_icon) < _SAME_SHAPE:
            raise PixelError(
                RefusalReason.UNREADABLE_PIXELS,
                f"{header.rows} x {header.cols} px, but the film's icon is {rows} x {cols} px: Rows and Columns are "
                "exchanged; correct them",
            )


def _step(values: NDArray[np.integer], length: int) -> float:
    """Return the mean difference of pixels that are so many pixels apart in reading order."""
    flat = values.ravel()
    every = max(1, flat.size // SAMPLED_PX) | 1
    first, second = flat[:-length:every].astype(np.int64), flat[length::every].astype(np.int64)
    return float(np.abs(second - first).mean())
