"""One SQLite table in a file of its own: each block is one transaction, and no connection stays open."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        """Open a connection; commit at the end of the block, roll back if it raises, and close."""
        connection = sqlite3.connect(self._path)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
