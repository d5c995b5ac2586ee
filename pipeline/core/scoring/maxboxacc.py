"""Boxes at every threshold of a map, and MaxBoxAcc and MaxBoxAccV2 from them (Choe et al., CVPR 2020).

Conventions, where the published code leaves a choice: a map is rescaled to 0-1 over the film (``(heat - min) / (max -
min)``, the letterbox margin left out); a pixel is hot at a threshold if its value is at or above it; regions join
through corners; boxes are half-open, without "+1"; the largest region has the most pixels (of equals the one whose
seed got hot first). A map that is constant or nowhere positive holds no localization: a miss at every
threshold. Thresholds are `LEVELS`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.core.boxes import Window
from pipeline.core.scoring.items import FloatArray, Items, Measure
from pipeline.core.scoring.localization import MAX_BOX_ACC_CRITERION, MAX_BOX_ACC_V2_CRITERIA
from pipeline.core.thresholds import holds_localization
from pipeline.domain.geometry import GridTransform

LEVELS: FloatArray = np.arange(100) / 100  # fractions of a map's range, 0.00 to 0.99
FIXED_LEVEL = 20  # LEVELS[20]: the CAM paper's 20 %


@dataclass(frozen=True)
class Sweep:
    """What the maps of N films give at all T thresholds.

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


def heat01_levels(heat: NDArray[np.floating]) -> NDArray[np.int16]:
    """Highest threshold at which each pixel is still hot.

    Parameters
    ----------
    heat : ndarray of shape (H, W), floating
        Raw map on the film's window of the model grid, finite.

    Returns
    -------
    ndarray of shape (H, W), int16
        Index into `LEVELS`; -1 everywhere if the map is constant or nowhere positive.
    """
    if not holds_localization(heat[None].astype(np.float32))[0]:
        return np.full(heat.shape, -1, np.int16)
    low, high = float(heat.min()), float(heat.max())
    heat01 = (heat.astype(np.float64) - low) / (high - low)
    return (np.searchsorted(LEVELS, heat01, side="right") - 1).astype(np.int16)


@njit(cache=True)
def _root_of(parent: Any, pixel: int) -> int:  # pragma: no cover (compiled)
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@njit(cache=True)
def _join(parent: Any, area: Any, corners: Any, first: int, second: int) -> int:  # pragma: no cover (compiled)
    """Join two regions, given by their roots, into the bigger one's."""
    if area[first] < area[second]:
        first, second = second, first
    parent[second] = first
    area[first] += area[second]
    corners[first, 0] = min(corners[first, 0], corners[second, 0])
    corners[first, 1] = min(corners[first, 1], corners[second, 1])
    corners[first, 2] = max(corners[first, 2], corners[second, 2])
    corners[first, 3] = max(corners[first, 3], corners[second, 3])
    return first


@njit(cache=True)
def _add_pixel(parent: Any, area: Any, corners: Any, pixel: int, cols: int) -> bool:  # pragma: no cover (compiled)
    """Let a pixel of the padded grid become hot; tell whether it founds a region of its own."""
    root = -1
    for step in (-1, 1, -cols, cols):
        if parent[pixel + step] >= 0:
            near = _root_of(parent, pixel + step)
            root = near if root < 0 else (root if near == root else _join(parent, area, corners, root, near))
    for down in (-cols, cols):
        for right in (-1, 1):
            # a hot pixel beside both has joined the corner already
            if parent[pixel + down + right] >= 0 and parent[pixel + down] < 0 and parent[pixel + right] < 0:
                near = _root_of(parent, pixel + down + right)
                root = near if root < 0 else (root if near == root else _join(parent, area, corners, root, near))
    r, c = pixel // cols - 1, pixel % cols - 1
    if root < 0:
        parent[pixel], area[pixel] = pixel, 1
        corners[pixel, 0], corners[pixel, 1], corners[pixel, 2], corners[pixel, 3] = c, r, c + 1, r + 1
        return True
    parent[pixel] = root
    area[root] += 1
    corners[root, 0], corners[root, 1] = min(corners[root, 0], c), min(corners[root, 1], r)
    corners[root, 2], corners[root, 3] = max(corners[root, 2], c + 1), max(corners[root, 3], r + 1)
    return False


