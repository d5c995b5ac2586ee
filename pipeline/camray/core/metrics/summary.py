"""Headline of a score table: per finding AUROC, hit rate and IoU accuracy beside the best baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from camray.core.localization.default_method import default_method
from camray.core.metrics.localization.baselines import FEW_SHOT
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import MEAN_LABEL
from camray.domain.records import ThresholdSource

HEADLINE_IOU = 0.3
BASELINE_PREFIX = "baseline:"
PROBE_PREFIX = "baseline:probe:"
BASELINE_NAMES = {
    "baseline:random": "random map",
    "baseline:centre": "centre Gaussian",
    "baseline:class_mean_box": "class-mean box",
    "baseline:fixed_point": "fixed point",
    "baseline:whole_image": "whole film",
    "baseline:shuffled": "shuffled annotations",
    FEW_SHOT: "few-shot",
}
_TEXTS = ("split", "method", "label", "metric", "threshold_source")
# the headline prefers numbers whose threshold was chosen on validation, and never takes an oracle's
PREFERRED_SOURCES = (ThresholdSource.VALIDATION.value, ThresholdSource.FIXED.value)


@dataclass(frozen=True)
class Estimate:
    """One number with its interval; NaN where undefined."""

    value: float
    low: float
    high: float
    n: int
    method: str
    threshold_source: str

    @property
    def is_defined(self) -> bool:
        """Return whether there is a number."""
        return bool(np.isfinite(self.value))

    def text(self) -> str:
        """Show as ``0.87 (0.80-0.93)``, or a dash where undefined."""
        if not self.is_defined:
            return "–"
        if not np.isfinite(self.low):
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True)
class BaselineComparison:
    """A method's number, the best trivial baseline's and the few-shot baseline's; None where there is no row."""

    ours: Estimate | None
    baseline: Estimate | None
    few_shot: Estimate | None = None

    @property
    def verdict(self) -> str:
        """Say whether ours is above: ``clearly above`` if its whole interval is."""
        if self.ours is None or self.baseline is None or not (self.ours.is_defined and self.baseline.is_defined):
            return "–"
        if self.ours.value <= self.baseline.value:
            return "not above"
        return "clearly above" if self.ours.low > self.baseline.value else "above"


@dataclass(frozen=True)
class HeadlineRow:
    """One finding in one split; `without_boxes` is the IoU accuracy of boxes that no annotated box has influenced."""

    split: str
    label: str
    auroc: Estimate | None
    hit_rate: BaselineComparison
    iou_accuracy: BaselineComparison
    auroc_probe: Estimate | None = None  # the best trivial feature's, fitted on training films
    without_boxes: Estimate | None = None


def main_method(scores: pd.DataFrame) -> str | None:
    """Return the method that the headline speaks of, by name and order and never by its scores; None without any."""
    methods = [str(method) for method in scores["method"].unique() if method != CLASSIFIER]
    methods = [method for method in methods if not method.startswith(BASELINE_PREFIX)]
    return default_method(methods) if methods else None


def rows_of(scores: pd.DataFrame, metric: str, criterion: float | None = None) -> pd.DataFrame:
    """Select the rows of one metric and criterion."""
    selected = scores[scores["metric"] == metric]
    return selected if criterion is None else selected[np.isclose(selected["criterion"].astype(float), criterion)]


def best_baseline(rows: pd.DataFrame) -> Estimate | None:
    """Return the trivial baseline with the highest value among rows of one split, label, metric and criterion."""
    trivial = rows[rows["method"].str.startswith(BASELINE_PREFIX) & (rows["threshold_source"] != "oracle")]
    trivial = trivial[trivial["method"] != FEW_SHOT]  # it looks at the film
    trivial = trivial[np.isfinite(trivial["value"].astype(float))]
    return (
        None
        if trivial.empty
        else estimate_from(trivial.iloc[int(np.argmax(trivial["value"].to_numpy(dtype=np.float64)))])
    )


