"""The score report: one self-contained page that a radiologist can read, print and pass on.

Nothing is loaded from elsewhere: pictures are data URIs, and every text from outside is escaped. Films are named by
``image_id`` alone.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd

from camray.core.metrics.protocols.containment import CEILING
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import (
    BASELINE_NAMES,
    HEADLINE_IOU,
    BaselineComparison,
    Estimate,
    baseline_text,
    counted_text,
    estimate_from,
    headline_rows,
    main_method,
    rows_of,
)
from camray.reporting.score_report import texts as text
from camray.reporting.score_report.protocol_sections import number_cell, protocol_sections

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
SOURCE_WORDS = {
    "fixed": "fixed in advance, without any box",
    "validation": "chosen on boxes of the validation split",
    "oracle": "chosen on the scored films themselves: optimistic",
}


@dataclass(frozen=True)
class FilmPicture:
    """One film shown on the page."""

    label: str
    place: str  # best, median or worst
    image_id: str
    iou: float
    is_hit: bool
    probability: float
    png: bytes


@dataclass(frozen=True)
class SplitReport:
    """What the page shows of one scored split.

    Parameters
    ----------
    split : str
        Name.
    films, patients, annotated : int
        Films, their patients, and the films with at least one annotated box.
    scores : DataFrame
        `SCORE_COLUMNS` of the split.
    charts, curves : mapping
        Title to PNG; curves stand two in a row.
    protocols : sequence of str
        Published protocols that were asked for, each a section.
    pictures : sequence of FilmPicture
        Grouped by label.
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


def report_page(
    name: str, splits: Sequence[SplitReport], thresholds: Sequence[Mapping[str, Any]], confidence: float
) -> str:
    """Write the page.

    Parameters
    ----------
    name : str
        Of the experiment.
    splits : sequence of SplitReport
        In the order they are shown.
    thresholds : sequence of mapping
        Entries of ``thresholds.json``.
    confidence : float
        Of the intervals, 0-1.

    Returns
    -------
    str
        HTML.
    """
    body = "".join(_split_section(each, confidence) for each in splits)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Scores of {escape(name)}</title><style>{text.STYLE}</style></head><body><main>"
        f"<header><p class=kicker>camray · score report</p><h1>{escape(name)}</h1></header>"
        f"{body}{_thresholds_section(thresholds)}{_conventions(confidence)}</main></body></html>\n"
    )


def _split_section(each: SplitReport, confidence: float) -> str:
    charts, curves = (
        "".join(f"<figure>{_image(png, title)}</figure>" for title, png in found.items())
        for found in (each.charts, each.curves)
    )
    return (
        f"<section><h2>Split “{escape(each.split)}”</h2>"
        f"<p class=lead>{each.films} films of {each.patients} patients; {each.annotated} films carry annotated boxes. "
        f"Intervals are {confidence:.0%} and resampled by patient. The network never saw a box.</p>"
        f"{_headline_table(each.scores)}"
        f"<div class=charts>{charts}</div><div class=curves>{curves}</div>"
        f"{_films(each.pictures)}{_method_table(each.scores)}{protocol_sections(each.scores, each.protocols)}</section>"
    )


def _headline_table(scores: pd.DataFrame) -> str:
    rows = headline_rows(scores)
    if not rows:
        return "<p>No film of this split has labels or boxes, so nothing could be scored.</p>"
    method, ceilings = main_method(scores), _ceilings(scores)
    body = "".join(
        f"<tr{' class=mean' if row.label == MEAN_LABEL else ''}>"
        f"<th scope=row>{'Mean of findings' if row.label == MEAN_LABEL else escape(row.label)}</th>"
        f"{number_cell(row.auroc)}<td>{escape(baseline_text(row.auroc_probe))}</td>"
        f"{_films_cell(row.hit_rate, row.label)}"
        f"{_compared(row.hit_rate)}{_compared(row.iou_accuracy)}{number_cell(ceilings.get(row.label))}</tr>"
        for row in rows
    )
    sources = sorted({c.ours.threshold_source for r in rows for c in (r.hit_rate, r.iou_accuracy) if c.ours})
    told = "; ".join(f"<b>{source}</b>: {SOURCE_WORDS[source]}" for source in sources)
    return (
        "<table class=headline><thead>"
        "<tr><th rowspan=2>Finding</th><th rowspan=2>AUROC</th><th rowspan=2>best shortcut<br>probe</th>"
        "<th rowspan=2>Boxed<br>films</th>"
        "<th colspan=3>Hit rate: peak inside a reader’s box</th>"
        f"<th colspan=4>Box overlaps a reader’s with IoU ≥ {HEADLINE_IOU}</th></tr>"
        f"<tr>{'<th>camray</th><th>best trivial baseline</th><th></th>' * 2}<th>ceiling of<br>the grid</th></tr>"
        f"</thead><tbody>{body}</tbody></table>"
        f"<p class=note>Method {escape(str(method))}. Thresholds {told or 'were not needed'}. {text.VERDICTS}</p>"
    )


