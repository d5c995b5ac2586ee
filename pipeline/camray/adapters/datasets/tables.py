"""Published tables as text, with the line and the film of each row."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyarrow.parquet import ParquetFile

from camray.adapters.datasets.csv_text import (
    MAX_COLUMNS,
    MAX_TABLE_BYTES,
    TableText,
    folded,
    plain_name,
    read_csv_text,
    stripped,
)
from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.films_index import AMBIGUOUS, NOT_FOUND, FilmIndex
from camray.adapters.datasets.json_marks import read_json_marks
from camray.adapters.datasets.manifest import TableRules
from camray.adapters.datasets.markup import voc_cells
from camray.adapters.datasets.near_names import match_nearly
from camray.domain.errors import ManifestError
from camray.domain.suggestions import did_you_mean

MAX_CELLS = 2**26  # of a Parquet table; a CSV of its largest size has about as many


@dataclass(frozen=True, eq=False)
class TextTable:
    """A published table, every cell as text.

    Parameters
    ----------
    name : str
        File name, for messages.
    cells : DataFrame
        Stripped text; empty cells are missing values.
    lines : ndarray of shape (rows,), int64
        Line of each row; the header is line 1.
    films : ndarray of shape (rows,), int64
        Position of each row's film in the `FilmIndex`, or `NOT_FOUND`, or `AMBIGUOUS`.
    key : Series of str
        The column that names the film.
    nearly : mapping of int to tuple of int
        Lines that name a film in another form and are not used, because others do so too; by the film's position.
    """

    name: str
    cells: pd.DataFrame
    lines: NDArray[np.int64]
    films: NDArray[np.int64]
    key: "pd.Series[str]"
    nearly: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def column(self, names: Sequence[str]) -> str | None:
        """Return the first of `names` that is a column, or None."""
        return next((name for name in names if name in self.cells.columns), None)

    def rows(self, mask: NDArray[np.bool_]) -> "TextTable":
        """Return the rows of a mask."""
        cells = self.cells[mask].reset_index(drop=True)
        key = self.key[mask].reset_index(drop=True)
        return TextTable(self.name, cells, self.lines[mask], self.films[mask], key, self.nearly)

    def without_refused(self, films: FilmIndex, report: FaultReport) -> "TextTable":
        """Return the rows about other films than refused ones; these are reported."""
        refused = np.zeros(len(self.films), dtype=bool)
        refused[self.films >= 0] = ~films.usable[self.films[self.films >= 0]]
        report.add(self.name, "rows about refused films; not used", self.lines[refused], stops=False)
        return self.rows(~refused)


def open_table(path: Path, rules: TableRules, films: FilmIndex, report: FaultReport) -> TextTable | None:
    """Read a table and match its rows to films.

    Parameters
    ----------
    path : Path
        CSV (also .gz, .bz2, .zip, .xz), Parquet, JSON of masks or of COCO, or a folder of VOC XML files.
    rules : TableRules
        Which column names the film, and how.
    films : FilmIndex
        The films of the data set.
    report : FaultReport
        Receives rows without a key, keys of several films, names in another form, and faults of the table's form.

    Returns
    -------
    TextTable or None
        None if the key column is missing, which is reported.

    Raises
    ------
    ManifestError
        If the file cannot be read as a table.
    """
    return match_rows(path.name, read_text(path, rules.columns, rules.paints_outline), rules, films, report)


def match_rows(
    name: str, text: TableText, rules: TableRules, films: FilmIndex, report: FaultReport
) -> TextTable | None:
    """Match the rows of a table to films; parameters and result as of `open_table`."""
    for fault in text.faults:
        report.add(name, fault.what, fault.lines, stops=fault.stops, count=fault.count)
    cells, lines = _with_known_names(name, text.cells, rules, report), text.lines
    key_columns = [column for column in rules.key if column in cells.columns]
    if not key_columns:
        what = missing_columns(rules.key, "for the film", cells.columns)
        report.add(name, what, stops=True, count=1)
        return None
    tables = (_matched(name, cells, lines, column, rules, films) for column in key_columns)
    first = next(tables)
    table = first if (first.films != NOT_FOUND).any() else next((t for t in tables if (t.films >= 0).any()), first)
    has_key = cells[str(table.key.name)].notna().to_numpy()
    report.add(name, "rows without a film", lines[~has_key], stops=True)
    report.add(name, "rows whose key matches several films", table.lines[table.films == AMBIGUOUS], stops=True)
    return _with_near_names(table, rules, films, report)


def _matched(
    name: str, cells: pd.DataFrame, lines: NDArray[np.int64], key_column: str, rules: TableRules, films: FilmIndex
) -> TextTable:
    has_key = cells[key_column].notna().to_numpy()
    cells, lines = cells[has_key].reset_index(drop=True), lines[has_key]
    key = cells[key_column].astype(str)
    if rules.key_pattern is not None:
        key = key.str.extract(rules.key_pattern, expand=False).fillna(key)
    return TextTable(name, cells, lines, films.match(key, rules.key_is), key.rename(key_column))


def _with_near_names(table: TextTable, rules: TableRules, films: FilmIndex, report: FaultReport) -> TextTable:
    """Match rows that name films in another form, and report them."""
    near = match_nearly(table.key, table.films, films, rules.key_is)
    for difference, rows in near.rows.items():
        what = f"rows that name their film in another form ({difference}); they are used"
        report.add(table.name, what, table.lines[rows], stops=False)
    for difference, rows in near.unclear.items():
        what = f"rows that nearly name a film ({difference}), but several rows or films agree; they are not used"
        report.add(table.name, what, table.lines[rows], stops=False)
    nearest = {film: tuple(int(line) for line in table.lines[rows]) for film, rows in near.candidates.items()}
    return replace(table, films=np.where(near.films >= 0, near.films, table.films), nearly=nearest)


def _with_known_names(name: str, cells: pd.DataFrame, rules: TableRules, report: FaultReport) -> pd.DataFrame:
    """Give columns the manifest's spelling where case, blanks, hyphens or underscores differ."""
    known: dict[str, str] = {}
    for fold in (folded, str.casefold):  # the spelling that differs by case alone comes first
        known |= {fold(column): column for column in reversed(rules.columns) if column not in cells.columns}
    own = [column for column in cells.columns if column not in rules.columns]
    spellings = [column.casefold() if column.casefold() in known else folded(column) for column in own]
    renamed = {
        column: known[spelling]
        for column, spelling in zip(own, spellings, strict=True)
        if spelling in known and spellings.count(spelling) == 1
    }
    pairs = ", ".join(f"'{old}' as '{new}'" for old, new in renamed.items())
    report.add(name, f"columns read in another spelling: {pairs}", stops=False, count=len(renamed))
    return cells.rename(columns=renamed)


