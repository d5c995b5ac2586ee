"""Protocol `wsol`: MaxBoxAcc, MaxBoxAccV2 and PxAP of Choe et al., CVPR 2020, by their conventions and by ours.

MaxBoxAcc: the share of films whose largest region's box has IoU >= 0.5 with an annotated one, at one threshold for all
films; V2: any region's box, the mean over IoU >= 0.3, 0.5, 0.7, each at its own threshold. PxAP: area under precision
and recall of the pixels of all films together. The paper takes the best threshold on the scored films: that is an
``oracle`` here, and is reported beside thresholds that were fixed or chosen on validation.

What the two sets of conventions say where they differ (theirs read off ``wsolevaluation``'s ``evaluation.py``):

=================  ==================================================  ==============================================
                   ``wsol_original``                                   ``wsol``
=================  ==================================================  ==============================================
map                min-max to 0-1, then floor to 8 bits                min-max to 0-1
hot                strictly above ``int(threshold * maximum)``         at or above the threshold
regions            contours: outlines joined through corners, and      regions joined through corners
                   the outlines of holes (one pixel beyond the hole)
largest            area of the polygon through the outline's pixel     most pixels; of equals the oldest
                   centres; of equals the last in reading order
corners            exclusive ones, held to the last pixel, then        half-open, no "+1"
                   taken as inclusive: "+1" on every side
annotated boxes    corners cut to whole px of the map,                 as they are
                   ``int(v * map side / film side)``
masks (PxAP)       map px c shows film px                              the film px under each map px's centre
                   ``floor(c * film side / map side)``, OpenCV's
                   nearest neighbour
nothing hot        a box of one pixel at the origin                    no box: a miss
flat map           becomes zeros: nothing hot                          a miss
=================  ==================================================  ==============================================

Both look at the film's window of the model grid, interpolated bilinearly; the paper stretches films and maps to 224 x
224 px (``ingest.fit=stretch ingest.rows=224 ingest.cols=224``) and interpolates bicubically
(``score.wsol_interpolation=bicubic``).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from camray.core.metrics.bootstrap import PatientSums
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.localization.component_tree import region_tree
from camray.core.metrics.protocols.max_box_acc import best_ious
from camray.core.metrics.statistics import StatisticRow

_ROUNDING_PX = 1e-9  # far below 1 / side, the least distance of v * W / side from a whole number
_CUTS = 255  # an 8-bit map is above 0, 1, ... 254, or nowhere


@dataclass(frozen=True)
class OriginalSweep:
    """One film at T thresholds by the original's conventions.

    Parameters
    ----------
    largest : ndarray of shape (T, 4), int64
        Box of the contour with the largest area, px of the map; inclusive corners.
    iou_largest, iou_any : ndarray of shape (T,), float64
        Its best IoU with an annotated box, and the best of any contour's box.
    """

    largest: NDArray[np.int64]
    iou_largest: FloatArray
    iou_any: FloatArray


def original_sweep(heat: NDArray[np.floating], annotated: FloatArray, thresholds: FloatArray) -> OriginalSweep:
    """Score one film's map at all thresholds by the original's conventions.

    Parameters
    ----------
    heat : ndarray of shape (H, W), floating
        Raw map; NaN anywhere counts as a flat map.
    annotated : ndarray of shape (A, 4), float64
        Boxes (x0, y0, x1, y1), px of the map.
    thresholds : ndarray of shape (T,), float64
        0 to below 1.

    Returns
    -------
    OriginalSweep
        Best IoU at each of T thresholds.
    """
    picture = _eight_bits(heat)
    cuts = (thresholds * picture.max()).astype(np.int64)
    last = np.array([heat.shape[1] - 1, heat.shape[0] - 1])
    truth = whole_px(annotated)
    regions, solid, holes = _trees(picture)
    boxes = _inclusive(regions.boxes, last)
    best = _overlap_at(regions.best(best_ious(_grown(boxes), _grown(truth))), boxes, truth)
    beyond = _inclusive(holes.boxes + np.array([-1, -1, 1, 1]), last)
    inside = ((holes.boxes[:, :2] > 0) & (holes.boxes[:, 2:] <= last)).all(axis=1)
    overlaps = np.where(inside, best_ious(_grown(beyond), _grown(truth)), -1.0)
    of_holes = holes.best(overlaps)[::-1]  # a hole grows as the threshold rises: its tree counts from the top
    best = np.maximum(best, np.where(of_holes >= 0, overlaps[of_holes] if len(overlaps) else 0.0, -1.0))
    biggest = solid.best(solid.outline_area + solid.first_pixel / (4.0 * max(heat.size, 1)))
    largest = np.zeros((_CUTS, 4), np.int64)
    exists = biggest >= 0
    largest[exists] = _inclusive(solid.boxes, last)[biggest[exists]]
    iou = best_ious(_grown(largest), _grown(truth))
    return OriginalSweep(largest[cuts], iou[cuts], np.where(exists, best, iou)[cuts])


def whole_px(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Cut px to whole numbers, towards zero; what rounding alone keeps from a whole number is that number.

    ``v * (W / side)`` may round to just below the whole number that ``v * W / side`` is.

    Parameters
    ----------
    values : ndarray, floating
        Px.

    Returns
    -------
    ndarray of the same shape, int64
    """
    nearest = np.rint(values)
    is_whole = np.abs(values - nearest) <= _ROUNDING_PX
    return np.asarray(np.where(is_whole, nearest, np.trunc(values))).astype(np.int64)


