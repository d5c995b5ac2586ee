"""Limits that the scores of a network show: findings that it may not recognize, or locates as a trivial box does."""

from collections.abc import Sequence

from camray.core.metrics.chance import CHANCE
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import BaselineComparison, HeadlineRow, baseline_name

_ALWAYS = (
    "Films unlike those of the training (other views, devices, ages, body parts) were not tested; scores elsewhere may "
    "be lower."
)


def limits_of(scores: Sequence[HeadlineRow], labels: Sequence[str]) -> list[str]:
    """List the limits that the scores show.

    Parameters
    ----------
    scores : sequence of HeadlineRow
        Of the run; rows of the mean are not read.
    labels : sequence of str
        The network's findings: those without an AUROC were not tested.

    Returns
    -------
    list of str
        Findings whose AUROC has an interval that includes 0.5 or that is below it, findings that are not located better
        than by the best trivial baseline, untested findings, and what is true of every network.
    """
    own = [row for row in scores if row.label != MEAN_LABEL]
    limits = [line for row in own for line in (*_recognition(row), *_location(row))]
    tested = {row.label for row in own if row.auroc is not None and row.auroc.is_defined}
    untested = [label for label in labels if label not in tested]
    if untested:
        limits.append(f"Without an AUROC (not scored, or films of one class): {', '.join(untested)}.")
    return [*limits, _ALWAYS]


def _recognition(row: HeadlineRow) -> list[str]:
    auroc = row.auroc
    if auroc is None or not auroc.is_defined:
        return []
    at = f"{row.label} ({row.split}): AUROC {auroc.text()}"
    lines = []
    if auroc.value <= CHANCE or auroc.low <= CHANCE:
        lines.append(f"{at}: not shown to be better than chance.")
    if row.auroc_probe is not None and row.auroc_probe.value >= auroc.value:
        name = baseline_name(row.auroc_probe.method)
        lines.append(f"{at}: not above that of a trivial feature ({name}, {row.auroc_probe.value:.2f}).")
    return lines


def _location(row: HeadlineRow) -> list[str]:
    at = f"{row.label} ({row.split})"
    compared = {"hit rate": row.hit_rate, "IoU ≥ 0.3": row.iou_accuracy}
    return [f"{at}: {what} {_beside(each)}." for what, each in compared.items() if each.verdict == "not above"]


def _beside(comparison: BaselineComparison) -> str:
    ours, baseline = comparison.ours, comparison.baseline
    if ours is None or baseline is None:
        return ""
    return f"{ours.text()}, not above {baseline.value:.2f} of a trivial baseline ({baseline_name(baseline.method)})"
