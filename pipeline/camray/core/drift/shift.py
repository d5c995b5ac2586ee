"""How far a distribution has shifted: population stability index without the part of chance, and Kolmogorov-Smirnov.

PSI is the sum over bins of (p - q) ln(p / q) for the shares p of a folder and q of its reference. It is never below 0,
so that with few films it is far above 0 without any shift: with 10 bins and 50 films it is about 0.2, and the customary
alarm at 0.25 is often raised. Here its mean without a shift is subtracted. This mean, and the test, come from random
divisions of all films, folder and reference together, into two parts of the same sizes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstwo

from camray.core.drift.reference import IntArray, Reference

PSEUDO_FILMS = 0.5  # added to each bin, so that an empty one has a logarithm
DIVISIONS, RESAMPLES = 10_000, 1_000
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """Shift of one feature.

    Parameters
    ----------
    psi, psi_low, psi_high : float
        PSI minus its mean without a shift, at least 0, and its 95 % interval.
    plain_psi : float
        PSI as it is usually computed.
    ks, ks_low, ks_high : float
        Largest difference of the two cumulated distributions, 0-1, and its 95 % interval; NaN for values without order.
    p : float
        Probability of a shift as large as this one, by PSI or KS, where there is none.
    """

    psi: float
    psi_low: float
    psi_high: float
    plain_psi: float
    ks: float
    ks_low: float
    ks_high: float
    p: float


def psi(counts: NDArray[np.int64], reference: NDArray[np.int64]) -> FloatArray:
    """Compute the population stability index.

    Parameters
    ----------
    counts : ndarray of shape (..., B), int64
        Films in each bin.
    reference : ndarray of shape (..., B), int64
        Films of the reference in each bin.

    Returns
    -------
    ndarray of shape (...), float64
        At least 0.

    Examples
    --------
    >>> round(float(psi(np.array([50, 150]), np.array([1000, 1000]))), 2)
    0.27
    """
    p, q = _shares(counts), _shares(reference)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


def measure_shift(reference: Reference, counts: IntArray, seed: int) -> Shift:
    """Measure how far a feature has shifted.

    Parameters
    ----------
    reference : Reference
        Counts of the reference.
    counts : ndarray of shape (cells,), int64
        Independent films of the folder in the same cells; at least one.
    seed : int
        Of random divisions and resamples.

    Returns
    -------
    Shift
        Its interval is the bootstrap's, moved to the estimate: a resample is further from the reference than the films
        that it is drawn from.
    """
    rng = np.random.default_rng(seed)
    before = np.array(reference.counts, np.int64)
    binned, binned_before = reference.in_bins(counts), reference.in_bins(before)
    plain = float(psi(binned, binned_before))
    p, chance = _test_by_divisions(binned, binned_before, plain, rng)
    draws = [rng.multinomial(each.sum(), each / each.sum(), size=RESAMPLES) for each in (counts, before)]
    in_bins = np.eye(max(reference.bins) + 1, dtype=np.int64)[list(reference.bins)]
    estimate = plain - chance
    low, high = _interval(psi(draws[0] @ in_bins, draws[1] @ in_bins), estimate)
    ks, ks_low, ks_high = float("nan"), float("nan"), float("nan")
    if reference.is_continuous:
        ks = float(_distance(counts, before))
        ks_low, ks_high = _interval(_distance(*draws), ks)
        p = min(1.0, 2 * min(p, _p_of_distance(ks, int(counts.sum()), int(before.sum()))))
    return Shift(max(estimate, 0.0), low, high, plain, ks, ks_low, min(ks_high, 1.0), p)


def _shares(counts: NDArray[np.int64]) -> FloatArray:
    raised = counts + PSEUDO_FILMS
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _test_by_divisions(
    counts: IntArray, before: IntArray, observed: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the p value of PSI, and its mean, over random divisions of all films."""
    both = counts + before
    divided = rng.multivariate_hypergeometric(both, int(counts.sum()), size=DIVISIONS, method="marginals")
    without_shift = psi(divided, both - divided)
    as_large = int((without_shift >= observed - 1e-12).sum())
    return (as_large + 1) / (DIVISIONS + 1), float(without_shift.mean())


def _distance(counts: NDArray[np.int64], before: NDArray[np.int64]) -> FloatArray:
    """Return the largest difference of the cumulated shares of [..., cells]."""
    shares = [np.cumsum(each, axis=-1) / each.sum(axis=-1, keepdims=True) for each in (counts, before)]
    return np.asarray(np.abs(shares[0] - shares[1]).max(axis=-1))


def _p_of_distance(distance: float, films: int, before: int) -> float:
    """Return the p value of Kolmogorov and Smirnov; too large where values are tied, or in cells."""
    return float(np.clip(kstwo.sf(distance, max(1, round(films * before / (films + before)))), 0.0, 1.0))


def _interval(draws: FloatArray, estimate: float) -> tuple[float, float]:
    moved = draws - draws.mean() + estimate
    low, high = np.quantile(moved, (0.025, 0.975))
    return max(float(low), 0.0), max(float(high), 0.0)
