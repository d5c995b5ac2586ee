"""Statistics of weighted films, and the score table that they make: values, means over labels, bootstrap intervals.

A *statistic* is a group of rows that are computed together from films whose patients carry weights: how often each was
drawn. All statistics see the same resamples, so the mean over labels is taken draw by draw, and labels that share films
do not count as independent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from camray.core.metrics.bootstrap import (
    Bootstrap,
    PatientSums,
    mean_of_defined,
    percentile_intervals,
    replace_zero_width_intervals,
)
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.domain.records import SCORE_COLUMNS


class StatisticRow(NamedTuple):
    """Key of one row; `n` is the number of values in its mean."""

    label: str
    method: str
    metric: str
    criterion: float | None
    threshold_source: str
    n: int


OwnInterval = tuple[float, float]
MEAN_LABEL = "mean"  # label of the rows of the mean over labels
ALL_LABELS = "all"  # label of rows about all labels at once; they take no part in the mean
BELOW_HUMAN = "_percent_below_human"  # rows of this suffix are not averaged: a mean of percents is no percent of means


class Statistic(Protocol):
    """A group of K rows."""

    @property
    def rows(self) -> Sequence[StatisticRow]:
        """The rows, in the order of the values."""

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return the values [R, K] for weights of the patients [R, P]; NaN where undefined."""


@runtime_checkable
class ShareStatistic(Statistic, Protocol):
    """A statistic of which some rows are shares, 0 to 1; such a share of 0 or 1 gets Wilson's interval."""

    def patients_of_shares(self) -> list[int]:
        """Return for each row how many patients contribute to the share; 0 where the row is no share."""


@runtime_checkable
class StatisticWithInterval(Statistic, Protocol):
    """A statistic of one row whose interval does not come from resampling."""

    def own_interval(self) -> OwnInterval:
        """Return low and high; NaN for none."""


@dataclass(frozen=True)
class RatioStatistic:
    """Ratios of sums over films: shares, means, counts per film.

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
        """Return for each row how many patients contribute to the share; 0 where the ratio is no share."""
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
    statistics: Sequence[Statistic],
    bootstrap: Bootstrap,
    further_means: Sequence[MeanOver] = (),
) -> pd.DataFrame:
    """Evaluate statistics once with equal weights and once for each resample of patients.

    Parameters
    ----------
    split : str
        Goes into the first column.
    n_patients : int
        Patients of the split, annotated or not; these are resampled.
    statistics : sequence of Statistic
        What to evaluate.
    bootstrap : Bootstrap
        Of the intervals. Zero-width intervals are replaced, see `replace_zero_width_intervals`.
    further_means : sequence of MeanOver
        Beside the mean over all labels.

    Returns
    -------
    DataFrame
        `SCORE_COLUMNS`. Rows of the label ``mean`` are the plain mean over the labels whose value is defined, and their
        ``n`` counts labels. Means of rows with an interval of their own have none. Undefined values are NaN. No row
        where the split holds no film.
    """
    rows = [row for statistic in statistics for row in statistic.rows]
    if not rows or n_patients == 0:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SCORE_COLUMNS.items()})
    groups = _mean_groups(rows, further_means)

    def evaluate(counts: FloatArray) -> FloatArray:
        """Return all rows' values, the means over labels last."""
        by_label = np.concatenate([statistic(counts) for statistic in statistics], axis=1)
        means = [mean_of_defined(by_label[:, members]) for members in groups.values()]
        return np.column_stack([by_label, *means])

    value = evaluate(np.ones((1, n_patients)))[0]
    low, high = percentile_intervals(bootstrap.draws(evaluate, n_patients), bootstrap.confidence)
    patients = [count for statistic in statistics for count in _patients_of_shares(statistic)]
    patients += [min(patients[member] for member in members) for members in groups.values()]
    low, high = replace_zero_width_intervals(value, low, high, np.array(patients, np.int64), bootstrap.confidence)
    own = _own_intervals(statistics)
    for number, interval in own.items():
        low[number], high[number] = interval
    for number, members in enumerate(groups.values(), start=len(rows)):
        if own.keys() & set(members):  # their resamples are all alike: no spread to read off
            low[number], high[number] = np.nan, np.nan
    low[~np.isfinite(value)], high[~np.isfinite(value)] = np.nan, np.nan
    rows += [row._replace(n=int(np.isfinite(value[members]).sum())) for row, members in groups.items()]
    table = pd.DataFrame(rows, columns=list(StatisticRow._fields))
    table = table.assign(split=split, value=value, low=low, high=high)
    return table[list(SCORE_COLUMNS)].astype(SCORE_COLUMNS)


def _mean_groups(rows: Sequence[StatisticRow], further_means: Sequence[MeanOver]) -> dict[StatisticRow, list[int]]:
    """Return the rows of means, each with the numbers of the rows that it averages."""
    groups: dict[StatisticRow, list[int]] = {}
    for over in (MeanOver(MEAN_LABEL, "", ()), *further_means):
        for number, row in enumerate(rows):
            is_plain = row.label not in (*over.without, ALL_LABELS, MEAN_LABEL)
            if row.metric.startswith(over.metric_prefix) and is_plain and not row.metric.endswith(BELOW_HUMAN):
                groups.setdefault(row._replace(label=over.name, n=0), []).append(number)
    return groups


def _patients_of_shares(statistic: Statistic) -> list[int]:
    return statistic.patients_of_shares() if isinstance(statistic, ShareStatistic) else [0] * len(statistic.rows)


def _own_intervals(statistics: Sequence[Statistic]) -> dict[int, OwnInterval]:
    """Return the intervals that do not come from resampling, by row number."""
    intervals, first = {}, 0
    for statistic in statistics:
        if isinstance(statistic, StatisticWithInterval):
            intervals[first] = statistic.own_interval()
        first += len(statistic.rows)
    return intervals