def _eight_bits(heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    if np.isnan(heat).any() or heat.min() == heat.max():
        return np.zeros(heat.shape, np.uint8)
    shifted = heat.astype(np.float32) - np.float32(heat.min())
    return np.asarray(shifted / shifted.max() * np.float32(255)).astype(np.uint8)


def _trees(picture: NDArray[np.uint8]) -> Any:
    """Return trees of the regions, of the regions with their holes filled, and (from the top) of the background."""
    levels = picture.astype(np.int16) - 1
    solid = region_tree(_filled(levels, _CUTS), _CUTS)
    return region_tree(levels, _CUTS), solid, region_tree(np.int16(_CUTS - 1) - picture.astype(np.int16), _CUTS, 4)


def _overlap_at(numbers: NDArray[np.int32], boxes: NDArray[np.int64], truth: NDArray[np.int64]) -> FloatArray:
    """Return the IoU of the regions numbered, -1 for no region."""
    overlaps = best_ious(_grown(boxes), _grown(truth))
    return np.where(numbers >= 0, overlaps[numbers] if len(overlaps) else 0.0, -1.0)


def _inclusive(boxes: NDArray[Any], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hold exclusive corners to the last pixel; from here on they are taken as inclusive."""
    return np.concatenate([boxes[:, :2], np.minimum(boxes[:, 2:], last)], axis=1).astype(np.int64)


def _grown(boxes: NDArray[np.int64]) -> FloatArray:
    """Convert inclusive boxes to half-open ones with the same areas and overlaps."""
    return np.asarray(boxes + np.array([0.0, 0.0, 1.0, 1.0]))


@njit(cache=True)
def _filled(levels: Any, n_levels: int) -> Any:
    """Fill holes at every threshold: the highest level at which a pixel is hot or shut in by hot pixels.

    The background reaches a pixel from the border, stepping by sides, over the path whose highest level is least: a
    flood from the border that always continues at the lowest level reached (Barnes, Lehman and Mulla, 2014).
    """
    rows, cols = levels.shape
    filled = np.full((rows, cols), np.int16(-2))
    first, following = np.full(n_levels + 1, -1, np.int64), np.empty(rows * cols, np.int64)
    for r in range(rows):
        for c in range(cols):
            if r == 0 or c == 0 or r == rows - 1 or c == cols - 1:
                filled[r, c] = levels[r, c]
                following[r * cols + c] = first[levels[r, c] + 1]
                first[levels[r, c] + 1] = r * cols + c
    for level in range(-1, n_levels):
        while first[level + 1] >= 0:
            pixel = first[level + 1]
            first[level + 1] = following[pixel]
            r, c = pixel // cols, pixel % cols
            for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                y, x = r + down, c + right
                if 0 <= y < rows and 0 <= x < cols and filled[y, x] == -2:
                    reached: int = max(int(levels[y, x]), level)
                    filled[y, x] = reached
                    following[y * cols + x] = first[reached + 1]
                    first[reached + 1] = y * cols + x
    return filled


def pixel_histograms(
    heat01: NDArray[np.floating], mask: NDArray[np.bool_], ignored: NDArray[np.bool_], thresholds: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Count one film's pixels by the highest threshold they reach, those of the mask and the others.

    Parameters
    ----------
    heat01 : ndarray of shape (H, W), floating
        Map on 0-1.
    mask : ndarray of shape (H, W), bool
        All annotated instances together.
    ignored : ndarray of shape (H, W), bool
        Pixels that do not count; where the mask is, it goes before.
    thresholds : ndarray of shape (T,), float64
        From 0, ascending, below 1.

    Returns
    -------
    inside, outside : ndarray of shape (T + 1,), float64
        The last bin holds 1 and above.
    """
    edges = np.append(thresholds, [1.0, np.inf])
    counted = [heat01[mask], heat01[~mask & ~ignored]]
    inside, outside = (np.histogram(values, bins=edges)[0].astype(np.float64) for values in counted)
    return inside, outside


def pixel_average_precision(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """Return PxAP of summed histograms [R, T + 1] each: [R], 0-1; NaN without a pixel in a mask.

    The sum over thresholds, from the strictest, of the recall gained times the precision there.

    Parameters
    ----------
    inside, outside : ndarray of shape (R, T + 1), float64
        Pixels in and outside the masks by the number of thresholds that they pass.

    Returns
    -------
    ndarray of shape (R,), float64
        PxAP, 0-1; NaN without a pixel in a mask.
    """
    true_positive, false_positive = inside[:, ::-1].cumsum(axis=1), outside[:, ::-1].cumsum(axis=1)
    precision = np.divide(
        true_positive,
        true_positive + false_positive,
        out=np.zeros_like(true_positive),
        where=true_positive + false_positive > 0,
    )
    area = (inside[:, ::-1] * precision).sum(axis=1)
    total = inside.sum(axis=1)
    return np.asarray(np.divide(area, total, out=np.full(len(area), np.nan), where=total > 0))


@dataclass(frozen=True)
class PixelPrecisionStatistic:
    """PxAP of N films: one row."""

    row: StatisticRow
    patients: IntArray
    inside: FloatArray
    outside: FloatArray

    @cached_property
    def _sums(self) -> tuple[PatientSums, PatientSums]:
        return PatientSums(self.inside, self.patients), PatientSums(self.outside, self.patients)

    @property
    def rows(self) -> list[StatisticRow]:
        """The one row."""
        return [self.row]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Add up the films' histograms [N, T + 1] by weight."""
        inside, outside = (sums(counts) for sums in self._sums)
        return pixel_average_precision(inside, outside)[:, None]