def estimate_of(rows: pd.DataFrame, method: str | None, sources: Sequence[str] = PREFERRED_SOURCES) -> Estimate | None:
    """Return a method's number of the first source that has one: chosen on validation, else without boxes."""
    for source in sources:
        selected = rows[(rows["method"] == method) & (rows["threshold_source"] == source)]
        if len(selected) and np.isfinite(float(selected["value"].iloc[0])):
            return estimate_from(selected.iloc[0])
    return None


def estimate_from(row: "pd.Series[Any] | Mapping[str, Any]") -> Estimate:
    """Read one row of the score table."""
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    return Estimate(value, low, high, int(row["n"]), str(row["method"]), str(row["threshold_source"]))


def headline_rows(scores: pd.DataFrame, method: str | None = None) -> list[HeadlineRow]:
    """Condense a score table.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS`, as written or as read back from CSV.
    method : str, optional
        Explanation method; the table's first by default.

    Returns
    -------
    list of HeadlineRow
        Every split and label in the order of the table, ``mean`` last in its split.
    """
    method = method or main_method(scores)
    rows = []
    is_own = ~scores["metric"].str.contains("/", regex=False)  # a protocol's rows may be about all findings at once
    own = scores[is_own].astype(dict.fromkeys(_TEXTS, object))  # selected a hundred times, and quicker so
    for split, of_split in own.groupby("split", sort=False):
        labels = [label for label in of_split["label"].unique() if label != MEAN_LABEL]
        for label in [*labels, MEAN_LABEL]:
            of_label = of_split[of_split["label"] == label]
            aurocs = rows_of(of_label, "auroc")
            auroc = aurocs[aurocs["method"] == CLASSIFIER]
            overlaps = rows_of(of_split, "iou_accuracy", HEADLINE_IOU)
            hit_rate, iou_accuracy = (
                _compared(rows, label, method) for rows in (rows_of(of_split, "hit_rate"), overlaps)
            )
            without = estimate_of(overlaps[overlaps["label"] == label], method, (ThresholdSource.FIXED.value,))
            auroc_estimate = None if auroc.empty else estimate_from(auroc.iloc[0])
            probe = best_baseline(aurocs)
            rows.append(HeadlineRow(str(split), str(label), auroc_estimate, hit_rate, iou_accuracy, probe, without))
    return rows


def _compared(rows: pd.DataFrame, label: str, method: str | None) -> BaselineComparison:
    """Compare one label's number of a method with the best baseline; `rows` are of one split, metric and criterion."""
    of_label = rows[rows["label"] == label]
    ours = estimate_of(of_label, method)
    if label == MEAN_LABEL and ours is not None:
        of_label = _over_the_same_labels(of_label, rows[rows["label"] != MEAN_LABEL], ours)
    few_shot = estimate_of(of_label, FEW_SHOT, (ThresholdSource.VALIDATION.value,))
    return BaselineComparison(ours, best_baseline(of_label), few_shot)


