"""Curves of the score report: precision and recall, and reliability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import FloatArray

RELIABILITY_BINS = 10
FROC_IOU = 0.3  # a box finds an annotated one from this IoU on


@dataclass(frozen=True)
class Reliability:
    """Predicted and observed probability, in bins of equally many films.

    Parameters
    ----------
    promised, observed : ndarray of shape (B,), float64
        Mean probability, and share of films with the label.
    films : ndarray of shape (B,), int64
        In each bin.
    """

    promised: FloatArray
    observed: FloatArray
    films: NDArray[np.int64]


def precision_recall_points(logits: FloatArray, present: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Compute recall and precision at every threshold, the strictest first.

    Parameters
    ----------
    logits : ndarray of shape (N,), float64
        Scores; higher for positives.
    present : ndarray of shape (N,), bool
        Films with the label.

    Returns
    -------
    (ndarray of shape (T,), ndarray of shape (T,)), float64
        Recall and precision, 0-1; empty for a single class.
    """
    if present.all() or not present.any():
        return np.zeros(0), np.zeros(0)
    order = np.argsort(-logits, kind="stable")
    last = np.flatnonzero(np.append(np.diff(logits[order]) != 0, True))  # ties are one step
    true_positive = np.cumsum(present[order])[last]
    return true_positive / present.sum(), true_positive / (last + 1)


def reliability(
    probability: FloatArray, present: NDArray[np.bool_], bins: int = RELIABILITY_BINS
) -> Reliability | None:
    """Compare probabilities with what was found; None without films.

    Parameters
    ----------
    probability : ndarray of shape (N,), float64
        0-1.
    present : ndarray of shape (N,), bool
        The films that carry the label.
    bins : int
        At most so many, of equally many films each as far as ties let.

    Returns
    -------
    Reliability or None
        Per bin: mean probability and observed fraction; None without films.
    """
    if probability.size == 0:
        return None
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    bin_of_film = np.unique(np.searchsorted(edges, probability, side="left"), return_inverse=True)[1]
    films = np.bincount(bin_of_film)
    promised = np.bincount(bin_of_film, weights=probability) / films
    observed = np.bincount(bin_of_film, weights=present.astype(np.float64)) / films
    return Reliability(promised, observed, films.astype(np.int64))
