"""Paths of a data set's tables: the manifest's own, or others in their place."""

from dataclasses import dataclass
from pathlib import Path

from camray.adapters.datasets.manifest import Manifest, TableRules
from camray.adapters.datasets.split_lists import split_list
from camray.adapters.datasets.tables import own_file
from camray.domain.errors import ManifestError

_WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


@dataclass(frozen=True)
class TablePaths:
    """Paths of the tables; None if there is none."""

    labels: Path | None
    boxes: Path | None
    more_labels: tuple[Path, ...] = ()  # further tables of the same form, for other films
    more_boxes: tuple[Path, ...] = ()
    patients: Path | None = None
    missing: tuple[str, ...] = ()  # optional tables that the manifest names and the root lacks

    @property
    def label_tables(self) -> tuple[Path, ...]:
        """All label tables, first one first."""
        return (*((self.labels,) if self.labels else ()), *self.more_labels)

    @property
    def box_tables(self) -> tuple[Path, ...]:
        """All box tables, first one first."""
        return (*((self.boxes,) if self.boxes else ()), *self.more_boxes)


def table_paths(manifest: Manifest, root: Path, labels: Path | None, boxes: Path | None, *, own: bool) -> TablePaths:
    """Return the paths of the tables to read.

    Parameters
    ----------
    manifest : Manifest
        Definition of the data set.
    root : Path
        Folder of the data set.
    labels, boxes : Path or None
        Tables in place of the manifest's own.
    own : bool
        Whether to use the manifest's own tables.

    Raises
    ------
    ManifestError
        If a given table, or the label table that the manifest needs, does not exist, or a workbook is in its place.
    """
    paths: list[tuple[Path, ...]] = []
    for given, rules in ((labels, manifest.label_table), (boxes, manifest.box_table)):
        if given is not None:
            if not given.exists():
                raise ManifestError(f"{given}: no such table")
            paths.append((given,))
        elif own and rules is not None:
            paths.append(_own_tables(root, rules))
            if not paths[-1]:
                _check_no_workbook(root / rules.file)
        else:
            paths.append(())
    if own and not paths[0] and manifest.label_table is not None and manifest.labels != "auto":
        raise ManifestError(
            f"{root / manifest.label_table.file}: no such label table; the data manifest '{manifest.name}' needs it; "
            "name another one with data.labels"
        )
    firsts = [tables[0] if tables else None for tables in paths]
    patients, missing = _patient_table(manifest, root) if own else (None, ())
    return TablePaths(firsts[0], firsts[1], paths[0][1:], paths[1][1:], patients, missing)


def _check_no_workbook(table: Path) -> None:
    for workbook in (table.with_suffix(suffix) for suffix in _WORKBOOKS):
        if workbook.is_file():
            raise ManifestError(f"{workbook}: is a workbook; expected CSV; save it as 'CSV UTF-8' under {table.name}")


def _patient_table(manifest: Manifest, root: Path) -> tuple[Path | None, tuple[str, ...]]:
    rules = manifest.films.patient_table
    if rules is None:
        return None, ()
    path = own_file(root, rules.file)
    return path, (() if path else (rules.file,))


def own_table_files(manifest: Manifest, root: Path) -> list[Path]:
    """Return the manifest's own tables and split lists under the root, which are no films."""
    all_rules = (manifest.label_table, manifest.box_table, manifest.films.patient_table)
    tables = [_own_tables(root, rules) for rules in all_rules if rules is not None]
    lists = [split_list(manifest, root, split) for split in manifest.splits]
    return [path for path in (*(path for own in tables for path in own), *lists) if path is not None]


def _own_tables(root: Path, rules: TableRules) -> tuple[Path, ...]:
    names = (rules.file, *rules.more)
    paths = [own_file(root, name) or own_file(root, rules.instead.get(name, name)) for name in names]
    return tuple(path for path in paths if path is not None)
