"""Protocol `containment`: predicted boxes that hold the annotated centre; and the ceiling of a feature grid.

IoU says little about lesions smaller than a cell of the feature grid: no box drawn from such a map can fit them.
Whether the box holds the lesion's centre is still informative, compared with a box of the same size

- at a place drawn at random, wholly on the film (``_random``, exact: no draws are made);
- about the point that is in most training boxes of the label (``_fixed_point``).

Rows ``containment/centre...`` count annotated boxes; ``containment/centre_small...`` those less than a cell in both
directions. Boxes are half-open.

The *ceiling* is what the best box from a perfect map of that grid reaches: each cell holds the share of it that an
annotated box covers, interpolated and cut as any map is, at the threshold that suits this very box best. What a network
cannot reach for its grid alone, no training can give.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit

from camray.core.localization.heat_maps import upsampled
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray
from camray.core.metrics.localization.hits_and_iou import OVERLAP_CRITERIA
from camray.core.metrics.localization.pixel_rings import RINGS
from camray.core.metrics.localization.region_growing import grown_regions, low_and_span, reached_levels
from camray.core.metrics.localization.rows import FIXED, Geometry
from camray.core.metrics.protocols.max_box_acc import (
    LEVELS,
    best_ious,
    native_corners,
    placement_of,
    window_transform,
)
from camray.core.metrics.statistics import RatioStatistic, StatisticRow
from camray.domain.geometry import GridTransform, cell_overlaps

CEILING = "ceiling"


def holds(boxes: FloatArray, points: FloatArray) -> FloatArray:
    """Return which boxes contain their point.

    Parameters
    ----------
    boxes : ndarray of shape (A, 4), float64
        (x0, y0, x1, y1), half-open, px; NaN for a missing box.
    points : ndarray of shape (A, 2), float64
        (x, y), same grid.

    Returns
    -------
    ndarray of shape (A,), float64
        1 or 0; 0 for a missing box.
    """
    return np.asarray(((boxes[:, :2] <= points) & (points < boxes[:, 2:])).all(axis=1), dtype=np.float64)


def holds_at_random(boxes: FloatArray, points: FloatArray, sizes_xy: FloatArray) -> FloatArray:
    """Return the chance that a box of these sides, placed anywhere wholly on its film, holds a point.

    Parameters
    ----------
    boxes, points, sizes_xy : ndarray of shape (A, 4), (A, 2), (A, 2), float64
        Native px; columns and rows of the films.

    Returns
    -------
    ndarray of shape (A,), float64
        0 for a missing box.
    """
    sides = np.minimum(boxes[:, 2:] - boxes[:, :2], sizes_xy)
    room = sizes_xy - sides
    first, last = np.maximum(points - sides, 0.0), np.minimum(points, room)
    chances = np.divide(last - first, room, out=np.ones_like(room), where=room > 0)
    return np.where(np.isfinite(sides).all(axis=1), np.clip(chances, 0.0, 1.0).prod(axis=1), 0.0)


def moved_to(boxes: FloatArray, points: FloatArray) -> FloatArray:
    """Move boxes so that their centres are at given points.

    Parameters
    ----------
    boxes : ndarray of shape (A, 4), float64
        (x0, y0, x1, y1), px.
    points : ndarray of shape (A, 2), float64
        (x, y), same grid.

    Returns
    -------
    ndarray of shape (A, 4), float64
        Of the same sizes.
    """
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([points - half, points + half], axis=1)


def containment_statistic(
    items: AnnotatedFilms, predicted: FloatArray, point: FloatArray, cells_xy: FloatArray, method: str, source: str
) -> RatioStatistic:
    """Make one label's rows.

    Parameters
    ----------
    items : AnnotatedFilms
        N annotated films.
    predicted : ndarray of shape (N, 4), float64
        One box per film, native px; NaN where nothing is predicted.
    point : ndarray of shape (2,), float64
        The label's fixed point as fractions of the film's sides; NaN without training boxes.
    cells_xy : ndarray of shape (N, 2), float64
        Sides of a cell of the feature grid, native px.
    method, source : str
        As in the score table.

    Returns
    -------
    RatioStatistic
        Fraction of annotated boxes whose centre is in the predicted box, and of its baselines.
    """
    owners = items.owners
    boxes, sizes = predicted[owners], items.sizes_xy[owners]
    centres = (items.boxes[:, :2] + items.boxes[:, 2:]) / 2
    small = np.asarray(((items.boxes[:, 2:] - items.boxes[:, :2]) < cells_xy[owners]).all(axis=1), np.float64)
    values = {
        "": holds(boxes, centres),
        "_random": holds_at_random(boxes, centres, sizes),
        "_fixed_point": holds(moved_to(boxes, point * sizes), centres),
    }
    if not np.isfinite(point).all():
        values.pop("_fixed_point")
    rows, above, below = [], [], []
    for suffix, value in values.items():
        for kind, counted in (("centre", np.ones(len(small))), ("centre_small", small)):
            metric = f"containment/{kind}{suffix}"
            rows.append(StatisticRow(items.label, method, metric, None, source, int(counted.sum())))
            above.append(np.bincount(owners, weights=np.where(counted > 0, value, 0.0), minlength=len(items)))
            below.append(np.bincount(owners, weights=counted, minlength=len(items)))
    return RatioStatistic(rows, items.patients, np.stack(above, axis=1), np.stack(below, axis=1))


def covered_cells(box: FloatArray, to_cells: GridTransform, shape: tuple[int, int]) -> FloatArray:
    """Compute how much of each cell of a grid a box covers.

    Parameters
    ----------
    box : ndarray of shape (4,), float64
        (x0, y0, x1, y1), native px.
    to_cells : GridTransform
        Native grid to cells.
    shape : tuple of int
        (h, w) of the grid.

    Returns
    -------
    ndarray of shape (h, w), float64
        0-1.
    """
    x0, y0 = to_cells.xy_to_model(box[0], box[1])
    x1, y1 = to_cells.xy_to_model(box[2], box[3])
    down, across = (cell_overlaps(*ends, cells) for ends, cells in zip(((y0, y1), (x0, x1)), shape, strict=True))
    return np.asarray(down[:, None] * across[None])


def ceiling_ious(items: AnnotatedFilms, geometry: Geometry, shape_feature: tuple[int, int]) -> FloatArray:
    """Compute the best IoU that each annotated box allows on a feature grid.

    Parameters
    ----------
    items : AnnotatedFilms
        N films with A annotated boxes.
    geometry : Geometry
        Model grid and placement of the films.
    shape_feature : tuple of int
        (h, w) of the feature grid.

    Returns
    -------
    ndarray of shape (A,), float64
        0-1.
    """
    best = np.zeros(len(items.boxes))
    down, across = (cells / px for cells, px in zip(shape_feature, geometry.shape_model, strict=True))
    for number, (owner, box) in enumerate(zip(items.owners, items.boxes, strict=True)):
        placed = geometry.placements[items.image_ids[owner]]
        perfect = covered_cells(box, placed.transform.then(across, down), shape_feature).astype(np.float32)
        heat = upsampled(perfect[None], geometry.shape_model, placed.window)[0]
        to_heat = window_transform(placed.transform, placed.window, heat.shape)
        best[number] = _best_iou(heat, LEVELS, placement_of(to_heat, items.sizes_xy[owner]), box[None], RINGS[1])
    return best


@njit(cache=True)
def _best_iou(heat: Any, thresholds: Any, placement: Any, annotated: Any, rings: Any) -> Any:
    """Return the best IoU of any region at any threshold with any annotated box.

    `placement` is scale, offset and size of the film, as of `native_corners`.
    """
    scale, offset, size = placement
    low, span = low_and_span(heat)
    if span <= 0:
        return 0.0
    levels = reached_levels(heat, low, span, thresholds)
    boxes = _boxes_of_one_peak(levels)
    if not len(boxes):
        boxes = grown_regions(levels, len(thresholds), rings)
    best = 0.0
    for overlap in best_ious(native_corners(boxes, scale, offset, size), annotated):
        best = max(best, overlap)
    return best


@njit(cache=True)
def _first_highest(levels: Any) -> tuple[int, int]:
    row, col = 0, 0
    for r in range(levels.shape[0]):
        for c in range(levels.shape[1]):
            if levels[r, c] > levels[row, col]:
                row, col = r, c
    return row, col


@njit(cache=True)
def _boxes_of_one_peak(levels: Any) -> Any:
    """Return each threshold's box where there is but one region at all of them; none where that is not certain.

    It is certain where one column rises to its top and falls, and every row does so about that column.
    """
    rows, cols = levels.shape
    peak_row, peak_col = _first_highest(levels)
    of_rows, of_cols = np.empty(rows, np.int64), np.full(cols, -1)
    for r in range(rows):
        of_rows[r] = levels[r, peak_col]
    for r in range(rows):
        if r > 0 and (of_rows[r] - of_rows[r - 1]) * (1 if r <= peak_row else -1) < 0:
            return np.empty((0, 4), np.int32)
        for c in range(cols):
            if c > 0 and (np.int64(levels[r, c]) - levels[r, c - 1]) * (1 if c <= peak_col else -1) < 0:
                return np.empty((0, 4), np.int32)
            of_cols[c] = max(of_cols[c], levels[r, c])
    boxes = np.empty((of_rows[peak_row] + 1, 4), np.int32)
    x0, y0, x1, y1 = 0, 0, cols, rows
    for level in range(len(boxes)):
        while of_cols[x0] < level:
            x0 += 1
        while of_cols[x1 - 1] < level:
            x1 -= 1
        while of_rows[y0] < level:
            y0 += 1
        while of_rows[y1 - 1] < level:
            y1 -= 1
        boxes[level, 0], boxes[level, 1], boxes[level, 2], boxes[level, 3] = x0, y0, x1, y1
    return boxes


def ceiling_statistic(items: AnnotatedFilms, geometry: Geometry, shape_feature: tuple[int, int]) -> RatioStatistic:
    """Make one label's rows: the best annotated box of a film counts, as for the film's one predicted box."""
    each = ceiling_ious(items, geometry, shape_feature)
    best = np.maximum.reduceat(each, items.starts) if len(items) else each
    columns: Mapping[tuple[str, float | None], FloatArray] = {
        **{("iou_accuracy", criterion): (best >= criterion).astype(np.float64) for criterion in OVERLAP_CRITERIA},
        ("mean_iou", None): best,
    }
    rows = [StatisticRow(items.label, CEILING, f"ceiling/{name}", at, FIXED, len(items)) for name, at in columns]
    above = np.stack(list(columns.values()), axis=1)
    return RatioStatistic(rows, items.patients, above, np.ones_like(above))
