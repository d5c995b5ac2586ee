"""Label tables in their three forms to one matrix: a row a film, a column a finding."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.manifest import LabelRules, LabelTableRules
from camray.adapters.datasets.tables import TextTable, report_unknown_columns

ABSENT, PRESENT, UNCERTAIN, UNKNOWN = 0, 1, 2, -1
FACTS = ("patient_id", "view", "sex", "age", "site")
# how people write what a label table writes as numbers
_OTHER_WORDS = frozenset([
    "y", "n", "t", "f", "x", "+", "-", "?", "positive", "negative", "pos", "neg", "present", "absent", "maybe",
    "possible", "probable", "likely", "unlikely", "unknown", "unclear", "nan", "na", "n/a", "none", "null",
])  # fmt: skip
_SHOWN_COLUMNS, _SHOWN_CELLS = 5, 8
ADDING = frozenset({"one_class", "marked"})  # forms whose rows of one film add up: present wins over absent


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """What the label table says.

    Parameters
    ----------
    values : ndarray of shape (films, labels), int8
        `PRESENT`, `ABSENT`, `UNCERTAIN`, or `UNKNOWN` for no information.
    in_table : ndarray of shape (films,), bool
        The table has a row of this film.
    facts : DataFrame
        A row a film; columns of `FACTS`, empty text where the table does not say. ``patient_id`` identifies: hash it.
    """

    values: NDArray[np.int8]
    in_table: NDArray[np.bool_]
    facts: pd.DataFrame = field(repr=False)


def empty_labels(films: int, labels: int) -> LabelMatrix:
    """Return the matrix of a data set without a label table."""
    facts = pd.DataFrame({name: [""] * films for name in FACTS}, dtype="object")
    return LabelMatrix(np.full((films, labels), UNKNOWN, np.int8), np.zeros(films, bool), facts)


def labels_in_columns(table: TextTable, rules: LabelTableRules) -> tuple[LabelRules, ...]:
    """Read the labels off a wide table (`labels: auto`): the columns of label values.

    A column is one if at least half of its filled cells are label values, or if all would be in other words (yes, no):
    `read_labels` then names the cells that are not, so that a slip in one cell does not cost the column unseen.
    """
    legal = _legal(rules)
    found = []
    for column in _free_columns(table, rules):
        values = _plain_column(table.cells[column].dropna())
        if len(values) and (2 * values.isin(legal).sum() >= len(values) or values.isin(legal | _OTHER_WORDS).all()):
            found.append(LabelRules(name=column))
    return tuple(found)


def report_no_labels(table: TextTable, rules: LabelTableRules, report: FaultReport) -> None:
    """Note that no column of a table holds labels (`labels: auto`), and what its first free columns hold instead."""
    told = []
    for column in _free_columns(table, rules)[:_SHOWN_COLUMNS]:
        cells = table.cells[column]
        odd = (cells.notna() & ~_plain_column(cells).isin(_legal(rules))).to_numpy(dtype=bool)
        holds = f"{_shown(cells[odd].iloc[0])} in line {table.lines[odd][0]}" if odd.any() else "nothing"
        told.append(f"'{column}' holds {holds}")
    what = f"; {', '.join(told)}" if told else ""
    report.add(table.name, f"no column of labels: expected one a label with {_told(rules)}{what}", stops=True, count=1)


def read_labels(
    table: TextTable,
    rules: LabelTableRules,
    labels: Sequence[LabelRules],
    films: int,
    report: FaultReport,
    *,
    strict: bool,
    majority: bool = False,
) -> LabelMatrix:
    """Turn a label table of any form into a matrix.

    Parameters
    ----------
    table : TextTable
        The table.
    rules : LabelTableRules
        Its form.
    labels : sequence of LabelRules
        The findings, in the order of the columns of the result. Derived ones are filled by `derive`.
    films : int
        How many films there are.
    report : FaultReport
        Gets values that are none, contradictions, repeated keys, unknown columns and unknown names.
    strict : bool
        Names and columns that are missing or unknown make the result wrong. False where the labels are another run's.
    majority : bool
        Where the table names readers: a finding is present if more than half of the film's readers name it, and
        absent otherwise. False: one reader is enough.

    Returns
    -------
    LabelMatrix
        Repeated rows that agree count once.
    """
    _report_repeats(table, rules, report)
    if rules.form == "wide":
        rows = _wide(table, rules, labels, report, strict)
    elif rules.form == "marked":
        rows = _marked(table, rules, labels, report, strict)
    else:
        rows = _named(table, rules, labels, report, strict)
    at_hand = np.flatnonzero(table.films >= 0)
    values = np.full((films, len(labels)), UNKNOWN, np.int8)
    in_table = np.zeros(films, bool)
    in_table[table.films[at_hand]] = True
    if majority and table.column([rules.reader] if rules.reader else []) is not None:
        values = _by_majority(table, rules, rows, values)
        return LabelMatrix(values, in_table, _facts(table, rules, films, report))
    for column in range(len(labels)):
        told = at_hand[rows[at_hand, column] != UNKNOWN]
        if rules.form in ADDING:
            told = told[np.argsort(-rows[told, column], kind="stable")]  # present wins over absent
        values[table.films[told[::-1]], column] = rows[told[::-1], column]  # the first row wins
        if rules.form not in ADDING:
            clash = values[table.films[told], column] != rows[told, column]
            what = f"rows of one film contradict each other on '{labels[column].name}'"
            report.add(table.name, what, table.lines[told][clash], stops=True)
    return LabelMatrix(values, in_table, _facts(table, rules, films, report))


def derive(values: NDArray[np.int8], labels: Sequence[LabelRules]) -> NDArray[np.int8]:
    """Fill derived findings where the table is silent: present if any part is, absent if all are, unknown otherwise.

    Parameters
    ----------
    values : ndarray of shape (films, labels), int8
        As in `LabelMatrix`; not altered.
    labels : sequence of LabelRules
        Parts stand before what is derived from them.

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
        found = np.where((parts == PRESENT).any(1), PRESENT, np.where((parts == ABSENT).all(1), ABSENT, UNKNOWN))
        silent = filled[:, column] == UNKNOWN
        filled[silent, column] = found[silent]
    return filled


