"""A data set's tables, read together: labels, boxes, facts about films, and one report of their faults."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.adapters.datasets.box_table import BOX_COLUMNS, derive_boxes, labels_in_boxes, read_boxes
from pipeline.adapters.datasets.faults import FaultReport
from pipeline.adapters.datasets.films_index import NOT_FOUND, FilmIndex
from pipeline.adapters.datasets.label_table import (
    ABSENT,
    PRESENT,
    UNKNOWN,
    LabelMatrix,
    derive,
    empty_labels,
    labels_in_columns,
    read_labels,
)
from pipeline.adapters.datasets.manifest import BoxTableRules, LabelRules, LabelTableRules, Manifest
from pipeline.adapters.datasets.tables import TextTable, open_table, report_filmless
from pipeline.domain.errors import ManifestError
from pipeline.domain.labels import Finding
from pipeline.domain.records import Split


@dataclass(frozen=True)
class TablePaths:
    """Where the tables lie; None where there is none."""

    labels: Path | None
    boxes: Path | None


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
    missing : list of (str, int)
        Table and line of films that the tables name and the root lacks, each film once.
    has_label_table : bool
        False where nothing is known about which findings are present.
    report : FaultReport
        Faults that do not make the result wrong; the others were raised.
    """

    findings: tuple[Finding, ...]
    labels: LabelMatrix
    boxes: pd.DataFrame
    missing: list[tuple[str, int]]
    has_label_table: bool
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
    found: list[Path | None] = []
    for given, rules in ((labels, manifest.label_table), (boxes, manifest.box_table)):
        if given is not None:
            if not given.is_file():
                raise ManifestError(f"{given}: no such table")
            found.append(given)
        elif own and rules is not None:
            found.append(_own_table(root, rules.file))
        else:
            found.append(None)
    if own and found[0] is None and manifest.label_table is not None and manifest.labels != "auto":
        raise ManifestError(
            f"{root / manifest.label_table.file}: no such label table; the data manifest '{manifest.name}' needs it, "
            "or name another with data.labels"
        )
    return TablePaths(*found)


def own_table_files(manifest: Manifest, root: Path) -> list[Path]:
    """Return the manifest's own tables and split lists that lie under the root: they are no films."""
    named = [rules.file for rules in (manifest.label_table, manifest.box_table) if rules is not None]
    places = [_own_table(root, name) for name in named] + [root / name for name in manifest.splits.values()]
    return [place for place in places if place is not None and place.is_file()]


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
    report, strict = FaultReport(), not fixed and manifest.labels != "auto"
    label_rules, box_rules = _rules(manifest)
    label_table = open_table(paths.labels, label_rules, films, report) if paths.labels else None
    box_table = open_table(paths.boxes, box_rules, films, report) if paths.boxes else None
    rules = _labels(manifest, label_table, label_rules, box_table, box_rules, fixed)
    labels = empty_labels(len(films.usable), len(rules))
    if label_table is not None:
        labels = read_labels(label_table, label_rules, rules, len(films.usable), report, strict=strict)
    boxes = pd.DataFrame({name: [] for name in BOX_COLUMNS})
    if box_table is not None:
        boxes = read_boxes(box_table, box_rules, rules, sizes_rc, report, strict=strict)
        labels = _implied(labels, boxes, box_rules, box_table.name, rules, report)
    for table in (label_table, box_table):
        if table is not None:
            report_filmless(table, report)
    report.stop_if_wrong(box_table.name if box_table is not None else None)
    return Dataset(
        tuple(rule.finding() for rule in rules),
        LabelMatrix(derive(labels.values, rules), labels.in_table, labels.facts),
        derive_boxes(boxes, rules),
        _missing(label_table, box_table),
        label_table is not None,
        report,
    )


def read_split_lists(manifest: Manifest, root: Path, films: FilmIndex) -> NDArray[np.object_]:
    """Read the official split of each film; empty text for films that no list names.

    Raises
    ------
    ManifestError
        If the manifest has no lists, one is not there, or a film stands in two.
    """
    if not manifest.splits:
        raise ManifestError(f"data manifest '{manifest.name}' has no official split; set ingest.split=seeded")
    key_is = manifest.label_table.key_is if manifest.label_table is not None else "image_id"
    found = np.full(len(films.usable), "", dtype=object)
    for split in Split:
        if split not in manifest.splits:
            continue
        path = root / manifest.splits[split]
        if not path.is_file():
            raise ManifestError(f"{path}: no such split list; get it (see how_to_obtain), or set ingest.split=seeded")
        names = pd.Series(
            [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()], dtype=str
        )
        places = films.match(names, key_is)
        places = places[places >= 0]
        if (found[places] != "").any():
            raise ManifestError(f"{path.name}: names films that another official list names too; correct the lists")
        found[places] = str(split)
    return found


def _rules(manifest: Manifest) -> tuple[LabelTableRules, BoxTableRules]:
    labels = manifest.label_table or LabelTableRules(file="labels.csv", key=("image_id",), key_is="any")
    boxes = manifest.box_table or BoxTableRules(
        file="boxes.csv", key=("image_id",), key_is="any", label="label", corners=("x0", "y0", "x1", "y1")
    )
    return labels, boxes


def _labels(
    manifest: Manifest,
    label_table: TextTable | None,
    label_rules: LabelTableRules,
    box_table: TextTable | None,
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
    columns = labels_in_columns(label_table, label_rules) if label_table is not None else ()
    boxed = labels_in_boxes(box_table, box_rules) if box_table is not None else ()
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


def _missing(*tables: TextTable | None) -> list[tuple[str, int]]:
    seen: set[str] = set()
    missing = []
    for table in tables:
        if table is None:
            continue
        for place in np.flatnonzero(table.films == NOT_FOUND):
            key = str(table.key.iloc[place])
            if key not in seen:
                seen.add(key)
                missing.append((table.name, int(table.lines[place])))
    return missing


def _own_table(root: Path, name: str) -> Path | None:
    base = name.removesuffix(".gz")
    return next((root / found for found in (name, base, f"{base}.gz") if (root / found).is_file()), None)
