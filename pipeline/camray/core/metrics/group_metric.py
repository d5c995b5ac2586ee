"""A metric of one finding that can be computed on any part of its films, and how exact it is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.auroc import RankedFilms
from camray.core.metrics.bootstrap import PatientSums
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.score_table import RowKey
from camray.core.metrics.simultaneous_intervals import least_auroc_error, least_share_error

BoolArray = NDArray[np.bool_]


class GroupName(NamedTuple):
    """A group: the column and its value."""

    column: str
    value: str

    @property
    def text(self) -> str:
        """As it is in the name of a metric."""
        return f"{self.column}={self.value}"


@dataclass(frozen=True, eq=False)
class GroupMetric:
    """One metric of one label on the N films that it counts.

    Parameters
    ----------
    label : str
        Finding.
    key : RowKey
        Method, metric, criterion and threshold source of the same row about all films.
    films, patients : ndarray of shape (N,), int64
        Each film's position in the split, and its patient's number.
    values : ndarray of shape (N,), float64
        For a share or mean what each film adds, 0 to 1; for an AUROC its logit.
    present : ndarray of shape (N,), bool, optional
        Films that show the finding: the metric is an AUROC.
    """

    label: str
    key: RowKey
    films: IntArray
    patients: IntArray
    values: FloatArray
    present: BoolArray | None = None

    def trials(self, films: BoolArray) -> tuple[int, ...]:
        """Count the patients with and without the finding among some films; of a share, all patients.

        Parameters
        ----------
        films : ndarray of shape (N,), bool
            Which of the metric's films.

        Returns
        -------
        tuple of int
            Two of an AUROC, one of a share.
        """
        parts = (films,) if self.present is None else (films & self.present, films & ~self.present)
        return tuple(len(np.unique(self.patients[part])) for part in parts)

    def on(self, films: BoolArray) -> Callable[[FloatArray], FloatArray]:
        """Restrict the metric to some films.

        Parameters
        ----------
        films : ndarray of shape (N,), bool
            Which of the metric's films.

        Returns
        -------
        callable
            From the patients' weights, ndarray of shape (R, P), float64, to values of shape (R,), NaN where undefined.
        """
        values, patients = self.values[films], self.patients[films]
        if self.present is None:
            sums = PatientSums(values[:, None], patients)
            return lambda counts: sums.means(counts)[:, 0]
        ranked = RankedFilms(values, self.present[films], patients)
        return lambda counts: ranked.areas(counts)[:, 0]

    def least_error(self, value: float, trials: Sequence[int]) -> float:
        """Return the least standard error of a value from so many patients."""
        if self.present is None:
            return least_share_error(value, trials[0])
        return least_auroc_error(value, trials[0], trials[1])
