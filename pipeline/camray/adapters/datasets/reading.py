"""A data set's tables, read together: labels, boxes, facts about films, and one report of their faults."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.box_table import BOX_COLUMNS, derive_boxes, labels_in_boxes, read_boxes, without_ignored
from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.films_index import NOT_FOUND, FilmIndex
from camray.adapters.datasets.label_table import (
    ABSENT,
    PRESENT,
    UNKNOWN,
    LabelMatrix,
    derive,
    empty_labels,
    labels_in_columns,
    read_labels,
    report_no_labels,
)
from camray.adapters.datasets.manifest import BoxTableRules, LabelRules, LabelTableRules, Manifest, TableRules
from camray.adapters.datasets.split_lists import split_list
from camray.adapters.datasets.tables import TextTable, open_table, own_file, report_filmless
from camray.domain.errors import ManifestError
from camray.domain.labels import Finding


@dataclass(frozen=True)
class TablePaths:
    """Where the tables lie; None where there is none."""

    labels: Path | None
    boxes: Path | None
    more_labels: tuple[Path, ...] = ()  # further tables of the same form, of other films
    more_boxes: tuple[Path, ...] = ()

    @property
    def label_tables(self) -> tuple[Path, ...]:
        """All label tables, first one first."""
        return (*((self.labels,) if self.labels else ()), *self.more_labels)

    @property
    def box_tables(self) -> tuple[Path, ...]:
        """All box tables, first one first."""
        return (*((self.boxes,) if self.boxes else ()), *self.more_boxes)


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a data set's tables say of the films at hand.

    Parameters
    ----------
    findings : tuple of Finding
        In the order of the columns of `labels.values`.
    labels : LabelMatrix
        With derived findings, and with what boxes imply.
    boxes : DataFrame
        Columns of `box_table.BOX_COLUMNS`, derived findings included.
    ignored : DataFrame
        Likewise: regions whose pixels do not count. They annotate nothing and imply no label.
    missing : list of (str, int)
        Table and line of films that the tables name and the root lacks, each film once.
    has_label_table : bool
        False where nothing is known about which findings are present.
    readers : ndarray of shape (films,), int64
        How many readers each film had, as far as the tables name them; 0 where they do not.
    report : FaultReport
        Faults that do not make the result wrong; the others were raised, but for `survey_tables`.
    """

    findings: tuple[Finding, ...]
    labels: LabelMatrix
    boxes: pd.DataFrame
    ignored: pd.DataFrame
    missing: list[tuple[str, int]]
    has_label_table: bool
    readers: NDArray[np.int64]
    report: FaultReport = field(repr=False)


def table_paths(manifest: Manifest, root: Path, labels: Path | None, boxes: Path | None, *, own: bool) -> TablePaths:
    """Say which tables are to be read.

    Parameters
    ----------
    manifest : Manifest
        Names its own tables.
    root : Path
        The data set's folder, where they lie.
    labels, boxes : Path or None
        Tables that take the place of the manifest's own.
    own : bool
        Whether the manifest's own tables are wanted at all.

    Raises
    ------
    ManifestError
        If a table that was asked for, or that the manifest's labels need, is not there.
    """
    found: list[tuple[Path, ...]] = []
    for given, rules in ((labels, manifest.label_table), (boxes, manifest.box_table)):
        if given is not None:
            if not given.exists():
                raise ManifestError(f"{given}: no such table")
            found.append((given,))
        elif own and rules is not None:
            found.append(_own_tables(root, rules))
        else:
            found.append(())
    if own and not found[0] and manifest.label_table is not None and manifest.labels != "auto":
        raise ManifestError(
            f"{root / manifest.label_table.file}: no such label table; the data manifest '{manifest.name}' needs it, "
            "or name another with data.labels"
        )
    firsts = [tables[0] if tables else None for tables in found]
    return TablePaths(firsts[0], firsts[1], found[0][1:], found[1][1:])


def own_table_files(manifest: Manifest, root: Path) -> list[Path]:
    """Return the manifest's own tables and split lists that lie under the root: they are no films."""
    tables = [_own_tables(root, rules) for rules in (manifest.label_table, manifest.box_table) if rules is not None]
    lists = [split_list(manifest, root, split) for split in manifest.splits]
    return [place for place in (*(p for found in tables for p in found), *lists) if place is not None]


def read_tables(
    manifest: Manifest,
    paths: TablePaths,
    films: FilmIndex,
    sizes_rc: NDArray[np.int64],
    fixed: Sequence[Finding] = (),
) -> Dataset:
    """Read a data set's tables for the films at hand.

    Parameters
    ----------
    manifest : Manifest
        The data set's definition.
    paths : TablePaths
        From `table_paths`.
    films : FilmIndex
        All films found, refused ones included.
    sizes_rc : ndarray of shape (films, 2), int64
        Native (rows, cols); anything for refused films.
    fixed : sequence of Finding
        The findings of a trained run, which then count instead of the manifest's; what the tables know beyond them, or
        lack, is no fault.

    Raises
    ------
    ManifestError, AnnotationError
        One report listing all faults, if any makes the result wrong.
    """
    found = survey_tables(manifest, paths, films, sizes_rc, fixed)
    found.report.stop_if_wrong({path.name for path in paths.box_tables})
    return found


