"""COCO's average precision (Lin et al., ECCV 2014; cocoeval): matched by pycocotools, weighted here.

Mean over IoU >= 0.50, 0.55, ... 0.95 of the precision, made falling, at recall 0, 0.01, ... 1; at most 100 boxes a
film. The library matches; its last step is repeated on weighted films, so that resamples need no new match. With
weights of 1 it is the library's own number (a test holds it to that).

The library takes an annotation with id 0 for "not matched", so ids begin at 1.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from camray.core.metrics.localization.annotated_films import FloatArray
from camray.core.metrics.localization.detections import Detections

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
MOST_BOXES = 100
RECALLS = np.linspace(0.0, 1.0, 101)


def evaluated(detections: Detections, ious: Sequence[float] = IOU_THRESHOLDS) -> Any:
    """Match boxes with the library at thresholds of IoU; return its evaluation."""
    films = [{"id": number + 1, "width": 1, "height": 1, "file_name": ""} for number in range(len(detections.patients))]
    sides = detections.annotated[:, 2:] - detections.annotated[:, :2]
    annotations = [
        {
            "id": number + 1,
            "image_id": int(film) + 1,
            "category_id": 1,
            "bbox": [float(box[0]), float(box[1]), float(side[0]), float(side[1])],
            "area": float(side[0] * side[1]),
            "iscrowd": 0,
        }
        for number, (film, box, side) in enumerate(
            zip(detections.annotated_film, detections.annotated, sides, strict=True)
        )
    ]
    rows = np.column_stack(
        [
            detections.predicted_film + 1,
            detections.predicted[:, :2],
            detections.predicted[:, 2:] - detections.predicted[:, :2],
            detections.confidence,
            np.ones(len(detections.predicted)),
        ]
    )[detections.order]
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints its progress
        truth = COCO()
        truth.dataset = {"info": {}, "images": films, "annotations": annotations, "categories": [{"id": 1, "name": ""}]}
        truth.createIndex()
        guessed = truth.loadRes(rows) if len(rows) else COCO()
        if not len(rows):
            guessed.dataset = {**truth.dataset, "annotations": []}
            guessed.createIndex()
        evaluation = COCOeval(truth, guessed, "bbox")
        evaluation.params.iouThrs = np.array(ious)
        evaluation.params.maxDets = [1, 10, MOST_BOXES]
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
    return evaluation


def matched(evaluation: Any) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.bool_]]:
    """Collect the matches of an evaluation by pycocotools, highest confidence first.

    Parameters
    ----------
    evaluation : COCOeval
        After ``evaluate()``.

    Returns
    -------
    (ndarray of shape (D,), ndarray of shape (D,), ndarray of shape (K, D))
        Confidence (float64) and film (int64) of each box, and whether it is right at each of K IoU (bool).
    """
    scores, films, right = [], [], []
    for film in evaluation.evalImgs:
        if film is not None:
            scores.append(np.asarray(film["dtScores"], np.float64))
            films.append(np.full(len(film["dtScores"]), film["image_id"] - 1, np.int64))
            right.append(np.asarray(film["dtMatches"]) > 0)
    if not scores:
        return np.zeros(0), np.zeros(0, np.int64), np.zeros((len(evaluation.params.iouThrs), 0), bool)
    confidence = np.concatenate(scores)
    order = np.argsort(-confidence, kind="mergesort")
    return confidence[order], np.concatenate(films)[order], np.concatenate(right, axis=1)[:, order]


def weighted_coco_precision(
    weights: FloatArray, films: NDArray[np.int64], right: NDArray[np.bool_], annotated_counts: NDArray[np.int64]
) -> FloatArray:
    """Return AP at each IoU under sets of film weights.

    Parameters
    ----------
    weights : ndarray of shape (R, N), float64
        Of the films.
    films : ndarray of shape (D,), int64
        Film of each box, the surest first.
    right : ndarray of shape (K, D), bool
        Whether it is matched at each of K IoU thresholds.
    annotated_counts : ndarray of shape (N,), int64
        Annotated boxes per film.

    Returns
    -------
    ndarray of shape (R, K), float64
        NaN where no annotated box has weight.
    """
    total = weights @ annotated_counts
    result = np.full((len(weights), len(right)), np.nan)
    by_box = weights[:, films]
    called = np.cumsum(by_box, axis=1)
    for k, correct in enumerate(right):
        true_positive = np.cumsum(by_box * correct, axis=1)
        precision = np.divide(true_positive, called, out=np.zeros_like(true_positive), where=called > 0)
        falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for r in np.flatnonzero(total > 0):
            steps = np.searchsorted(true_positive[r] / total[r], RECALLS, side="left")
            reached = steps < len(films)
            result[r, k] = falling[r, steps[reached]].sum() / len(RECALLS)
    return result
