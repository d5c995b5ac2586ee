"""AUROC and average precision under many sets of film weights at once.

A bootstrap resample is a set of weights: how often each film's patient was drawn. Sorting happens once, so 1000
resamples cost a few cumulative sums. Tied scores form one step, as in scikit-learn.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.scoring.items import FloatArray


def _grouped(weights: FloatArray, logits: FloatArray, present: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Sum the weights of present and absent films over each distinct logit, highest first: two [R, G]."""
    order = np.argsort(-logits, kind="stable")
    ordered = logits[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    by_rank = weights[:, order]
    positive = np.add.reduceat(by_rank * present[order], starts, axis=1)
    negative = np.add.reduceat(by_rank * ~present[order], starts, axis=1)
    return positive, negative


def weighted_auroc(weights: FloatArray, logits: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Area under the ROC curve, for several sets of weights.

    Parameters
    ----------
    weights : ndarray of shape (R, N), float64
        Non-negative; one row a resample.
    logits : ndarray of shape (N,), float64
        Any increasing score; finite.
    present : ndarray of shape (N,), bool
        The films that carry the label.

    Returns
    -------
    ndarray of shape (R,), float64
        0-1; ties count half. NaN where only one class has weight.
    """
    if logits.size == 0:
        return np.full(len(weights), np.nan)
    positive, negative = _grouped(weights, logits, present)
    below = negative.sum(axis=1, keepdims=True) - np.cumsum(negative, axis=1)
    wins = (positive * (below + negative / 2)).sum(axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return np.asarray(np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))


def weighted_average_precision(weights: FloatArray, logits: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Average precision (the step-wise area under precision and recall), for several sets of weights.

    Arguments and result as for `weighted_auroc`. Precision is not interpolated: the sum over distinct logits of the
    recall gained times the precision there, as scikit-learn has it.
    """
    if logits.size == 0:
        return np.full(len(weights), np.nan)
    positive, negative = _grouped(weights, logits, present)
    found, called = np.cumsum(positive, axis=1), np.cumsum(positive + negative, axis=1)
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    n_positive, n_negative = positive.sum(axis=1), negative.sum(axis=1)
    area = (positive * precision).sum(axis=1)
    defined = (n_positive > 0) & (n_negative > 0)
    return np.asarray(np.divide(area, n_positive, out=np.full(len(weights), np.nan), where=defined))


def roc_points(logits: FloatArray, present: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return the ROC curve's false and true positive rates, from (0, 0) to (1, 1); empty for a single class."""
    if present.all() or not present.any():
        return np.zeros(0), np.zeros(0)
    positive, negative = _grouped(np.ones((1, len(logits))), logits, present)
    rates = [np.append(0.0, np.cumsum(part[0]) / part[0].sum()) for part in (negative, positive)]
    return rates[0], rates[1]
