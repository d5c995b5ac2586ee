"""The report's table of promises: what is promised of each finding, and what the scored films show of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from camray.core.metrics.promise_scores import NOT_JUDGED, PPV, SENSITIVITY
from camray.core.metrics.summary import estimate_from
from camray.core.probability.promise import Promise
from camray.core.probability.promise_words import promise_words
from camray.reporting.score_report.number_cells import NumberCell, number_cell


@dataclass(frozen=True)
class PromiseLine:
    """One finding: the promise in words, and sensitivity, PPV and the share not judged of the scored films."""

    label: str
    promise: str
    cells: tuple[NumberCell, ...]


def promise_table(
    scores: pd.DataFrame, promises: Sequence[Promise], not_judged: Collection[str]
) -> tuple[PromiseLine, ...]:
    """Return a line for each finding of which anything was to be promised.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    promises : sequence of Promise
        Of the run.
    not_judged : collection of str
        Findings that are judged on no film; they have no line.
    """
    asked = ((each, promise_words(each)) for each in promises if each.label not in not_judged)
    return tuple(_line(each.label, words, scores[scores["label"] == each.label]) for each, words in asked if words)


def _line(label: str, words: str, rows: pd.DataFrame) -> PromiseLine:
    found = (rows[rows["metric"] == metric] for metric in (SENSITIVITY, PPV, NOT_JUDGED))
    return PromiseLine(
        label, words, tuple(number_cell(None if row.empty else estimate_from(row.iloc[0])) for row in found)
    )
