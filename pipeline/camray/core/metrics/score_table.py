"""The tidy score table: per-film values in, one row a metric with its interval out.

Every number is a weighted mean (or AUROC, or average precision) over films, and every interval comes from the same
resamples of patients: the row of the mean over labels too, so that labels that share films do not pass for independent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.metrics.auroc import RankedFilms
from camray.core.metrics.bootstrap import (
    PatientSums,
    mean_of_defined,
    percentile_intervals,
    replace_zero_width_intervals,
    resampled_counts,
)
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray, Measure
from camray.domain.records import SCORE_COLUMNS

CLASSIFIER, MEAN_LABEL = "classifier", "mean"


class RowKey(NamedTuple):
    """What one row is about, beside its label."""

    method: str
    metric: str
    criterion: float | None
    threshold_source: str


@dataclass
class LabelValues:
    """One label's per-film values of all localization rows.

    Parameters
    ----------
    patients : ndarray of shape (N,), int64
        Patient number of each annotated film.
    values : dict
        Row to array of shape (N,), or (N, G, T) where the row is the mean over G of the best of T means over films.
    """

    patients: IntArray
    values: dict[RowKey, FloatArray] = field(default_factory=dict)

    def add(self, method: str, threshold_source: str, measures: dict[Measure, FloatArray]) -> None:
        """Add a method's measures; an array without a single defined value stands for an undefined row."""
        for (metric, criterion), values in measures.items():
            self.values[RowKey(method, metric, criterion, threshold_source)] = values


@dataclass(frozen=True)
class LabelLogits:
    """One label's films of known presence.

    Parameters
    ----------
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    logits : ndarray of shape (N,), float64
        The classifier's.
    present : ndarray of shape (N,), bool
        The label table's.
    image_ids : tuple of str
        Of the films, where the films matter.
    """

    patients: IntArray
    logits: FloatArray
    present: NDArray[np.bool_]
    image_ids: tuple[str, ...] = ()


class _Means:
    """All localization rows of one label, ready to be weighed: one matrix product for all of them."""

    def __init__(self, found: LabelValues) -> None:
        self.keys, columns = list(found.values), []
        self._shapes: list[tuple[int, int]] = []
        for values in found.values.values():
            groups, thresholds = values.shape[1:] or (1, 1)
            self._shapes.append((groups, thresholds))
            columns.append(values.reshape(len(values), groups * thresholds))
        stacked = np.concatenate(columns, axis=1) if columns else np.zeros((len(found.patients), 0))
        self._sums = PatientSums(stacked, found.patients)
        self.n = [len(found.patients)] * len(self.keys)
        self.patients = [self._sums.patients] * len(self.keys)  # all values are 0 to 1

    def __call__(self, counts: FloatArray) -> FloatArray:
        means = self._sums.means(counts)
        parts, first = [], 0
        for groups, thresholds in self._shapes:
            part = means[:, first : first + groups * thresholds].reshape(len(means), groups, thresholds)
            parts.append(part.max(axis=2).mean(axis=1))
            first += groups * thresholds
        return np.stack(parts, axis=1) if parts else np.zeros((len(counts), 0))


class _Ranks:
    """AUROC and average precision of one label, of the classifier or of something that stands beside it."""

    def __init__(self, found: LabelLogits, method: str = CLASSIFIER) -> None:
        self.keys = [RowKey(method, "auroc", None, ""), RowKey(method, "auprc", None, "")]
        self._ranked, self.n = RankedFilms(found.logits, found.present, found.patients), [len(found.logits)] * 2
        self.patients = [0, 0]

    def __call__(self, counts: FloatArray) -> FloatArray:
        return self._ranked.areas(counts)


def score_table(
    split: str,
    n_patients: int,
    logits: dict[str, LabelLogits],
    localization: dict[str, LabelValues],
    resamples: int,
    confidence: float,
    seed: int,
    probes: Mapping[str, Mapping[str, LabelLogits]] | None = None,
) -> pd.DataFrame:
    """Turn per-film values into rows of value, interval and count.

    Parameters
    ----------
    split : str
        Goes into the first column.
    n_patients : int
        Patients of the split, annotated or not; they are what is resampled.
    logits : dict
        Label to films of known presence.
    localization : dict
        Label to values of its annotated films.
    resamples : int
        Bootstrap resamples; 0 leaves the intervals undefined.
    confidence : float
        0-1.
    seed : int
        Of the resampling.
    probes : mapping, optional
        Method to label to films: what trivial features make of the same films, scored as the classifier is.

    Returns
    -------
    DataFrame
        `SCORE_COLUMNS`. ``n`` counts films; in rows of the label ``mean`` (the plain mean over the labels whose value
        is defined) it counts labels. Undefined values are NaN. No row where the split holds no film.
    """
    parts: list[tuple[str, _Means | _Ranks]] = [(label, _Ranks(found)) for label, found in logits.items()]
    for method, by_label in (probes or {}).items():
        parts += [(label, _Ranks(found, method)) for label, found in by_label.items()]
    parts += [(label, _Means(found)) for label, found in localization.items()]
    rows = [(label, key, n) for label, part in parts for key, n in zip(part.keys, part.n, strict=True)]
    if not rows or n_patients == 0:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SCORE_COLUMNS.items()})
    groups = _mean_groups(rows)

    def evaluate(counts: FloatArray) -> FloatArray:
        by_label = np.concatenate([part(counts) for _, part in parts], axis=1)
        means = [mean_of_defined(by_label[:, members]) for members in groups.values()]
        return np.concatenate([by_label, np.stack(means, axis=1)], axis=1)

    value = evaluate(np.ones((1, n_patients)))[0]
    draws = [evaluate(counts) for counts in resampled_counts(n_patients, resamples, seed)]
    low, high = percentile_intervals(np.concatenate(draws) if draws else np.zeros((0, len(value))), confidence)
    patients = [count for _, part in parts for count in part.patients]
    patients += [min(patients[member] for member in members) for members in groups.values()]
    low, high = replace_zero_width_intervals(value, low, high, np.array(patients, np.int64), confidence)
    undefined = ~np.isfinite(value)
    low[undefined], high[undefined] = np.nan, np.nan
    rows += [(MEAN_LABEL, key, int(np.isfinite(value[members]).sum())) for key, members in groups.items()]
    return _as_table(split, rows, value, low, high)


def _mean_groups(rows: list[tuple[str, RowKey, int]]) -> dict[RowKey, list[int]]:
    groups: dict[RowKey, list[int]] = {}
    for number, (_, key, _) in enumerate(rows):
        groups.setdefault(key, []).append(number)
    return groups


def _as_table(
    split: str, rows: list[tuple[str, RowKey, int]], value: FloatArray, low: FloatArray, high: FloatArray
) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "split": split,
            "method": [key.method for _, key, _ in rows],
            "label": [label for label, _, _ in rows],
            "metric": [key.metric for _, key, _ in rows],
            "criterion": [np.nan if key.criterion is None else key.criterion for _, key, _ in rows],
            "threshold_source": [key.threshold_source for _, key, _ in rows],
            "value": value,
            "low": low,
            "high": high,
            "n": [n for _, _, n in rows],
        }
    )
    return table.astype(SCORE_COLUMNS)
