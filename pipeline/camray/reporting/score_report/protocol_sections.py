"""The report's sections of published protocols: convention, source, numbers with intervals, and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from camray.core.metrics.localization.baselines import CENTRE_BOX
from camray.core.metrics.protocols.chestxray14 import MEAN_WITHOUT_LEADING
from camray.core.metrics.protocols.wsol_rows import CLEAN, ORIGINAL
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import ALL_LABELS, MEAN_LABEL
from camray.core.metrics.summary import BASELINE_NAMES, PREFERRED_SOURCES, estimate_from, main_method
from camray.reporting.score_report.number_cells import NumberCell, number_cell
from camray.reporting.score_report.protocol_texts import PROTOCOLS, ProtocolColumn, ProtocolTable

_MEANS = {MEAN_LABEL: "Mean of findings", MEAN_WITHOUT_LEADING: "Mean, without Cardiomegaly"}
_BASELINES = {**BASELINE_NAMES, CENTRE_BOX: "centre box"}
_KEYS = ["label", "method", "criterion", "threshold_source"]


@dataclass(frozen=True)
class ProtocolLine:
    """One line of a protocol's table; `kind` is its style (mean, baseline or empty)."""

    finding: str
    method: str
    threshold_source: str
    cells: tuple[NumberCell, ...]
    count: str
    kind: str


@dataclass(frozen=True)
class FilledTable:
    """A protocol's table: its title, heads of the number columns, lines, and the unit of the last column."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[ProtocolLine, ...]
    count_unit: str


@dataclass(frozen=True)
class ProtocolSection:
    """A protocol on the page; `missing` holds sentences on what has no row, `note` may be empty."""

    title: str
    convention: str
    source: str
    tables: tuple[FilledTable, ...]
    note: str
    missing: tuple[str, ...]


def protocols_without_rows(scores: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """Return the protocols that have no row in a split's table: name to what the data lack."""
    return {name: PROTOCOLS[name].missing_reason for name in names if not len(_rows_of(scores, name))}


def protocol_sections(scores: pd.DataFrame, names: Sequence[str]) -> list[ProtocolSection]:
    """Return one section for each protocol; a protocol without rows says in a sentence what is missing.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    names : sequence of str
        Protocols, in the order of the page.
    """
    return [_section(scores, name) for name in names]


def _section(scores: pd.DataFrame, name: str) -> ProtocolSection:
    protocol, rows = PROTOCOLS[name], _rows_of(scores, name)
    if rows.empty:
        tables, missing = [], [f"Nothing to score: {protocol.missing_reason}."]
    else:
        tables = [_table(rows, table, main_method(scores)) for table in protocol.tables]
        missing = [text for metric, text in protocol.missing_metric_texts if not (rows["metric"] == metric).any()]
    return ProtocolSection(
        protocol.title,
        protocol.convention,
        protocol.source,
        tuple(table for table in tables if table.heads),
        _differences(rows) if name == "wsol" else "",
        tuple(missing),
    )


def _rows_of(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    families = scores["metric"].str.split("/").str[0]
    return scores[scores["metric"].str.contains("/", regex=False) & families.isin([name, f"{name}_original"])]


def _table(rows: pd.DataFrame, table: ProtocolTable, method: str | None) -> FilledTable:
    of_columns = {column: _column(rows, column) for column in table.columns}
    columns = [column for column, found in of_columns.items() if len(found)]
    used = rows[rows["metric"].isin([column.metric for column in columns])]
    filled = [_ColumnRows.of(of_columns[column]) for column in columns]
    lines = tuple(_line(filled, *key) for key in _lines(used, method)) if columns else ()
    return FilledTable(table.title, tuple(column.title for column in columns), lines, table.count_unit)


@dataclass(frozen=True)
class _ColumnRows:
    """Rows of one column by label and method, and whether its numbers take every threshold, as PxAP does."""

    rows: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
    needs_no_choice: bool

    @classmethod
    def of(cls, table: pd.DataFrame) -> "_ColumnRows":
        rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for row in table.to_dict("records"):
            rows.setdefault((str(row["label"]), str(row["method"])), []).append({str(k): v for k, v in row.items()})
        return cls(rows, table["threshold_source"].nunique() == 1)

    def first(self, label: str, method: str, sources: Sequence[str]) -> Mapping[str, Any] | None:
        fitting = self.rows.get((label, method), ())
        return next((row for row in fitting if self.needs_no_choice or row["threshold_source"] in sources), None)


def _lines(rows: pd.DataFrame, method: str | None) -> list[tuple[str, str, list[str]]]:
    """Return label, method and threshold sources of each line.

    Each finding has a line of the main method, with the source that the headline prefers; then the mean of findings has
    a line for every method and baseline. A single finding takes the place of the mean.
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


def _line(columns: Sequence[_ColumnRows], label: str, method: str, sources: Sequence[str]) -> ProtocolLine:
    found = [column.first(label, method, sources) for column in columns]
    counts = [row["n"] for row in found if row is not None]
    baseline = _BASELINES.get(method)
    return ProtocolLine(
        finding=_MEANS.get(label, "All findings" if label == ALL_LABELS else label),
        method=f"baseline: {baseline}" if baseline else method,
        threshold_source=sources[0] if len(sources) == 1 else "",
        cells=tuple(number_cell(None if row is None else estimate_from(row)) for row in found),
        count=_count_text(counts[0], label in _MEANS) if counts else "",
        kind="baseline" if baseline else "mean" if label in _MEANS else "",
    )


def _count_text(count: int, is_mean: bool) -> str:
    return f"{count} finding{'s' if count != 1 else ''}" if is_mean else str(count)


def _column(rows: pd.DataFrame, column: ProtocolColumn) -> pd.DataFrame:
    criteria = rows["criterion"].to_numpy(np.float64)
    fits = np.isnan(criteria) if column.criterion is None else np.isclose(criteria, column.criterion)
    selected: pd.DataFrame = rows[(rows["metric"] == column.metric) & fits]
    return selected


def _differences(rows: pd.DataFrame) -> str:
    """Return how far the original's conventions change the numbers, as a sentence; empty where both are not there."""
    names = rows["metric"].str.split("/", n=1, expand=True)
    if names.empty:
        return ""
    clean, original = (
        rows[names[0] == convention].assign(metric=names[1]).set_index([*_KEYS, "metric"])["value"]
        for convention in (CLEAN, ORIGINAL)
    )
    differences = (original - clean).dropna()
    if differences.empty:
        return ""
    changed = differences[differences.abs() > 1e-9]
    if changed.empty:
        return f"Both sets of conventions give the same {len(differences)} numbers."
    return (
        f"The original’s conventions change {len(changed)} of {len(differences)} numbers, by "
        f"{changed.min():+.3f} to {changed.max():+.3f}."
    )
