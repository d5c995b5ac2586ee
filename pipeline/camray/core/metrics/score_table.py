"""The score table of one split: means of per-film values, AUROC and average precision, one row per metric."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.metrics.auroc import RankedFilms
from camray.core.metrics.bootstrap import Bootstrap, PatientSums
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray, Measure
from camray.core.metrics.localization.baselines import FEW_SHOT
from camray.core.metrics.statistics import Statistic, StatisticRow, statistics_table

CLASSIFIER = "classifier"


class RowKey(NamedTuple):
    """Key of one row, without its label."""

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
        """Add a method's measures.

        Parameters
        ----------
        method, threshold_source : str
            As in the score table.
        measures : dict of Measure to ndarray, float64
            An array without a defined value is an undefined row.
        """
        for (metric, criterion), values in measures.items():
            self.values[RowKey(method, metric, criterion, threshold_source)] = values

    def parts(self) -> "list[LabelValues]":
        """Return the rows without the few-shot baseline's, and those of it.

        The last bits of a matrix product depend on its number of columns; other rows are to be the same with it and
        without.
        """
        keys = list(self.values)
        kinds = [key for key in keys if key.method != FEW_SHOT], [key for key in keys if key.method == FEW_SHOT]
        return [LabelValues(self.patients, {key: self.values[key] for key in kind}) for kind in kinds if kind]


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


class _FilmMeans:
    """Means of all localization rows of one label, computed by one matrix product."""

    def __init__(self, label: str, label_values: LabelValues) -> None:
        columns: list[FloatArray] = []
        self._shapes: list[tuple[int, int]] = []
        for values in label_values.values.values():
            groups, thresholds = values.shape[1:] or (1, 1)
            self._shapes.append((groups, thresholds))
            columns.append(values.reshape(len(values), groups * thresholds))
        n = len(label_values.patients)
        self.rows = [StatisticRow(label, *key, n) for key in label_values.values]
        stacked = np.concatenate(columns, axis=1) if columns else np.zeros((n, 0))
        self._sums = PatientSums(stacked, label_values.patients)

    def patients_of_shares(self) -> list[int]:
        """Return the number of annotated patients for every row: all values are 0 to 1."""
        return [self._sums.patients] * len(self.rows)

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return the weighted means [R, K], of several thresholds the best."""
        means = self._sums.means(counts)
        values, first = [], 0
        for groups, thresholds in self._shapes:
            block = means[:, first : first + groups * thresholds].reshape(len(means), groups, thresholds)
            values.append(block.max(axis=2).mean(axis=1))
            first += groups * thresholds
        return np.stack(values, axis=1) if values else np.zeros((len(counts), 0))


class _RankAreas:
    """AUROC and average precision of one label, of the classifier or of a probe on the same films."""

    def __init__(self, label: str, films: LabelLogits, method: str = CLASSIFIER) -> None:
        self.rows = [StatisticRow(label, method, metric, None, "", len(films.logits)) for metric in ("auroc", "auprc")]
        self._ranked = RankedFilms(films.logits, films.present, films.patients)

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return the weighted areas [R, 2]."""
        return self._ranked.areas(counts)


def score_table(
    split: str,
    n_patients: int,
    logits: Mapping[str, LabelLogits],
    localization: Mapping[str, LabelValues],
    bootstrap: Bootstrap,
    probes: Mapping[str, Mapping[str, LabelLogits]] | None = None,
) -> pd.DataFrame:
    """Turn per-film values into rows of value, interval and count.

    Parameters
    ----------
    split : str
        Goes into the first column.
    n_patients : int
        Patients of the split, annotated or not; these are resampled.
    logits : mapping
        Label to films of known presence.
    localization : mapping
        Label to values of its annotated films.
    bootstrap : Bootstrap
        Of the intervals.
    probes : mapping, optional
        Method to label to films: what trivial features make of the same films, scored as the classifier is.

    Returns
    -------
    DataFrame
        As from `camray.core.metrics.statistics.statistics_table`; ``n`` counts films.
    """
    statistics: list[Statistic] = [_RankAreas(label, films) for label, films in logits.items()]
    for method, by_label in (probes or {}).items():
        statistics += [_RankAreas(label, films, method) for label, films in by_label.items()]
    statistics += [_FilmMeans(label, part) for label, values in localization.items() for part in values.parts()]
    return statistics_table(split, n_patients, statistics, bootstrap)
