"""Scores of groups of films, such as sexes, age bands, views or scanners, and their differences to all other films.

Rows of the score table have metrics of the form ``groups/sex=F/auroc`` and ``groups/sex=F/auroc_difference`` (the group
minus all other films of the split), and ``groups/sex=F/patients_with`` and ``patients_without`` the finding. The
differences of a split have intervals that hold all at once, see `camray.core.metrics.simultaneous_intervals`; numbers
of a group alone have plain intervals. A group with too few patients has its rows, without numbers.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.metrics.bootstrap import (
    Bootstrap,
    mean_of_defined,
    percentile_intervals,
    replace_zero_width_intervals,
)
from camray.core.metrics.group_metric import BoolArray, GroupMetric, GroupName
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.score_table import RowKey
from camray.core.metrics.simultaneous_intervals import simultaneous_intervals
from camray.core.metrics.statistics import MEAN_LABEL
from camray.domain.records import SCORE_COLUMNS

FAMILY = "groups"
DIFFERENCE = "_difference"
Groups = Mapping[str, NDArray[np.object_]]  # column to each film's group, [films]
WITH, WITHOUT = "patients_with", "patients_without"


@dataclass(frozen=True, eq=False)
class _Comparison:
    """One metric in a group and on all other films; `members` are the comparisons that a mean over findings averages.

    It is scored with enough patients in the group, and compared with enough among the others too.
    """

    group: GroupName
    label: str
    key: RowKey
    n: int
    is_scored: bool = False
    is_compared: bool = False
    metric: GroupMetric | None = None
    inside: BoolArray | None = None
    members: tuple[int, ...] = ()


def group_table(
    split: str,
    n_patients: int,
    metrics: Sequence[GroupMetric],
    groups: Groups,
    least_patients: int,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """Score every group of every column, and compare it with all other films.

    Parameters
    ----------
    split : str
        Goes into the first column.
    n_patients : int
        Patients of the split; these are resampled.
    metrics : sequence of GroupMetric
        What to score.
    groups : mapping of str to ndarray of shape (films,), object
        Column to each film's group. A column with a single group is left out.
    least_patients : int
        Patients that a number needs, of an AUROC with and without the finding; a difference needs as many among the
        other films.
    bootstrap : Bootstrap
        Of the intervals.

    Returns
    -------
    DataFrame
        `SCORE_COLUMNS`: by column and metric, findings in order and the mean over them last; of each the group with the
        lowest difference first, those without one last. ``n`` counts the group's films, or findings of a mean.
    """
    single = [
        _compared(GroupName(column, value), metric, values[metric.films] == value, least_patients)
        for column, values in groups.items()
        for value in _distinct(values)
        for metric in metrics
    ]
    comparisons = single + _means(single)
    if not comparisons:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SCORE_COLUMNS.items()})
    numbers = _numbers(comparisons, n_patients, bootstrap)
    rows, records = _count_rows(single), numbers.to_dict("records")
    for number in _worst_first(comparisons, numbers["difference"].to_numpy(np.float64)):
        rows += _rows(comparisons[number], records[number])
    table = pd.DataFrame(rows).assign(split=split)
    return table[list(SCORE_COLUMNS)].astype(SCORE_COLUMNS)


def _distinct(values: NDArray[np.object_]) -> list[str]:
    """Return the groups of a column in order; none where all films are of one."""
    names = sorted({str(value) for value in values})
    return names if len(names) > 1 else []


def _compared(group: GroupName, metric: GroupMetric, inside: BoolArray, least_patients: int) -> _Comparison:
    is_enough = [min(metric.trials(films)) >= least_patients for films in (inside, ~inside)]
    n = int(inside.sum())
    return _Comparison(group, metric.label, metric.key, n, is_enough[0], all(is_enough), metric, inside)


def _means(single: Sequence[_Comparison]) -> list[_Comparison]:
    """Average over the findings that are compared in the group, where the metric has several findings."""
    labels: dict[RowKey, set[str]] = {}
    members: dict[tuple[GroupName, RowKey], list[int]] = {}
    for number, each in enumerate(single):
        labels.setdefault(each.key, set()).add(each.label)
        members.setdefault((each.group, each.key), []).extend([number] * each.is_compared)
    return [
        _Comparison(group, MEAN_LABEL, key, len(of), bool(of), bool(of), members=tuple(of))
        for (group, key), of in members.items()
        if len(labels[key]) > 1
    ]


def _numbers(comparisons: Sequence[_Comparison], n_patients: int, bootstrap: Bootstrap) -> pd.DataFrame:
    """Return value, low, high, difference, difference_low and difference_high of every comparison."""
    evaluate = _evaluation(comparisons)
    value, others = evaluate(np.ones((1, n_patients)))[0]
    draws = bootstrap.draws(evaluate, n_patients)
    low, high = percentile_intervals(draws[:, 0], bootstrap.confidence)
    shares = np.array([_patients_of_share(each) for each in comparisons], np.int64)
    low, high = replace_zero_width_intervals(value, low, high, shares, bootstrap.confidence)
    low[~np.isfinite(value)], high[~np.isfinite(value)] = np.nan, np.nan
    difference = value - others
    errors, fewest = _least_errors(comparisons, value, others), _fewest_patients(comparisons)
    below, above = simultaneous_intervals(difference, draws[:, 0] - draws[:, 1], errors, fewest, bootstrap.confidence)
    columns = {"value": value, "low": low, "high": high, "difference": difference}
    return pd.DataFrame({**columns, "difference_low": below, "difference_high": above})


def _evaluation(comparisons: Sequence[_Comparison]) -> Callable[[FloatArray], FloatArray]:
    """Return a function of patients' weights [R, P] to the numbers of the group and of all others, [R, 2, K]."""
    parts: dict[tuple[int, int], Callable[[FloatArray], FloatArray]] = {}
    for number, each in enumerate(comparisons):
        if each.metric is not None and each.inside is not None:
            parts |= {(0, number): each.metric.on(each.inside)} if each.is_scored else {}
            parts |= {(1, number): each.metric.on(~each.inside)} if each.is_compared else {}

    def evaluate(counts: FloatArray) -> FloatArray:
        """Fill in single findings, then their means."""
        values = np.full((len(counts), 2, len(comparisons)), np.nan)
        for (side, number), part in parts.items():
            values[:, side, number] = part(counts)
        for number, each in enumerate(comparisons):
            if each.members:
                values[:, :, number] = mean_of_defined(values[:, :, list(each.members)])
        return values

    return evaluate


