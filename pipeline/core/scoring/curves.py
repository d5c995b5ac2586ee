"""Points of the report's curves: precision and recall, reliability, and free-response ROC."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.scoring.items import CORNERS, FloatArray, Items

RELIABILITY_BINS = 10
FROC_IOU = 0.3  # a box finds an annotated one from this IoU on


@dataclass(frozen=True)
class Reliability:
    """What a classifier promises and what comes, in bins of equally many films.

    Parameters
    ----------
    promised, observed : ndarray of shape (B,), float64
        Mean probability, and share of films with the label.
    films : ndarray of shape (B,), int64
        In each bin.
    error : float
        Expected calibration error: mean absolute gap, weighed by films.
    """

    promised: FloatArray
    observed: FloatArray
    films: NDArray[np.int64]
    error: float


def precision_recall_points(logits: FloatArray, present: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return recall and precision, threshold by threshold from the strictest; empty for a single class."""
    if present.all() or not present.any():
        return np.zeros(0), np.zeros(0)
    order = np.argsort(-logits, kind="stable")
    last = np.flatnonzero(np.append(np.diff(logits[order]) != 0, True))  # ties are one step
    found = np.cumsum(present[order])[last]
    return found / present.sum(), found / (last + 1)


def reliability(logits: FloatArray, present: NDArray[np.bool_], bins: int = RELIABILITY_BINS) -> Reliability | None:
    """Compare probabilities with what was found; None without films.

    Parameters
    ----------
    logits : ndarray of shape (N,), float64
        The classifier's; their sigmoid is the probability.
    present : ndarray of shape (N,), bool
        The films that carry the label.
    bins : int
        At most so many, of equally many films each as far as ties let.
    """
    if logits.size == 0:
        return None
    probability = np.exp(-np.logaddexp(0.0, -logits))
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    places = np.unique(np.searchsorted(edges, probability, side="left"), return_inverse=True)[1]
    films = np.bincount(places)
    promised = np.bincount(places, weights=probability) / films
    observed = np.bincount(places, weights=present.astype(np.float64)) / films
    error = float((np.abs(promised - observed) * films).sum() / len(logits))
    return Reliability(promised, observed, films.astype(np.int64), error)


def froc_points(items: Items, predictions: pd.DataFrame, films: int) -> tuple[FloatArray, FloatArray]:
    """Return false positives a film and the share of annotated boxes found, as the demanded probability falls.

    Parameters
    ----------
    items : Items
        All annotated films of a label.
    predictions : DataFrame
        Columns ``image_id, x0, y0, x1, y1, probability, rank``: boxes of one threshold on *all* films of the split.
    films : int
        Of the split, annotated or not.

    Returns
    -------
    false_positives, sensitivity : ndarray of shape (K,), float64
        Both rise. A box finds an annotated one from `FROC_IOU` on, each annotated box once; a further box on a found
        one is neither a find nor a false positive.
    """
    boxes = predictions[np.isfinite(predictions["x0"].to_numpy(np.float64))]
    boxes = boxes.sort_values(["probability", "rank", "image_id"], ascending=[False, True, True], kind="stable")
    place_of = {image_id: place for place, image_id in enumerate(items.image_ids)}
    found = np.zeros(len(items.boxes), bool)
    finds, errors = np.zeros(len(boxes)), np.zeros(len(boxes))
    corners = boxes[CORNERS].to_numpy(np.float64)
    for row, image_id in enumerate(boxes["image_id"]):
        place = place_of.get(str(image_id))
        if place is None:
            errors[row] = 1
            continue
        annotated = items.boxes_of(place)
        overlaps = _ious(corners[row], annotated) >= FROC_IOU
        fresh = np.flatnonzero(overlaps & ~found[items.starts[place] : items.starts[place] + len(annotated)])
        if fresh.size:
            found[items.starts[place] + fresh[0]] = True
            finds[row] = 1
        elif not overlaps.any():
            errors[row] = 1
    if not len(items.boxes) or not films:
        return np.zeros(0), np.zeros(0)
    probability = boxes["probability"].to_numpy(np.float64)
    last = np.flatnonzero(np.append(np.diff(probability) != 0, True)) if len(boxes) else np.zeros(0, np.int64)
    return np.cumsum(errors)[last] / films, np.cumsum(finds)[last] / len(items.boxes)


def _ious(box: FloatArray, others: FloatArray) -> FloatArray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    both = np.clip(sides, 0.0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.asarray(both / (areas - both))
