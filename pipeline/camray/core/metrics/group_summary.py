"""Group rows of a score table for people: lines with the worst group first, and the differences that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from camray.core.metrics.group_scores import DIFFERENCE, FAMILY, WITH, WITHOUT
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import HEADLINE_IOU, Estimate, estimate_from

MEASURES = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "hit_rate": "hit rate",
    "iou_accuracy": f"IoU ≥ {HEADLINE_IOU}",
}


@dataclass(frozen=True)
class GroupNumber:
    """A measure of a group, and its difference to all other films; undefined where there are too few patients."""

    measure: str
    value: Estimate
    difference: Estimate

    @property
    def is_weaker(self) -> bool:
        """Whether the whole interval of the difference is below 0."""
        return self.difference.is_defined and self.difference.high < 0

    @property
    def is_stronger(self) -> bool:
        """Whether the whole interval of the difference is above 0."""
        return self.difference.is_defined and self.difference.low > 0

    @property
    def difference_text(self) -> str:
        """Show as ``-0.21 (-0.35 to -0.07)``; empty where undefined."""
        if not self.difference.is_defined:
            return ""
        interval = f" ({self.difference.low:+.2f} to {self.difference.high:+.2f})"
        return f"{self.difference.value:+.2f}" + (interval if np.isfinite(self.difference.low) else "")


@dataclass(frozen=True)
class GroupLine:
    """One group and finding, or the mean of findings; patients are -1 where they are not counted."""

    split: str
    group: str
    label: str
    patients_with: int
    patients_without: int
    numbers: tuple[GroupNumber, ...]

    def by_title(self, titles: Sequence[str]) -> list[GroupNumber | None]:
        """Return the numbers in the order of table heads, None where there is no row."""
        of = {number.measure: number for number in self.numbers}
        return [of.get(title) for title in titles]

    @property
    def place(self) -> tuple[bool, float]:
        """Sort by this: shown weaker groups first, then the lowest difference of any measure."""
        differences = [number.difference.value for number in self.numbers if number.difference.is_defined]
        return not any(number.is_weaker for number in self.numbers), min(differences, default=np.inf)


def group_lines(scores: pd.DataFrame) -> list[GroupLine]:
    """Return a line for each split, group and finding; in each split the worst first.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS`, as written or as read back from CSV.
    """
    rows = scores[scores["metric"].str.startswith(f"{FAMILY}/")]
    if rows.empty:
        return []
    names = rows["metric"].str.removeprefix(f"{FAMILY}/").str.rpartition("/")  # a group's name may hold a slash
    rows = rows.assign(group=names[0], measure=names[2])
    parts = rows.groupby(["split", "group", "label"], sort=False)
    lines = [_line(str(split), str(group), str(label), part) for (split, group, label), part in parts]
    splits = list(dict.fromkeys(line.split for line in lines))
    return sorted(lines, key=lambda line: (splits.index(line.split), *line.place))


def _line(split: str, group: str, label: str, rows: pd.DataFrame) -> GroupLine:
    of = {str(row["measure"]): row for _, row in rows.iloc[::-1].iterrows()}  # of several sources the first
    patients = [int(of[name]["value"]) if name in of else -1 for name in (WITH, WITHOUT)]
    numbers = [
        GroupNumber(title, estimate_from(of[measure]), estimate_from(of[f"{measure}{DIFFERENCE}"]))
        for measure, title in MEASURES.items()
        if measure in of
    ]
    return GroupLine(split, group, label, patients[0], patients[1], tuple(numbers))


def overall_lines(lines: Sequence[GroupLine]) -> list[GroupLine]:
    """Return the lines of the means over findings; all lines where there is a single finding."""
    return [line for line in lines if line.label == MEAN_LABEL] or list(lines)


def weaker_texts(lines: Sequence[GroupLine]) -> list[str]:
    """Say which groups are weaker, one sentence for each, the largest difference first."""
    shown = [(line, number) for line in lines for number in line.numbers if number.is_weaker]
    return [
        f"{line.group}, {'mean of findings' if line.label == MEAN_LABEL else line.label}: {number.measure} "
        f"{number.value.value:.2f}, {number.difference_text} to all other films"
        for line, number in sorted(shown, key=lambda each: each[1].difference.value)
    ]


def group_values(lines: Sequence[GroupLine]) -> dict[str, float]:
    """Return the numbers and differences of the mean over findings, or of the only one, by name, for the tracker."""
    names = {title: name for name, title in MEASURES.items()}
    splits, values = {line.split for line in lines}, dict[str, float]()
    for line in overall_lines(lines):
        prefix = f"{FAMILY}/{line.split}/{line.group}" if len(splits) > 1 else f"{FAMILY}/{line.group}"
        for number in line.numbers:
            name = f"{prefix}/{names[number.measure]}"
            values |= {name: number.value.value, f"{name}{DIFFERENCE}": number.difference.value}
    return values


def group_figures(lines: Sequence[GroupLine]) -> dict[str, int | str]:
    """Return how many differences were looked at, how many groups are shown weaker, and the largest difference."""
    weaker = weaker_texts(lines)
    compared = sum(number.difference.is_defined for line in lines for number in line.numbers)
    if not compared:
        return {}
    worst = {"note_groups": f"weaker in a group of films: {weaker[0]}"} if weaker else {}
    return {"group_differences": compared, "group_differences_shown_weaker": len(weaker), **worst}
