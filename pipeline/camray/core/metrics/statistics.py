"""Rows of the published protocols: any statistic of weighted films, with intervals resampled by patient.

A *part* is a group of rows that are computed together from films whose patients carry weights: how often each was
drawn. All parts see the same resamples, so that rows may be averaged over labels draw by draw.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from camray.core.metrics.bootstrap import (
    PatientSums,
    mean_of_defined,
    percentile_intervals,
    replace_zero_width_intervals,
    resampled_counts,
)
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.score_table import MEAN_LABEL
from camray.domain.records import SCORE_COLUMNS


class StatisticRow(NamedTuple):
    """What one row is about; `n` counts what its mean is taken over."""

    label: str
    method: str
    metric: str
    criterion: float | None
    threshold_source: str
    n: int


OwnInterval = tuple[float, float]
BELOW_HUMAN = "_percent_below_human"  # a mean of percents is no percent of means: such rows bring their own
ALL_LABELS = "all"  # label of a row that is about all of them at once; no mean takes it in


class Statistic(Protocol):
    """A group of K rows."""

    @property
    def rows(self) -> Sequence[StatisticRow]:
        """The rows, in the order of the values."""

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return the values [R, K] for weights of the patients [R, P]; NaN where undefined."""


@runtime_checkable
class StatisticWithInterval(Statistic, Protocol):
    """A part of one row whose interval does not come from resampling."""

    def own_interval(self) -> OwnInterval:
        """Return low and high; NaN for none."""


@dataclass(frozen=True)
class RatioStatistic:
    """Ratios of sums over films: shares, means, counts a film.

    Parameters
    ----------
    rows : sequence of StatisticRow
        K of them.
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    above, below : ndarray of shape (N, K), float64
        What each film adds to the numerator and to the denominator. NaN in `above` makes the whole row undefined.
    """

    rows: Sequence[StatisticRow]
    patients: IntArray
    above: FloatArray
    below: FloatArray

    @cached_property
    def _sums(self) -> tuple[PatientSums, PatientSums]:
        return PatientSums(self.above, self.patients), PatientSums(self.below, self.patients)

    def patients_of_shares(self) -> list[int]:
        """Return, row by row, how many patients have a part in a share; 0 where the ratio is none."""
        is_share = np.asarray(((self.above >= 0) & (self.above <= self.below)).all(axis=0))
        return [
            len(np.unique(self.patients[self.below[:, row] > 0])) if is_share[row] else 0
            for row in range(len(self.rows))
        ]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Divide weighted sums; NaN where the denominator is 0."""
        above, below = (sums(counts) for sums in self._sums)
        return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))


@dataclass(frozen=True)
class BestThresholdStatistic:
    """The mean over G criteria of the best, over T thresholds, share of films: one row, re-chosen in each resample.

    Parameters
    ----------
    row : StatisticRow
        What it is about.
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    counts_as : ndarray of shape (N, G, T), bool
        Whether the film counts.
    """

    row: StatisticRow
    patients: IntArray
    counts_as: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @property
    def rows(self) -> Sequence[StatisticRow]:
        """The one row."""
        return [self.row]

    @cached_property
    def _sums(self) -> PatientSums:
        films, groups, thresholds = self.counts_as.shape
        return PatientSums(self.counts_as.reshape(films, groups * thresholds).astype(np.float64), self.patients)

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Choose the best threshold of each resample on that resample."""
        _, groups, thresholds = self.counts_as.shape
        sizes = self._sums.films(counts)
        best = self._sums(counts).reshape(len(counts), groups, thresholds).max(axis=2).mean(axis=1)
        return np.asarray(np.divide(best, sizes, out=np.full(len(counts), np.nan), where=sizes > 0))[:, None]


@dataclass(frozen=True)
class MeanOver:
    """A further mean over labels: all rows whose metric begins so, without some labels."""

    name: str
    metric_prefix: str
    without: Collection[str]


def statistics_table(
    split: str,
    n_patients: int,
    parts: Sequence[Statistic],
    resamples: int,
    confidence: float,
    seed: int,
    further_means: Sequence[MeanOver] = (),
) -> pd.DataFrame:
    """Evaluate parts once as they are and once for each resample of patients.

    Parameters
    ----------
    split : str
        Goes into the first column.
    n_patients : int
        Patients of the split; they are what is resampled.
    parts : sequence of Statistic
        What to evaluate.
    resamples, confidence, seed
        Of the percentile bootstrap, as in `camray.core.metrics.score_table.score_table`: same seed, same draws.
    further_means : sequence of MeanOver
        Beside the mean over all labels.

    Returns
    -------
    DataFrame
        `SCORE_COLUMNS`. Rows of the label ``mean`` are the plain mean over the labels whose value is defined, and their
        ``n`` counts labels. Means of rows with an interval of their own have none.
    """
    rows = [row for part in parts for row in part.rows]
    if not rows or n_patients == 0:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SCORE_COLUMNS.items()})
    groups: dict[StatisticRow, list[int]] = {}
    for over in (MeanOver(MEAN_LABEL, "", ()), *further_means):
        for number, row in enumerate(rows):
            is_plain = row.label not in (*over.without, ALL_LABELS, MEAN_LABEL)
            if row.metric.startswith(over.metric_prefix) and is_plain and not row.metric.endswith(BELOW_HUMAN):
                groups.setdefault(row._replace(label=over.name, n=0), []).append(number)

    def evaluate(counts: FloatArray) -> FloatArray:
        """Return all rows' values, the means over labels last."""
        each = np.concatenate([part(counts) for part in parts], axis=1)
        means = [mean_of_defined(each[:, members]) for members in groups.values()]
        return np.column_stack([each, *means])

    value = evaluate(np.ones((1, n_patients)))[0]
    draws = [evaluate(counts) for counts in resampled_counts(n_patients, resamples, seed)]
    low, high = percentile_intervals(np.concatenate(draws) if draws else np.zeros((0, len(value))), confidence)
    patients = [count for part in parts for count in _patients_of(part)]
    patients += [min(patients[member] for member in members) for members in groups.values()]
    low, high = replace_zero_width_intervals(value, low, high, np.array(patients, np.int64), confidence)
    owned = _own_intervals(parts)
    for number, interval in owned.items():
        low[number], high[number] = interval
    for number, members in enumerate(groups.values(), start=len(rows)):
        if owned.keys() & set(members):  # their resamples are all alike: they tell of no spread
            low[number], high[number] = np.nan, np.nan
    low[~np.isfinite(value)], high[~np.isfinite(value)] = np.nan, np.nan
    rows += [row._replace(n=int(np.isfinite(value[members]).sum())) for row, members in groups.items()]
    table = pd.DataFrame(rows, columns=list(StatisticRow._fields))
    table = table.assign(split=split, value=value, low=low, high=high)
    return table[list(SCORE_COLUMNS)].astype(SCORE_COLUMNS)


def _patients_of(part: Statistic) -> list[int]:
    """Return, row by row, how many patients have a part in a share; 0 for what is no share."""
    return part.patients_of_shares() if isinstance(part, RatioStatistic) else [0] * len(part.rows)


def _own_intervals(parts: Sequence[Statistic]) -> dict[int, OwnInterval]:
    """Return the intervals that do not come from resampling, by row number."""
    found, first = {}, 0
    for part in parts:
        if isinstance(part, StatisticWithInterval):
            found[first] = part.own_interval()
        first += len(part.rows)
    return found
