"""Percentile bootstrap, by patient unless films are requested: films of one patient are not independent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from camray.core.metrics.agreement import wilson_interval
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray

CHUNK_RESAMPLES = 100  # bounds the memory, as CHUNK_WEIGHTS does where there are many patients
CHUNK_WEIGHTS = 1_000_000  # resamples x patients at a time
WIDTHLESS = 1e-12


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the bootstrap.

    Parameters
    ----------
    resamples : int
        Resamples of the patients; 0 leaves intervals undefined.
    confidence : float
        Of the intervals, 0-1.
    seed : int
        Same seed, same draws.
    unit : str
        ``patient``, or ``film`` where the patient numbers that are drawn are those of `number_patients` by film.
    """

    resamples: int
    confidence: float
    seed: int
    unit: str = "patient"

    @property
    def title(self) -> str:
        """What the intervals are, for a heading.

        Examples
        --------
        >>> Bootstrap(1000, 0.9, 1, "film").title, Bootstrap(0, 0.95, 1).title
        ('90 % intervals by film', 'no intervals')
        """
        return f"{self.confidence * 100:.4g} % intervals by {self.unit}" if self.resamples else "no intervals"

    def draws(self, evaluate: Callable[[FloatArray], FloatArray], n_patients: int) -> FloatArray:
        """Evaluate every resample.

        Parameters
        ----------
        evaluate : callable
            Patient weights, ndarray of shape (R, n_patients), to values of shape (R, ...).
        n_patients : int
            Patients of the split.

        Returns
        -------
        ndarray of shape (resamples, ...), float64
            Values of all resamples, in the order of the draws.
        """
        drawn = [evaluate(counts) for counts in resampled_counts(n_patients, self.resamples, self.seed)]
        return np.concatenate(drawn) if drawn else evaluate(np.ones((1, n_patients)))[:0]