@njit(cache=True)
def _pixels_by_level(levels: Any, n_levels: int) -> Any:  # pragma: no cover (compiled)
    """Sort pixels by level (counting sort): their numbers on the padded grid, and where each level begins."""
    rows, cols = levels.shape
    first = np.zeros(n_levels + 1, np.int64)
    for r in range(rows):
        for c in range(cols):
            if levels[r, c] >= 0:
                first[levels[r, c] + 1] += 1
    first = np.cumsum(first)
    place, ordered = first[:-1].copy(), np.empty(first[-1], np.int32)
    for r in range(rows):
        for c in range(cols):
            if levels[r, c] >= 0:
                ordered[place[levels[r, c]]] = (r + 1) * (cols + 2) + c + 1
                place[levels[r, c]] += 1
    return first, ordered


@njit(cache=True)
def _native_box(corners: Any, geometry: Any) -> Any:  # pragma: no cover (compiled)
    """Map corners to the native grid, clipped to the film; geometry: scale and offset, x and y each, cols, rows."""
    x0 = max((corners[0] - geometry[2]) / geometry[0], 0.0)
    y0 = max((corners[1] - geometry[3]) / geometry[1], 0.0)
    x1 = min((corners[2] - geometry[2]) / geometry[0], geometry[4])
    y1 = min((corners[3] - geometry[3]) / geometry[1], geometry[5])
    return x0, y0, x1, y1


@njit(cache=True)
def _best_iou(box: Any, annotated: Any) -> float:  # pragma: no cover (compiled)
    best = 0.0
    for k in range(annotated.shape[0]):
        width = min(box[2], annotated[k, 2]) - max(box[0], annotated[k, 0])
        height = min(box[3], annotated[k, 3]) - max(box[1], annotated[k, 1])
        if width > 0 and height > 0:
            both = width * height
            first = (box[2] - box[0]) * (box[3] - box[1])
            second = (annotated[k, 2] - annotated[k, 0]) * (annotated[k, 3] - annotated[k, 1])
            best = max(best, both / (first + second - both))
    return best


@njit(cache=True)
def _sweep_levels(
    levels: Any, n_levels: int, geometry: Any, annotated: Any, largest: Any, iou_largest: Any, iou_any: Any
) -> None:  # pragma: no cover (compiled)
    """Add pixels from the hottest level down, joining regions as they touch; write one film's row of a `Sweep`."""
    cols = levels.shape[1] + 2
    n_pixels = (levels.shape[0] + 2) * cols
    first, ordered = _pixels_by_level(levels, n_levels)
    parent, area = np.full(n_pixels, -1, np.int32), np.zeros(n_pixels, np.int32)
    corners = np.empty((n_pixels, 4), np.int32)
    roots, n_roots = np.empty(len(ordered), np.int32), 0
    for level in range(n_levels - 1, -1, -1):
        for pixel in ordered[first[level] : first[level + 1]]:
            if _add_pixel(parent, area, corners, pixel, cols):
                roots[n_roots] = pixel
                n_roots += 1
        kept, biggest = 0, -1
        for root in roots[:n_roots]:
            if parent[root] == root:
                roots[kept] = root
                kept += 1
                biggest = root if biggest < 0 or area[root] > area[biggest] else biggest
                iou_any[level] = max(iou_any[level], _best_iou(_native_box(corners[root], geometry), annotated))
        n_roots = kept
        if biggest >= 0:
            box = _native_box(corners[biggest], geometry)
            largest[level, 0], largest[level, 1], largest[level, 2], largest[level, 3] = box
            iou_largest[level] = _best_iou(box, annotated)


