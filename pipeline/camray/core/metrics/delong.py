"""AUROC with its covariance after DeLong, for one score or several on the same films, patients kept together.

DeLong, DeLong and Clarke-Pearson (Biometrics 1988) by midranks (Sun and Xu, IEEE Signal Processing Letters 2014);
films of one patient are clusters (Obuchowski, Biometrics 1997). With one film per patient the two agree exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.probability.logistic import probabilities_of


@dataclass(frozen=True)
class Difference:
    """AUROC of two scores on the same films, and their difference.

    Parameters
    ----------
    first, second : float
        AUROC, 0-1; NaN where one class is missing.
    difference, low, high : float
        Second minus first, with its interval.
    p : float
        Two-sided. Without any variance 1 where the two are equal, and NaN, as the interval, where they are not: two
        scores of which none can vary (perfect, or one number for all films) differ for reasons that no test can weigh.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float


def auroc_covariance(
    scores: FloatArray, present: NDArray[np.bool_], patients: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return the AUROC of several scores and their covariance.

    Parameters
    ----------
    scores : ndarray of shape (M, N), float64
        M scores of the same N films, finite; any increasing scale.
    present : ndarray of shape (N,), bool
        The films that carry the label.
    patients : ndarray of shape (N,), int64
        Patient number of each film.

    Returns
    -------
    auroc : ndarray of shape (M,), float64
        Ties count half; NaN where one class is missing.
    covariance : ndarray of shape (M, M), float64
        NaN where a class stems from fewer than two patients.
    """
    n_present, n_absent = int(present.sum()), int((~present).sum())
    if n_present == 0 or n_absent == 0:
        return np.full(len(scores), np.nan), np.full((len(scores), len(scores)), np.nan)
    order = np.concatenate([np.flatnonzero(present), np.flatnonzero(~present)])
    ranks = rankdata(scores[:, order], axis=1)
    above = (ranks[:, :n_present] - rankdata(scores[:, present], axis=1)) / n_absent
    below = 1 - (ranks[:, n_present:] - rankdata(scores[:, ~present], axis=1)) / n_present
    auroc = above.mean(axis=1)
    clusters = np.unique(patients[order], return_inverse=True)[1]
    of_present, of_absent = clusters[:n_present], clusters[n_present:]
    counts = len(np.unique(of_present)), len(np.unique(of_absent)), int(clusters.max()) + 1
    if min(counts[:2]) < 2:
        return auroc, np.full((len(scores), len(scores)), np.nan)
    first = _sums(above - auroc[:, None], of_present, counts[2])
    second = _sums(below - auroc[:, None], of_absent, counts[2])
    cross = first @ second.T * counts[2] / (counts[2] - 1)
    covariance = (
        first @ first.T * counts[0] / (counts[0] - 1) / n_present**2
        + second @ second.T * counts[1] / (counts[1] - 1) / n_absent**2
        + (cross + cross.T) / (n_present * n_absent)
    )
    return auroc, np.asarray(covariance)


def auroc_interval(
    scores: FloatArray, present: NDArray[np.bool_], patients: IntArray, confidence: float
) -> tuple[float, float, float]:
    """Return an AUROC and its interval, symmetric on the logit scale so that it stays within 0 and 1.

    Parameters
    ----------
    scores : ndarray of shape (N,), float64
        As for `auroc_covariance`, with `present` and `patients`.
    confidence : float
        0-1.

    Returns
    -------
    value, low, high : float
        A perfect separation has no interval (NaN): DeLong's variance is 0 there and carries no information.
    """
    auroc, covariance = auroc_covariance(scores[None], present, patients)
    value, deviation = float(auroc[0]), float(np.sqrt(max(covariance[0, 0], 0.0)))
    if not np.isfinite(deviation) or not 0 < value < 1:
        return value, np.nan, np.nan
    middle, half = np.log(value / (1 - value)), norm.ppf((1 + confidence) / 2) * deviation / (value * (1 - value))
    low, high = probabilities_of(middle + half * np.array([-1.0, 1.0]))
    return value, float(low), float(high)


def auroc_difference(
    first: FloatArray, second: FloatArray, present: NDArray[np.bool_], patients: IntArray, confidence: float
) -> Difference:
    """Test whether two scores of the same films separate a label equally well.

    Parameters
    ----------
    first, second : ndarray of shape (N,), float64
        As for `auroc_covariance`, with `present` and `patients`.
    confidence : float
        Of the interval, 0-1.

    Returns
    -------
    Difference
        Second minus first, its interval and p-value; NaN without both classes.
    """
    auroc, covariance = auroc_covariance(np.stack([first, second]), present, patients)
    difference = float(auroc[1] - auroc[0])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if not np.isfinite(variance):
        return Difference(float(auroc[0]), float(auroc[1]), difference, np.nan, np.nan, np.nan)
    deviation = float(np.sqrt(max(variance, 0.0)))
    half = float(norm.ppf((1 + confidence) / 2)) * deviation
    if deviation >= 1e-12:
        p = float(2 * norm.sf(abs(difference) / deviation))
    elif abs(difference) < 1e-12:  # equal orders, or both perfect
        p = 1.0
    else:
        p, half = np.nan, np.nan
    return Difference(float(auroc[0]), float(auroc[1]), difference, difference - half, difference + half, p)


def _sums(values: FloatArray, clusters: IntArray, n_clusters: int) -> FloatArray:
    """Add up columns of the same cluster: [M, N] to [M, clusters]."""
    sums = np.zeros((n_clusters, len(values)))
    np.add.at(sums, clusters, values.T)
    return sums.T
