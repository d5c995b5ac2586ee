"""One geometry for everybody: grids, boxes, overlaps.

Arrays are (H, W), ``array[row, col]``. Coordinates are continuous (x right, y down) with the origin at the *outer
corner* of the first pixel, so pixel (r, c) covers [c, c+1) x [r, r+1). Boxes are half-open and float. No "+1" anywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ends = NDArray[np.floating] | NDArray[np.integer] | float  # of intervals on one axis


@dataclass(frozen=True, order=True)
class Box:
    """An upright box, half-open, px of the grid it is said to live on (native unless named otherwise).

    Raises
    ------
    ValueError
        If a corner is not finite, or ``x1 <= x0``, or ``y1 <= y0``.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.x0, self.y0, self.x1, self.y1]).all():
            raise ValueError(f"a box needs finite corners, got {self.as_tuple()}")
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"a box needs x1 > x0 and y1 > y0, got {self.as_tuple()}")

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return (x0, y0, x1, y1)."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def area(self) -> float:
        """Area in px squared."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def centre_xy(self) -> tuple[float, float]:
        """Centre (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def contains_xy(self, x: float, y: float) -> bool:
        """Tell whether the point lies in the half-open box."""
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1

    def clipped(self, rows: int, cols: int) -> "Box | None":
        """Return the part inside a grid of `rows` x `cols` px, or None where nothing is inside."""
        x0, y0 = max(self.x0, 0.0), max(self.y0, 0.0)
        x1, y1 = min(self.x1, float(cols)), min(self.y1, float(rows))
        return Box(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


@dataclass(frozen=True)
class GridTransform:
    """Where a point of the native grid lies on the model grid: a scale and a shift per axis, corner origin.

    ``x_model = x_native * scale_x + offset_x`` and likewise for y. There and back is the identity.

    Raises
    ------
    ValueError
        If a scale is not positive and finite.
    """

    scale_x: float
    scale_y: float
    offset_x: float = 0.0
    offset_y: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.scale_x < np.inf and 0 < self.scale_y < np.inf):
            raise ValueError(f"scales must be positive and finite, got {self.scale_x} and {self.scale_y}")

    def xy_to_model(self, x: float, y: float) -> tuple[float, float]:
        """Map a native point to the model grid."""
        return x * self.scale_x + self.offset_x, y * self.scale_y + self.offset_y

    def xy_to_native(self, x: float, y: float) -> tuple[float, float]:
        """Map a model point to the native grid."""
        return (x - self.offset_x) / self.scale_x, (y - self.offset_y) / self.scale_y

    def box_to_model(self, box: Box) -> Box:
        """Map a native box to the model grid."""
        return Box(*self.xy_to_model(box.x0, box.y0), *self.xy_to_model(box.x1, box.y1))

    def box_to_native(self, box: Box) -> Box:
        """Map a model box to the native grid."""
        return Box(*self.xy_to_native(box.x0, box.y0), *self.xy_to_native(box.x1, box.y1))

    def then(self, scale_x: float, scale_y: float, offset_x: float = 0.0, offset_y: float = 0.0) -> "GridTransform":
        """Return this transform followed by another scale and shift of the model grid."""
        return GridTransform(
            self.scale_x * scale_x,
            self.scale_y * scale_y,
            self.offset_x * scale_x + offset_x,
            self.offset_y * scale_y + offset_y,
        )


@dataclass(frozen=True)
class CropWindow:
    """The part of a grid that a film covers: rows [row0, row1), columns [col0, col1), px."""

    row0: int
    row1: int
    col0: int
    col1: int

    @property
    def rows(self) -> int:
        """Height, px."""
        return self.row1 - self.row0

    @property
    def cols(self) -> int:
        """Width, px."""
        return self.col1 - self.col0

    @property
    def area(self) -> int:
        """Area, px squared."""
        return self.rows * self.cols

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns as slices of an array on the grid."""
        return slice(self.row0, self.row1), slice(self.col0, self.col1)


def box_from_mask(mask: NDArray[np.bool_]) -> Box | None:
    """Enclose the true pixels of a mask in the smallest upright box.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        On any grid.

    Returns
    -------
    Box or None
        Same grid, px, half-open (x1 is the last column + 1); None for an empty mask.

    Examples
    --------
    >>> mask = np.zeros((4, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> box_from_mask(mask)
    Box(x0=2.0, y0=1.0, x1=5.0, y1=3.0)
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return Box(float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1))


def boxes_to_array(boxes: list[Box]) -> NDArray[np.float64]:
    """Stack boxes as [N, 4] rows of (x0, y0, x1, y1)."""
    return np.array([box.as_tuple() for box in boxes], dtype=np.float64).reshape(-1, 4)


def interval_overlap(low: Ends, high: Ends, other_low: Ends, other_high: Ends) -> NDArray[np.float64]:
    """Length that intervals [low, high) and [other_low, other_high) share; 0 for those that do not meet.

    Parameters
    ----------
    low, high, other_low, other_high : ndarray or float
        Ends of the intervals on one axis, in one unit; shapes broadcast.

    Returns
    -------
    ndarray, float64
        Broadcast shape, in the unit of the ends; NaN where an end is NaN.

    Examples
    --------
    >>> interval_overlap(np.array([0.0, 3.0]), np.array([2.0, 4.0]), 1.5, 3.0)
    array([0.5, 0. ])
    """
    return np.asarray(np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0.0, None))


def cell_overlaps(low: Ends, high: Ends, cells: int) -> NDArray[np.float64]:
    """Length of each cell [i, i + 1) that lies in [low, high).

    Parameters
    ----------
    low, high : ndarray of any shape, or float
        Ends of the intervals, in cells.
    cells : int
        Cells 0 to ``cells - 1``.

    Returns
    -------
    ndarray of shape (..., cells), float64
        0-1, in cells; NaN where an end is NaN.

    Examples
    --------
    >>> cell_overlaps(0.5, 2.25, 4)
    array([0.5 , 1.  , 0.25, 0.  ])
    """
    edges = np.arange(cells + 1, dtype=np.float64)
    ends = np.asarray(low)[..., None], np.asarray(high)[..., None]
    return interval_overlap(*ends, edges[:-1], edges[1:])


def paired_intersection_px2(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overlap area of each box with its partner.

    Parameters
    ----------
    first, second : ndarray of shape (..., 4), float64
        (x0, y0, x1, y1), half-open, on one grid; shapes broadcast.

    Returns
    -------
    ndarray of shape (...), float64
        px squared; 0 for boxes that only touch, NaN where a corner is NaN.
    """
    sides = interval_overlap(first[..., :2], first[..., 2:], second[..., :2], second[..., 2:])
    return np.asarray(sides[..., 0] * sides[..., 1])


def paired_iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each box with its partner, [...] in 0-1; see `paired_intersection_px2`."""
    overlap = paired_intersection_px2(first, second)
    return np.asarray(overlap / (_areas_px2(first) + _areas_px2(second) - overlap))


def paired_iobb(predicted: NDArray[np.float64], annotated: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over the *predicted* box's area of each box with its partner, [...] in 0-1.

    IoBB of Wang et al., CVPR 2017; see `paired_intersection_px2`.
    """
    return np.asarray(paired_intersection_px2(predicted, annotated) / _areas_px2(predicted))


def _areas_px2(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def iou_matrix(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pairwise intersection over union.

    Parameters
    ----------
    first : ndarray of shape (N, 4), float64
        Rows of (x0, y0, x1, y1), half-open.
    second : ndarray of shape (M, 4), float64
        On the same grid.

    Returns
    -------
    ndarray of shape (N, M), float64
        0-1; NaN where a corner is NaN.
    """
    return paired_iou(first[:, None], second[None])


def iobb_matrix(predicted: NDArray[np.float64], annotated: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pairwise intersection over the *predicted* box's area, [N, M] in 0-1; see `paired_iobb`."""
    return paired_iobb(predicted[:, None], annotated[None])


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes on one grid, 0-1.

    Examples
    --------
    >>> iou(Box(0, 0, 4, 4), Box(4, 0, 8, 4))
    0.0
    >>> iou(Box(0, 0, 2, 2), Box(1, 0, 3, 2))
    0.3333333333333333
    """
    return float(iou_matrix(boxes_to_array([first]), boxes_to_array([second]))[0, 0])
