"""All tables of a data set: labels, boxes and facts about films, with one report of faults."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.box_table import (
    BOX_COLUMNS,
    derive_boxes,
    labels_in_boxes,
    read_boxes,
    rules_of_format,
    without_ignored,
)
from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.label_table import (
    LabelMatrix,
    derive,
    empty_labels,
    labels_in_columns,
    read_labels,
    report_no_labels,
)
from camray.adapters.datasets.label_values import ABSENT, PRESENT, UNKNOWN
from camray.adapters.datasets.manifest import BoxTableRules, LabelRules, LabelTableRules, Manifest, TableRules
from camray.adapters.datasets.patient_table import read_patients
from camray.adapters.datasets.table_coverage import missing_films, named_films, nearly_named, report_mismatch
from camray.adapters.datasets.table_paths import TablePaths
from camray.adapters.datasets.tables import TextTable, match_rows, open_table, read_text, report_filmless
from camray.domain.labels import Finding


@dataclass(frozen=True, eq=False)
class Dataset:
    """Content of a data set's tables for the films that exist.

    Parameters
    ----------
    findings : tuple of Finding
        In the order of the columns of `labels.values`.
    labels : LabelMatrix
        Including derived findings and labels implied by boxes.
    boxes : DataFrame
        Columns of `box_table.BOX_COLUMNS`, derived findings included.
    ignored : DataFrame
        Likewise: regions to ignore. They are no annotations and imply no label.
    missing : list of (str, int)
        Table and line of films that the tables name and that do not exist under the root, each film once.
    has_label_table : bool
        False if no table says which findings are present.
    readers : ndarray of shape (films,), int64
        Number of readers per film; 0 if the tables name none.
    is_named : ndarray of shape (films,), bool
        Whether a row of any table names the film; refused films too.
    nearly : mapping of int to str
        Which lines of a label table nearly name a film, as the end of a sentence.
    report : FaultReport
        Faults that do not make the result wrong; `read_tables` raises the others, `survey_tables` lists them too.
    """

    findings: tuple[Finding, ...]
    labels: LabelMatrix
    boxes: pd.DataFrame
    ignored: pd.DataFrame
    missing: list[tuple[str, int]]
    has_label_table: bool
    readers: NDArray[np.int64]
    is_named: NDArray[np.bool_]
    nearly: dict[int, str]
    report: FaultReport = field(repr=False)


def read_tables(
    manifest: Manifest,
    paths: TablePaths,
    films: FilmIndex,
    sizes_rc: NDArray[np.int64],
    fixed: Sequence[Finding] = (),
) -> Dataset:
    """Read a data set's tables for the films that exist.

    Parameters
    ----------
    manifest : Manifest
        The data set's definition.
    paths : TablePaths
        From `table_paths`.
    films : FilmIndex
        All films, including refused ones.
    sizes_rc : ndarray of shape (films, 2), int64
        Native (rows, cols); arbitrary for refused films.
    fixed : sequence of Finding
        The findings of a trained run, which replace the manifest's; further or missing findings in the tables are then
        no faults.

    Raises
    ------
    ManifestError, AnnotationError
        One report listing all faults, if any makes the result wrong.
    """
    dataset = survey_tables(manifest, paths, films, sizes_rc, fixed)
    dataset.report.stop_if_wrong({path.name for path in paths.box_tables})
    return dataset


def survey_tables(
    manifest: Manifest,
    paths: TablePaths,
    films: FilmIndex,
    sizes_rc: NDArray[np.int64],
    fixed: Sequence[Finding] = (),
) -> Dataset:
    """Read the tables as `read_tables` does, but return all faults in the report, including those that stop a run."""
    report = FaultReport(is_strict=not fixed and manifest.labels != "auto")
    label_rules, box_rules = _rules(manifest)
    label_tables = _opened(paths.label_tables, label_rules, films, report)
    boxed = [_opened_boxes(path, box_rules, films, report) for path in paths.box_tables]
    ruled = [(table, own_rules) for table, own_rules in boxed if table is not None]
    box_tables = [table for table, _ in ruled]
    report_mismatch(label_tables, box_tables, films, report, stops=not fixed)
    rules = _labels(manifest, label_tables, label_rules, ruled, fixed)
    if not fixed:
        _report_equal_labels(label_tables, rules, report)
    if label_tables and not rules:
        report_no_labels(label_tables[0], label_rules, report)
    labels = empty_labels(len(films.usable), len(rules))
    majority = manifest.readers == "majority"
    for table in (table.without_refused(films, report) for table in label_tables):
        read = read_labels(table, label_rules, rules, len(films.usable), report, majority=majority)
        labels = _joined(labels, read, table.name, report)
    boxes, ignored = (pd.DataFrame({name: [] for name in BOX_COLUMNS}) for _ in range(2))
    for table, own_rules in ruled:
        marks, left_out = without_ignored(table.without_refused(films, report), own_rules)
        read_here = read_boxes(marks, own_rules, rules, sizes_rc, report)
        boxes = pd.concat([boxes, read_here], ignore_index=True) if len(boxes) else read_here
        if len(left_out.cells):
            regions = read_boxes(left_out, own_rules, rules, sizes_rc, report)
            ignored = pd.concat([ignored, regions], ignore_index=True) if len(ignored) else regions
        labels = _implied(labels, read_here, own_rules, table.name, rules, report)
    labels = _unmarked(labels, manifest.unmarked_absent, films, rules)
    labels = read_patients(manifest.films.patient_table, paths, films, labels, report)
    for table in (*label_tables, *box_tables):
        report_filmless(table, report)
    return Dataset(
        tuple(rule.finding() for rule in rules),
        LabelMatrix(derive(labels.values, rules), labels.in_table, labels.facts),
        derive_boxes(boxes, rules),
        derive_boxes(ignored, rules),
        missing_films(*label_tables, *box_tables),
        bool(label_tables or (box_tables and manifest.unmarked_absent)),
        _reader_counts(
            [(table, label_rules.reader) for table in label_tables]
            + [(table, own_rules.reader) for table, own_rules in ruled],
            len(films.usable),
        ),
        named_films(films, *label_tables, *box_tables),
        nearly_named(label_tables),
        report,
    )


def _opened(paths: Sequence[Path], rules: TableRules, films: FilmIndex, report: FaultReport) -> list[TextTable]:
    tables = [open_table(path, rules, films, report) for path in paths]
    return [table for table in tables if table is not None]


def _report_equal_labels(tables: Sequence[TextTable], rules: Sequence[LabelRules], report: FaultReport) -> None:
    names = [rule.name.casefold() for rule in rules]
    equal = sorted({rule.name for rule in rules if names.count(rule.name.casefold()) > 1})
    what = f"labels that differ in case alone: {', '.join(map(repr, equal))}; rename one of them"
    report.add(tables[0].name if tables else "", what, stops=True, count=len(equal))


def _opened_boxes(
    path: Path, rules: BoxTableRules, films: FilmIndex, report: FaultReport
) -> tuple[TextTable | None, BoxTableRules]:
    text = read_text(path, rules.columns, rules.paints_outline)
    own_rules = rules_of_format(text, rules)
    return match_rows(path.name, text, own_rules, films, report), own_rules


def _joined(first: LabelMatrix, second: LabelMatrix, name: str, report: FaultReport) -> LabelMatrix:
    """Add the films of a further table; earlier tables take precedence."""
    new = second.in_table & ~first.in_table
    what = "films that an earlier label table lists too; the earlier table is used"
    report.add(name, what, stops=False, count=int((second.in_table & first.in_table).sum()))
    values = np.where(new[:, None], second.values, first.values)
    facts = second.facts.where(pd.Series(new, index=first.facts.index), first.facts)
    return LabelMatrix(values, first.in_table | new, facts)


def _unmarked(
    labels: LabelMatrix, patterns: Sequence[str], films: FilmIndex, rules: Sequence[LabelRules]
) -> LabelMatrix:
    """Mark every finding as absent on films that the manifest declares as read and that no table marks."""
    if not patterns:
        return labels
    read = films.sources.map(lambda source: any(fnmatchcase(source, pattern) for pattern in patterns)).to_numpy(bool)
    own = np.array([not rule.any_of for rule in rules])
    values = np.where((labels.values == UNKNOWN) & read[:, None] & own, ABSENT, labels.values).astype(np.int8)
    return LabelMatrix(values, labels.in_table | read, labels.facts)


def _reader_counts(tables: Sequence[tuple[TextTable, str | None]], films: int) -> NDArray[np.int64]:
    pairs = [
        pd.DataFrame({"film": table.films, "reader": table.cells[column]})
        for table, column in tables
        if column is not None and column in table.cells.columns
    ]
    if not pairs:
        return np.zeros(films, dtype=np.int64)
    named = pd.concat(pairs).dropna().drop_duplicates()
    return np.bincount(named.loc[named["film"] >= 0, "film"].to_numpy(np.int64), minlength=films).astype(np.int64)


def _rules(manifest: Manifest) -> tuple[LabelTableRules, BoxTableRules]:
    labels = manifest.label_table or LabelTableRules(file="labels.csv", key=("image_id",), key_is="any")
    boxes = manifest.box_table or BoxTableRules(
        file="boxes.csv", key=("image_id",), key_is="any", label="label", corners=("x0", "y0", "x1", "y1")
    )
    return labels, boxes


def _labels(
    manifest: Manifest,
    label_tables: Sequence[TextTable],
    label_rules: LabelTableRules,
    box_tables: Sequence[tuple[TextTable, BoxTableRules]],
    fixed: Sequence[Finding],
) -> tuple[LabelRules, ...]:
    own = {} if manifest.labels == "auto" else {label.name: label for label in manifest.labels}
    if fixed:
        return tuple(
            LabelRules(
                name=finding.name,
                column=own[finding.name].column if finding.name in own else None,
                aliases=finding.aliases,
                code=None if finding.code is None else vars(finding.code),
                any_of=finding.any_of,
                localizable=finding.localizable,
            )
            for finding in fixed
        )
    if manifest.labels != "auto":
        return manifest.labels
    columns = labels_in_columns(label_tables[0], label_rules) if label_tables else ()
    boxed = labels_in_boxes(*box_tables[0]) if box_tables else ()
    known = {label.name.casefold() for label in columns}
    return (*columns, *(label for label in boxed if label.name.casefold() not in known))


def _implied(
    labels: LabelMatrix,
    boxes: pd.DataFrame,
    rules: BoxTableRules,
    table: str,
    names: Sequence[LabelRules],
    report: FaultReport,
) -> LabelMatrix:
    film, label = boxes["film"].to_numpy(np.int64), boxes["label"].to_numpy(np.int64)
    against = labels.values[film, label] == ABSENT
    for column in sorted(set(label[against])):
        count = int((label[against] == column).sum())
        what = f"boxes of '{names[column].name}' on films that the label table marks as absent; both are kept"
        report.add(table, what, stops=False, count=count)
    values, in_table = labels.values.copy(), labels.in_table.copy()
    if rules.implies_label:
        silent = labels.values[film, label] == UNKNOWN
        values[film[silent], label[silent]] = PRESENT
        in_table[film] = True
    return LabelMatrix(values, in_table, labels.facts)
