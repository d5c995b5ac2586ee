"""CSV files as rows of text: delimiter and encoding recognised, lines counted as an editor counts them."""

import bz2
import csv
import gzip
import io
import lzma
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.domain.errors import ManifestError

DELIMITERS = (",", ";", "\t", "|")
MAX_TABLE_BYTES, MAX_COLUMNS = 2**29, 10_000  # of its text, inflated; more is no table of labels or boxes
LARGEST_CELL = 2**31 - 1  # the run lengths of a mask are long
_BOMS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx, .xls
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
_SEPARATOR_LINE = re.compile(r"sep=([^\w\s\"]|\t)\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class TextFault:
    """A fault of a table's form; its lines are empty if it is about columns."""

    what: str
    stops: bool
    lines: tuple[int, ...] = ()
    count: int | None = None


@dataclass(frozen=True, eq=False)
class TableText:
    """The cells of a table file.

    Parameters
    ----------
    cells : DataFrame
        Stripped text; empty cells are missing values. Every column has a name.
    lines : ndarray of shape (rows,), int64
        Line on which each row begins, counted from 1.
    faults : tuple of TextFault
        What is wrong with its form.
    """

    cells: pd.DataFrame
    lines: NDArray[np.int64]
    faults: tuple[TextFault, ...] = ()


def read_csv_text(path: Path, known_columns: Collection[str] = ()) -> TableText:
    """Read a CSV file.

    Parameters
    ----------
    path : Path
        UTF-8, or UTF-16 with a byte order mark; also compressed (.gz, .bz2, .xz, .zip). Blank lines are skipped.
    known_columns : collection of str
        Columns that the table should have: they tell the delimiter (comma, semicolon, tab or bar).

    Returns
    -------
    TableText
        Rows with more cells than the header, repeated names of columns, and what else is odd are its faults.

    Raises
    ------
    ManifestError
        If the file cannot be read as a table.
    """
    try:
        text = _decoded(_content(path), path.name)
        separator = _SEPARATOR_LINE.match(text)
        first_line = 1 if separator is None else 2
        text = text if separator is None else text[separator.end() :]
        delimiter = separator[1] if separator else _delimiter(text, known_columns)
        records = [(line + first_line - 1, cells) for line, cells in _records(text, delimiter, path.name)]
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise ManifestError(
            f"{path.name}: cannot be read as a table ({type(error).__name__}); expected UTF-8 CSV or Parquet"
        ) from error
    if not records:
        raise ManifestError(f"{path.name}: cannot be read as a table (it is empty); expected UTF-8 CSV or Parquet")
    if len(records[0][1]) > MAX_COLUMNS:
        raise ManifestError(
            f"{path.name}: cannot be read as a table: its first row has {len(records[0][1])} cells; expected the names "
            f"of at most {MAX_COLUMNS} columns"
        )
    return _table(records[0][1], records[1:])


def plain_name(name: str) -> str:
    """Return the name of a column or finding with a blank for line breaks and other control characters."""
    stripped_name = name.strip().strip("\ufeff")
    if not any(unicodedata.category(sign) in _CONTROLS for sign in stripped_name):
        return stripped_name
    visible = "".join(" " if unicodedata.category(sign) in _CONTROLS else sign for sign in stripped_name)
    return " ".join(visible.split())


def _content(path: Path) -> bytes:
    openers: dict[str, Callable[[Path], Any]] = {
        ".gz": gzip.GzipFile,
        ".bz2": bz2.BZ2File,
        ".xz": lzma.LZMAFile,
    }
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(names) != 1:
                raise ManifestError(f"{path.name}: has {len(names)} files; expected one table")
            with archive.open(names[0]) as stream:
                return _limited(stream, path.name)
    with openers.get(path.suffix, io.FileIO)(path) as stream:
        return _limited(stream, path.name)


def _limited(stream: IO[bytes], name: str) -> bytes:
    """Read no more than the limit: a compressed file of 1 MiB can hold 1 GiB."""
    content = bytearray()
    while piece := stream.read(2**20):
        content += piece
        if len(content) > MAX_TABLE_BYTES:
            raise ManifestError(
                f"{name}: cannot be read as a table: it has more than {MAX_TABLE_BYTES >> 20} MiB of text; expected "
                "one row for each film, or for each box; split it, or convert it to Parquet"
            )
    return bytes(content)


def _decoded(content: bytes, name: str) -> str:
    if content.startswith(_EXCEL):
        raise ManifestError(f"{name}: is an Excel workbook; expected CSV; save it as 'CSV UTF-8'")
    try:
        text = content.decode("utf-16" if content.startswith(_BOMS_OF_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ManifestError(
            f"{name}: cannot be read as a table: line {line} is not UTF-8; save it as 'CSV UTF-8'"
        ) from error
    if "\0" in text:
        raise ManifestError(f"{name}: cannot be read as a table: it is not text; save it as 'CSV UTF-8'")
    return text


def _delimiter(text: str, known_columns: Collection[str]) -> str:
    """Return the first delimiter by which the header has a known column, or else several cells."""
    known = {folded(name) for name in known_columns}
    headers = {delimiter: _header(text, delimiter) for delimiter in DELIMITERS}
    for delimiter, cells in headers.items():
        if known.intersection(map(folded, cells)) and len(cells) > 1:
            return delimiter
    return next((delimiter for delimiter, cells in headers.items() if len(cells) > 1), DELIMITERS[0])


def folded(name: str) -> str:
    """Return a column's name without case, blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", plain_name(name).casefold())


def _header(text: str, delimiter: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        return next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
    except csv.Error:
        return []


def _records(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    limit, line = csv.field_size_limit(LARGEST_CELL), 1
    try:
        for cells in reader:
            if any(cell and not cell.isspace() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ManifestError(
            f"{name}: cannot be read as a table: the row that begins in line {line} is not valid CSV ({error}); "
            "correct its quotes"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _table(header: Sequence[str], records: Sequence[tuple[int, list[str]]]) -> TableText:
    names = [plain_name(name) for name in header]
    width = len(names)
    lines = np.array([line for line, _ in records], dtype=np.int64)
    faults = _width_faults(records, width)
    padded = [cells if len(cells) == width else [*cells[:width], *[""] * (width - len(cells))] for _, cells in records]
    columns = list(zip(*padded, strict=True)) if padded else [()] * width
    faults += _name_faults(header, names, columns)
    named = {name: columns[number] for number, name in reversed(list(enumerate(names))) if name}  # the first one wins
    cells = pd.DataFrame({name: pd.array(named[name], dtype="string") for name in dict.fromkeys(names) if name})
    return TableText(stripped(cells), lines, tuple(faults))


def stripped(cells: pd.DataFrame) -> pd.DataFrame:
    """Return cells of text without surrounding blanks; empty ones are missing values."""
    for column in cells.columns:
        text = cells[column].str.strip()
        cells[column] = text.mask(text == "")
    return cells


def _width_faults(records: Sequence[tuple[int, list[str]]], width: int) -> list[TextFault]:
    wide = [(line, len(cells)) for line, cells in records if any(cell.strip() for cell in cells[width:])]
    narrow = tuple(line for line, cells in records if len(cells) < width)
    faults = []
    if wide:
        what = f"rows with more cells than the header (line {wide[0][0]}: {wide[0][1]} cells, the header has {width})"
        faults.append(TextFault(what, True, tuple(line for line, _ in wide)))
    if narrow:
        faults.append(
            TextFault("rows with fewer cells than the header; the last ones are taken as empty", False, narrow)
        )
    return faults


def _name_faults(header: Sequence[str], names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[TextFault]:
    faults = []
    nameless = sum(not name and any(cell.strip() for cell in cells) for name, cells in zip(names, columns, strict=True))
    if nameless:
        faults.append(TextFault("columns without a name, not used", False, count=nameless))
    repeated = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if repeated:
        what = f"several columns have one name: {', '.join(map(repr, repeated))}; rename them"
        faults.append(TextFault(what, True, count=len(repeated)))
    broken = [name for given, name in zip(header, names, strict=True) if plain_name(given) != given.strip()]
    if broken:
        what = f"names of columns with line breaks or control characters, read as {', '.join(map(repr, broken))}"
        faults.append(TextFault(what, False, count=len(broken)))
    return faults
