"""Types of artifacts: tables, records, and folders whose files have fixed names."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pandas as pd

from camray.adapters.run_folders.tables import read_table, write_table

_T = TypeVar("_T")


@dataclass(frozen=True)
class TableFile:
    """A Parquet table with fixed columns."""

    path: Path
    columns: Mapping[str, str]

    def read(self, categories: Collection[str] = ()) -> pd.DataFrame:
        """Read the table; see `camray.adapters.run_folders.tables.read_table`."""
        return read_table(self.path, self.columns, categories)

    def write(self, table: pd.DataFrame) -> None:
        """Write the table; see `camray.adapters.run_folders.tables.write_table`."""
        write_table(self.path, table, self.columns)

    def is_file(self) -> bool:
        """Return whether the file exists."""
        return self.path.is_file()


@dataclass(frozen=True)
class RecordFile(Generic[_T]):
    """A JSON file that holds one record."""

    path: Path
    reader: Callable[[Path], _T]
    writer: Callable[[Path, _T], None]

    def read(self) -> _T:
        """Read the record."""
        return self.reader(self.path)

    def write(self, record: _T) -> None:
        """Write the record."""
        self.writer(self.path, record)

    def is_file(self) -> bool:
        """Return whether the file exists."""
        return self.path.is_file()


@dataclass(frozen=True)
class ArtifactFolder:
    """A folder of artifacts."""

    folder: Path


class Named(Generic[_T]):
    """A descriptor: the artifact of a fixed name in the folder of its owner."""

    def __init__(self, name: str, kind: Callable[[Path], _T]) -> None:
        self._name, self._kind = name, kind

    def __get__(self, owner: ArtifactFolder, owner_type: type[ArtifactFolder] | None = None) -> _T:
        return self._kind(owner.folder / self._name)


def path_of(name: str) -> Named[Path]:
    """Name a file or folder."""
    return Named(name, Path)


def table_of(name: str, columns: Mapping[str, str]) -> Named[TableFile]:
    """Name a table."""
    return Named(name, lambda path: TableFile(path, columns))


def record_of(name: str, reader: Callable[[Path], _T], writer: Callable[[Path, _T], None]) -> Named[RecordFile[_T]]:
    """Name a record."""
    return Named(name, lambda path: RecordFile(path, reader, writer))
