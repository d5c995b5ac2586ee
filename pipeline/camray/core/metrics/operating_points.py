"""Operating points, calibration and DeLong intervals of the classifier.

- ``sensitivity`` and ``specificity`` at probability 0.5 (``fixed``), and at points chosen on validation films: the
  highest Youden index (``..._youden``), the highest sensitivity with specificity >= 0.9 (``..._specificity_90``), and
  the highest specificity with sensitivity >= 0.9 (``..._sensitivity_90``). A film at or above the threshold is called.
- ``ece``: expected calibration error over 15 bins of equal width (Guo et al., ICML 2017), ``brier``: mean squared
  difference of probability and label; both also with logits divided by a ``temperature`` that validation films choose
  by their likelihood (``..._scaled``).
- ``auroc_delong``: AUROC with DeLong's interval, films of a patient kept together; the table's own ``auroc`` has the
  bootstrap's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from camray.core.localization.reporting_cutoff import TIE, youden_indices
from camray.core.metrics.auroc import roc_points
from camray.core.metrics.bootstrap import PatientSums
from camray.core.metrics.delong import auroc_interval
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.score_table import CLASSIFIER, LabelLogits
from camray.core.metrics.statistics import OwnInterval, RatioStatistic, Statistic, StatisticRow
from camray.core.probability.logistic import probabilities_of
from camray.domain.records import ThresholdSource

ECE_BINS = 15
TARGET_RATE = 0.9
_FIXED, _VALIDATION = ThresholdSource.FIXED.value, ThresholdSource.VALIDATION.value


def operating_points(logits: FloatArray, present: NDArray[np.bool_]) -> dict[str, float]:
    """Choose thresholds; of equal points the one that calls fewest films.

    Parameters
    ----------
    logits : ndarray of shape (N,), float64
        Scores; higher for positives.
    present : ndarray of shape (N,), bool
        Films with the label.

    Returns
    -------
    dict of str to float
        Suffix of the metric to logit; empty where a class is missing.
    """
    false, true = roc_points(logits, present)
    if not len(false):
        return {}
    values, youden = youden_indices(logits, present)
    thresholds = np.append(np.inf, values[::-1])
    youden = np.append(0.0, youden[::-1])
    choices = {
        "_youden": youden >= youden.max() - TIE,
        f"_specificity_{TARGET_RATE * 100:.0f}": np.where(1 - false >= TARGET_RATE, true, -1.0),
        f"_sensitivity_{TARGET_RATE * 100:.0f}": np.where(true >= TARGET_RATE, 1 - false, -1.0),
    }
    return {suffix: float(thresholds[int(np.argmax(each))]) for suffix, each in choices.items()}


def fitted_temperature(logits: FloatArray, present: NDArray[np.bool_]) -> float:
    """Fit the temperature that maximizes the likelihood (Guo et al., ICML 2017).

    Parameters
    ----------
    logits : ndarray of shape (N,), float64
        Of the classifier.
    present : ndarray of shape (N,), bool
        Films with the label.

    Returns
    -------
    float
        0.05 to 20; NaN where a class is missing.
    """
    if present.all() or not present.any():
        return float("nan")
    signed = np.where(present, logits, -logits)

    def cost(log_temperature: float) -> float:
        """Return the mean negative log-likelihood."""
        return float(np.logaddexp(0.0, -signed / np.exp(log_temperature)).mean())

    optimum = minimize_scalar(cost, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(optimum.x))


def expected_calibration_error(probability: FloatArray, present: NDArray[np.bool_]) -> float:
    """Return the mean gap between probability and share of films with the label, over bins of equal width.

    Parameters
    ----------
    probability : ndarray of shape (N,), float64
        0-1.
    present : ndarray of shape (N,), bool
        Films with the label.

    Returns
    -------
    float
        0-1; NaN without films.
    """
    if not len(probability):
        return float("nan")
    return float(np.abs(_gaps_by_bin(probability, present).sum(axis=0)).sum() / len(probability))


def _gaps_by_bin(probability: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Return what each film's probability promises too much, in the column of its bin: [N, `ECE_BINS`]."""
    bins = np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    gaps = np.zeros((len(bins), ECE_BINS))
    gaps[np.arange(len(bins)), bins] = probability - present
    return gaps