def _ceilings(scores: pd.DataFrame) -> dict[str, Estimate]:
    """Return what the feature grid allows at most, by label, where the headline stands."""
    rows = rows_of(scores, f"{CEILING}/iou_accuracy", HEADLINE_IOU)
    return {str(row["label"]): estimate_from(row) for _, row in rows.iterrows()}


def _films_cell(compared: BaselineComparison, label: str) -> str:
    return f"<td class=number>{counted_text(compared.ours, label)}</td>"


def _compared(compared: BaselineComparison) -> str:
    kind = {"clearly above": "good", "above": "fair", "not above": "bad"}.get(compared.verdict, "none")
    mark = {"good": "▲▲", "fair": "▲", "bad": "▼"}.get(kind, "")
    return (
        f"{number_cell(compared.ours)}<td>{escape(baseline_text(compared.baseline))}</td>"
        f"<td class={kind}>{mark} {compared.verdict}</td>"
    )


def _method_table(scores: pd.DataFrame) -> str:
    """All methods, means over findings, every metric: the whole picture in one table."""
    means = scores[(scores["label"] == MEAN_LABEL) & (scores["method"] != CLASSIFIER)]
    means = means.assign(metric=means["metric"].str.removeprefix(f"{CEILING}/"))
    means = means[means["metric"].isin([metric for _, metric, _ in METRIC_COLUMNS])]  # probes and protocols have others
    if means.empty:
        return ""
    lines = []
    for (method, source), part in means.groupby(["method", "threshold_source"], sort=False):
        cells = "".join(_metric_cell(rows_of(part, metric, criterion)) for _, metric, criterion in METRIC_COLUMNS)
        name = BASELINE_NAMES.get(str(method))
        shown = f"baseline: {name}" if name else "ceiling of the grid" if method == CEILING else str(method)
        kind = "baseline" if name or method == CEILING else str(source)
        lines.append(
            f"<tr class={escape(kind)}><th scope=row>{escape(shown)}</th><td>{escape(str(source))}</td>{cells}"
            f"<td>{_findings_of(part)}</td></tr>"
        )
    head = "".join(f"<th>{title}</th>" for title, _, _ in METRIC_COLUMNS)
    return (
        "<h3>All methods and baselines, mean of findings</h3>"
        f"<table class=methods><thead><tr><th>Method</th><th>Threshold</th>{head}<th>Findings</th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _findings_of(rows: pd.DataFrame) -> str:
    """Say over how many findings means are taken: one number, or the least and the most."""
    counts = rows["n"].astype(int)
    return str(counts.min()) if counts.min() == counts.max() else f"{counts.min()}–{counts.max()}"


def _metric_cell(rows: pd.DataFrame) -> str:
    return number_cell(None if rows.empty else estimate_from(rows.iloc[0]))


def _films(pictures: Sequence[FilmPicture]) -> str:
    if not pictures:
        return ""
    groups: dict[str, list[FilmPicture]] = {}
    for picture in pictures:
        groups.setdefault(picture.label, []).append(picture)
    blocks = []
    for label, members in groups.items():
        shown = "".join(
            f"<figure>{_image(each.png, f'{each.place} film')}<figcaption><b>{each.place}</b> · IoU {each.iou:.2f} · "
            f"peak {'inside' if each.is_hit else 'outside'} · probability {each.probability:.2f}<br>"
            f"<code>{escape(each.image_id)}</code></figcaption></figure>"
            for each in members
        )
        blocks.append(f"<div class=group><h4>{escape(label)}</h4><div class=films>{shown}</div></div>")
    return f"<h3>Best, median and worst film of each finding</h3><p class=note>{text.FILMS}</p>{''.join(blocks)}"


def _thresholds_section(entries: Sequence[Mapping[str, Any]]) -> str:
    kinds: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
    for entry in entries:
        key = (str(entry["method"]), str(entry["policy"]), str(entry["source"]), str(entry.get("split") or ""))
        kinds.setdefault(key, []).append(entry)
    lines = []
    for (method, policy, source, split), members in kinds.items():
        films = [int(entry["n"]) for entry in members if entry.get("n")]
        count = "" if not films else f"{min(films)}–{max(films)}" if min(films) < max(films) else str(films[0])
        criterion = str(members[0].get("criterion") or "")
        cells = [method, policy, SOURCE_WORDS.get(source, source), split, criterion, count]
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    table = (
        "<table><thead><tr><th>Method</th><th>Policy</th><th>Where it was chosen</th><th>Split</th><th>Criterion</th>"
        f"<th>Films a finding</th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )
    return f"<section><h2>Where the thresholds came from</h2><p>{text.THRESHOLDS}</p>{table if lines else ''}</section>"


def _conventions(confidence: float) -> str:
    terms = {**text.CONVENTIONS, "Intervals": f"{confidence:.0%} {text.INTERVALS}"}
    listed = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in terms.items())
    return f"<section class=conventions><h2>What is counted</h2><dl>{listed}</dl></section>"


def _image(png: bytes, alternative: str) -> str:
    return f'<img alt="{escape(alternative)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
