"""Masks of polygons."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mask_of_polygons(polygons: Sequence[NDArray[np.float64]], rows: int, cols: int) -> NDArray[np.bool_]:
    """Fill polygons: a pixel is set if its centre is inside any of them.

    Parameters
    ----------
    polygons : sequence of ndarray of shape (K, 2), float64
        Corners (x, y), native px, corner origin; closed automatically. The even-odd rule applies within one polygon, so
        an outline that crosses itself leaves holes. Fewer than three corners enclose nothing.
    rows, cols : int
        Size of the mask; polygons are clipped to it.

    Returns
    -------
    ndarray of shape (rows, cols), bool

    Raises
    ------
    ValueError
        If a corner is not a pair of finite numbers.

    Notes
    -----
    A centre exactly on an edge belongs to the polygon on its right or below, so polygons with a common edge share no
    pixel. Drawing libraries also paint the outline, which makes masks up to half a pixel wider.

    Examples
    --------
    >>> mask_of_polygons([np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])], 2, 3).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    mask = np.zeros((rows, cols), bool)
    for corners in polygons:
        points = np.asarray(corners, np.float64)
        if points.size and (points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all()):
            raise ValueError("the corners of a polygon must be pairs of finite numbers")
        if len(points) >= 3:
            _fill(mask, points)
    return mask


def _fill(mask: NDArray[np.bool_], points: NDArray[np.float64]) -> None:
    """Toggle each row where an edge crosses the line through its pixel centres."""
    rows, cols = mask.shape
    first = int(np.clip(np.floor(points[:, 1].min()), 0, rows))
    last = int(np.clip(np.ceil(points[:, 1].max()), 0, rows))
    crossings = np.zeros((last - first, cols + 1), np.int16)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = (int(np.clip(np.ceil(y - 0.5), first, last)) for y in sorted((y0, y1)))
        y = np.arange(low, high) + 0.5
        if len(y):
            x = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - 0.5), 0, cols).astype(np.int64)
            np.add.at(crossings, (np.arange(low - first, high - first), columns), 1)
    mask[first:last] |= np.cumsum(crossings, axis=1)[:, :cols] % 2 == 1