@dataclass(frozen=True)
class CalibrationErrorStatistic:
    """Expected calibration error of one label: one row."""

    row: StatisticRow
    patients: IntArray
    probability: FloatArray
    present: NDArray[np.bool_]

    @property
    def rows(self) -> Sequence[StatisticRow]:
        """The one row."""
        return [self.row]

    @cached_property
    def _gaps(self) -> PatientSums:
        return PatientSums(_gaps_by_bin(self.probability, self.present), self.patients)

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Add up, bin by bin, what was promised more than came."""
        total, summed = self._gaps.films(counts), np.abs(self._gaps(counts)).sum(axis=1)
        return np.asarray(np.divide(summed, total, out=np.full(len(total), np.nan), where=total > 0))[:, None]


@dataclass(frozen=True)
class DelongStatistic:
    """AUROC of one label whose interval is DeLong's."""

    row: StatisticRow
    films: LabelLogits
    confidence: float

    @property
    def rows(self) -> Sequence[StatisticRow]:
        """The one row."""
        return [self.row]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return the AUROC, the same for all weights: its interval does not come from them."""
        return np.full((len(counts), 1), self._estimate()[0])

    def own_interval(self) -> OwnInterval:
        """Return low and high."""
        return self._estimate()[1:]

    def _estimate(self) -> tuple[float, float, float]:
        return auroc_interval(self.films.logits, self.films.present, self.films.patients, self.confidence)


@dataclass(frozen=True)
class ConstantStatistic:
    """A number that was chosen elsewhere, and has no interval here."""

    row: StatisticRow
    value: float

    @property
    def rows(self) -> Sequence[StatisticRow]:
        """The one row."""
        return [self.row]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return the number, whatever the weights."""
        return np.full((len(counts), 1), self.value)

    def own_interval(self) -> OwnInterval:
        """Return none."""
        return float("nan"), float("nan")


def calibration_statistics(label: str, films: LabelLogits, calibrated: FloatArray, source: str) -> list[Statistic]:
    """Make one label's rows ``ece`` and ``brier``, and both of the network's own output (``..._uncalibrated``).

    Parameters
    ----------
    label : str
        Finding.
    films : LabelLogits
        Scored films.
    calibrated : ndarray of shape (N,), float64
        Their probabilities.
    source : str
        Threshold source: where the calibration was fitted.

    Returns
    -------
    list of Statistic
        One for each row.
    """
    statistics: list[Statistic] = []
    scales = {"": (calibrated, source), "_uncalibrated": (probabilities_of(films.logits), _FIXED)}
    for suffix, (probability, of) in scales.items():
        ece, brier = (
            StatisticRow(label, CLASSIFIER, f"{name}{suffix}", None, of, len(probability)) for name in ("ece", "brier")
        )
        statistics.append(CalibrationErrorStatistic(ece, films.patients, probability, films.present))
        squares = (probability - films.present)[:, None] ** 2
        statistics.append(RatioStatistic([brier], films.patients, squares, np.ones_like(squares)))
    return statistics


def classification_statistics(
    label: str, films: LabelLogits, validation: LabelLogits | None, confidence: float
) -> list[Statistic]:
    """Make one label's rows; without validation films, those of fixed points only."""
    n = len(films.logits)
    if n == 0:
        return []

    def row(metric: str, criterion: float | None, source: str, count: int = n) -> StatisticRow:
        return StatisticRow(label, CLASSIFIER, f"classification/{metric}", criterion, source, count)

    statistics: list[Statistic] = [DelongStatistic(row("auroc_delong", None, ""), films, confidence)]
    points: dict[tuple[str, float | None, str], float] = {("", 0.5, _FIXED): 0.0}
    temperature = float("nan")
    if validation is not None and len(validation.logits):
        points_of_validation = operating_points(validation.logits, validation.present)
        points |= {(suffix, None, _VALIDATION): threshold for suffix, threshold in points_of_validation.items()}
        temperature = fitted_temperature(validation.logits, validation.present)
    rows: list[StatisticRow] = []
    above: list[NDArray[Any]] = []
    below: list[NDArray[Any]] = []
    for (suffix, criterion, source), threshold in points.items():
        called = films.logits >= threshold
        for metric, right, of in (("sensitivity", called, films.present), ("specificity", ~called, ~films.present)):
            rows.append(row(f"{metric}{suffix}", criterion, source, int(of.sum())))
            above.append(right & of)
            below.append(of)
    scales = {"": (1.0, _FIXED)} | ({"_scaled": (temperature, _VALIDATION)} if np.isfinite(temperature) else {})
    for suffix, (scale, source) in scales.items():
        probability = probabilities_of(films.logits / scale)
        statistics.append(
            CalibrationErrorStatistic(row(f"ece{suffix}", None, source), films.patients, probability, films.present)
        )
        rows.append(row(f"brier{suffix}", None, source))
        above.append((probability - films.present) ** 2)
        below.append(np.ones(n))
        if suffix:
            chosen_on = 0 if validation is None else len(validation.logits)
            statistics.append(ConstantStatistic(row("temperature", None, source, chosen_on), scale))
    stacked = (np.stack(columns, axis=1).astype(np.float64) for columns in (above, below))
    return [*statistics, RatioStatistic(rows, films.patients, *stacked)]
