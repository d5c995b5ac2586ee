"""Masks that annotate a film: COCO's compressed run lengths to the smallest enclosing box."""

import numpy as np
from numpy.typing import NDArray

from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box, box_from_mask
from camray.domain.run_lengths import coco_counts, mask_of_counts


def mask_from_rle(rle: str, rows: int, cols: int) -> NDArray[np.bool_]:
    """Decode COCO's compressed run lengths.

    Parameters
    ----------
    rle : str
        Runs of absent and present pixels in turn, down the columns. Each number takes characters of five bits, least
        first, with a continuation bit of 32 and an offset of 48; from the fourth on it is the difference to the number
        two before.
    rows, cols : int
        Of the mask.

    Returns
    -------
    ndarray of shape (rows, cols), bool

    Raises
    ------
    AnnotationError
        If the runs do not fill the mask exactly.
    """
    try:
        return mask_of_counts(coco_counts(rle, rows * cols), rows, cols)
    except ValueError as error:
        raise AnnotationError(
            f"a mask's run lengths do not fill its film of {rows} x {cols} px; correct the mask"
        ) from error


def mask_of_box(corners: NDArray[np.float64], rows: int, cols: int) -> NDArray[np.bool_]:
    """Fill a box: the pixels whose centres are in it.

    Parameters
    ----------
    corners : ndarray of shape (4,), float64
        (x0, y0, x1, y1), half-open, px.
    rows, cols : int
        Of the grid.

    Returns
    -------
    ndarray of shape (rows, cols), bool
        On the box's grid.
    """
    x, y = np.arange(cols) + 0.5, np.arange(rows) + 0.5
    across, down = (x >= corners[0]) & (x < corners[2]), (y >= corners[1]) & (y < corners[3])
    return np.asarray(down[:, None] & across[None])


def box_from_rle(rle: str, rows: int, cols: int) -> Box | None:
    """Return the smallest upright box around a mask, or None for an empty one; see `mask_from_rle`."""
    return box_from_mask(mask_from_rle(rle, rows, cols))