def spellings(labels: Sequence[LabelRules]) -> dict[str, int]:
    """Return the column of each way to write a finding, without case."""
    return {text.casefold(): i for i, label in enumerate(labels) for text in (label.name, *label.aliases)}


def _report_repeats(table: TextTable, rules: LabelTableRules, report: FaultReport) -> None:
    if rules.form not in ADDING and not rules.repeats:
        report.add(table.name, "duplicate keys", table.lines[table.key.duplicated().to_numpy()], stops=False)


def _wide(
    table: TextTable, rules: LabelTableRules, labels: Sequence[LabelRules], report: FaultReport, strict: bool
) -> NDArray[np.int8]:
    meaning = {_plain(text): value for value, texts in _meanings(rules) for text in texts}
    rows = np.full((len(table.cells), len(labels)), UNKNOWN, np.int8)
    used: list[str] = []
    for i, label in enumerate(labels):
        column = table.column([name for name in (label.column, label.name, *label.aliases) if name])
        if column is None:
            if not label.any_of:
                report.add(table.name, f"no column for the label '{label.name}'", stops=strict, count=1)
            continue
        used.append(column)
        cells = _plain_column(table.cells[column])
        values = cells.map(meaning)
        if rules.empty == "absent":
            values = values.mask(cells.isna(), ABSENT)
        odd = (cells.notna() & values.isna()).to_numpy(dtype=bool)
        shown = ", ".join(dict.fromkeys(_shown(text) for text in table.cells[column][odd][:_SHOWN_CELLS]))
        what = f"'{column}' holds values other than {_told(rules)}: {shown}"
        report.add(table.name, what, table.lines[odd], stops=True)
        rows[:, i] = values.fillna(UNKNOWN).to_numpy(dtype=np.int8)
    known = {*rules.key, *(name for names in rules.facts for name in names), *rules.ignore, *used}
    report_unknown_columns(table, known, report)
    return rows


def _named(
    table: TextTable, rules: LabelTableRules, labels: Sequence[LabelRules], report: FaultReport, strict: bool
) -> NDArray[np.int8]:
    rows = np.full((len(table.cells), len(labels)), UNKNOWN, np.int8)
    if rules.column not in table.cells.columns:
        report.add(table.name, f"no column '{rules.column}' with the names of the findings", stops=strict, count=1)
        return rows
    known = {*rules.key, *(name for names in rules.facts for name in names), *rules.ignore, str(rules.column)}
    known.add(rules.reader or "")
    report_unknown_columns(table, known, report)
    texts = table.cells[rules.column]
    report.add(table.name, f"'{rules.column}' is empty", table.lines[texts.isna().to_numpy()], stops=strict)
    code, distinct = pd.factorize(texts)
    places, nothing = spellings(labels), {name.casefold() for name in rules.nothing}
    meanings = np.full((len(distinct) + 1, len(labels)), ABSENT, np.int8)
    meanings[-1] = UNKNOWN  # code -1: an empty cell
    derived = [i for i, label in enumerate(labels) if label.any_of]
    meanings[:, derived] = UNKNOWN
    for i, text in enumerate(distinct):
        names = str(text).split(rules.separator) if rules.form == "joined" else [str(text)]
        for name in (part.strip().casefold() for part in names):
            if name in places:
                meanings[i, places[name]] = PRESENT
            elif name not in nothing:
                what = f"'{rules.column}' names a finding that the manifest does not know"
                report.add(table.name, what, table.lines[code == i], stops=strict)
    return np.asarray(meanings[code])


