"""The report's table of groups of films: the mean of findings, or the only one, and what is shown of each finding."""

from dataclasses import dataclass

import pandas as pd

from camray.core.metrics.group_summary import MEASURES, GroupLine, group_lines, overall_lines, weaker_texts
from camray.core.metrics.statistics import MEAN_LABEL


@dataclass(frozen=True)
class GroupTable:
    """Lines of the table with the heads that have numbers, sentences on weaker groups, and what the lines are about."""

    lines: tuple[GroupLine, ...]
    titles: tuple[str, ...]
    weaker: tuple[str, ...]
    caption: str

    @property
    def has_patients(self) -> bool:
        """Whether the lines count patients: those of means do not."""
        return any(line.patients_with >= 0 for line in self.lines)


def group_table(scores: pd.DataFrame) -> GroupTable | None:
    """Return the table of one split; None without groups.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    """
    lines = group_lines(scores)
    if not lines:
        return None
    shown = overall_lines(lines)
    titles = tuple(title for title in MEASURES.values() if any(line.by_title([title])[0] for line in shown))
    is_mean = shown[0].label == MEAN_LABEL
    caption = (
        "Mean of the findings that can be compared; the score table has each finding" if is_mean else shown[0].label
    )
    return GroupTable(tuple(shown), titles, tuple(weaker_texts(lines)), caption)
