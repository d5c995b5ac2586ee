"""The report's table of all methods and baselines: means over findings, every metric."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from camray.core.metrics.protocols.containment import CEILING
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import BASELINE_NAMES, HEADLINE_IOU, Estimate, estimate_from, rows_of
from camray.reporting.score_report.number_cells import NumberCell, number_cell

METRIC_COLUMNS: tuple[tuple[str, str, float | None], ...] = (
    ("Hit rate", "hit_rate", None),
    ("IoU ≥ 0.1", "iou_accuracy", 0.1),
    ("IoU ≥ 0.3", "iou_accuracy", HEADLINE_IOU),
    ("IoU ≥ 0.5", "iou_accuracy", 0.5),
    ("IoBB ≥ 0.3", "iobb_accuracy", 0.3),
    ("Mean IoU", "mean_iou", None),
    ("MaxBoxAcc", "max_box_acc", None),
    ("MaxBoxAccV2", "max_box_acc_v2", None),
)


@dataclass(frozen=True)
class MethodLine:
    """One method or baseline with one threshold source; `kind` is its style."""

    method: str
    threshold_source: str
    cells: tuple[NumberCell, ...]
    findings: str
    kind: str


def method_table(scores: pd.DataFrame) -> tuple[MethodLine, ...]:
    """Return a line for each method and threshold source, in the order of the score table.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    """
    means = scores[(scores["label"] == MEAN_LABEL) & (scores["method"] != CLASSIFIER)]
    means = means.assign(metric=means["metric"].str.removeprefix(f"{CEILING}/"))
    means = means[means["metric"].isin([metric for _, metric, _ in METRIC_COLUMNS])]  # probes and protocols have others
    columns = [_by_method(rows_of(means, metric, criterion)) for _, metric, criterion in METRIC_COLUMNS]
    groups = means.groupby(["method", "threshold_source"], sort=False)["n"]
    return tuple(
        _line(str(method), str(source), [column.get((str(method), str(source))) for column in columns], counts)
        for (method, source), counts in groups
    )


def _by_method(rows: pd.DataFrame) -> dict[tuple[str, str], Estimate]:
    """Return the first number of each method and threshold source."""
    estimates: dict[tuple[str, str], Estimate] = {}
    for row in rows.to_dict("records"):
        estimates.setdefault(
            (str(row["method"]), str(row["threshold_source"])), estimate_from({str(k): v for k, v in row.items()})
        )
    return estimates


def method_name(method: str) -> str:
    """Return the name of a method, a baseline or the ceiling for people."""
    baseline = BASELINE_NAMES.get(method)
    return f"baseline: {baseline}" if baseline else "ceiling of the grid" if method == CEILING else method


def _line(method: str, source: str, estimates: Sequence[Estimate | None], counts: "pd.Series[int]") -> MethodLine:
    name, cells = method_name(method), tuple(map(number_cell, estimates))
    return MethodLine(name, source, cells, _finding_count(counts.astype(int)), "baseline" if name != method else source)


def _finding_count(counts: "pd.Series[int]") -> str:
    """Return how many findings the means are over: one number, or the least and the most."""
    return str(counts.min()) if counts.min() == counts.max() else f"{counts.min()}–{counts.max()}"
