"""What was delivered where: a small SQLite file that survives a cut connection, a kill and a restart.

An object is marked as sent *before* its first byte leaves. So after any break-off three things can be told apart: not
begun, begun with an unknown end (the destination is asked before anything is sent again), and answered.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from camray.domain.delivery import DeliveryState
from camray.domain.errors import ExportError

_TABLE = """
CREATE TABLE IF NOT EXISTS deliveries (
    destination TEXT NOT NULL, sop_instance_uid TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, message TEXT NOT NULL, PRIMARY KEY (destination, sop_instance_uid)
)"""


class Ledger:
    """The deliveries of one run.

    Parameters
    ----------
    path : Path
        Made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as store:
            store.execute(_TABLE)

    def state(self, destination: str, sop_instance_uid: str, digest: str) -> DeliveryState:
        """Tell how far an object is.

        Parameters
        ----------
        destination : str
            Address, without credentials.
        sop_instance_uid, digest : str
            The object, and SHA-256 of its file.

        Raises
        ------
        ExportError
            If other bytes went there under this UID: a UID means one object for ever.
        """
        with self._open() as store:
            row = store.execute(
                "SELECT state, digest FROM deliveries WHERE destination = ? AND sop_instance_uid = ?",
                (destination, sop_instance_uid),
            ).fetchone()
        if row is None:
            return DeliveryState.NEW
        if row[1] != digest and row[0] != DeliveryState.REFUSED:
            raise ExportError(
                f"object {sop_instance_uid} went to {destination} with other content; export again to get a new version"
            )
        return DeliveryState(row[0])

    def mark(
        self, destination: str, sop_instance_uid: str, digest: str, state: DeliveryState, message: str = ""
    ) -> None:
        """Write down how far an object is; each time it is marked as sent counts as an attempt."""
        one = int(state is DeliveryState.SENT)
        with self._open() as store:
            store.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (destination, sop_instance_uid) DO UPDATE"
                " SET digest = excluded.digest, state = excluded.state, attempts = attempts + ?,"
                " message = excluded.message",
                (destination, sop_instance_uid, digest, str(state), one, message, one),
            )

    def rows(self, destination: str) -> list[tuple[str, DeliveryState, int, str]]:
        """List a destination's objects: UID, state, attempts, message; sorted."""
        with self._open() as store:
            found = store.execute(
                "SELECT sop_instance_uid, state, attempts, message FROM deliveries WHERE destination = ? ORDER BY 1",
                (destination,),
            ).fetchall()
        return [(uid, DeliveryState(state), attempts, message) for uid, state, attempts, message in found]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        store = sqlite3.connect(self._path)
        try:
            with store:
                yield store
        finally:
            store.close()