def _marked(
    table: TextTable, rules: LabelTableRules, labels: Sequence[LabelRules], report: FaultReport, strict: bool
) -> NDArray[np.int8]:
    """Read a table that marks where one finding is: any mark means that it is present."""
    rows = np.full((len(table.cells), len(labels)), UNKNOWN, np.int8)
    own = [i for i, label in enumerate(labels) if not label.any_of]
    if rules.column not in table.cells.columns or len(own) != 1:
        what = f"no column '{rules.column}' that marks one finding, or more than one finding"
        report.add(table.name, what, stops=strict, count=1)
        return rows
    known = {*rules.key, *(name for names in rules.facts for name in names), *rules.ignore, str(rules.column)}
    report_unknown_columns(table, known, report)
    texts = table.cells[rules.column]
    rows[:, own[0]] = np.where((texts.isna() | texts.isin(rules.nothing)).to_numpy(dtype=bool), ABSENT, PRESENT)
    return rows


def _by_majority(
    table: TextTable, rules: LabelTableRules, rows: NDArray[np.int8], values: NDArray[np.int8]
) -> NDArray[np.int8]:
    """Count the readers of each film that name a finding; each reader once, however many rows."""
    at_hand = np.flatnonzero(table.films >= 0)
    film = table.films[at_hand]
    reader = pd.factorize(table.cells[rules.reader].fillna("")[at_hand])[0]
    asked = np.bincount(pd.DataFrame({"film": film, "reader": reader}).drop_duplicates()["film"], minlength=len(values))
    decided = values.copy()
    for column in range(values.shape[1]):
        told = rows[at_hand, column] != UNKNOWN
        named = rows[at_hand, column] == PRESENT
        votes = pd.DataFrame({"film": film[named], "reader": reader[named]}).drop_duplicates()["film"]
        present = 2 * np.bincount(votes, minlength=len(values)) > asked
        decided[film[told], column] = np.where(present[film[told]], PRESENT, ABSENT)
    return decided


def _facts(table: TextTable, rules: LabelTableRules, films: int, report: FaultReport) -> pd.DataFrame:
    facts = empty_labels(films, 0).facts
    at_hand = table.films >= 0
    for name, columns in zip(FACTS, rules.facts, strict=True):
        column = table.column(columns)
        if column is None:
            continue
        told = at_hand & table.cells[column].notna().to_numpy()
        texts = table.cells[column][told].astype(str).to_numpy(dtype=object)
        values = facts[name].to_numpy(dtype=object, copy=True)
        values[table.films[told][::-1]] = texts[::-1]  # the first row wins
        clash = values[table.films[told]] != texts
        report.add(
            table.name, f"rows of one film differ in '{column}'", table.lines[told][clash], stops=name == FACTS[0]
        )
        facts[name] = values
    return facts


def _free_columns(table: TextTable, rules: LabelTableRules) -> list[str]:
    known = {*rules.key, *(name for names in rules.facts for name in names), *rules.ignore}
    return [column for column in table.cells.columns if column not in known]


def _legal(rules: LabelTableRules) -> set[str]:
    return {_plain(text) for _, texts in _meanings(rules) for text in texts}


def _told(rules: LabelTableRules) -> str:
    return ", ".join(
        repr(text) for text in dict.fromkeys(_plain(t) for _, texts in _meanings(rules) for t in texts)
    ) + (" or nothing")


def _shown(text: str) -> str:
    """Quote a cell that can only be meant as a value; anything else may identify somebody, and is only measured."""
    if text.casefold() in _OTHER_WORDS or re.fullmatch(r"[-+]?\d{1,3}(\.\d{1,2})?", text):
        return repr(text)
    return f"a text of {len(text)} characters"


def _meanings(rules: LabelTableRules) -> tuple[tuple[int, tuple[str, ...]], ...]:
    return (PRESENT, rules.present), (ABSENT, rules.absent), (UNCERTAIN, rules.uncertain)


def _plain(text: str) -> str:
    plain = text.strip().casefold()
    return plain.split(".")[0] if plain.endswith((".0", ".00")) else plain


def _plain_column(cells: "pd.Series[str]") -> "pd.Series[str]":
    return cells.str.casefold().str.replace(r"\.0+$", "", regex=True)
