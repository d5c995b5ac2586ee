"""DIMSE client: C-STORE to send objects, C-FIND to list films, C-GET or C-MOVE to fetch them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from camray.adapters.pacs.ae_address import AEAddress, ListenAddress
from camray.adapters.pacs.association import NOT_AUTHORIZED, associate, broken, not_authorized
from camray.adapters.pacs.credentials import Credentials
from camray.adapters.pacs.presentation_contexts import (
    RETRIEVED_CLASSES,
    retrieve_contexts,
    retrieve_roles,
    storage_contexts,
)
from camray.adapters.pacs.requested_object import RequestedObject, check_listed
from camray.adapters.pacs.storage_scp import Listener
from camray.domain.delivery import FilmQuery, ObjectKey, StoreAnswer
from camray.domain.errors import (
    PeerError,
    RequestRefusedError,
    SettingsError,
    UnreachableError,
)

_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)
_WARNINGS = {0xB000, 0xB006, 0xB007}
_OUT_OF_RESOURCES = {0xA700, 0xA701, 0xA702}
_UNKNOWN_DESTINATION = 0xA801


@dataclass
class Dimse:
    """One application entity. Associations open when they are needed, and again after a break.

    Parameters
    ----------
    peer : AEAddress
        The other side.
    credentials : Credentials
        Certificates and secrets; a user or token is sent by user identity negotiation.
    files : sequence of Path
        What will be sent: decides which contexts are proposed.
    listen : ListenAddress or None
        Fetch by C-MOVE to this port of this machine, which the other side must know under the calling title; None
        fetches by C-GET.
    """

    peer: AEAddress
    credentials: Credentials = field(default_factory=Credentials)
    files: Sequence[Path] = ()
    listen: ListenAddress | None = None
    _listener: Listener | None = field(default=None, init=False, repr=False)
    _storing: Association | None = field(default=None, init=False, repr=False)
    _finding: Association | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # its log lines contain parts of the messages
        is_encrypted = self.credentials.is_tls or self.peer.host in ("127.0.0.1", "localhost")
        if self.credentials.has_secret and not is_encrypted:
            raise SettingsError(f"{self.peer}: credentials would be sent unencrypted; use --tls")

    @property
    def address(self) -> str:
        """Address of the other side."""
        return str(self.peer)

    def __enter__(self) -> "Dimse":
        """Start the listener if one is needed; associations open when they are needed."""
        if self.listen is not None:
            classes = [str(sop_class) for sop_class in RETRIEVED_CLASSES]
            try:
                self._listener = Listener(self.peer, self.listen, self.credentials, classes)
            except OSError:
                raise broken(self.peer) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the open associations and stop the listener."""
        for association in (self._storing, self._finding):
            if association is not None and association.is_established:
                association.release()
        self._storing = self._finding = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def send(self, path: Path) -> StoreAnswer:
        """Store one DICOM file.

        Raises
        ------
        UnreachableError
            If no answer arrived, or the other side is out of resources.
        AuthenticationError
            If the other side rejects the association or the user.
        """
        ds = dcmread(path)
        if self._storing is None or not self._storing.is_established:
            self._storing = self._associate(storage_contexts(self.files))
        try:
            status = self._storing.send_c_store(ds)
        except ValueError:  # no accepted context fits
            name = UID(ds.SOPClassUID).name
            return StoreAnswer(False, f"SOP class {name} or its transfer syntax is not accepted there")
        except RuntimeError:
            raise broken(self.peer) from None
        if "Status" not in status:
            self._storing = None
            raise broken(self.peer)
        code = int(status.Status)
        if code in _OUT_OF_RESOURCES:
            raise UnreachableError(f"{self.peer}: out of resources (0x{code:04X})")
        if code == NOT_AUTHORIZED:
            raise not_authorized(self.peer, "C-STORE")
        if code == _SUCCESS or code in _WARNINGS:
            return StoreAnswer(True, "" if code == _SUCCESS else f"stored with warning 0x{code:04X}")
        return StoreAnswer(False, f"status 0x{code:04X}")

    def has(self, key: ObjectKey) -> bool:
        """Return whether the other side lists an object; one that refuses the search counts as not having it.

        Raises
        ------
        UnreachableError, AuthenticationError
            As `send` does.
        """
        query = _query("IMAGE", key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)
        try:
            return any(image.get("SOPInstanceUID") == key.sop_instance_uid for image in self._find(query))
        except RequestRefusedError:
            return False

    def find(self, query: FilmQuery) -> Iterator[ObjectKey]:
        """List films: studies, their series, their images.

        Raises
        ------
        UnreachableError, AuthenticationError
            As `send` does.
        RequestRefusedError
            If the other side does not search.
        PeerError
            If it lists a row without its UID, or another study than the requested one.
        """
        studies = _query("STUDY", query.study_instance_uid)
        studies.StudyDate = query.date
        for study in list(self._find(studies)):
            study_uid = _uid(study, "StudyInstanceUID")
            check_listed(self.address, query, StudyInstanceUID=study_uid)
            series_query = _query("SERIES", study_uid)
            series_query.Modality = ""
            for series in list(self._find(series_query)):
                if query.modalities and series.get("Modality") not in query.modalities:
                    continue
                series_uid = _uid(series, "SeriesInstanceUID")
                check_listed(self.address, query, StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
                for image in list(self._find(_query("IMAGE", study_uid, series_uid))):
                    uid = _uid(image, "SOPInstanceUID")
                    check_listed(self.address, query, StudyInstanceUID=study_uid, SOPInstanceUID=uid)
                    yield ObjectKey(study_uid, series_uid, uid)

    def fetch(self, key: ObjectKey) -> bytes:
        """Return one object as a DICOM file, by C-GET, or by C-MOVE if there is a port to listen on.

        Raises
        ------
        UnreachableError, AuthenticationError
            As `send` does.
        RequestRefusedError
            If the other side does not return the object, or returns others.
        PeerError
            If the other side does not offer the service, or does not know the destination of C-MOVE.
        """
        query = _query("IMAGE", key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)
        requested = RequestedObject(key)
        if self._listener is not None:
            self._move(query, requested, self._listener)
            return requested.content(f"{self.peer}: C-MOVE")
        self._get(query, requested)
        return requested.content(f"{self.peer}: C-GET")

    def _get(self, query: Dataset, requested: RequestedObject) -> None:
        handlers = [(evt.EVT_C_STORE, requested.store)]
        association = self._associate(retrieve_contexts(), retrieve_roles(), handlers)
        try:
            responses = association.send_c_get(query, StudyRootQueryRetrieveInformationModelGet)
            self._check_retrieved(responses, "C-GET", requested)
        finally:
            if association.is_established:
                association.release()

    def _move(self, query: Dataset, requested: RequestedObject, listener: Listener) -> None:
        model = StudyRootQueryRetrieveInformationModelMove
        association = self._associate([build_context(model)])
        listener.expect(requested)
        try:
            responses = association.send_c_move(query, self.peer.calling_aet, model)
            self._check_retrieved(responses, "C-MOVE", requested)
        finally:
            listener.expect(None)
            if association.is_established:
                association.release()

    def _check_retrieved(self, responses: Any, service: str, requested: RequestedObject) -> None:
        """Wait for the last response of C-GET or C-MOVE, and raise unless it reports success."""
        status = Dataset()
        try:
            for status, _ in responses:
                if "Status" not in status:
                    raise broken(self.peer)
        except (ValueError, RuntimeError):
            raise PeerError(f"{self.peer}: does not offer {service}; try {_alternative(service)}") from None
        code = int(status.get("Status", 0xC000))
        if code == _UNKNOWN_DESTINATION:
            raise PeerError(
                f"{self.peer}: {service} ended with status 0x{code:04X}: unknown destination; "
                f"{self._destination_question()}"
            )
        if code == NOT_AUTHORIZED:
            raise not_authorized(self.peer, service)
        if code != _SUCCESS or int(status.get("NumberOfFailedSuboperations") or 0):
            requested.check_others(f"{self.peer}: {service}")
            question = f"; {self._destination_question()}" if service == "C-MOVE" else ""
            raise RequestRefusedError(f"{self.peer}: {service} ended with status 0x{code:04X}{question}")

    def _destination_question(self) -> str:
        port = None if self.listen is None else self.listen.port
        return f"does it know {self.peer.calling_aet} at this machine's port {port}?"

    def _find(self, query: Dataset) -> Iterator[Dataset]:
        model = StudyRootQueryRetrieveInformationModelFind
        if self._finding is None or not self._finding.is_established:
            self._finding = self._associate([build_context(model)])
        try:
            for status, identifier in self._finding.send_c_find(query, model):
                if "Status" not in status:
                    self._finding = None
                    raise broken(self.peer)
                code = int(status.Status)
                if code in _PENDING and identifier is not None:
                    yield identifier
                elif code == NOT_AUTHORIZED:
                    raise not_authorized(self.peer, "C-FIND")
                elif code != _SUCCESS:
                    raise RequestRefusedError(f"{self.peer}: C-FIND ended with status 0x{code:04X}")
        except ValueError:
            raise RequestRefusedError(f"{self.peer}: does not offer C-FIND") from None
        except RuntimeError:
            raise broken(self.peer) from None

    def _associate(self, contexts: list[Any], roles: Sequence[Any] = (), handlers: Any = None) -> Association:
        return associate(self.peer, self.credentials, contexts, roles, handlers)


def _alternative(service: str) -> str:
    return "C-MOVE with --listen PORT" if service == "C-GET" else "C-GET, without --listen"


def _uid(row: Dataset, name: str) -> str:
    return str(row.get(name) or "")


def _query(level: str, study: str = "", series: str = "", instance: str = "") -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    ds.StudyInstanceUID = study
    if level in ("SERIES", "IMAGE"):
        ds.SeriesInstanceUID = series
    if level == "IMAGE":
        ds.SOPInstanceUID = instance
    return ds
