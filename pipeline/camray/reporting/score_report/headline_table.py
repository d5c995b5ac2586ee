"""The report's first table: every finding beside the best trivial baseline, with the ceiling of the feature grid."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from camray.core.metrics.protocols.containment import CEILING
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import (
    HEADLINE_IOU,
    BaselineComparison,
    Estimate,
    HeadlineRow,
    baseline_text,
    counted_text,
    estimate_from,
    headline_rows,
    main_method,
    number_text,
    rows_of,
)
from camray.reporting.score_report.number_cells import NumberCell, number_cell

SOURCE_MEANINGS = {
    "fixed": "without boxes, from image labels or fixed in advance",
    "validation": "chosen on boxes of the validation split",
    "oracle": "chosen on the scored films themselves: optimistic",
}
_VERDICTS = {"clearly above": ("good", "▲▲"), "above": ("fair", "▲"), "not above": ("bad", "▼")}


@dataclass(frozen=True)
class ComparisonCells:
    """A number beside two baselines; `kind` is the verdict's style (good, fair, bad, none), `mark` its sign."""

    value: NumberCell
    baseline: str
    few_shot: str
    verdict: str
    kind: str
    mark: str


@dataclass(frozen=True)
class HeadlineLine:
    """One finding, or the mean of findings."""

    name: str
    is_mean: bool
    auroc: NumberCell
    probe: str
    count: str
    hit_rate: ComparisonCells
    iou_accuracy: ComparisonCells
    without_boxes: NumberCell
    ceiling: NumberCell


@dataclass(frozen=True)
class HeadlineTable:
    """The lines, their explanation method, what each threshold source among them means, and what is there."""

    lines: tuple[HeadlineLine, ...]
    method: str
    sources: Mapping[str, str]
    has_few_shot: bool


def headline_table(scores: pd.DataFrame) -> HeadlineTable | None:
    """Condense the score table of one split; None where it has no row for a finding.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    """
    rows = headline_rows(scores)
    if not rows:
        return None
    ceilings = _ceilings(scores)
    own = (comparison.ours for row in rows for comparison in (row.hit_rate, row.iou_accuracy))
    sources = sorted({estimate.threshold_source for estimate in own if estimate})
    return HeadlineTable(
        tuple(_line(row, ceilings.get(row.label)) for row in rows),
        str(main_method(scores)),
        {source: SOURCE_MEANINGS[source] for source in sources},
        any(row.hit_rate.few_shot for row in rows),
    )


def _line(row: HeadlineRow, ceiling: Estimate | None) -> HeadlineLine:
    is_mean = row.label == MEAN_LABEL
    return HeadlineLine(
        name="Mean of findings" if is_mean else row.label,
        is_mean=is_mean,
        auroc=number_cell(row.auroc),
        probe=baseline_text(row.auroc_probe),
        count=counted_text(row.hit_rate.ours, row.label),
        hit_rate=_comparison_cells(row.hit_rate),
        iou_accuracy=_comparison_cells(row.iou_accuracy),
        without_boxes=number_cell(row.without_boxes),
        ceiling=number_cell(ceiling),
    )


def _comparison_cells(comparison: BaselineComparison) -> ComparisonCells:
    kind, mark = _VERDICTS.get(comparison.verdict, ("none", ""))
    return ComparisonCells(
        number_cell(comparison.ours),
        baseline_text(comparison.baseline),
        number_text(comparison.few_shot),
        comparison.verdict,
        kind,
        mark,
    )


def _ceilings(scores: pd.DataFrame) -> dict[str, Estimate]:
    """Return the reachable maximum of the feature grid by label, at the headline's IoU."""
    rows = rows_of(scores, f"{CEILING}/iou_accuracy", HEADLINE_IOU)
    return {str(row["label"]): estimate_from(row) for _, row in rows.iterrows()}
