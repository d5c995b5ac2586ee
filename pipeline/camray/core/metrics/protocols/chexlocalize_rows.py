"""Rows of the protocol `chexlocalize` of one label and method, and how far they are below a human benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camray.core.metrics.bootstrap import mean_of_defined
from camray.core.metrics.localization.annotated_films import FloatArray
from camray.core.metrics.protocols.chexlocalize import OTSU, MaskCounts
from camray.core.metrics.statistics import BELOW_HUMAN, MEAN_LABEL, RatioStatistic, Statistic, StatisticRow
from camray.domain.records import ThresholdSource


def percent_below(human: FloatArray | float, value: FloatArray | float) -> FloatArray:
    """Compute how far values are below a human benchmark.

    Parameters
    ----------
    human, value : ndarray or float
        Benchmark and value, in one unit.

    Returns
    -------
    ndarray, float64
        Percent of the benchmark; negative above it.
    """
    return np.asarray(100 * (human - value) / human)


@dataclass(frozen=True)
class BelowHumanStatistic:
    """`percent_below` of the values of another statistic's rows that have a benchmark."""

    ratios: RatioStatistic
    benchmark: Mapping[int, float]  # column of the statistic to benchmark

    @property
    def rows(self) -> list[StatisticRow]:
        """The same rows, their metrics renamed."""
        compared = [self.ratios.rows[column] for column in self.benchmark]
        return [row._replace(metric=f"{row.metric}{BELOW_HUMAN}") for row in compared]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Compare every draw's value."""
        values = self.ratios(counts)
        return np.stack([percent_below(human, values[:, k]) for k, human in self.benchmark.items()], axis=1)


@dataclass(frozen=True)
class MeanBelowHumanStatistic:
    """One row: percent by which a metric's mean over labels is below the mean of their benchmarks."""

    members: Sequence[tuple[RatioStatistic, int, float]]  # statistic, column, and benchmark of each label

    @property
    def rows(self) -> list[StatisticRow]:
        """The one row; it counts labels."""
        ratios, column, _ = self.members[0]
        row = ratios.rows[column]
        metric = f"{row.metric}{BELOW_HUMAN}"
        return [row._replace(label=MEAN_LABEL, metric=metric, n=len(self.members))]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Compare the means of the labels whose value is defined, draw by draw."""
        values = np.stack([ratios(counts)[:, column] for ratios, column, _ in self.members], axis=1)
        humans = np.where(np.isfinite(values), [human for _, _, human in self.members], np.nan)
        return percent_below(mean_of_defined(humans), mean_of_defined(values))[:, None]


def means_below_human(statistics: Sequence[Statistic]) -> list[Statistic]:
    """Add the rows of the labels' mean to their `BelowHumanStatistic`, by method, metric and threshold source."""
    groups: dict[tuple[str, str, str], list[tuple[RatioStatistic, int, float]]] = {}
    for statistic in statistics:
        if isinstance(statistic, BelowHumanStatistic):
            for column, human in statistic.benchmark.items():
                row = statistic.ratios.rows[column]
                key = (row.method, row.metric, row.threshold_source)
                groups.setdefault(key, []).append((statistic.ratios, column, human))
    return [MeanBelowHumanStatistic(members) for members in groups.values()]


def mask_statistics(
    label: str,
    method: str,
    counts: MaskCounts,
    columns: Mapping[str, int],
    cutoff: float | None,
    human: Mapping[str, float],
) -> list[Statistic]:
    """Make one label's rows.

    Parameters
    ----------
    label, method : str
        What the rows are about.
    counts : MaskCounts
        Of the scored films.
    columns : mapping
        Threshold source to the column of its threshold.
    cutoff : float, optional
        Probability chosen on validation films, see `tuned_cutoff`; without it there are no rows ``..._cutoff``.
    human : mapping
        Metric (``miou_true_positive``, ``miou_annotated``, ``miou_all``, ``hit_rate``) to the label's benchmark, 0-1.
    """
    statistics: list[Statistic] = []
    for source, threshold_column in columns.items():
        ratios = _ratios(label, method, source, "", counts, threshold_column)
        statistics.append(ratios)
        named = {row.metric.removeprefix("chexlocalize/"): column for column, row in enumerate(ratios.rows)}
        benchmark = {named[metric]: value for metric, value in human.items() if metric in named}
        if benchmark:
            statistics.append(BelowHumanStatistic(ratios, benchmark))
    if cutoff is not None:
        statistics.append(_ratios(label, method, ThresholdSource.VALIDATION.value, "_cutoff", counts.cut(cutoff), OTSU))
    return statistics


def _ratios(label: str, method: str, source: str, suffix: str, counts: MaskCounts, column: int) -> RatioStatistic:
    iou, is_annotated = np.nan_to_num(counts.iou(column)), counts.annotated > 0
    called = is_annotated & (counts.predicted[:, column] > 0)
    both, predicted = counts.both[:, column], counts.predicted[:, column]
    outside = counts.pixels - counts.annotated
    columns: dict[str, tuple[FloatArray, FloatArray]] = {
        "miou_true_positive": (iou * called, called.astype(float)),
        "miou_annotated": (iou * is_annotated, is_annotated.astype(float)),
        "miou_all": (iou, (is_annotated | (counts.predicted[:, column] > 0)).astype(float)),
        "pixel_sensitivity": (both, counts.annotated),
        "pixel_precision": (both, predicted),
        "pixel_specificity": (outside - (predicted - both), outside),
    }
    if not suffix:
        columns["hit_rate"] = ((counts.hit & is_annotated).astype(float), is_annotated.astype(float))
    rows = [
        StatisticRow(label, method, f"chexlocalize/{metric}{suffix}", None, source, int((below > 0).sum()))
        for metric, (_, below) in columns.items()
    ]
    above, below = (np.stack([pair[k] for pair in columns.values()], axis=1) for k in (0, 1))
    return RatioStatistic(rows, counts.patients, above, below)
