"""Who an object is: UIDs made from its content, and the history that tells its predecessor.

An object's UID is a digest of what it says, of when that was found, and of the object it replaces. So the same result
is the same object however often it is exported, and a changed result is a new object that names the one before it.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.uid import UID

_TABLE = """
CREATE TABLE IF NOT EXISTS objects (
    source TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, content TEXT NOT NULL, created TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL, sop_instance_uid TEXT NOT NULL, series_instance_uid TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL, PRIMARY KEY (source, kind, version)
)"""


@dataclass(frozen=True)
class ObjectReference:
    """Enough to point at an object that was exported before."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True)
class ObjectIdentity:
    """Who one object is.

    Parameters
    ----------
    sop_instance_uid, series_instance_uid : str
        One series for each film and kind of object; its versions are its instances.
    version : int
        From 1.
    created : datetime
        When the result was found, whole seconds.
    predecessor : ObjectReference or None
        The version before.
    """

    sop_instance_uid: str
    series_instance_uid: str
    version: int
    created: datetime
    predecessor: ObjectReference | None = None


def uid_of(*words: str) -> UID:
    """Make a UID of words: 2.25 and 128 bits of their digest (PS3.5 B.2).

    Examples
    --------
    >>> uid_of("camray") == uid_of("camray") != uid_of("camray", "")
    True
    """
    text = "\0".join(words).encode()
    return UID("2.25." + str(int.from_bytes(hashlib.sha256(b"camray object\0" + text).digest()[:16], "big")))


class ExportHistory:
    """What was exported before, in a small SQLite file that outlives the export stage's folder.

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

    def identify(
        self, source_uid: str, study_uid: str, kind: str, sop_class_uid: str, content: str, found_at: datetime
    ) -> ObjectIdentity:
        """Tell which object this content is: the last one, if it says the same, or its successor.

        Parameters
        ----------
        source_uid, study_uid : str
            SOP Instance UID and Study Instance UID of the film.
        kind : str
            Form of the object, for instance ``sr``.
        sop_class_uid : str
            Of the object.
        content : str
            Digest of all that the object holds, its own UIDs and dates left out.
        found_at : datetime
            When the result was found; of an object that is known already the recorded time counts.
        """
        with self._open() as store:
            last = store.execute(
                "SELECT version, content, created, sop_class_uid, sop_instance_uid, series_instance_uid, "
                "study_instance_uid FROM objects WHERE source = ? AND kind = ? ORDER BY version DESC LIMIT 2",
                (source_uid, kind),
            ).fetchall()
            if last and last[0][1] == content:
                before = ObjectReference(*last[1][3:]) if len(last) > 1 else None
                version, _, created, _, sop, series, _ = last[0]
                return ObjectIdentity(sop, series, version, datetime.fromisoformat(created), before)
            before = ObjectReference(*last[0][3:]) if last else None
            version = last[0][0] + 1 if last else 1
            created = found_at.replace(microsecond=0, tzinfo=None)
            series = str(uid_of("series", source_uid, kind))
            previous = before.sop_instance_uid if before else ""
            sop = str(uid_of("instance", source_uid, kind, content, created.isoformat(), previous))
            store.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (source_uid, kind, version, content, created.isoformat(), sop_class_uid, sop, series, study_uid),
            )
        return ObjectIdentity(sop, series, version, created, before)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        store = sqlite3.connect(self._path)
        try:
            with store:
                yield store
        finally:
            store.close()