class SweepBuilder:
    """Fill a `Sweep` film by film, so that only one map is in memory at a time.

    Parameters
    ----------
    items : Items
        The annotated films of one label.
    """

    def __init__(self, items: Items) -> None:
        self._items = items
        n_items, n_levels = len(items), len(LEVELS)
        self._largest = np.full((n_items, n_levels, 4), np.nan)
        self._iou_largest, self._iou_any = np.zeros((n_items, n_levels)), np.zeros((n_items, n_levels))

    def add(self, item: int, heat: NDArray[np.floating], window: Window, transform: GridTransform) -> None:
        """Sweep one film's map.

        Parameters
        ----------
        item : int
            Which film of the items.
        heat : ndarray of shape (H, W), floating
            Raw map on the window; it may be sampled more coarsely than the model grid.
        window : Window
            The part of the model grid that the film covers.
        transform : GridTransform
            Native to model grid.
        """
        rows, cols = heat.shape
        to_heat = transform.then(1.0, 1.0, -float(window.col0), -float(window.row0)).then(
            cols / (window.col1 - window.col0), rows / (window.row1 - window.row0)
        )
        scale_and_offset = [to_heat.scale_x, to_heat.scale_y, to_heat.offset_x, to_heat.offset_y]
        geometry = np.array([*scale_and_offset, *self._items.sizes_xy[item]])
        _sweep_levels(
            heat01_levels(heat),
            len(LEVELS),
            geometry,
            self._items.boxes_of(item),
            self._largest[item],
            self._iou_largest[item],
            self._iou_any[item],
        )

    def sweep(self) -> Sweep:
        """Return what was filled so far; films without a map are misses."""
        return Sweep(self._largest, self._iou_largest, self._iou_any)


def sweep_of_boxes(items: Items, largest: FloatArray) -> Sweep:
    """Make a `Sweep` from one known box a film and threshold, [N, T, 4]."""
    boxes = items.boxes[:, None, :]
    predicted = largest[items.owners]
    low, high = np.maximum(predicted[..., :2], boxes[..., :2]), np.minimum(predicted[..., 2:], boxes[..., 2:])
    both = np.clip(high - low, 0.0, None).prod(axis=-1)
    union = (predicted[..., 2:] - predicted[..., :2]).prod(axis=-1) + (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    overlap = both / (union - both)
    iou = np.maximum.reduceat(overlap, items.starts, axis=0) if len(items) else np.zeros(largest.shape[:2])
    return Sweep(largest, iou, iou)


def best_level(iou: FloatArray, criterion: float) -> int:
    """Return the threshold (an index into `LEVELS`) at which most films reach the criterion; the lowest of equals.

    Parameters
    ----------
    iou : ndarray of shape (N, T), float64
        Of the films that the threshold may be chosen on.
    criterion : float
        IoU that counts.
    """
    return int(np.argmax((iou >= criterion).sum(axis=0)))


def max_box_acc_at(sweep: Sweep, level: int, levels_v2: tuple[int, ...]) -> dict[Measure, FloatArray]:
    """Return MaxBoxAcc and V2 per film, [N], at thresholds chosen elsewhere (V2 has one for each criterion)."""
    at_each = [
        sweep.iou_any[:, chosen] >= criterion
        for chosen, criterion in zip(levels_v2, MAX_BOX_ACC_V2_CRITERIA, strict=True)
    ]
    return {
        ("max_box_acc", MAX_BOX_ACC_CRITERION): (sweep.iou_largest[:, level] >= MAX_BOX_ACC_CRITERION).astype(float),
        ("max_box_acc_v2", None): np.mean(at_each, axis=0),
    }


def max_box_acc_at_levels(sweep: Sweep) -> FloatArray:
    """Return MaxBoxAcc at every threshold, [T]: a curve for people, never a choice."""
    return np.asarray((sweep.iou_largest >= MAX_BOX_ACC_CRITERION).mean(axis=0))


def chosen_levels(sweep: Sweep) -> tuple[int, tuple[int, ...]]:
    """Choose the thresholds of MaxBoxAcc and of V2's criteria on these films."""
    level = best_level(sweep.iou_largest, MAX_BOX_ACC_CRITERION)
    return level, tuple(best_level(sweep.iou_any, criterion) for criterion in MAX_BOX_ACC_V2_CRITERIA)


def oracle_values(sweep: Sweep) -> dict[Measure, FloatArray]:
    """Return per film, criterion and threshold whether it counts, [N, G, T]; the best threshold is chosen per resample.

    The metric is the mean over G criteria of the best, over T thresholds, mean over films.
    """
    largest = (sweep.iou_largest >= MAX_BOX_ACC_CRITERION).astype(np.float64)
    every = np.stack([sweep.iou_any >= criterion for criterion in MAX_BOX_ACC_V2_CRITERIA], axis=1)
    return {("max_box_acc", MAX_BOX_ACC_CRITERION): largest[:, None, :], ("max_box_acc_v2", None): every.astype(float)}
