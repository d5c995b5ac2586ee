"""Hit rate and box overlap on annotated films: one predicted point and one predicted box per film and label.

Conventions (the benchmark convention of Wang et al., CVPR 2017, made explicit):

- a *hit* is a map's peak inside any annotated box of that label (half-open boxes; a missing peak is a miss);
- *IoU accuracy* counts a film where the best-scored predicted box overlaps the best matching annotated box of the film
  and label with IoU >= criterion; *IoBB accuracy* likewise with the intersection over the predicted box's area;
- no predicted box is a miss with IoU 0; *mean IoU* averages that IoU over the films.
"""

import numpy as np

from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, Measure
from camray.domain.geometry import paired_iobb, paired_iou

OVERLAP_CRITERIA = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
MAX_BOX_ACC_CRITERION = 0.5  # Choe et al., CVPR 2020
MAX_BOX_ACC_V2_CRITERIA = (0.3, 0.5, 0.7)


def best_overlaps(items: AnnotatedFilms, predicted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Overlap of each film's predicted box with its best matching annotated box.

    Parameters
    ----------
    items : AnnotatedFilms
        N annotated films of a label.
    predicted : ndarray of shape (N, 4), float64
        One box per film (x0, y0, x1, y1), native px; NaN where nothing is predicted.

    Returns
    -------
    iou, iobb : ndarray of shape (N,), float64
        0-1. The best match is chosen for each of the two on its own.
    """
    if len(items) == 0:
        return np.zeros(0), np.zeros(0)
    boxes = predicted[items.owners]
    overlaps = paired_iou(boxes, items.boxes), paired_iobb(boxes, items.boxes)
    iou, iobb = (np.maximum.reduceat(np.nan_to_num(overlap, nan=0.0), items.starts) for overlap in overlaps)
    return iou, iobb


def point_hits(items: AnnotatedFilms, points: FloatArray) -> FloatArray:
    """Return which films' predicted point is in an annotated box.

    Parameters
    ----------
    items : AnnotatedFilms
        N annotated films of a label.
    points : ndarray of shape (N, 2), float64
        (x, y), native px; NaN where nothing is predicted.

    Returns
    -------
    ndarray of shape (N,), float64
        1 for a hit, 0 for a miss.
    """
    if len(items) == 0:
        return np.zeros(0)
    xy = points[items.owners]
    inside = ((items.boxes[:, :2] <= xy) & (xy < items.boxes[:, 2:])).all(axis=1)
    return np.maximum.reduceat(inside.astype(np.float64), items.starts)


def box_measures(items: AnnotatedFilms, predicted: FloatArray) -> dict[Measure, FloatArray]:
    """Compute each box metric of each film: accuracies at all criteria, and the IoU itself.

    Parameters
    ----------
    items : AnnotatedFilms
        N films with A annotated boxes.
    predicted : ndarray of shape (N, 4), float64
        One box per film, native px; NaN for none.

    Returns
    -------
    dict of Measure to ndarray of shape (N,), float64
        0-1.
    """
    iou, iobb = best_overlaps(items, predicted)
    values: dict[Measure, FloatArray] = {}
    for criterion in OVERLAP_CRITERIA:
        values["iou_accuracy", criterion] = (iou >= criterion).astype(np.float64)
    for criterion in OVERLAP_CRITERIA:
        values["iobb_accuracy", criterion] = (iobb >= criterion).astype(np.float64)
    values["mean_iou", None] = iou
    return values


def single_box_max_box_acc(items: AnnotatedFilms, predicted: FloatArray) -> dict[Measure, FloatArray]:
    """Compute MaxBoxAcc and V2 of a method with one box per film and no threshold to choose.

    Parameters
    ----------
    items : AnnotatedFilms
        N films with A annotated boxes.
    predicted : ndarray of shape (N, 4), float64
        One box per film, native px; NaN for none.

    Returns
    -------
    dict of Measure to ndarray of shape (N,), float64
        0-1.
    """
    iou, _ = best_overlaps(items, predicted)
    at_each = np.stack([iou >= criterion for criterion in MAX_BOX_ACC_V2_CRITERIA], axis=1)
    return {
        ("max_box_acc", MAX_BOX_ACC_CRITERION): (iou >= MAX_BOX_ACC_CRITERION).astype(np.float64),
        ("max_box_acc_v2", None): at_each.mean(axis=1),
    }


def mean_of_measures(draws: list[dict[Measure, FloatArray]]) -> dict[Measure, FloatArray]:
    """Average the same measures over several draws of a random baseline, film by film.

    Parameters
    ----------
    draws : list of dict of Measure to ndarray of shape (N,), float64
        With the same measures.

    Returns
    -------
    dict of Measure to ndarray of shape (N,), float64
        Means.
    """
    return {measure: np.mean([draw[measure] for draw in draws], axis=0) for measure in draws[0]}