def survey_tables(
    manifest: Manifest,
    paths: TablePaths,
    films: FilmIndex,
    sizes_rc: NDArray[np.int64],
    fixed: Sequence[Finding] = (),
) -> Dataset:
    """Read the tables as `read_tables` does, and leave all faults, stopping ones too, in the report."""
    report, strict = FaultReport(), not fixed and manifest.labels != "auto"
    label_rules, box_rules = _rules(manifest)
    label_tables = _opened(paths.label_tables, label_rules, films, report)
    box_tables = _opened(paths.box_tables, box_rules, films, report)
    rules = _labels(manifest, label_tables, label_rules, box_tables, box_rules, fixed)
    if label_tables and not rules:
        report_no_labels(label_tables[0], label_rules, report)
    labels = empty_labels(len(films.usable), len(rules))
    majority = manifest.readers == "majority"
    for table in label_tables:
        read = read_labels(
            table, label_rules, rules, len(films.usable), report, strict=strict, majority=majority
        )  # fmt: skip
        labels = _joined(labels, read, table.name, report)
    boxes, ignored = (pd.DataFrame({name: [] for name in BOX_COLUMNS}) for _ in range(2))
    for table in box_tables:
        marks, left_out = without_ignored(table, box_rules)
        read_here = read_boxes(marks, box_rules, rules, sizes_rc, report, strict=strict)
        boxes = pd.concat([boxes, read_here], ignore_index=True) if len(boxes) else read_here
        if len(left_out.cells):
            regions = read_boxes(left_out, box_rules, rules, sizes_rc, report, strict=strict)
            ignored = pd.concat([ignored, regions], ignore_index=True) if len(ignored) else regions
        labels = _implied(labels, read_here, box_rules, table.name, rules, report)
    labels = _unmarked(labels, manifest.unmarked_absent, films, rules)
    for table in (*label_tables, *box_tables):
        report_filmless(table, report)
    return Dataset(
        tuple(rule.finding() for rule in rules),
        LabelMatrix(derive(labels.values, rules), labels.in_table, labels.facts),
        derive_boxes(boxes, rules),
        derive_boxes(ignored, rules),
        _missing(*label_tables, *box_tables),
        bool(label_tables or (box_tables and manifest.unmarked_absent)),
        _reader_counts(label_tables, label_rules.reader, box_tables, box_rules.reader, len(films.usable)),
        report,
    )


def _opened(paths: Sequence[Path], rules: TableRules, films: FilmIndex, report: FaultReport) -> list[TextTable]:
    tables = [open_table(path, rules, films, report) for path in paths]
    return [table for table in tables if table is not None]


def _joined(first: LabelMatrix, second: LabelMatrix, name: str, report: FaultReport) -> LabelMatrix:
    """Put a further table's films beside those of the tables before it, which win."""
    new = second.in_table & ~first.in_table
    what = "films that an earlier label table holds too; the earlier one counts"
    report.add(name, what, stops=False, count=int((second.in_table & first.in_table).sum()))
    values = np.where(new[:, None], second.values, first.values)
    facts = second.facts.where(pd.Series(new, index=first.facts.index), first.facts)
    return LabelMatrix(values, first.in_table | new, facts)


def _unmarked(
    labels: LabelMatrix, patterns: Sequence[str], films: FilmIndex, rules: Sequence[LabelRules]
) -> LabelMatrix:
    """Call every finding absent on films that the manifest says were read and that nothing marks."""
    if not patterns:
        return labels
    read = films.sources.map(lambda source: any(fnmatchcase(source, pattern) for pattern in patterns)).to_numpy(bool)
    own = np.array([not rule.any_of for rule in rules])
    values = np.where((labels.values == UNKNOWN) & read[:, None] & own, ABSENT, labels.values).astype(np.int8)
    return LabelMatrix(values, labels.in_table | read, labels.facts)


def _reader_counts(
    label_tables: Sequence[TextTable],
    label_reader: str | None,
    box_tables: Sequence[TextTable],
    box_reader: str | None,
    films: int,
) -> NDArray[np.int64]:
    pairs = [
        pd.DataFrame({"film": table.films, "reader": table.cells[column]})
        for tables, column in ((label_tables, label_reader), (box_tables, box_reader))
        for table in tables
        if column is not None and column in table.cells.columns
    ]
    if not pairs:
        return np.zeros(films, dtype=np.int64)
    told = pd.concat(pairs).dropna().drop_duplicates()
    return np.bincount(told.loc[told["film"] >= 0, "film"].to_numpy(np.int64), minlength=films).astype(np.int64)


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
    box_tables: Sequence[TextTable],
    box_rules: BoxTableRules,
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
    boxed = labels_in_boxes(box_tables[0], box_rules) if box_tables else ()
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
        what = f"boxes of '{names[column].name}' on films where the label table calls it absent; both are kept"
        report.add(table, what, stops=False, count=count)
    values, in_table = labels.values.copy(), labels.in_table.copy()
    if rules.implies_label:
        silent = labels.values[film, label] == UNKNOWN
        values[film[silent], label[silent]] = PRESENT
        in_table[film] = True
    return LabelMatrix(values, in_table, labels.facts)


def _missing(*tables: TextTable) -> list[tuple[str, int]]:
    seen: set[str] = set()
    missing = []
    for table in tables:
        for place in np.flatnonzero(table.films == NOT_FOUND):
            key = str(table.key.iloc[place])
            if key not in seen:
                seen.add(key)
                missing.append((table.name, int(table.lines[place])))
    return missing


def _own_tables(root: Path, rules: TableRules) -> tuple[Path, ...]:
    names = (rules.file, *rules.more)
    places = [own_file(root, name) or own_file(root, rules.instead.get(name, name)) for name in names]
    return tuple(place for place in places if place is not None)
