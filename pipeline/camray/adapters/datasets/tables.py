"""Published tables as text, with the line and the film of each row."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.films_index import AMBIGUOUS, NOT_FOUND, FilmIndex
from camray.adapters.datasets.manifest import TableRules
from camray.adapters.datasets.markup import mask_cells, voc_cells
from camray.domain.errors import ManifestError


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
    """

    name: str
    cells: pd.DataFrame
    lines: NDArray[np.int64]
    films: NDArray[np.int64]
    key: "pd.Series[str]"

    def column(self, names: Sequence[str]) -> str | None:
        """Return the first of `names` that is a column, or None."""
        return next((name for name in names if name in self.cells.columns), None)

    def rows(self, mask: NDArray[np.bool_]) -> "TextTable":
        """Return the rows of a mask."""
        cells = self.cells[mask].reset_index(drop=True)
        return TextTable(self.name, cells, self.lines[mask], self.films[mask], self.key[mask].reset_index(drop=True))


def open_table(path: Path, rules: TableRules, films: FilmIndex, report: FaultReport) -> TextTable | None:
    """Read a table and match its rows to films.

    Parameters
    ----------
    path : Path
        CSV (also .gz, .bz2, .zip, .xz), Parquet, JSON of masks, or a folder of VOC XML files.
    rules : TableRules
        Which column names the film, and how.
    films : FilmIndex
        The films of the data set.
    report : FaultReport
        Receives rows without a key, and keys of several films.

    Returns
    -------
    TextTable or None
        None if the key column is missing, which is reported.

    Raises
    ------
    ManifestError
        If the file cannot be read as a table.
    """
    cells = read_cells(path)
    key_column = next((name for name in rules.key if name in cells.columns), None)
    if key_column is None:
        report.add(path.name, f"no column {_listed(rules.key)} for the film", stops=True, count=1)
        return None
    lines = np.arange(2, len(cells) + 2, dtype=np.int64)
    has_key = cells[key_column].notna().to_numpy()
    report.add(path.name, "rows without a film", lines[~has_key], stops=True)
    cells, lines = cells[has_key].reset_index(drop=True), lines[has_key]
    key = cells[key_column].astype(str)
    if rules.key_pattern is not None:
        key = key.str.extract(rules.key_pattern, expand=False).fillna(key)
    matched = films.match(key, rules.key_is)
    report.add(path.name, "rows whose key matches several films", lines[matched == AMBIGUOUS], stops=True)
    return TextTable(path.name, cells, lines, matched, key)


def read_cells(path: Path) -> pd.DataFrame:
    """Read every cell as stripped text; empty cells are missing, and columns without name and values are dropped.

    Raises
    ------
    ManifestError
        If the file cannot be read as a table.
    """
    if path.is_dir():
        return voc_cells(path)
    if path.suffix == ".json":
        return mask_cells(path)
    try:
        if path.suffix == ".parquet":
            cells = pd.read_parquet(path).astype("string")
        else:
            cells = pd.read_csv(path, dtype="string", keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except (OSError, ValueError, EOFError, zlib.error, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ManifestError(
            f"{path.name}: cannot be read as a table ({type(error).__name__}); expected UTF-8 CSV or Parquet"
        ) from error
    cells.columns = [str(column).strip() for column in cells.columns]
    nameless = [c for c in cells.columns if (not c or c.startswith("Unnamed:")) and cells[c].isna().all()]
    cells = cells.drop(columns=nameless)
    for column in cells.columns:
        stripped = cells[column].str.strip()
        cells[column] = stripped.mask(stripped == "")
    return cells


def own_file(root: Path, name: str) -> Path | None:
    """Return a file or folder that a manifest names under the root, plain or compressed; None if it does not exist."""
    base = name.removesuffix(".gz")
    return next((root / file for file in (name, base, f"{base}.gz") if (root / file).exists()), None)


def report_unknown_columns(table: TextTable, known: Iterable[str], report: FaultReport) -> None:
    """Report columns that the manifest does not name; they are not used."""
    unknown = [column for column in table.cells.columns if column not in set(known)]
    if unknown:
        report.add(table.name, f"unknown columns, not used: {_listed(unknown)}", stops=False, count=len(unknown))


def report_filmless(table: TextTable, report: FaultReport) -> None:
    """Report rows whose film does not exist."""
    lines = table.lines[table.films == NOT_FOUND]
    report.add(table.name, "rows without a film under the root", lines, stops=False)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
