"""Patient coordinates of the pixels of a generated film. Lengths are cm in the patient."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from camray.core.phantom.fields import TABLE_REACH_CM, TABLE_STEP_CM, BoolImage, FloatImage

Coordinate = TypeVar("Coordinate", float, NDArray[np.float64])


@dataclass(frozen=True, eq=False)
class Grid:
    """Patient coordinates of every pixel.

    Parameters
    ----------
    u, v : ndarray of shape (H, W), float32
        Distance of each pixel's centre from the chest's midline, cm (positive to the patient's left, which is right in
        the image), and from the hila, cm (positive downwards).
    cm_per_row, cm_per_col : float
        Height and width of a pixel in the patient, cm.
    """

    u: FloatImage
    v: FloatImage
    cm_per_row: float
    cm_per_col: float

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.u.shape[0], self.u.shape[1]

    @cached_property
    def side(self) -> FloatImage:
        """Absolute `u`."""
        return np.abs(self.u)

    @cached_property
    def is_left(self) -> BoolImage:
        """Patient's left."""
        return self.u > 0

    @cached_property
    def _u_index(self) -> NDArray[np.intp]:
        return _table_index(self.u)

    @cached_property
    def _v_index(self) -> NDArray[np.intp]:
        return _table_index(self.v)

    def by_u(self, table: FloatImage) -> FloatImage:
        """Look up a profile by `u`.

        Parameters
        ----------
        table : ndarray of shape (N,), float32
            On `AXIS_CM`.

        Returns
        -------
        ndarray of shape (H, W), float32
            The profile's value at each pixel.
        """
        return np.asarray(table.take(self._u_index, mode="clip"))

    def by_v(self, table: FloatImage) -> FloatImage:
        """Look up a profile by `v`.

        Parameters
        ----------
        table : ndarray of shape (N,), float32
            On `AXIS_CM`.

        Returns
        -------
        ndarray of shape (H, W), float32
            The profile's value at each pixel.
        """
        return np.asarray(table.take(self._v_index, mode="clip"))

    @cached_property
    def _inverse(self) -> tuple[float, float, float, float, float, float]:
        """Coordinates of the first pixel's centre, then rows and columns per cm of u and of v."""
        (rows, cols), u, v = self.shape, self.u, self.v
        first = float(u[0, 0]), float(v[0, 0])
        u_row, v_row = ((float(a[-1, 0]) - a0) / max(rows - 1, 1) for a, a0 in zip((u, v), first, strict=True))
        u_col, v_col = ((float(a[0, -1]) - a0) / max(cols - 1, 1) for a, a0 in zip((u, v), first, strict=True))
        area = u_row * v_col - u_col * v_row
        return (*first, v_col / area, -v_row / area, -u_col / area, u_row / area)

    def to_rc(self, u: Coordinate, v: Coordinate) -> tuple[Coordinate, Coordinate]:
        """Map patient coordinates to fractional indices; whole numbers are pixel centres.

        Parameters
        ----------
        u, v : float or ndarray, float64
            Patient coordinates of a point, or of arrays of points, cm.

        Returns
        -------
        (float or ndarray, float or ndarray)
            Row and column.
        """
        u0, v0, row_u, col_u, row_v, col_v = self._inverse
        return (u - u0) * row_u + (v - v0) * row_v, (u - u0) * col_u + (v - v0) * col_v

    def window(self, u0: float, u1: float, v0: float, v1: float) -> tuple[slice, slice]:
        """Return the smallest block of rows and columns that holds all pixels with u0 <= u <= u1 and v0 <= v <= v1.

        Parameters
        ----------
        u0, u1, v0, v1 : float
            Sides of a rectangle in the patient, cm.

        Returns
        -------
        (slice, slice)
            Rows and columns; coordinates are affine in both, so the block follows from the rectangle's corners.
        """
        corners = [self.to_rc(u, v) for u in (u0, u1) for v in (v0, v1)]
        r, c = [corner[0] for corner in corners], [corner[1] for corner in corners]
        return _clipped(r, self.shape[0]), _clipped(c, self.shape[1])

    def whole(self, mask: BoolImage, block: tuple[slice, slice]) -> BoolImage:
        """Insert a block's mask into an empty one of the grid's shape.

        Parameters
        ----------
        mask : ndarray of shape (h, w), bool
            The block's mask.
        block : (slice, slice)
            Rows and columns.

        Returns
        -------
        ndarray of shape (H, W), bool
            False outside the block.
        """
        result = np.zeros(self.shape, np.bool_)
        result[block] = mask
        return result

    def coarse(self, factor: int) -> "Grid":
        """Return a grid of about every `factor`-th point, corner on corner, for `stretched` to bring back."""
        rows, cols = self.shape
        r = np.linspace(0, 1, max(2, rows // factor), dtype=np.float32)[:, None]
        c = np.linspace(0, 1, max(2, cols // factor), dtype=np.float32)[None, :]
        u, v = (a[0, 0] + r * (a[-1, 0] - a[0, 0]) + c * (a[0, -1] - a[0, 0]) for a in (self.u, self.v))
        return Grid(u, v, self.cm_per_row * rows / r.size, self.cm_per_col * cols / c.size)

    def cropped(self, block: tuple[slice, slice]) -> "Grid":
        """Return the coordinates of a block only."""
        return Grid(self.u[block], self.v[block], self.cm_per_row, self.cm_per_col)


def _table_index(position_cm: FloatImage) -> NDArray[np.intp]:
    return ((position_cm + (TABLE_REACH_CM + TABLE_STEP_CM / 2)) * (1 / TABLE_STEP_CM)).astype(np.intp)


def _clipped(indices: list[float], size: int) -> slice:
    low = min(max(math.floor(min(indices)), 0), size)
    return slice(low, min(max(math.ceil(max(indices)) + 1, low), size))


def segment_distance(grid: Grid, start: tuple[float, float], end: tuple[float, float]) -> FloatImage:
    """Compute the distance of every pixel from a straight segment.

    Parameters
    ----------
    grid : Grid
        Of shape (H, W).
    start, end : (float, float)
        (u, v) of its ends, cm.

    Returns
    -------
    ndarray of shape (H, W), float32
        cm.
    """
    (u0, v0), (u1, v1) = start, end
    du, dv = u1 - u0, v1 - v0
    along = np.clip(((grid.u - u0) * du + (grid.v - v0) * dv) / (du * du + dv * dv), 0, 1)
    return np.asarray(np.sqrt(np.square(grid.u - (u0 + along * du)) + np.square(grid.v - (v0 + along * dv))))
