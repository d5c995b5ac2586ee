"""Log of deliveries: which object went to which destination, in a SQLite file that survives a killed process.

An object is marked as sent *before* its first byte leaves. After any interruption three states can be told apart: not
started, started with an unknown end (the destination is queried before anything is sent again), and answered.
"""

from pathlib import Path

from camray.adapters.ledgers.sqlite_table import SqliteTable
from camray.domain.delivery import DeliveryState
from camray.domain.errors import ExportError

_DEFINITION = """
CREATE TABLE IF NOT EXISTS deliveries (
    destination TEXT NOT NULL, sop_instance_uid TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, message TEXT NOT NULL, PRIMARY KEY (destination, sop_instance_uid)
)"""


class DeliveryLog:
    """The deliveries of one run.

    Parameters
    ----------
    path : Path
        SQLite file, created if missing.
    """

    def __init__(self, path: Path) -> None:
        self._table = SqliteTable(path, _DEFINITION)

    def state(self, destination: str, sop_instance_uid: str, digest: str) -> DeliveryState:
        """Return the delivery state of an object.

        Parameters
        ----------
        destination : str
            Address, without credentials.
        sop_instance_uid, digest : str
            The object, and SHA-256 of its file.

        Raises
        ------
        ExportError
            If the same UID was delivered there with other content, or the file is damaged.
        """
        with self._table.transaction() as connection:
            row = connection.execute(
                "SELECT state, digest FROM deliveries WHERE destination = ? AND sop_instance_uid = ?",
                (destination, sop_instance_uid),
            ).fetchone()
        if row is None:
            return DeliveryState.NEW
        if row[1] != digest and row[0] != DeliveryState.REFUSED:
            raise ExportError(
                f"object {sop_instance_uid} was delivered to {destination} with other content; "
                "export again to get a new version"
            )
        return self._state(row[0])

    def mark(
        self, destination: str, sop_instance_uid: str, digest: str, state: DeliveryState, message: str = ""
    ) -> None:
        """Record the delivery state of an object; each mark as sent counts as one attempt."""
        attempt = int(state is DeliveryState.SENT)
        with self._table.transaction() as connection:
            connection.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (destination, sop_instance_uid) DO UPDATE"
                " SET digest = excluded.digest, state = excluded.state, attempts = attempts + ?,"
                " message = excluded.message",
                (destination, sop_instance_uid, digest, str(state), attempt, message, attempt),
            )

    def rows(self, destination: str) -> list[tuple[str, DeliveryState, int, str]]:
        """List a destination's objects: UID, state, attempts, message; sorted."""
        with self._table.transaction() as connection:
            rows = connection.execute(
                "SELECT sop_instance_uid, state, attempts, message FROM deliveries WHERE destination = ? ORDER BY 1",
                (destination,),
            ).fetchall()
        return [(uid, self._state(state), attempts, message) for uid, state, attempts, message in rows]

    def _state(self, text: str) -> DeliveryState:
        try:
            return DeliveryState(text)
        except ValueError:
            raise self._table.damaged(f"'{text}' is no state of a delivery") from None
