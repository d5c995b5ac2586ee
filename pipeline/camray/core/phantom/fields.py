"""Smooth profiles, noise and lookups that the generated anatomy is made of. Lengths are cm in the patient."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]
Place = TypeVar("Place", float, NDArray[np.float64])

TABLE_REACH_CM = 80.0
TABLE_STEP_CM = 0.02
KNOT_EVERY = 5  # entries of a table between points that are smoothed
AXIS_CM: FloatImage = np.arange(-TABLE_REACH_CM, TABLE_REACH_CM + TABLE_STEP_CM, TABLE_STEP_CM).astype(np.float32)


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Return the random numbers of one purpose, so that drawing more for one never shifts another."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, purpose])))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw one number uniformly from [low, high)."""
    return float(rng.uniform(low, high))


def dome(depth01: FloatImage) -> FloatImage:
    """Quarter circle: 0 at or below 0, 1 at or above 1, steep at 0. The chord of a round body near its rim."""
    inside = np.clip(depth01, 0, 1)
    return np.asarray(np.sqrt(inside * (2 - inside)))


def ramp(depth01: FloatImage) -> FloatImage:
    """Smoothstep: 0 at or below 0, 1 at or above 1, flat at both."""
    inside = np.clip(depth01, 0, 1)
    return np.asarray(inside * inside * (3 - 2 * inside))


def tube(distance_cm: FloatImage, radius_cm: float | FloatImage, shell: float = 0.72) -> FloatImage:
    """Chord of a bone in units of its diameter: dense shell, light marrow, so that both edges stand out.

    Parameters
    ----------
    distance_cm : ndarray
        From the axis, any sign.
    radius_cm : float or ndarray
        Of the bone.
    shell : float
        Radius of the marrow as a fraction of the bone's.
    """
    x2 = np.square(distance_cm / radius_cm)
    outer = np.sqrt(np.clip(1 - x2, 0, None))
    return np.asarray(outer - 0.62 * np.sqrt(np.clip(shell * shell - x2, 0, None)))


def table_of(knots_cm: list[tuple[float, float]], smooth_cm: float = 0.0) -> FloatImage:
    """Tabulate a profile through (position, value) knots on `AXIS_CM`, linear between and flat beyond them."""
    at, values = zip(*knots_cm, strict=True)
    if smooth_cm == 0:
        return np.asarray(np.interp(AXIS_CM, at, values), dtype=np.float32)
    coarse = AXIS_CM[::KNOT_EVERY]
    smooth = gaussian_filter1d(
        np.interp(coarse, at, values), smooth_cm / (KNOT_EVERY * TABLE_STEP_CM), mode="nearest", truncate=3
    )
    return np.asarray(np.interp(AXIS_CM, coarse, smooth), dtype=np.float32)


def stretched(small: FloatImage, rows: int, cols: int) -> FloatImage:
    """Interpolate a coarse field linearly to [rows, cols], corner cell on corner pixel."""
    r = np.linspace(0, small.shape[0] - 1, rows, dtype=np.float32)
    c = np.linspace(0, small.shape[1] - 1, cols, dtype=np.float32)
    r0, c0 = np.minimum(r.astype(np.intp), small.shape[0] - 2), np.minimum(c.astype(np.intp), small.shape[1] - 2)
    tall = small.take(r0, axis=0)
    tall += (small.take(r0 + 1, axis=0) - tall) * (r - r0)[:, None]
    wide, step = tall.take(c0, axis=1), tall.take(c0 + 1, axis=1)
    step -= wide
    step *= (c - c0)[None, :]
    wide += step
    return np.asarray(wide, dtype=np.float32)


def cloud(rng: np.random.Generator, rows: int, cols: int, cells: tuple[int, int], sigma: float = 1.0) -> FloatImage:
    """Smooth noise of mean about 0 and deviation 1, drawn on `cells` and stretched to [rows, cols]."""
    coarse = gaussian_filter(rng.standard_normal(cells, dtype=np.float32), sigma, mode="reflect", truncate=3)
    return stretched((coarse - coarse.mean()) / max(float(coarse.std()), 1e-6), rows, cols)


@dataclass(frozen=True, eq=False)
class Grid:
    """Patient coordinates of every pixel.

    Parameters
    ----------
    u, v : ndarray of shape (H, W), float32
        cm from the chest's midline (patient's left is positive, and lies right in the picture) and from the hila (down
        is positive).
    cm_per_row, cm_per_col : float
        Patient cm that a pixel spans down and across.
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
        """Look a profile on `AXIS_CM` up by `u`."""
        return np.asarray(table.take(self._u_index, mode="clip"))

    def by_v(self, table: FloatImage) -> FloatImage:
        """Look a profile on `AXIS_CM` up by `v`."""
        return np.asarray(table.take(self._v_index, mode="clip"))

    @cached_property
    def _inverse(self) -> tuple[float, float, float, float, float, float]:
        """Coordinates of the first pixel's centre, then rows and columns a cm of u and of v."""
        (rows, cols), u, v = self.shape, self.u, self.v
        first = float(u[0, 0]), float(v[0, 0])
        u_row, v_row = ((float(a[-1, 0]) - a0) / max(rows - 1, 1) for a, a0 in zip((u, v), first, strict=True))
        u_col, v_col = ((float(a[0, -1]) - a0) / max(cols - 1, 1) for a, a0 in zip((u, v), first, strict=True))
        area = u_row * v_col - u_col * v_row
        return (*first, v_col / area, -v_row / area, -u_col / area, u_row / area)

    def to_rc(self, u: Place, v: Place) -> tuple[Place, Place]:
        """Return the fractional row and column indices of a point, or of arrays of points; 0 is a pixel's centre."""
        u0, v0, row_u, col_u, row_v, col_v = self._inverse
        return (u - u0) * row_u + (v - v0) * row_v, (u - u0) * col_u + (v - v0) * col_v

    def window(self, u0: float, u1: float, v0: float, v1: float) -> tuple[slice, slice]:
        """Return the smallest block of rows and columns that holds all pixels with u0 <= u <= u1 and v0 <= v <= v1.

        Coordinates are affine in row and column, so the block follows from where the rectangle's corners lie.
        """
        corners = [self.to_rc(u, v) for u in (u0, u1) for v in (v0, v1)]
        r, c = [corner[0] for corner in corners], [corner[1] for corner in corners]
        return _clipped(r, self.shape[0]), _clipped(c, self.shape[1])

    def whole(self, mask: BoolImage, block: tuple[slice, slice]) -> BoolImage:
        """Set a block's mask into an empty one of the grid's shape."""
        found = np.zeros(self.shape, np.bool_)
        found[block] = mask
        return found

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


def _clipped(found: list[float], size: int) -> slice:
    low = min(max(math.floor(min(found)), 0), size)
    return slice(low, min(max(math.ceil(max(found)) + 1, low), size))


def segment_distance(grid: Grid, start: tuple[float, float], end: tuple[float, float]) -> FloatImage:
    """Distance in cm of every pixel from a straight segment given by its (u, v) ends."""
    (u0, v0), (u1, v1) = start, end
    du, dv = u1 - u0, v1 - v0
    along = np.clip(((grid.u - u0) * du + (grid.v - v0) * dv) / (du * du + dv * dv), 0, 1)
    return np.asarray(np.sqrt(np.square(grid.u - (u0 + along * du)) + np.square(grid.v - (v0 + along * dv))))
