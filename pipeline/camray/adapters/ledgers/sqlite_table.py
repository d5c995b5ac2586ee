"""One SQLite table in a file of its own: each block is one transaction, and no connection stays open."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from camray.domain.errors import ExportError, IncompleteError, PipelineError

_MACHINE_FAULTS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}


class SqliteTable:
    """A table that survives a killed process.

    Parameters
    ----------
    path : Path
        SQLite file; it and its folder are created if missing.
    definition : str
        ``CREATE TABLE IF NOT EXISTS ...``.
    """

    def __init__(self, path: Path, definition: str) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.transaction() as connection:
            connection.execute(definition)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection; commit at the end of the block, roll back if it raises, and close.

        Raises
        ------
        IncompleteError
            If the file cannot be opened or written: full disk, no permission, another process.
        ExportError
            If it is damaged, or no database with this table.
        """
        try:
            with closing(sqlite3.connect(self._path)) as connection, connection:
                yield connection
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):  # faults of the program
            raise
        except sqlite3.DatabaseError as error:
            raise _explained(self._path, error) from error

    def damaged(self, why: str) -> ExportError:
        """Return the error for a file whose content cannot be right."""
        return _damaged(self._path, why)


def _explained(path: Path, error: sqlite3.DatabaseError) -> PipelineError:
    if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _MACHINE_FAULTS:
        return IncompleteError(f"{path}: {error}; correct the cause and run the same command again to resume")
    return _damaged(path, str(error))


def _damaged(path: Path, why: str) -> ExportError:
    return ExportError(
        f"{path}: damaged ({why}), expected an SQLite file written by camray; restore it from a copy, or move it "
        "away: the next export or delivery makes a new one and treats all objects as new"
    )