def _patients_of_share(each: _Comparison) -> int:
    """Count the patients of a share; 0 for any other number."""
    if each.metric is None or each.inside is None or each.metric.present is not None:
        return 0
    return each.metric.trials(each.inside)[0]


def _least_errors(comparisons: Sequence[_Comparison], value: FloatArray, others: FloatArray) -> FloatArray:
    """Return the least standard error of each difference; of a mean as if its findings were independent."""
    errors = np.zeros(len(comparisons))
    for number, each in enumerate(comparisons):
        if each.is_compared and each.metric is not None and each.inside is not None:
            sides = ((value[number], each.inside), (others[number], ~each.inside))
            of_sides = [each.metric.least_error(of, each.metric.trials(films)) for of, films in sides]
            errors[number] = np.hypot(of_sides[0], of_sides[1])
        elif each.members:
            errors[number] = np.sqrt((errors[list(each.members)] ** 2).sum()) / len(each.members)
    return errors


def _fewest_patients(comparisons: Sequence[_Comparison]) -> IntArray:
    """Return the fewest patients that each difference rests on; of a mean those of its smallest finding."""
    fewest = np.zeros(len(comparisons), np.int64)
    for number, each in enumerate(comparisons):
        if each.metric is not None and each.inside is not None:
            fewest[number] = min(min(each.metric.trials(films)) for films in (each.inside, ~each.inside))
        elif each.members:
            fewest[number] = fewest[list(each.members)].min()
    return fewest


def _worst_first(comparisons: Sequence[_Comparison], difference: FloatArray) -> list[int]:
    columns, keys, labels = (
        {name: place for place, name in enumerate(dict.fromkeys(names))}
        for names in (
            [each.group.column for each in comparisons],
            [each.key for each in comparisons],
            [each.label for each in comparisons],  # the means come last
        )
    )
    by_difference = np.nan_to_num(difference, nan=np.inf)

    def place(number: int) -> tuple[float, ...]:
        each = comparisons[number]
        return columns[each.group.column], keys[each.key], labels[each.label], by_difference[number]

    return sorted(range(len(comparisons)), key=place)


def _count_rows(single: Sequence[_Comparison]) -> list[dict[str, object]]:
    """Count the patients with and without the finding, where an AUROC is asked for."""
    rows = []
    for each in single:
        if each.metric is None or each.inside is None or each.metric.present is None:
            continue
        for name, patients in zip((WITH, WITHOUT), each.metric.trials(each.inside), strict=True):
            rows.append(_row(each, name, (patients, np.nan, np.nan)))
    return rows


def _rows(each: _Comparison, numbers: Mapping[Hashable, float]) -> list[dict[str, object]]:
    metric = each.key.metric
    own, difference = (
        _row(each, name, [numbers[column] for column in columns])
        for name, columns in (
            (metric, ["value", "low", "high"]),
            (f"{metric}{DIFFERENCE}", ["difference", "difference_low", "difference_high"]),
        )
    )
    return [own, difference]


def _row(each: _Comparison, metric: str, numbers: Sequence[float]) -> dict[str, object]:
    value, low, high = numbers
    return {
        **each.key._asdict(),
        "label": each.label,
        "metric": f"{FAMILY}/{each.group.text}/{metric}",
        "value": value,
        "low": low,
        "high": high,
        "n": each.n,
    }
