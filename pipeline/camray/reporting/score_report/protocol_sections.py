"""The report's sections of published protocols: convention, source, numbers with intervals, or what was missing."""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd

from camray.core.metrics.localization.baselines import CENTRE_BOX
from camray.core.metrics.protocols.chestxray14 import MEAN_WITHOUT_LEADING
from camray.core.metrics.protocols.wsol_rows import CLEAN, ORIGINAL
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import ALL_LABELS, MEAN_LABEL
from camray.core.metrics.summary import BASELINE_NAMES, PREFERRED_SOURCES, Estimate, estimate_from, main_method
from camray.reporting.score_report.protocol_texts import PROTOCOLS, ProtocolTable, Shown

_MEANS = {MEAN_LABEL: "Mean of findings", MEAN_WITHOUT_LEADING: "Mean, without Cardiomegaly"}
_NAMES = {**BASELINE_NAMES, CENTRE_BOX: "centre box"}
_KEYS = ["label", "method", "criterion", "threshold_source"]


def silent_protocols(scores: pd.DataFrame, asked: Sequence[str]) -> dict[str, str]:
    """Tell which of the protocols asked for have no row in a split's table: name to what was missing."""
    return {name: PROTOCOLS[name].needs for name in asked if not len(_rows_of(scores, name))}


def protocol_sections(scores: pd.DataFrame, asked: Sequence[str]) -> str:
    """Write one section for each protocol asked for; a protocol without rows says in a sentence what was missing.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    asked : sequence of str
        Names, in the order of the page.

    Returns
    -------
    str
        HTML.
    """
    silent = silent_protocols(scores, asked)
    sections = []
    for name in asked:
        told = PROTOCOLS[name]
        if name in silent:
            body = f"<p class=missing>Nothing to score: {escape(silent[name])}.</p>"
        else:
            rows = _rows_of(scores, name)
            body = "".join(_table(rows, table, main_method(scores)) for table in told.tables)
            body += _differences(rows) if name == "wsol" else ""
            absent = [text for metric, text in told.partly if not (rows["metric"] == metric).any()]
            body += "".join(f"<p class=missing>{escape(text)}</p>" for text in absent)
        sections.append(
            f"<section class=protocol><h3>{escape(told.title)}</h3><p class=note>{escape(told.convention)} "
            f"<i>{escape(told.source)}.</i></p>{body}</section>"
        )
    return f"<h2 class=protocols>Published protocols</h2>{''.join(sections)}" if sections else ""


def number_cell(found: Estimate | None) -> str:
    """Write a number with its interval below it, or a dash."""
    if found is None or not found.is_defined:
        return "<td class=number>–</td>"
    interval = f"<span>{found.low:.2f}–{found.high:.2f}</span>" if np.isfinite(found.low) else ""
    return f"<td class=number>{found.value:.2f}{interval}</td>"


