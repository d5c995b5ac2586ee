"""Published tables as text, with their lines, known columns and the films that their rows mean."""

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
    """A table as it was published, every cell as text.

    Parameters
    ----------
    name : str
        File name, for messages.
    cells : DataFrame
        Stripped text; a missing value where a cell is empty.
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

    def rows(self, chosen: NDArray[np.bool_]) -> "TextTable":
        """Return some of the rows, chosen by a mask."""
        cells = self.cells[chosen].reset_index(drop=True)
        return TextTable(
            self.name, cells, self.lines[chosen], self.films[chosen], self.key[chosen].reset_index(drop=True)
        )


def open_table(path: Path, rules: TableRules, films: FilmIndex, report: FaultReport) -> TextTable | None:
    """Read a table and find the film of each row.

    Parameters
    ----------
    path : Path
        CSV (also .gz, .bz2, .zip, .xz), Parquet, JSON of masks, or a folder of VOC XML files.
    rules : TableRules
        Which column names the film, and how.
    films : FilmIndex
        The films at hand.
    report : FaultReport
        Gets rows without a key and keys that fit several films.

    Returns
    -------
    TextTable or None
        None where the key column is missing, which the report then says.

    Raises
    ------
    ManifestError
        If the file cannot be read as a table at all.
    """
    cells = read_cells(path)
    key_column = next((name for name in rules.key if name in cells.columns), None)
    if key_column is None:
        report.add(path.name, f"no column {_listed(rules.key)} that names the film", stops=True, count=1)
        return None
    lines = np.arange(2, len(cells) + 2, dtype=np.int64)
    keyed = cells[key_column].notna().to_numpy()
    report.add(path.name, "rows that name no film", lines[~keyed], stops=True)
    cells, lines = cells[keyed].reset_index(drop=True), lines[keyed]
    key = cells[key_column].astype(str)
    if rules.key_pattern is not None:
        key = key.str.extract(rules.key_pattern, expand=False).fillna(key)
    found = films.match(key, rules.key_is)
    report.add(path.name, "rows whose name fits several films", lines[found == AMBIGUOUS], stops=True)
    return TextTable(path.name, cells, lines, found, key)


def read_cells(path: Path) -> pd.DataFrame:
    """Read every cell as stripped text; empty cells are missing, and columns without a name or a value are left out.

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
    """Find a file or folder that a manifest names below the root, plain or compressed; None where it is not."""
    base = name.removesuffix(".gz")
    return next((root / found for found in (name, base, f"{base}.gz") if (root / found).exists()), None)


def report_unknown_columns(table: TextTable, known: Iterable[str], report: FaultReport) -> None:
    """Note columns that the manifest does not name: they are not used, and the result is none the worse."""
    unknown = [column for column in table.cells.columns if column not in set(known)]
    if unknown:
        report.add(table.name, f"unknown columns, not used: {_listed(unknown)}", stops=False, count=len(unknown))


def report_filmless(table: TextTable, report: FaultReport) -> None:
    """Note rows whose film is not there."""
    lines = table.lines[table.films == NOT_FOUND]
    report.add(table.name, "rows without a film under the root", lines, stops=False)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