def resampled_counts(n_patients: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Draw patients with replacement, and say how often each was drawn.

    Parameters
    ----------
    n_patients : int
        Patients in the split.
    resamples : int
        How many samples of `n_patients` patients.
    seed : int
        Same seed, same draws.

    Yields
    ------
    ndarray of shape (R, n_patients), float64
        Whole numbers; every row sums to `n_patients`. R is at most `CHUNK_RESAMPLES`.
    """
    rng = np.random.default_rng(seed)
    most = min(CHUNK_RESAMPLES, max(CHUNK_WEIGHTS // max(n_patients, 1), 1))
    for first in range(0, resamples, most):
        rows = min(most, resamples - first)
        drawn = rng.integers(0, n_patients, size=(rows, n_patients), dtype=np.int64)
        flat = np.bincount((drawn + np.arange(rows)[:, None] * n_patients).ravel(), minlength=rows * n_patients)
        yield flat.reshape(rows, n_patients).astype(np.float64)


def sums_by_patient(values: FloatArray, patients: IntArray, n_patients: int) -> FloatArray:
    """Sum the rows of each patient.

    Parameters
    ----------
    values : ndarray of shape (N, C), float64
        One row per film.
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    n_patients : int
        P.

    Returns
    -------
    ndarray of shape (P, C), float64
        Sums.
    """
    sums = np.zeros((n_patients, values.shape[1]))
    np.add.at(sums, patients, values)
    return sums


class PatientSums:
    """Sums over films whose patients carry weights; only patients who have any film of the N take part.

    Parameters
    ----------
    values : ndarray of shape (N, C), float64
        What each film adds to each column.
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    """

    def __init__(self, values: FloatArray, patients: IntArray) -> None:
        self._numbers, rows = np.unique(patients, return_inverse=True)
        self._sums = sums_by_patient(values, rows, len(self._numbers))
        self._sizes = np.bincount(rows, minlength=len(self._numbers)).astype(np.float64)

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Add up by weight: counts [R, patients of the split] to [R, C]."""
        return np.asarray(counts[:, self._numbers] @ self._sums)

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len(self._numbers)

    def means(self, counts: FloatArray) -> FloatArray:
        """Compute weighted means; see `weighted_means`.

        Parameters
        ----------
        counts : ndarray of shape (R, P), float64
            How often each resample contains each patient.

        Returns
        -------
        ndarray of shape (R, C), float64
            Means over films.
        """
        return weighted_means(counts[:, self._numbers], self._sums, self._sizes)

    def films(self, counts: FloatArray) -> FloatArray:
        """Count the films of each resample.

        Parameters
        ----------
        counts : ndarray of shape (R, P), float64
            How often each resample contains each patient.

        Returns
        -------
        ndarray of shape (R,), float64
            Films, with repetitions.
        """
        return np.asarray(counts[:, self._numbers] @ self._sizes)


def weighted_means(counts: FloatArray, sums: FloatArray, sizes: FloatArray) -> FloatArray:
    """Mean over items in every resample.

    Parameters
    ----------
    counts : ndarray of shape (R, P), float64
        How often each patient was drawn.
    sums : ndarray of shape (P, C), float64
        Per patient, the sum of each column's values over the patient's items.
    sizes : ndarray of shape (P,), float64
        Per patient, how many items.

    Returns
    -------
    ndarray of shape (R, C), float64
        NaN where a resample holds no item.
    """
    totals, items = counts @ sums, (counts @ sizes)[:, None]
    return np.asarray(np.divide(totals, items, out=np.full(totals.shape, np.nan), where=items > 0))


def percentile_intervals(draws: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Percentile interval of every column's resampled values.

    Parameters
    ----------
    draws : ndarray of shape (R, C), float64
        Resampled values. NaN (undefined in that resample) is left out.
    confidence : float
        0-1; 0.95 takes the 2.5th and 97.5th percentile.

    Returns
    -------
    low, high : ndarray of shape (C,), float64
        NaN for a column without any defined value.
    """
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    low, high = np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    whole = np.isfinite(draws).all(axis=0) & (len(draws) > 0)
    if whole.any():
        low[whole], high[whole] = np.quantile(draws[:, whole], tails, axis=0)
    for column in np.flatnonzero(~whole):
        defined = draws[np.isfinite(draws[:, column]), column]
        if defined.size:
            low[column], high[column] = np.quantile(defined, tails)
    return low, high


def replace_zero_width_intervals(
    value: FloatArray, low: FloatArray, high: FloatArray, patients: IntArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Replace zero-width intervals by Wilson intervals, or by NaN.

    Where all resamples give the same number they carry no information on its spread: three hits of three patients do
    not prove a hit rate of 1.

    Parameters
    ----------
    value, low, high : ndarray of shape (C,), float64
        Numbers with their percentile intervals.
    patients : ndarray of shape (C,), int64
        For a mean of values from 0 to 1, how many patients contribute; 0 for any other number.
    confidence : float
        0-1.

    Returns
    -------
    low, high : ndarray of shape (C,), float64
        For a mean that is 0 or 1, Wilson's interval with patients as trials; for any other number whose interval has no
        width, NaN; all others as they were.
    """
    low, high = low.copy(), high.copy()
    for column in np.flatnonzero(high - low <= WIDTHLESS):
        trials = int(patients[column])
        ends = bool(abs(value[column]) <= WIDTHLESS or abs(value[column] - 1) <= WIDTHLESS)
        low[column], high[column] = (
            wilson_interval(round(value[column]) * trials, trials, confidence) if trials and ends else (np.nan, np.nan)
        )
    return low, high


def mean_of_defined(values: FloatArray) -> FloatArray:
    """Average over the last axis without NaN.

    Parameters
    ----------
    values : ndarray of shape (..., C), float64
        NaN where undefined.

    Returns
    -------
    ndarray of shape (...), float64
        NaN, without a warning, where nothing is defined.
    """
    defined = np.isfinite(values)
    counts = defined.sum(axis=-1)
    totals = np.where(defined, values, 0.0).sum(axis=-1)
    return np.asarray(np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0))
