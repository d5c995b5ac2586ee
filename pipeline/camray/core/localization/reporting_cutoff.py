"""Probability from which a label is reported, by Youden's index on validation films."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TIE = 1e-12  # indices that differ by less are equal: they differ by rounding


@dataclass(frozen=True)
class Cutoff:
    """Probability from which a label is reported.

    Parameters
    ----------
    probability : float
        A film at or above it is reported.
    n : int
        Films that chose it; 0 if none could.
    youden : float
        Youden's index on these films; NaN without a choice.
    """

    probability: float
    n: int
    youden: float


def youden_indices(
    scores: NDArray[np.float64], is_present: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute Youden's J = sensitivity + specificity - 1 at every distinct score.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
        Any increasing score; finite.
    is_present : ndarray of shape (n,), bool
        Must hold both classes.

    Returns
    -------
    thresholds : ndarray of shape (k,), float64
        Distinct scores, ascending.
    youden : ndarray of shape (k,), float64
        J where films at or above the threshold are called present.
    """
    thresholds = np.unique(scores)
    present, absent = np.sort(scores[is_present]), np.sort(scores[~is_present])
    missed = np.searchsorted(present, thresholds, side="left") / len(present)
    cleared = np.searchsorted(absent, thresholds, side="left") / len(absent)
    return thresholds, cleared - missed


def choose_cutoff(probability: NDArray[np.float64], is_present: NDArray[np.bool_]) -> Cutoff:
    """Choose the probability with the highest Youden's index.

    Parameters
    ----------
    probability : ndarray of shape (n,), float64
        Of validation films whose label is known.
    is_present : ndarray of shape (n,), bool
        What the label table says.

    Returns
    -------
    Cutoff
        Halfway between the two neighbouring probabilities that it separates; of equally good ones the middle (of an
        even number the higher). 0.5 with ``n = 0`` where either class is missing.
    """
    if is_present.all() or not is_present.any():
        return Cutoff(0.5, 0, float("nan"))
    values, youden = youden_indices(probability, is_present)
    if len(values) == 1:
        return Cutoff(float(values[0]), len(probability), 0.0)
    below, at_or_above, youden = values[:-1], values[1:], youden[1:]
    best = np.flatnonzero(youden >= youden.max() - TIE)
    middle = best[len(best) // 2]
    return Cutoff(float((below[middle] + at_or_above[middle]) / 2), len(probability), float(youden[middle]))
