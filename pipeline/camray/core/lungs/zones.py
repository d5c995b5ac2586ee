"""The lung zone of a box: the side and the third of the lung's height that hold most of it."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import convex_hull_image

from camray.core.lungs.regions import Lungs
from camray.domain.geometry import box_from_mask, cell_overlaps
from camray.domain.zones import NO_BOX, OUTSIDE, UNKNOWN, Side, Third, zone_name

LEAST_SHARE = 0.1  # of a box's area that must lie on a lung


def zones_of_boxes(boxes: NDArray[np.float64], lungs: Lungs) -> list[str]:
    """Name the zone of every box.

    Parameters
    ----------
    boxes : ndarray of shape (N, 4), float64
        Rows of (x0, y0, x1, y1), half-open, on the lungs' grid; NaN where there is no box.
    lungs : Lungs

    Returns
    -------
    list of str
        One of `ZONES`; ``outside`` where less than `LEAST_SHARE` of the box lies on a lung; ``unknown`` where no lungs
        were found; empty where there is no box.

    Notes
    -----
    A lung is the convex hull of its mask, so that a consolidation that hides part of it still lies on it. Thirds are of
    the height of the mask, equal in length. Overlaps are exact areas, fractions of pixels included; among equal ones
    the first of `ZONES` wins. A side that was not found has no zones.
    """
    names = [zone_name(side, third) for side in Side for third in Third]
    areas = np.zeros((len(boxes), len(names)))
    for place, side in enumerate(Side):
        if side in lungs.masks:
            areas[:, 3 * place : 3 * place + 3] = _overlaps(boxes, lungs.masks[side])
    sides = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    found = []
    for of_box, area in zip(areas, sides, strict=True):
        if np.isnan(area):
            found.append(NO_BOX)
        elif not lungs.masks:
            found.append(UNKNOWN)
        else:
            found.append(names[int(of_box.argmax())] if of_box.sum() >= LEAST_SHARE * area else OUTSIDE)
    return found


def _overlaps(boxes: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Areas [N, 3] that boxes share with the upper, mid and lower third of a lung, px squared."""
    span = box_from_mask(mask)
    if span is None:
        return np.zeros((len(boxes), len(Third)))
    rows, cols = mask.shape
    cuts = np.linspace(span.y0, span.y1, len(Third) + 1)
    hull = np.asarray(convex_hull_image(mask), np.float64)  # type: ignore[no-untyped-call]
    by_row = (
        np.nan_to_num(cell_overlaps(boxes[:, 0], boxes[:, 2], cols)) @ hull.T
    )  # [N, rows]: width of lung under the box
    top, bottom = boxes[:, 1], boxes[:, 3]
    thirds = [
        (np.nan_to_num(cell_overlaps(np.clip(top, low, None), np.clip(bottom, None, high), rows)) * by_row).sum(axis=1)
        for low, high in pairwise(cuts)
    ]
    return np.stack(thirds, axis=1)
