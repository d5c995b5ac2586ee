"""Lung zones of boxes: the side and the third of the lung's height that contain most of a box."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import convex_hull_image

from camray.core.lungs.detection import DetectedLungs
from camray.domain.geometry import box_from_mask, cell_overlaps
from camray.domain.zones import NO_BOX, OUTSIDE, UNKNOWN, Side, Third, zone_name

MIN_FRACTION_ON_LUNG = 0.1  # of a box's area


def zones_of_boxes(boxes: NDArray[np.float64], lungs: DetectedLungs) -> list[str]:
    """Name the zone of every box.

    Parameters
    ----------
    boxes : ndarray of shape (N, 4), float64
        Rows of (x0, y0, x1, y1), half-open, on the lungs' grid, px; NaN where there is no box.
    lungs : DetectedLungs
        Of the same film.

    Returns
    -------
    list of str
        One of `ZONES`; ``outside`` where less than `MIN_FRACTION_ON_LUNG` of the box is on a lung; ``unknown`` where no
        lungs were detected; empty where there is no box.

    Notes
    -----
    A lung is the convex hull of its mask, so that a consolidation that hides part of it is still on it. Thirds are of
    the height of the mask, equal in length. Overlaps are exact areas, fractions of pixels included; of equal ones the
    first of `ZONES` is chosen. A side that was not detected has no zones.
    """
    names = [zone_name(side, third) for side in Side for third in Third]
    overlaps = np.zeros((len(boxes), len(names)))
    for number, side in enumerate(Side):
        if side in lungs.masks:
            overlaps[:, 3 * number : 3 * number + 3] = _overlaps(boxes, lungs.masks[side])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    zones = []
    for overlap, area in zip(overlaps, areas, strict=True):
        if np.isnan(area):
            zones.append(NO_BOX)
        elif not lungs.masks:
            zones.append(UNKNOWN)
        else:
            zones.append(names[int(overlap.argmax())] if overlap.sum() >= MIN_FRACTION_ON_LUNG * area else OUTSIDE)
    return zones


def _overlaps(boxes: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Areas [N, 3] that boxes share with the upper, mid and lower third of a lung, px squared."""
    span = box_from_mask(mask)
    if span is None:
        return np.zeros((len(boxes), len(Third)))
    rows, cols = mask.shape
    cuts = np.linspace(span.y0, span.y1, len(Third) + 1)
    hull = np.asarray(convex_hull_image(mask), np.float64)  # type: ignore[no-untyped-call]
    lung_width = np.nan_to_num(cell_overlaps(boxes[:, 0], boxes[:, 2], cols)) @ hull.T  # [N, rows], under the box
    top, bottom = boxes[:, 1], boxes[:, 3]
    thirds = []
    for low, high in pairwise(cuts):
        covered = np.nan_to_num(cell_overlaps(np.clip(top, low, None), np.clip(bottom, None, high), rows))
        thirds.append((covered * lung_width).sum(axis=1))
    return np.stack(thirds, axis=1)
