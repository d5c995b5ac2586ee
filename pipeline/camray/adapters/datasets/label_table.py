"""Label tables of four forms, read into one matrix: one row per film, one column per finding."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.csv_text import plain_name
from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.label_values import (
    ABSENT,
    OTHER_WORDS,
    PRESENT,
    UNKNOWN,
    legal_texts,
    listed_texts,
    meanings_of,
    normalized,
    normalized_column,
    quoted,
)
from camray.adapters.datasets.manifest import LabelRules, LabelTableRules
from camray.adapters.datasets.tables import TextTable, missing_columns, report_unknown_columns
from camray.domain.suggestions import did_you_mean

FACTS = ("patient_id", "view", "sex", "age", "site", "split")
ONE_PER_FILM = frozenset({"patient_id", "split"})  # a film with two of them is a fault
MAX_COLUMNS_LISTED, MAX_CELLS_LISTED = 5, 8
ADDING = frozenset({"one_class", "marked"})  # forms in which the rows of a film add up: present wins over absent


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """Content of the label table.

    Parameters
    ----------
    values : ndarray of shape (films, labels), int8
        `PRESENT`, `ABSENT`, `UNCERTAIN`, or `UNKNOWN` without information.
    in_table : ndarray of shape (films,), bool
        Whether the table has a row for the film.
    facts : DataFrame
        One row per film, columns `FACTS`, empty text if not in the table. ``patient_id`` identifies: hash it.
    """

    values: NDArray[np.int8]
    in_table: NDArray[np.bool_]
    facts: pd.DataFrame = field(repr=False)


def empty_labels(films: int, labels: int) -> LabelMatrix:
    """Return the matrix of a data set without a label table."""
    facts = pd.DataFrame({name: [""] * films for name in FACTS}, dtype="object")
    return LabelMatrix(np.full((films, labels), UNKNOWN, np.int8), np.zeros(films, bool), facts)


def labels_in_columns(table: TextTable, rules: LabelTableRules) -> tuple[LabelRules, ...]:
    """Return the columns of a wide table that have label values (`labels: auto`).

    A column counts if at least half of its filled cells are label values, or if all are such values in other words
    (yes, no): `read_labels` then reports the invalid cells, so that one wrong cell does not silently drop the column.
    """
    legal = legal_texts(rules)
    labels = []
    for column in _free_columns(table, rules):
        values = normalized_column(table.cells[column].dropna())
        if len(values) and (2 * values.isin(legal).sum() >= len(values) or values.isin(legal | OTHER_WORDS).all()):
            labels.append(LabelRules(name=column))
    return tuple(labels)


def report_no_labels(table: TextTable, rules: LabelTableRules, report: FaultReport) -> None:
    """Report that no column of a table has labels (`labels: auto`), and what its first free columns have instead."""
    contents = []
    for column in _free_columns(table, rules)[:MAX_COLUMNS_LISTED]:
        cells = table.cells[column]
        odd = (cells.notna() & ~normalized_column(cells).isin(legal_texts(rules))).to_numpy(dtype=bool)
        content = f"{quoted(cells[odd].iloc[0])} in line {table.lines[odd][0]}" if odd.any() else "nothing"
        contents.append(f"'{column}' has {content}")
    listed = f"; {', '.join(contents)}" if contents else ""
    what = f"no label column: expected one column per label, with {listed_texts(rules)}{listed}"
    report.add(table.name, what, stops=True, count=1)


def read_labels(
    table: TextTable,
    rules: LabelTableRules,
    labels: Sequence[LabelRules],
    films: int,
    report: FaultReport,
    *,
    majority: bool = False,
) -> LabelMatrix:
    """Read a label table of any form into a matrix.

    Parameters
    ----------
    table : TextTable
        The table.
    rules : LabelTableRules
        Its form.
    labels : sequence of LabelRules
        The findings, in the order of the result's columns. `derive` fills derived ones.
    films : int
        Number of films.
    report : FaultReport
        Receives invalid values, contradictions, repeated keys, unknown columns and unknown names.
    majority : bool
        If the table names readers: a finding is present if more than half of the film's readers name it, else absent.
        False: one reader is enough.

    Returns
    -------
    LabelMatrix
        Equal rows count once.
    """
    _report_repeats(table, rules, report)
    if rules.form == "wide":
        rows = _wide(table, rules, labels, report)
    elif rules.form == "marked":
        rows = _marked(table, rules, labels, report)
    else:
        rows = _named(table, rules, labels, report)
    matched = np.flatnonzero(table.films >= 0)
    values = np.full((films, len(labels)), UNKNOWN, np.int8)
    in_table = np.zeros(films, bool)
    in_table[table.films[matched]] = True
    if majority and table.column([rules.reader] if rules.reader else []) is not None:
        values = _by_majority(table, rules, rows, values)
        return LabelMatrix(values, in_table, _facts(table, rules, films, report))
    for column in range(len(labels)):
        known = matched[rows[matched, column] != UNKNOWN]
        if rules.form in ADDING:
            known = known[np.argsort(-rows[known, column], kind="stable")]  # present wins over absent
        values[table.films[known[::-1]], column] = rows[known[::-1], column]  # the first row wins
        if rules.form not in ADDING:
            clash = values[table.films[known], column] != rows[known, column]
            what = f"rows of one film contradict each other on '{labels[column].name}'"
            report.add(table.name, what, table.lines[known][clash], stops=True)
    return LabelMatrix(values, in_table, _facts(table, rules, films, report))


def derive(values: NDArray[np.int8], labels: Sequence[LabelRules]) -> NDArray[np.int8]:
    """Fill unknown derived findings: present if any part is present, absent if all parts are, else unknown.

    Parameters
    ----------
    values : ndarray of shape (films, labels), int8
        As in `LabelMatrix`; not changed.
    labels : sequence of LabelRules
        Parts come before the findings derived from them.

    Returns
    -------
    ndarray of shape (films, labels), int8
        A copy.
    """
    filled = values.copy()
    names = [label.name for label in labels]
    for column, label in enumerate(labels):
        if not label.any_of:
            continue
        parts = filled[:, [names.index(part) for part in label.any_of]]
        derived = np.where((parts == PRESENT).any(1), PRESENT, np.where((parts == ABSENT).all(1), ABSENT, UNKNOWN))
        silent = filled[:, column] == UNKNOWN
        filled[silent, column] = derived[silent]
    return filled


def spellings(labels: Sequence[LabelRules]) -> dict[str, int]:
    """Return the column of each spelling of a finding, in lower case."""
    return {plain_name(text).casefold(): i for i, label in enumerate(labels) for text in (label.name, *label.aliases)}


def _report_repeats(table: TextTable, rules: LabelTableRules, report: FaultReport) -> None:
    if rules.form not in ADDING and not rules.repeats:
        report.add(table.name, "duplicate keys", table.lines[table.key.duplicated().to_numpy()], stops=False)


def _wide(
    table: TextTable, rules: LabelTableRules, labels: Sequence[LabelRules], report: FaultReport
) -> NDArray[np.int8]:
    meaning = {normalized(text): value for value, texts in meanings_of(rules) for text in texts}
    rows = np.full((len(table.cells), len(labels)), UNKNOWN, np.int8)
    used: list[str] = []
    for i, label in enumerate(labels):
        names = (label.column, label.name, *label.aliases)
        column = table.column([plain_name(name) for name in names if name])
        if column is None:
            if not label.any_of:
                near = did_you_mean(label.name, table.cells.columns, "")
                what = f"no column for the label '{label.name}'{'; ' + near.rstrip() if near else ''}"
                report.add(table.name, what, stops=report.is_strict, count=1)
            continue
        used.append(column)
        cells = normalized_column(table.cells[column])
        values = cells.map(meaning)
        if rules.empty == "absent":
            values = values.mask(cells.isna(), ABSENT)
        odd = (cells.notna() & values.isna()).to_numpy(dtype=bool)
        examples = ", ".join(dict.fromkeys(quoted(text) for text in table.cells[column][odd][:MAX_CELLS_LISTED]))
        what = f"'{column}' has values other than {listed_texts(rules)}: {examples}"
        report.add(table.name, what, table.lines[odd], stops=True)
        rows[:, i] = values.fillna(UNKNOWN).to_numpy(dtype=np.int8)
    report_unknown_columns(table, {*rules.columns, *used}, report)
    return rows


def _named(
    table: TextTable, rules: LabelTableRules, labels: Sequence[LabelRules], report: FaultReport
) -> NDArray[np.int8]:
    rows = np.full((len(table.cells), len(labels)), UNKNOWN, np.int8)
    if rules.column not in table.cells.columns:
        what = missing_columns([str(rules.column)], "with the names of the findings", table.cells.columns)
        report.add(table.name, what, stops=report.is_strict, count=1)
        return rows
    report_unknown_columns(table, rules.columns, report)
    texts = table.cells[rules.column].map(plain_name, na_action="ignore")
    report.add(table.name, f"'{rules.column}' is empty", table.lines[texts.isna().to_numpy()], stops=report.is_strict)
    code, distinct = pd.factorize(texts)
    columns, nothing = spellings(labels), {name.casefold() for name in rules.nothing}
    meanings = np.full((len(distinct) + 1, len(labels)), ABSENT, np.int8)
    meanings[-1] = UNKNOWN  # code -1: an empty cell
    derived = [i for i, label in enumerate(labels) if label.any_of]
    meanings[:, derived] = UNKNOWN
    for i, text in enumerate(distinct):
        names = str(text).split(rules.separator) if rules.form == "joined" else [str(text)]
        for name in (part.strip().casefold() for part in names):
            if name in columns:
                meanings[i, columns[name]] = PRESENT
            elif name not in nothing:
                near = did_you_mean(name, (label.name for label in labels), "").rstrip()
                what = f"'{rules.column}' names a finding that is not in the manifest{'; ' + near if near else ''}"
                report.add(table.name, what, table.lines[code == i], stops=report.is_strict)
    return np.asarray(meanings[code])


def _marked(
    table: TextTable, rules: LabelTableRules, labels: Sequence[LabelRules], report: FaultReport
) -> NDArray[np.int8]:
    """Read a table that marks the location of one finding: any mark means that it is present."""
    rows = np.full((len(table.cells), len(labels)), UNKNOWN, np.int8)
    own = [i for i, label in enumerate(labels) if not label.any_of]
    if rules.column not in table.cells.columns or len(own) != 1:
        what = f"no column '{rules.column}' that marks one finding, or more than one finding"
        report.add(table.name, what, stops=report.is_strict, count=1)
        return rows
    report_unknown_columns(table, rules.columns, report)
    texts = table.cells[rules.column]
    rows[:, own[0]] = np.where((texts.isna() | texts.isin(rules.nothing)).to_numpy(dtype=bool), ABSENT, PRESENT)
    return rows


def _by_majority(
    table: TextTable, rules: LabelTableRules, rows: NDArray[np.int8], values: NDArray[np.int8]
) -> NDArray[np.int8]:
    """Count per film the readers that name a finding, each reader once."""
    matched = np.flatnonzero(table.films >= 0)
    film = table.films[matched]
    reader = pd.factorize(table.cells[rules.reader].fillna("")[matched])[0]
    pairs = pd.DataFrame({"film": film, "reader": reader}).drop_duplicates()
    readers = np.bincount(pairs["film"], minlength=len(values))
    decided = values.copy()
    for column in range(values.shape[1]):
        known = rows[matched, column] != UNKNOWN
        named = rows[matched, column] == PRESENT
        votes = pd.DataFrame({"film": film[named], "reader": reader[named]}).drop_duplicates()["film"]
        present = 2 * np.bincount(votes, minlength=len(values)) > readers
        decided[film[known], column] = np.where(present[film[known]], PRESENT, ABSENT)
    return decided


def _facts(table: TextTable, rules: LabelTableRules, films: int, report: FaultReport) -> pd.DataFrame:
    facts = empty_labels(films, 0).facts
    matched = table.films >= 0
    for name, columns in zip(FACTS, rules.facts, strict=True):
        column = table.column(columns)
        if column is None:
            continue
        filled = matched & table.cells[column].notna().to_numpy()
        texts = table.cells[column][filled].astype(str).to_numpy(dtype=object)
        values = facts[name].to_numpy(dtype=object, copy=True)
        values[table.films[filled][::-1]] = texts[::-1]  # the first row wins
        clash = values[table.films[filled]] != texts
        report.add(
            table.name, f"rows of one film differ in '{column}'", table.lines[filled][clash], stops=name in ONE_PER_FILM
        )
        facts[name] = values
    return facts


def _free_columns(table: TextTable, rules: LabelTableRules) -> list[str]:
    return [column for column in table.cells.columns if column not in rules.columns]
