"""Intervals of many differences that hold all at once: the plug-in sup-t band from bootstrap draws.

With one interval of 95 % for each of a hundred differences, about five exclude 0 where nothing differs. Here one factor
is taken for all of them: the quantile, over the resamples, of the largest deviation of any difference in units of its
standard error (Montiel Olea and Plagborg-Moller, J. Appl. Econometrics 34, 2019; the max-T of Westfall and Young,
1993). Unlike Bonferroni's it makes use of what the differences share, and needs no quantile far out in the tails, of
which a thousand resamples say nothing. The factor is one of a normal number; for few patients Student's of the same
tail takes its place, as their standard error is uncertain too.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from camray.core.metrics.localization.annotated_films import FloatArray, IntArray

WIDTHLESS = 1e-12


def simultaneous_intervals(
    value: FloatArray, draws: FloatArray, least_error: FloatArray, patients: IntArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Compute intervals that contain all K true differences together with the given confidence.

    Parameters
    ----------
    value : ndarray of shape (K,), float64
        Differences of numbers from 0 to 1; NaN where undefined.
    draws : ndarray of shape (R, K), float64
        The same in each resample; NaN where undefined there.
    least_error : ndarray of shape (K,), float64
        Least standard error: a resample of films that all agree has no spread, but their number is not exact.
    patients : ndarray of shape (K,), int64
        Fewest patients that a number of the difference is from; one more than Student's degrees of freedom.
    confidence : float
        0-1, of all intervals together.

    Returns
    -------
    low, high : ndarray of shape (K,), float64
        Within -1 to 1; NaN where the difference is undefined, and without resamples.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(0, [0.1, 0.2], (4000, 2))
    >>> low, high = simultaneous_intervals(np.zeros(2), draws, np.zeros(2), np.array([9999, 9999]), 0.95)
    >>> np.round(high / [0.1, 0.2], 1)
    array([2.2, 2.2])
    """
    low, high = np.full(len(value), np.nan), np.full(len(value), np.nan)
    is_used = np.isfinite(value) & (np.isfinite(draws).sum(axis=0) > 1)
    if not is_used.any():
        return low, high
    value, draws = value[is_used], draws[:, is_used]
    spread = np.nanstd(draws, axis=0, ddof=1)
    tail = norm.sf(_factor(value, draws, spread, confidence))
    reach = t.isf(tail, np.maximum(patients[is_used] - 1, 1)) * np.maximum(spread, least_error[is_used])
    low[is_used], high[is_used] = np.maximum(value - reach, -1), np.minimum(value + reach, 1)
    return low, high


def _factor(value: FloatArray, draws: FloatArray, spread: FloatArray, confidence: float) -> float:
    """Return the quantile of the largest deviation in standard errors; at least that of a single normal number."""
    alone = float(norm.isf((1 - confidence) / 2))
    has_spread: NDArray[np.bool_] = spread > WIDTHLESS
    if not has_spread.any():
        return alone
    deviations = np.abs(draws[:, has_spread] - value[has_spread]) / spread[has_spread]
    largest = np.nan_to_num(deviations, nan=0.0).max(axis=1)
    return max(float(np.quantile(largest, confidence)), alone)


def least_share_error(share: float, trials: int) -> float:
    """Return the standard error of a share with one more success and one more failure (Agresti and Caffo, 2000).

    Parameters
    ----------
    share : float
        0-1.
    trials : int
        Patients.
    """
    shrunk = (share * trials + 1) / (trials + 2)
    return float(np.sqrt(shrunk * (1 - shrunk) / (trials + 2)))


def least_auroc_error(auroc: float, positives: int, negatives: int) -> float:
    """Return the standard error of Hanley and McNeil (1982), of the AUROC moved from 1 as a share would be.

    Parameters
    ----------
    auroc : float
        0-1.
    positives, negatives : int
        Patients.
    """
    fewest = min(positives, negatives)
    area = (auroc * fewest + 1) / (fewest + 2)
    both, twice = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (both - area**2) + (negatives - 1) * (twice - area**2)
    return float(np.sqrt(spread / (positives * negatives)))
