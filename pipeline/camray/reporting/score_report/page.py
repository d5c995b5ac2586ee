"""The score report: one self-contained page that a radiologist can read, print and pass on.

Nothing is loaded from elsewhere: pictures are data URIs. Films are named by ``image_id`` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.summary import HEADLINE_IOU
from camray.reporting.page_rendering import render
from camray.reporting.score_report.group_table import group_table
from camray.reporting.score_report.headline_table import SOURCE_MEANINGS, headline_table
from camray.reporting.score_report.method_table import METRIC_COLUMNS, method_name, method_table
from camray.reporting.score_report.probability_table import ProbabilityLine
from camray.reporting.score_report.promise_table import PromiseLine
from camray.reporting.score_report.protocol_sections import protocol_sections


@dataclass(frozen=True)
class FilmPicture:
    """One film shown on the page; `rank` is best, median or worst, `certainty` its probability, or words."""

    label: str
    rank: str
    image_id: str
    iou: float
    is_hit: bool
    certainty: str
    png: bytes


@dataclass(frozen=True)
class SplitReport:
    """Results of one scored split.

    Parameters
    ----------
    split : str
        Name.
    films, patients, annotated : int
        Films, their patients, and the films with at least one annotated box.
    scores : DataFrame
        `SCORE_COLUMNS` of the split.
    charts, curves : mapping
        Title to PNG; two curves share a row.
    protocols : sequence of str
        Published protocols, one section each.
    pictures : sequence of FilmPicture
        Grouped by label.
    notes : sequence of str
        Sentences on the baselines.
    probabilities : sequence of ProbabilityLine
        How each finding's are calibrated, and how right they are.
    promises : sequence of PromiseLine
        What is promised of each finding, and what the films show of it.
    """

    split: str
    films: int
    patients: int
    annotated: int
    scores: pd.DataFrame
    charts: Mapping[str, bytes]
    pictures: Sequence[FilmPicture]
    curves: Mapping[str, bytes] = field(default_factory=dict)
    protocols: Sequence[str] = ()
    notes: Sequence[str] = ()
    probabilities: Sequence[ProbabilityLine] = ()
    promises: Sequence[PromiseLine] = ()


@dataclass(frozen=True)
class AboutRun:
    """What the page says of the run as a whole.

    Parameters
    ----------
    head : sequence of (str, str)
        Title and text: version, date, data, network, command.
    shortcuts : sequence of str
        Found by the audit, with settings against them.
    learning : bytes or None
        PNG of the learning curve.
    """

    head: Sequence[tuple[str, str]] = ()
    shortcuts: Sequence[str] = ()
    learning: bytes | None = None


def report_page(
    name: str,
    splits: Sequence[SplitReport],
    thresholds: Sequence[BoxThreshold],
    bootstrap: Bootstrap,
    about: AboutRun = AboutRun(),
) -> str:
    """Write the page.

    Parameters
    ----------
    name : str
        Of the experiment.
    splits : sequence of SplitReport
        In the order of the page.
    thresholds : sequence of BoxThreshold
        Of the run.
    bootstrap : Bootstrap
        Of the intervals.
    about : AboutRun
        Head, shortcuts, learning curve.

    Returns
    -------
    str
        HTML.
    """
    return render(
        "score_report.html.j2",
        name=name,
        splits=[_split_values(split) for split in splits],
        thresholds=_threshold_lines(thresholds),
        bootstrap=bootstrap,
        headline_iou=HEADLINE_IOU,
        about=about,
        metric_titles=[title for title, _, _ in METRIC_COLUMNS],
    )


def _split_values(split: SplitReport) -> dict[str, Any]:
    pictures: dict[str, list[FilmPicture]] = {}
    for picture in split.pictures:
        pictures.setdefault(picture.label, []).append(picture)
    return {
        "name": split.split,
        "films": split.films,
        "patients": split.patients,
        "annotated": split.annotated,
        "headline": headline_table(split.scores),
        "notes": split.notes,
        "charts": split.charts,
        "curves": split.curves,
        "pictures": pictures,
        "probabilities": split.probabilities,
        "promises": split.promises,
        "methods": method_table(split.scores),
        "groups": group_table(split.scores),
        "protocols": protocol_sections(split.scores, split.protocols),
    }


def _threshold_lines(thresholds: Sequence[BoxThreshold]) -> list[tuple[str, ...]]:
    """Return one line of texts for the thresholds of all findings that were chosen in the same way."""
    groups: dict[tuple[str, str, str, str], list[BoxThreshold]] = {}
    for threshold in thresholds:
        key = (threshold.method, threshold.policy, str(threshold.source), threshold.split or "")
        groups.setdefault(key, []).append(threshold)
    return [
        (
            method_name(method),
            policy,
            SOURCE_MEANINGS.get(source, source),
            split,
            members[0].criterion,
            _film_count(members),
        )
        for (method, policy, source, split), members in groups.items()
    ]


def _film_count(thresholds: Sequence[BoxThreshold]) -> str:
    films = [threshold.n for threshold in thresholds if threshold.n]
    if not films:
        return ""
    return f"{min(films)}–{max(films)}" if min(films) < max(films) else str(films[0])