def read_text(path: Path, known_columns: Collection[str] = (), outline: bool = False) -> TableText:
    """Read every cell as stripped text; empty cells are missing.

    Parameters
    ----------
    path : Path
        See `open_table`.
    known_columns : collection of str
        Columns that a CSV should have: they tell its delimiter.
    outline : bool
        Of polygons, see `camray.adapters.datasets.markup.mask_cells`.

    Raises
    ------
    ManifestError
        If the file cannot be read as a table.
    """
    if path.is_dir():
        return _numbered(voc_cells(path))
    if path.suffix == ".json":
        return read_json_marks(path, outline)
    if path.suffix != ".parquet":
        return read_csv_text(path, known_columns)
    try:
        _check_parquet_size(path)
        cells = pd.read_parquet(path).astype("string")
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"{path.name}: cannot be read as a table ({type(error).__name__}); expected UTF-8 CSV or Parquet"
        ) from error
    cells.columns = [plain_name(str(column)) for column in cells.columns]
    return _numbered(stripped(cells))


def _check_parquet_size(path: Path) -> None:
    """Refuse a table that would fill the memory: a file of 1 KiB can hold a billion equal cells."""
    form = ParquetFile(path).metadata
    cells = form.num_rows * form.num_columns
    size = sum(form.row_group(number).total_byte_size for number in range(form.num_row_groups))
    if form.num_columns > MAX_COLUMNS or cells > MAX_CELLS or size > MAX_TABLE_BYTES:
        raise ManifestError(
            f"{path.name}: cannot be read as a table: it has {form.num_rows} rows, {form.num_columns} columns and "
            f"{size} bytes; expected a table of labels or boxes of at most {MAX_COLUMNS} columns, {MAX_CELLS} cells "
            f"and {MAX_TABLE_BYTES >> 20} MiB"
        )


def read_cells(path: Path, known_columns: Collection[str] = ()) -> pd.DataFrame:
    """Return the cells that `read_text` returns."""
    return read_text(path, known_columns).cells


def _numbered(cells: pd.DataFrame) -> TableText:
    return TableText(cells, np.arange(2, len(cells) + 2, dtype=np.int64))


def own_file(root: Path, name: str) -> Path | None:
    """Return a file or folder that a manifest names under the root, plain or compressed; None if it does not exist."""
    base = name.removesuffix(".gz")
    return next((root / file for file in (name, base, f"{base}.gz") if (root / file).exists()), None)


def report_unknown_columns(table: TextTable, known: Iterable[str], report: FaultReport) -> None:
    """Report columns that the manifest does not name; they are not used."""
    unknown = [column for column in table.cells.columns if column not in set(known)]
    if unknown:
        report.add(table.name, f"unknown columns, not used: {_listed(unknown)}", stops=False, count=len(unknown))


def missing_columns(names: Sequence[str], purpose: str, columns: Iterable[str]) -> str:
    """Describe that a table has no column of any of these names; names the nearest columns, and all."""
    existing = list(columns)
    near = did_you_mean(names, existing, "")
    return f"no column {_listed(names)} {purpose}; {near}the columns are {_listed(existing)}"


def report_filmless(table: TextTable, report: FaultReport) -> None:
    """Report rows whose film does not exist."""
    lines = table.lines[table.films == NOT_FOUND]
    report.add(table.name, "rows without a film under the root", lines, stops=False)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
