"""Model comparison table: columns, and the figures of a row from score table, errors and sanity checks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from camray.core.metrics.localization.baselines import BASELINES
from camray.core.metrics.localization.hits_and_iou import OVERLAP_CRITERIA
from camray.core.metrics.protocols.top_k_errors import TOP_KS
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import MEAN_LABEL
from camray.domain.records import ThresholdSource

BASELINE_NETWORK = "baseline"
SANITY = (
    "deletion_auc",
    "insertion_auc",
    "average_drop",
    "average_increase",
    "rank_head",
    "rank_all",
    "noise_max",
)
_ERRORS = tuple(f"top{k}_{what}_error" for k in TOP_KS for what in ("classification", "localization"))
_WITH_INTERVAL = ("hit_rate", "iou_accuracy_0.3", "iou_accuracy_0.5", "mean_iou")
_PLACED = ("hit_rate", *(f"iou_accuracy_{criterion:g}" for criterion in OVERLAP_CRITERIA), "mean_iou")
COMPARE_COLUMNS: dict[str, str] = {
    "network": "string",
    "pool": "string",
    "method": "string",
    "threshold_source": "string",  # where box thresholds were chosen
    "map": "string",  # feature cells, rows x cols
    "auroc": "float64",  # mean over labels, on auroc_films test films
    "auroc_low": "float64",
    "auroc_high": "float64",
    "auroc_films": "int64",
    **dict.fromkeys(_ERRORS, "float64"),  # `top_errors`; top 5 only from five labels up
    **dict.fromkeys(_PLACED, "float64"),  # means over labels
    **{f"{name}_{end}": "float64" for name in _WITH_INTERVAL for end in ("low", "high")},
    "films": "int64",  # annotated test films that maps were scored on
    "boxed_labels": "int64",  # pairs of film and annotated label on them
    "threshold_films": "int64",  # annotated validation films that thresholds were chosen on
    "seconds_a_film": "float64",  # all labels, forward pass included
    "passes_a_film": "float64",  # films through the network, backward passes not counted
    **dict.fromkeys(SANITY, "float64"),
    "sanity_films": "int64",
    "train_seconds": "float64",
    "reason": "string",  # why there are no figures
}
_SOURCES = (ThresholdSource.VALIDATION.value, ThresholdSource.FIXED.value)


def empty_row() -> dict[str, Any]:
    """Return a row without figures: NaN, 0 films, empty texts."""
    empty = {"string": "", "int64": 0, "float64": float("nan")}
    return {name: empty[kind] for name, kind in COMPARE_COLUMNS.items()}


def placed_figures(scores: pd.DataFrame, method: str, source: str) -> dict[str, float]:
    """Return a method's localization figures, means over the labels, with intervals.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    method, source : str
        As in the score table.

    Returns
    -------
    dict
        Some of `COMPARE_COLUMNS`; empty where the table has no such row.
    """
    means = scores[
        (scores["method"] == method) & (scores["threshold_source"] == source) & (scores["label"] == MEAN_LABEL)
    ]
    figures: dict[str, float] = {}
    for row in means.to_dict("records"):
        criterion = float(row["criterion"])
        name = str(row["metric"]) + (f"_{criterion:g}" if np.isfinite(criterion) else "")
        if name in _PLACED:
            figures[name] = float(row["value"])
        if name in _WITH_INTERVAL:
            figures |= {f"{name}_low": float(row["low"]), f"{name}_high": float(row["high"])}
    return figures


def auroc_figures(scores: pd.DataFrame, films: int) -> dict[str, float]:
    """Return the classifier's mean AUROC with its interval, from a score table of its own."""
    row = scores[(scores["metric"] == "auroc") & (scores["label"] == MEAN_LABEL) & (scores["method"] == CLASSIFIER)]
    if row.empty:
        return {"auroc_films": films}
    value, low, high = (float(row[name].iloc[0]) for name in ("value", "low", "high"))
    return {"auroc": value, "auroc_low": low, "auroc_high": high, "auroc_films": films}


def boxed_labels(scores: pd.DataFrame, method: str) -> int:
    """Count the pairs of film and annotated label behind a method's rows."""
    rows = scores[(scores["method"] == method) & (scores["metric"] == "hit_rate") & (scores["label"] != MEAN_LABEL)]
    return int(rows.groupby("label")["n"].max().sum())


def baseline_source(scores: pd.DataFrame, method: str) -> str | None:
    """Return where a baseline's level was chosen, on validation if it can be; None where it has no row."""
    sources = set(scores.loc[scores["method"] == method, "threshold_source"])
    return next((source for source in _SOURCES if source in sources), None)


def compare_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows as a table, `COMPARE_COLUMNS`: networks and pools as they come, baselines last.

    Sanity figures of a baseline that several networks have are their mean.
    """
    table = pd.DataFrame([empty_row() | dict(row) for row in rows], columns=list(COMPARE_COLUMNS))
    return table.astype(COMPARE_COLUMNS)


def baseline_rows(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row for each trivial baseline of a score table, errors and sanity left out."""
    rows = []
    for method in BASELINES:
        source = baseline_source(scores, method)
        if source is not None:
            named = {"network": BASELINE_NETWORK, "pool": "", "method": method, "threshold_source": source}
            counted = {"boxed_labels": boxed_labels(scores, method)}
            rows.append(empty_row() | named | counted | placed_figures(scores, method, source))
    return rows
