"""Agreement of readers: kappa for two and for many, overlap of boxes, proportions with Wilson intervals.

Undefined values are NaN, never 0 or 1.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from camray.domain.geometry import Box, boxes_to_array, iou_matrix

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def cohen_kappa(first: IntArray, second: IntArray, weights: FloatArray | None = None) -> float:
    """Agreement of two raters beyond chance.

    Parameters
    ----------
    first, second : ndarray of shape (N,), int64
        Categories of the same N subjects, 0 or greater.
    weights : ndarray of shape (N,), float64, optional
        How often each subject counts (bootstrap); once by default.

    Returns
    -------
    float
        (p_o - p_e) / (1 - p_e); NaN without subjects, or where chance alone would agree always (both raters give every
        subject the same one category).

    Notes
    -----
    Source: Cohen, Educational and Psychological Measurement 20, 1960. The bootstrap evaluates it a thousand times
    per finding and pair of readers; scikit-learn's function takes 2 ms per call, a hundred times as long. A test holds
    the two together.

    Examples
    --------
    >>> round(cohen_kappa(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])), 3)
    0.5
    """
    if not len(first):
        return math.nan
    size = int(max(first.max(), second.max())) + 1
    counts = np.bincount(first * size + second, weights=weights, minlength=size * size).reshape(size, size)
    total = counts.sum()
    if total <= 0:
        return math.nan
    shares = counts / total
    observed, expected = float(np.trace(shares)), float(shares.sum(axis=1) @ shares.sum(axis=0))
    return (observed - expected) / (1 - expected) if 1 - expected > 1e-12 else math.nan


def fleiss_kappa(counts: NDArray[np.int64]) -> float:
    """Agreement of many raters beyond chance.

    Parameters
    ----------
    counts : ndarray of shape (N, C), int64
        How many raters put each subject into each category. Subjects with fewer than two raters are left out; the
        number of raters may differ between subjects.

    Returns
    -------
    float
        NaN where nothing is left or all ratings are of one category.

    Notes
    -----
    Source: Fleiss, Psychological Bulletin 76, 1971; with unequal numbers of raters, a subject's agreement is the share
    of its pairs that agree, all subjects weigh the same, and categories' shares are those of all ratings.
    """
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return math.nan
    raters = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    shares = counts.sum(axis=0) / counts.sum()
    expected = float(shares @ shares)
    return (float(agreeing.mean()) - expected) / (1 - expected) if 1 - expected > 1e-12 else math.nan


def wilson_interval(hits: int, trials: int, confidence: float) -> tuple[float, float]:
    """Interval of a proportion.

    Parameters
    ----------
    hits, trials : int
        Successes among independent trials.
    confidence : float
        0-1.

    Returns
    -------
    low, high : float
        NaN without trials.

    Notes
    -----
    Source: Wilson, Journal of the American Statistical Association 22, 1927; no continuity correction. SciPy's interval
    differs by rounding, below 1e-15, and would change the digits of stored scores; a test holds the two together.
    """
    if trials == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, wide = hits / trials, z * z / trials
    centre, half = share + wide / 2, z * math.sqrt(share * (1 - share) / trials + wide / (4 * trials))
    return max(0.0, (centre - half) / (1 + wide)), min(1.0, (centre + half) / (1 + wide))


def box_agreement(first: Sequence[Box], second: Sequence[Box]) -> float:
    """Overlap of two sets of boxes on one film.

    Parameters
    ----------
    first, second : sequence of Box
        On one grid.

    Returns
    -------
    float
        Boxes are paired one to one so that the sum of their IoU is greatest; that sum over the larger number of boxes.
        A box without a partner counts as 0. NaN if both sets are empty.

    Examples
    --------
    >>> box_agreement([Box(0, 0, 2, 2)], [Box(1, 0, 3, 2), Box(8, 8, 9, 9)])
    0.16666666666666666
    """
    larger = max(len(first), len(second))
    if not larger:
        return math.nan
    if not (first and second):
        return 0.0
    overlap = iou_matrix(boxes_to_array(list(first)), boxes_to_array(list(second)))
    rows, cols = linear_sum_assignment(overlap, maximize=True)
    return float(overlap[rows, cols].sum()) / larger


def best_overlaps(predicted: Sequence[Box], marked: Sequence[Box]) -> list[float]:
    """Return for each predicted box its greatest IoU with any marked box; 0 where nothing is marked."""
    if not (predicted and marked):
        return [0.0] * len(predicted)
    overlap = iou_matrix(boxes_to_array(list(predicted)), boxes_to_array(list(marked)))
    return [float(value) for value in overlap.max(axis=1)]
