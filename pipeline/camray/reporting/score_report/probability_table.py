"""The report's table of probabilities: how each finding's are calibrated, and how right they are before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.summary import estimate_from
from camray.core.probability.calibration import LabelCalibration
from camray.reporting.score_report.number_cells import NumberCell, number_cell

_METRICS = ("ece_uncalibrated", "ece", "brier_uncalibrated", "brier")
_KINDS = {"shift": "shift of the logit", "logistic": "temperature and shift", "isotonic": "isotonic"}


@dataclass(frozen=True)
class ProbabilityLine:
    """One finding: its calibration in words, or why it has none, and ECE and Brier score, each before and after."""

    label: str
    calibration: str
    cells: tuple[NumberCell, ...]


def probability_table(scores: pd.DataFrame, calibrations: Sequence[LabelCalibration]) -> tuple[ProbabilityLine, ...]:
    """Return a line for each finding, in the order of the calibrations.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    calibrations : sequence of LabelCalibration
        Of the run.
    """
    rows = scores[(scores["method"] == CLASSIFIER) & scores["metric"].isin(_METRICS)]
    return tuple(_line(each, rows[rows["label"] == each.label]) for each in calibrations)


def _line(calibration: LabelCalibration, rows: pd.DataFrame) -> ProbabilityLine:
    found = (rows[rows["metric"] == metric] for metric in _METRICS)
    cells = tuple(number_cell(None if row.empty else estimate_from(row.iloc[0])) for row in found)
    return ProbabilityLine(calibration.label, _words(calibration), cells)


def _words(calibration: LabelCalibration) -> str:
    if calibration.kind == "none":
        return f"no probability: {calibration.reason}"
    moved = "" if calibration.site_prevalence is None else f", moved to {calibration.site_prevalence:.3g}"
    return (
        f"{_KINDS[calibration.kind]}; {calibration.n} {calibration.split} films, {calibration.positives} with it; "
        f"prevalence {calibration.prevalence:.3g}{moved}"
    )
