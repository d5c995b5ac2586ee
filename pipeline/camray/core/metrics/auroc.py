"""AUROC and average precision under many sets of film weights at once.

A bootstrap resample is a set of weights: how often each film's patient was drawn. Films are sorted once, so a resample
costs one pass over the films. Tied scores form one step, as in scikit-learn.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import FloatArray, IntArray


def _grouped(weights: FloatArray, logits: FloatArray, present: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Sum the weights of present and absent films over each distinct logit, highest first: two [R, G]."""
    order = np.argsort(-logits, kind="stable")
    ordered = logits[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    by_rank = weights[:, order]
    positive = np.add.reduceat(by_rank * present[order], starts, axis=1)
    negative = np.add.reduceat(by_rank * ~present[order], starts, axis=1)
    return positive, negative


class RankedFilms:
    """Films in the order of their scores, evaluated for many sets of weights.

    Parameters
    ----------
    logits : ndarray of shape (N,), float64
        Any increasing score; finite.
    present : ndarray of shape (N,), bool
        The films that carry the label.
    patients : ndarray of shape (N,), int64
        Whose weight each film has.
    """

    def __init__(self, logits: FloatArray, present: NDArray[np.bool_], patients: IntArray) -> None:
        order = np.argsort(-logits, kind="stable")
        ordered = logits[order]
        self._patients, self._present = patients[order].astype(np.uint32), present[order]
        self._is_last = np.append(ordered[1:] != ordered[:-1], np.ones(min(len(ordered), 1), np.bool_))

    def areas(self, weights: FloatArray) -> FloatArray:
        """Compute AUROC and average precision for weights of the patients.

        Parameters
        ----------
        weights : ndarray of shape (R, P), float64
            Weight of each patient in each resample.

        Returns
        -------
        ndarray of shape (R, 2), float64
            AUROC and average precision, 0-1; NaN without both classes.
        """
        return np.asarray(_areas(np.ascontiguousarray(weights), self._patients, self._present, self._is_last))


@njit(cache=True)
def _areas(weights: Any, patients: Any, present: Any, is_last: Any) -> Any:
    """Walk down the films once for each set of weights; equal scores make one step."""
    result = np.full((len(weights), 2), np.nan)
    for r in range(len(weights)):
        weight = weights[r]
        wins = area = true_positive = called = positive = negative = 0.0
        for n in range(len(patients)):
            if present[n]:
                positive += weight[patients[n]]
            else:
                negative += weight[patients[n]]
            if is_last[n]:
                wins += negative * (true_positive + positive / 2)
                true_positive += positive
                called += positive + negative
                if positive > 0:
                    area += positive * (true_positive / called)
                positive = negative = 0.0
        if true_positive > 0 and called > true_positive:
            result[r, 0], result[r, 1] = wins / (true_positive * (called - true_positive)), area / true_positive
    return result


def weighted_auroc(weights: FloatArray, logits: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Area under the ROC curve, for several sets of weights.

    Parameters
    ----------
    weights : ndarray of shape (R, N), float64
        Non-negative; one row per resample.
    logits : ndarray of shape (N,), float64
        Any increasing score; finite.
    present : ndarray of shape (N,), bool
        The films that carry the label.

    Returns
    -------
    ndarray of shape (R,), float64
        0-1; ties count half. NaN where only one class has weight.
    """
    return RankedFilms(logits, present, np.arange(len(logits))).areas(weights)[:, 0]


def roc_points(logits: FloatArray, present: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Compute the points of the ROC curve, from (0, 0) to (1, 1).

    Parameters
    ----------
    logits : ndarray of shape (N,), float64
        Scores; higher for positives.
    present : ndarray of shape (N,), bool
        Films with the label.

    Returns
    -------
    (ndarray of shape (T,), ndarray of shape (T,)), float64
        False and true positive rates; empty for a single class.
    """
    if present.all() or not present.any():
        return np.zeros(0), np.zeros(0)
    positive, negative = _grouped(np.ones((1, len(logits))), logits, present)
    rates = [np.append(0.0, np.cumsum(part[0]) / part[0].sum()) for part in (negative, positive)]
    return rates[0], rates[1]
