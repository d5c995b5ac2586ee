"""Boxes at every threshold of a map, and MaxBoxAcc and MaxBoxAccV2 from them (Choe et al., CVPR 2020).

Conventions, where the published code leaves a choice: a map is rescaled to 0-1 over the film (``(heat - min) / (max -
min)``, the letterbox margin left out); a pixel is hot at a threshold if its value is at or above it; regions join
through corners; boxes are half-open, without "+1"; the largest region has the most pixels (of equals the one whose
seed got hot first). A constant map holds no localization: a miss at every threshold.
Thresholds are `LEVELS`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, Measure
from camray.core.metrics.localization.hits_and_iou import MAX_BOX_ACC_CRITERION, MAX_BOX_ACC_V2_CRITERIA
from camray.core.metrics.localization.pixel_rings import RINGS
from camray.core.metrics.localization.region_growing import (
    best_of_intervals,
    grown_regions,
    low_and_span,
    reached_levels,
)
from camray.domain.geometry import CropWindow, GridTransform, paired_iou

LEVELS: FloatArray = np.arange(100) / 100  # fractions of a map's range, 0.00 to 0.99
FIXED_LEVEL = 20  # LEVELS[20]: the CAM paper's 20 %


@dataclass(frozen=True)
class ThresholdSweep:
    """Boxes and overlaps of the maps of N films at all T thresholds.

    Parameters
    ----------
    largest : ndarray of shape (N, T, 4), float64
        Box of the largest region, native px; NaN where nothing is hot.
    iou_largest : ndarray of shape (N, T), float64
        Its IoU with the best matching annotated box, 0-1; 0 without a box.
    iou_any : ndarray of shape (N, T), float64
        Best IoU of any region's box with any annotated box.
    """

    largest: FloatArray
    iou_largest: FloatArray
    iou_any: FloatArray


def window_transform(transform: GridTransform, window: CropWindow, shape: tuple[int, ...]) -> GridTransform:
    """Return the transform from the native grid to a map of a shape (rows, cols) that covers the window."""
    rows, cols = shape
    return transform.then(1.0, 1.0, -float(window.col0), -float(window.row0)).then(
        cols / window.cols, rows / window.rows
    )


def placement_of(to_heat: GridTransform, size_xy: FloatArray) -> tuple[tuple[float, float], ...]:
    """Gather a film's placement as the compiled passes take it, see `native_corners`.

    Parameters
    ----------
    to_heat : GridTransform
        Native to the map's grid.
    size_xy : ndarray of shape (2,), float64
        Columns and rows of the film, native px.

    Returns
    -------
    tuple of three pairs (x, y), float
        Scale and offset of `to_heat`; size of the film.
    """
    scale, offset = (to_heat.scale_x, to_heat.scale_y), (to_heat.offset_x, to_heat.offset_y)
    return scale, offset, (float(size_xy[0]), float(size_xy[1]))


@njit(cache=True)
def best_ious(boxes: Any, annotated: Any) -> Any:
    """Return each box's IoU with the best matching annotated box: [M, 4] and [A, 4], half-open, to [M].

    The compiled twin of ``iou_matrix(boxes, annotated).max(axis=1)``, equal to the bit.
    """
    result = np.zeros(len(boxes))
    for m in range(len(boxes)):
        for k in range(len(annotated)):
            width = min(boxes[m, 2], annotated[k, 2]) - max(boxes[m, 0], annotated[k, 0])
            height = min(boxes[m, 3], annotated[k, 3]) - max(boxes[m, 1], annotated[k, 1])
            if width > 0 and height > 0:
                both = width * height
                first = (boxes[m, 2] - boxes[m, 0]) * (boxes[m, 3] - boxes[m, 1])
                second = (annotated[k, 2] - annotated[k, 0]) * (annotated[k, 3] - annotated[k, 1])
                result[m] = max(result[m], both / (first + second - both))
    return result


@njit(cache=True)
def native_corners(boxes: Any, scale: Any, offset: Any, size: Any) -> Any:
    """Map boxes (the first four columns) to the native grid, clipped to the film of (columns, rows): [M, 4], px."""
    native = np.empty((len(boxes), 4))
    for corner in range(4):
        axis = corner % 2
        for m in range(len(boxes)):
            position = (boxes[m, corner] - offset[axis]) / scale[axis]
            native[m, corner] = max(position, 0.0) if corner < 2 else min(position, size[axis])
    return native


@njit(cache=True)
def areas_then_age(nodes: Any) -> Any:
    """Return keys that sort regions by their pixels, of equals the oldest highest."""
    last, keys = np.int64(0), np.empty(len(nodes))
    for m in range(len(nodes)):
        last = max(last, np.int64(nodes[m, 9]))
    for m in range(len(nodes)):
        keys[m] = nodes[m, 4] - nodes[m, 9] / (last + 1.0)
    return keys


@njit(cache=True)
def _sweep_film(heat: Any, thresholds: Any, placement: Any, annotated: Any, rings: Any, results: Any) -> None:
    """Fill one film of a `ThresholdSweep`: regions at all thresholds, their native boxes and overlaps, in one pass.

    `placement` is scale, offset and size of the film, as of `native_corners`; `results` are the sweep's three arrays.
    """
    scale, offset, size = placement
    largest, iou_largest, iou_any = results
    low, span = low_and_span(heat)
    if span <= 0:
        return
    nodes = grown_regions(reached_levels(heat, low, span, thresholds), len(thresholds), rings)
    boxes = native_corners(nodes, scale, offset, size)
    overlaps, areas = best_ious(boxes, annotated), areas_then_age(nodes)
    biggest = best_of_intervals(nodes[:, 7], nodes[:, 8], areas, len(thresholds))
    best = best_of_intervals(nodes[:, 7], nodes[:, 8], overlaps, len(thresholds))
    for level in range(len(thresholds)):
        if biggest[level] >= 0:
            for corner in range(4):
                largest[level, corner] = boxes[biggest[level], corner]
            iou_largest[level], iou_any[level] = overlaps[biggest[level]], overlaps[best[level]]


class SweepBuilder:
    """Fill a `ThresholdSweep` film by film, so that only one map is in memory at a time.

    Parameters
    ----------
    items : AnnotatedFilms
        The annotated films of one label.
    thresholds : ndarray of shape (T,), float64
        Fractions of a map's range, ascending.
    """

    def __init__(self, items: AnnotatedFilms, thresholds: FloatArray = LEVELS) -> None:
        self._items, self._thresholds = items, thresholds
        self._starts = [*items.starts.tolist(), len(items.boxes)]
        n_items, n_levels = len(items), len(thresholds)
        self._largest = np.full((n_items, n_levels, 4), np.nan)
        self._iou_largest, self._iou_any = np.zeros((n_items, n_levels)), np.zeros((n_items, n_levels))

    def add(self, item: int, heat: NDArray[np.floating], window: CropWindow, transform: GridTransform) -> None:
        """Sweep one film's map.

        Parameters
        ----------
        item : int
            Which film of the items.
        heat : ndarray of shape (H, W), floating
            Raw map on the window; it may be sampled more coarsely than the model grid.
        window : CropWindow
            The part of the model grid that the film covers.
        transform : GridTransform
            Native to model grid.
        """
        to_heat = window_transform(transform, window, heat.shape)
        _sweep_film(
            np.ascontiguousarray(heat),
            self._thresholds,
            placement_of(to_heat, self._items.sizes_xy[item]),
            self._items.boxes[self._starts[item] : self._starts[item + 1]],
            RINGS[1],
            (self._largest[item], self._iou_largest[item], self._iou_any[item]),
        )

    def sweep(self) -> ThresholdSweep:
        """Return what was filled so far; films without a map are misses."""
        return ThresholdSweep(self._largest, self._iou_largest, self._iou_any)


def sweep_of_boxes(items: AnnotatedFilms, largest: FloatArray) -> ThresholdSweep:
    """Make a `ThresholdSweep` from one known box per film and threshold.

    Parameters
    ----------
    items : AnnotatedFilms
        N films with A annotated boxes.
    largest : ndarray of shape (N, T, 4), float64
        (x0, y0, x1, y1), native px.

    Returns
    -------
    ThresholdSweep
        Their IoU with the annotated boxes.
    """
    overlap = paired_iou(largest[items.owners], items.boxes[:, None, :])
    iou = np.maximum.reduceat(overlap, items.starts, axis=0) if len(items) else np.zeros(largest.shape[:2])
    return ThresholdSweep(largest, iou, iou)


def best_level(iou: FloatArray, criterion: float) -> int:
    """Return the threshold (an index into `LEVELS`) at which most films reach the criterion; the lowest of equals.

    Parameters
    ----------
    iou : ndarray of shape (N, T), float64
        Of the films that the threshold may be chosen on.
    criterion : float
        IoU that counts.

    Returns
    -------
    int
        Index into `LEVELS`.
    """
    return int(np.argmax((iou >= criterion).sum(axis=0)))


def max_box_acc_at(sweep: ThresholdSweep, level: int, levels_v2: tuple[int, ...]) -> dict[Measure, FloatArray]:
    """Compute MaxBoxAcc and V2 at thresholds chosen on other films.

    Parameters
    ----------
    sweep : ThresholdSweep
        Of N films.
    level : int
        Index into `LEVELS`.
    levels_v2 : tuple of int
        One for each criterion of V2.

    Returns
    -------
    dict of Measure to ndarray of shape (N,), float64
        0-1.
    """
    at_each = [
        sweep.iou_any[:, level_v2] >= criterion
        for level_v2, criterion in zip(levels_v2, MAX_BOX_ACC_V2_CRITERIA, strict=True)
    ]
    return {
        ("max_box_acc", MAX_BOX_ACC_CRITERION): (sweep.iou_largest[:, level] >= MAX_BOX_ACC_CRITERION).astype(float),
        ("max_box_acc_v2", None): np.mean(at_each, axis=0),
    }


def max_box_acc_at_levels(sweep: ThresholdSweep) -> FloatArray:
    """Compute MaxBoxAcc at every threshold: a curve to display, not to choose from.

    Parameters
    ----------
    sweep : ThresholdSweep
        Of N films and T thresholds.

    Returns
    -------
    ndarray of shape (T,), float64
        0-1.
    """
    return np.asarray((sweep.iou_largest >= MAX_BOX_ACC_CRITERION).mean(axis=0))


def best_levels(sweep: ThresholdSweep) -> tuple[int, tuple[int, ...]]:
    """Choose the thresholds of MaxBoxAcc and of V2's criteria on these films."""
    level = best_level(sweep.iou_largest, MAX_BOX_ACC_CRITERION)
    return level, tuple(best_level(sweep.iou_any, criterion) for criterion in MAX_BOX_ACC_V2_CRITERIA)


def oracle_values(sweep: ThresholdSweep) -> dict[Measure, FloatArray]:
    """Return per film, criterion and threshold whether it counts, [N, G, T]; the best threshold is chosen per resample.

    The metric is the mean over G criteria of the best, over T thresholds, mean over films.

    Parameters
    ----------
    sweep : ThresholdSweep
        Of N films and T thresholds.

    Returns
    -------
    dict of Measure to ndarray of shape (N, G, T), float64
        1 where the film counts at the criterion and threshold, else 0.
    """
    largest = (sweep.iou_largest >= MAX_BOX_ACC_CRITERION).astype(np.float64)
    every = np.stack([sweep.iou_any >= criterion for criterion in MAX_BOX_ACC_V2_CRITERIA], axis=1)
    return {("max_box_acc", MAX_BOX_ACC_CRITERION): largest[:, None, :], ("max_box_acc_v2", None): every.astype(float)}