def _rows_of(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    families = scores["metric"].str.split("/").str[0]
    return scores[scores["metric"].str.contains("/", regex=False) & families.isin([name, f"{name}_original"])]


def _table(rows: pd.DataFrame, table: ProtocolTable, method: str | None) -> str:
    columns = [column for column in table.columns if len(_column(rows, column))]
    if not columns:
        return ""
    shown = rows[rows["metric"].isin([column.metric for column in columns])]
    body = "".join(_line(shown, columns, *line) for line in _lines(shown, method))
    head = "".join(f"<th>{escape(column.title)}</th>" for column in columns)
    return (
        f"<table class=protocol><caption>{escape(table.title)}</caption><thead><tr><th>Finding</th><th>Method</th>"
        f"<th>Threshold</th>{head}<th>{escape(table.counted)}</th></tr></thead><tbody>{body}</tbody></table>"
    )


def _lines(rows: pd.DataFrame, method: str | None) -> list[tuple[str, str, list[str]]]:
    """Choose the lines: each finding's of the main method, then all methods and baselines on the mean of findings.

    Returns label, method and threshold sources. Findings show the source that the headline prefers (what was chosen
    on validation, with what needs no choice); where there is a single finding, it stands for the mean.
    """
    means = [label for label in rows["label"].unique() if label in _MEANS]
    labels = [label for label in rows["label"].unique() if label not in means]
    lines: list[tuple[str, str, list[str]]] = []
    for label in labels if len(labels) > 1 else ():
        of_label = rows[rows["label"] == label]
        methods = [str(name) for name in of_label["method"].unique()]
        own = method if method in methods else methods[0]
        sources = set(of_label.loc[of_label["method"] == own, "threshold_source"])
        best = next((source for source in PREFERRED_SOURCES if source in sources), "")
        kept = [best, *PREFERRED_SOURCES, ""] if own == CLASSIFIER else [best]
        lines.append((str(label), own, kept))
    for label in means if len(labels) > 1 else labels:
        of_label = rows[rows["label"] == label]
        for (own, source), part in of_label.groupby(["method", "threshold_source"], sort=False):
            if str(own) == CLASSIFIER:
                lines.append((str(label), str(own), [*PREFERRED_SOURCES, ""]))
            elif len(part):
                lines.append((str(label), str(own), [str(source)]))
    return list({(label, own, tuple(sources)): (label, own, sources) for label, own, sources in lines}.values())


def _line(rows: pd.DataFrame, columns: Sequence[Shown], label: str, method: str, sources: Sequence[str]) -> str:
    own = rows[(rows["label"] == label) & (rows["method"] == method)]
    cells, counts = [], []
    for column in columns:
        found = _column(own, column)
        needs_no_choice = _column(rows, column)["threshold_source"].nunique() == 1  # PxAP takes every threshold
        found = found if needs_no_choice else found[found["threshold_source"].isin(sources)]
        cells.append(number_cell(estimate_from(found.iloc[0]) if len(found) else None))
        counts += found["n"].tolist()[:1]
    is_mean, name = label in _MEANS, _MEANS.get(label, "All findings" if label == ALL_LABELS else label)
    baseline = _NAMES.get(method)
    kind = " class=mean" if is_mean and baseline is None else " class=baseline" if baseline else ""
    shown = f"baseline: {baseline}" if baseline else method
    source = sources[0] if len(sources) == 1 else ""
    count = "" if not counts else f"{counts[0]} finding{'s' if counts[0] != 1 else ''}" if is_mean else str(counts[0])
    return (
        f"<tr{kind}><th scope=row>{escape(name)}</th>"
        f"<td>{escape(shown)}</td><td>{escape(source)}</td>{''.join(cells)}<td>{count}</td></tr>"
    )


def _column(rows: pd.DataFrame, column: Shown) -> pd.DataFrame:
    criteria = rows["criterion"].to_numpy(np.float64)
    fits = np.isnan(criteria) if column.criterion is None else np.isclose(criteria, column.criterion)
    found: pd.DataFrame = rows[(rows["metric"] == column.metric) & fits]
    return found


def _differences(rows: pd.DataFrame) -> str:
    """Say how far the original's conventions move the numbers."""
    names = rows["metric"].str.split("/", n=1, expand=True)
    by = [
        rows[names[0] == convention].assign(metric=names[1]).set_index([*_KEYS, "metric"])["value"]
        for convention in (CLEAN, ORIGINAL)
    ]
    apart = (by[1] - by[0]).dropna()
    if apart.empty:
        return ""
    moved = apart[apart.abs() > 1e-9]
    if moved.empty:
        return f"<p class=note>Both sets of conventions give the same {len(apart)} numbers.</p>"
    return (
        f"<p class=note>The original’s conventions change {len(moved)} of {len(apart)} numbers, by "
        f"{moved.min():+.3f} to {moved.max():+.3f}.</p>"
    )