def _over_the_same_labels(means: pd.DataFrame, by_label: pd.DataFrame, ours: Estimate) -> pd.DataFrame:
    """Take the baselines' means over the labels that ours is the mean of, and leave out those that lack one.

    A mean over other labels is no baseline: the class-mean box knows only labels with training boxes, and a threshold
    from validation is there only for labels with validation boxes.
    """
    defined = by_label[np.isfinite(by_label["value"].astype(float))]
    is_ours = (defined["method"] == ours.method) & (defined["threshold_source"] == ours.threshold_source)
    own_labels = set(defined.loc[is_ours, "label"])
    if not own_labels:
        return means
    values, is_known = means["value"].to_numpy(np.float64, copy=True), np.zeros(len(means), np.bool_)
    for number, (method, source) in enumerate(zip(means["method"], means["threshold_source"], strict=True)):
        of_method = defined[(defined["method"] == method) & (defined["threshold_source"] == source)]
        labels = set(of_method["label"])
        is_known[number] = own_labels <= labels
        if own_labels < labels:
            values[number] = float(of_method.loc[of_method["label"].isin(own_labels), "value"].astype(float).mean())
    comparable: pd.DataFrame = means.assign(value=values)[is_known]
    return comparable


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the headline as a table of short texts for the terminal.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS`, as written or as read back from CSV.
    """
    splits, rows, table = scores["split"].nunique(), headline_rows(scores), []
    calibrated, has_few_shot = any(map(_is_calibrated, rows)), any(row.hit_rate.few_shot for row in rows)
    for row in rows:
        cells = {"split": row.split} if splits > 1 else {}
        hit, iou = row.hit_rate, row.iou_accuracy
        cells |= {
            "finding": row.label,
            "AUROC": row.auroc.text() if row.auroc else "–",
            "boxed films": counted_text(hit.ours, row.label),
            "hit rate": hit.ours.text() if hit.ours else "–",
            "best baseline": baseline_text(hit.baseline),
            **({"few-shot": number_text(hit.few_shot)} if has_few_shot else {}),
            "hit": hit.verdict,
            "IoU >= 0.3": iou.ours.text() if iou.ours else "–",
            **({"without boxes": number_text(row.without_boxes)} if calibrated else {}),
            "its best baseline": baseline_text(iou.baseline),
            **({"its few-shot": number_text(iou.few_shot)} if has_few_shot else {}),
            "box": iou.verdict,
        }
        table.append(cells)
    return pd.DataFrame(table)


def _is_calibrated(row: HeadlineRow) -> bool:
    ours = row.iou_accuracy.ours
    return ours is not None and ours.threshold_source == ThresholdSource.VALIDATION.value


def counted_text(estimate: Estimate | None, label: str) -> str:
    """Say what a number counts: films, or in the row of the mean, findings."""
    if estimate is None:
        return ""
    return str(estimate.n) if label != MEAN_LABEL else f"{estimate.n} finding{'s' if estimate.n != 1 else ''}"


def number_text(estimate: Estimate | None) -> str:
    """Show a number alone, as ``0.61``."""
    return "–" if estimate is None else f"{estimate.value:.2f}"


def baseline_text(estimate: Estimate | None) -> str:
    """Show a baseline as ``0.61 class-mean box``."""
    return "–" if estimate is None else f"{estimate.value:.2f} {baseline_name(estimate.method)}"


def baseline_name(method: str) -> str:
    """Return a baseline's name for people."""
    return BASELINE_NAMES.get(method, method.removeprefix(PROBE_PREFIX))


def finding_values(scores: pd.DataFrame) -> dict[str, float]:
    """Return each finding's headline with its interval, by name, for the tracker; what is undefined is left out.

    Returns
    -------
    dict
        ``test/auroc/Mass``, and ``test/auroc_low/Mass`` and ``test/auroc_high/Mass`` beside it; so ``hit_rate`` and
        ``iou_accuracy_0.3`` too.
    """
    values: dict[str, float] = {}
    for row in headline_rows(scores):
        of = {"auroc": row.auroc, "hit_rate": row.hit_rate.ours, f"iou_accuracy_{HEADLINE_IOU}": row.iou_accuracy.ours}
        for name, each in of.items():
            if each is not None and each.is_defined:
                ends = {"": each.value, "_low": each.low, "_high": each.high}
                values |= {f"{row.split}/{name}{end}/{row.label}": v for end, v in ends.items() if np.isfinite(v)}
    return values


def mean_figures(scores: pd.DataFrame) -> dict[str, float]:
    """Return the means over findings and the best baselines' beside them; what is undefined is left out."""
    figures: dict[str, float] = {}
    splits = scores["split"].nunique()
    for row in headline_rows(scores):
        if row.label != MEAN_LABEL:
            continue
        prefix = f"{row.split}_" if splits > 1 else ""
        estimates = {
            "mean_auroc": row.auroc,
            "best_probe_auroc": row.auroc_probe,
            "mean_hit_rate": row.hit_rate.ours,
            "best_baseline_hit_rate": row.hit_rate.baseline,
            "few_shot_hit_rate": row.hit_rate.few_shot,
            "mean_iou_accuracy_0.3": row.iou_accuracy.ours,
            "best_baseline_iou_accuracy_0.3": row.iou_accuracy.baseline,
            "few_shot_iou_accuracy_0.3": row.iou_accuracy.few_shot,
            "mean_iou_accuracy_0.3_without_boxes": row.without_boxes,
        }
        figures |= {
            prefix + name: each.value for name, each in estimates.items() if each is not None and each.is_defined
        }
    return figures
