"""The object that a fetch requested: an object with other UIDs is refused and counted, never kept."""

import io
import warnings
from typing import Any

from pydicom import Dataset, dcmwrite

from camray.adapters.pacs.association import NOT_AUTHORIZED
from camray.domain.delivery import FilmQuery, ObjectKey
from camray.domain.errors import PeerError, RequestRefusedError

_SUCCESS = 0x0000


class RequestedObject:
    """What arrives by C-STORE after one C-GET or C-MOVE.

    Parameters
    ----------
    key : ObjectKey
        UIDs of the requested object.
    """

    def __init__(self, key: ObjectKey) -> None:
        self._key = key
        self._contents: set[bytes] = set()
        self._n_others = 0

    def store(self, event: Any) -> int:
        """Keep a stored object if it is the requested one; return the status of the response."""
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid != self._key.sop_instance_uid or not has_uids(event.dataset, self._key):
            self._n_others += 1
            return NOT_AUTHORIZED
        ds = event.dataset
        ds.file_meta = event.file_meta
        self._contents.add(file_bytes(ds))
        return _SUCCESS

    def check_others(self, service: str) -> None:
        """Check that nothing else arrived.

        Raises
        ------
        RequestRefusedError
            If another object arrived.
        """
        if self._n_others:
            raise RequestRefusedError(
                f"{service} of object {self._key.sop_instance_uid}: {self._n_others} of the objects that arrived have "
                "another SOP instance, series or study; expected the requested object only. Nothing was kept; check "
                "that the PACS retrieves single images, or fetch by dicomweb"
            )

    def content(self, service: str) -> bytes:
        """Return the object as a DICOM file; equal copies count as one.

        Raises
        ------
        RequestRefusedError
            If the object did not arrive, another one did, or copies of it differ.
        """
        self.check_others(service)
        if not self._contents:
            raise RequestRefusedError(
                f"{service} of object {self._key.sop_instance_uid} reported success, but the object did not arrive"
            )
        if len(self._contents) > 1:
            raise RequestRefusedError(
                f"{service} of object {self._key.sop_instance_uid}: {len(self._contents)} copies arrived and differ; "
                "expected one object. Nothing was kept; ask the owner of the PACS which one is right"
            )
        return next(iter(self._contents))


def has_uids(ds: Dataset, key: ObjectKey) -> bool:
    """Return whether a data set is the object of these UIDs, in its study and its series."""
    uids = (ds.get("StudyInstanceUID"), ds.get("SeriesInstanceUID"), ds.get("SOPInstanceUID"))
    return tuple(map(str, uids)) == (key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)


def file_bytes(ds: Dataset) -> bytes:
    """Return a data set as a DICOM file."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's may quote the header
        dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def check_listed(address: str, query: FilmQuery, **uids: str) -> None:
    """Check one row of a list: it has its UIDs, and is of the study that was requested.

    Raises
    ------
    PeerError
        If a UID is missing, or the row is of another study.
    """
    missing = [name for name, uid in uids.items() if not uid]
    if missing:
        raise PeerError(
            f"{address}: lists a row without {missing[0]}; expected the UIDs of every film. Nothing was fetched; "
            "narrow the query with --study or --date, or use the other protocol"
        )
    if query.study_instance_uid not in ("", uids["StudyInstanceUID"]):
        raise PeerError(
            f"{address}: lists study {uids['StudyInstanceUID']}; expected study {query.study_instance_uid} only. "
            "Nothing was fetched; use the other protocol, or ask the owner of the PACS why the study is ignored"
        )
