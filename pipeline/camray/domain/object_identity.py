"""Identity of an exported DICOM object: its UIDs, its version and the object that it replaces."""

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ObjectReference:
    """The UIDs that a DICOM reference to an exported object needs."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True)
class ObjectIdentity:
    """UIDs, version and predecessor of one exported object.

    Parameters
    ----------
    sop_instance_uid, series_instance_uid : str
        One series per film, kind of object and version: of several text reports in one series, OHIF shows the oldest.
    version : int
        From 1.
    created : datetime
        When the result was computed, whole seconds; with its distance from UTC where that is known.
    predecessor : ObjectReference or None
        The version before.
    """

    sop_instance_uid: str
    series_instance_uid: str
    version: int
    created: datetime
    predecessor: ObjectReference | None = None


def uid_of(*parts: str) -> str:
    """Derive a UID from text: ``2.25.`` and 128 bits of its digest (PS3.5 B.2).

    Examples
    --------
    >>> uid_of("camray") == uid_of("camray") != uid_of("camray", "")
    True
    """
    text = "\0".join(parts).encode()
    return "2.25." + str(int.from_bytes(hashlib.sha256(b"camray object\0" + text).digest()[:16], "big"))
