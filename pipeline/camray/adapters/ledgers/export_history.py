"""History of the exported DICOM objects: which content became which object, in which version.

The SOP Instance UID is a digest of the content, the time of the result and the predecessor. Exporting an unchanged
result yields the same SOP Instance UID; a changed one yields a new object that references the one that it replaces.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

from camray.adapters.ledgers.sqlite_table import SqliteTable
from camray.domain.object_identity import ObjectIdentity, ObjectReference, uid_of

_DEFINITION = """
CREATE TABLE IF NOT EXISTS objects (
    source TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, content TEXT NOT NULL, created TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL, sop_instance_uid TEXT NOT NULL, series_instance_uid TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL, PRIMARY KEY (source, kind, version)
)"""
_VERSIONS = """
SELECT version, content, created, sop_class_uid, sop_instance_uid, series_instance_uid, study_instance_uid
FROM objects WHERE source = ? AND kind = ? ORDER BY version"""


class ExportHistory:
    """Objects exported so far; the file outlives the folder of the export stage.

    Parameters
    ----------
    path : Path
        SQLite file, created if missing.
    """

    def __init__(self, path: Path) -> None:
        self._table = SqliteTable(path, _DEFINITION)

    def identify(
        self, source_uid: str, study_uid: str, kind: str, sop_class_uid: str, content: str, computed_at: datetime
    ) -> ObjectIdentity:
        """Return the identity of this content: the latest object if its content is the same, else a successor.

        Parameters
        ----------
        source_uid, study_uid : str
            SOP Instance UID and Study Instance UID of the film.
        kind : str
            Form of the object, for instance ``sr``.
        sop_class_uid : str
            Of the object.
        content : str
            Digest of all that the object contains, except its own UIDs and dates.
        computed_at : datetime
            When the result was computed; an object exported before keeps its recorded time.

        Raises
        ------
        ExportError
            If the file is damaged.
        """
        with self._table.transaction() as connection:
            versions = connection.execute(_VERSIONS, (source_uid, kind)).fetchall()
            self._check(source_uid, kind, versions)
            latest = versions[::-1]
            if latest and latest[0][1] == content:
                before = ObjectReference(*latest[1][3:]) if len(latest) > 1 else None
                version, _, created, _, sop, series, _ = latest[0]
                return ObjectIdentity(sop, series, version, datetime.fromisoformat(created), before)
            before = ObjectReference(*latest[0][3:]) if latest else None
            version = latest[0][0] + 1 if latest else 1
            created = computed_at.replace(microsecond=0)
            series = uid_of("series", source_uid, kind, *([str(version)] if version > 1 else []))
            previous = before.sop_instance_uid if before else ""
            sop = uid_of("instance", source_uid, kind, content, created.isoformat(), previous)
            connection.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (source_uid, kind, version, content, created.isoformat(), sop_class_uid, sop, series, study_uid),
            )
        return ObjectIdentity(sop, series, version, created, before)

    def _check(self, source_uid: str, kind: str, versions: list[tuple[Any, ...]]) -> None:
        """Refuse rows that were changed: each UID is a digest of its row and of the UID before."""
        previous = ""
        for number, (version, content, created, _, sop_instance_uid, *_) in enumerate(versions, 1):
            expected = uid_of("instance", source_uid, kind, str(content), str(created), previous)
            if version != number or sop_instance_uid != expected:
                raise self._table.damaged(f"its row of version {number} of {kind} of film {source_uid} was changed")
            previous = expected
