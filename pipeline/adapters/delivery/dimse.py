"""DIMSE: objects out by C-STORE, films in by C-FIND and C-GET, or by C-MOVE to a listener of our own."""

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedSRStorage,
    SecondaryCaptureImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from pipeline.adapters.delivery.access import Access
from pipeline.domain.delivery import Answer, FilmQuery, ObjectKey, UnreachableError
from pipeline.domain.errors import SettingsError

FILM_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
REPORT_CLASSES = (ComprehensiveSRStorage, EnhancedSRStorage)  # what comes back from a reader
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)
_WARNINGS = {0xB000, 0xB006, 0xB007}
_PASSING = {0xA700, 0xA701, 0xA702}  # out of resources
_SYNTAXES = [str(each) for each in AllTransferSyntaxes]
_PLAIN = [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]
_COMPRESSED = [
    [str(each)]
    for each in (
        DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1,
        JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2K, RLELossless,
    )
]  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """An application entity: ``AET@host:port``, and what we call ourselves."""

    aet: str
    host: str
    port: int
    calling_aet: str = "CAMRAY"

    def __str__(self) -> str:
        """Return the address as it is given."""
        return f"{self.aet}@{self.host}:{self.port}"


def parse_peer(address: str, calling_aet: str = "CAMRAY") -> Peer:
    """Read ``AET@host:port``.

    Raises
    ------
    SettingsError
        If it is something else.

    Examples
    --------
    >>> parse_peer("ORTHANC@127.0.0.1:4242")
    Peer(aet='ORTHANC', host='127.0.0.1', port=4242, calling_aet='CAMRAY')
    """
    aet, at, place = address.partition("@")
    host, colon, port = place.rpartition(":")
    titles = (aet, calling_aet)
    if not (at and colon and host and port.isdecimal() and 0 < int(port) < 2**16):
        raise SettingsError(f"'{address}' is no DICOM address; expected AET@host:port")
    if not all(0 < len(title) <= 16 and title.isascii() and "\\" not in title for title in titles):
        raise SettingsError(f"'{address}': application entity titles have 1 to 16 characters")
    return Peer(aet, host, int(port), calling_aet)


@dataclass
class Dimse:
    """One application entity. Associations open when they are needed, and again after a break.

    Parameters
    ----------
    peer : Peer
        The other side.
    access : Access
        Certificates and secrets; a user is told by user identity negotiation.
    files : sequence of Path
        What is going to be sent: decides what is negotiated.
    """

    peer: Peer
    access: Access = field(default_factory=Access)
    files: Sequence[Path] = ()
    _storing: Association | None = field(default=None, init=False, repr=False)
    _finding: Association | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # its lines hold what messages hold
        if self.access.has_secret and not self.access.is_tls and self.peer.host not in ("127.0.0.1", "localhost"):
            raise SettingsError(f"{self.peer}: credentials would go there unencrypted; use --tls")

    @property
    def address(self) -> str:
        """Where objects go."""
        return str(self.peer)

    def __enter__(self) -> "Dimse":
        """Return itself: associations open by themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release whatever associations are open."""
        for association in (self._storing, self._finding):
            if association is not None and association.is_established:
                association.release()
        self._storing = self._finding = None

    def send(self, path: Path) -> Answer:
        """Store one object.

        Raises
        ------
        UnreachableError
            If no answer came, or the other side is out of resources.
        """
        ds = dcmread(path)
        if self._storing is None or not self._storing.is_established:
            self._storing = self._associate(self._storage_contexts())
        try:
            status = self._storing.send_c_store(ds)
        except ValueError:  # no accepted context fits
            return Answer(False, f"SOP class {UID(ds.SOPClassUID).name} or its transfer syntax is not accepted there")
        except RuntimeError:
            raise self._broken() from None
        if "Status" not in status:
            self._storing = None
            raise self._broken()
        code = int(status.Status)
        if code in _PASSING:
            raise UnreachableError(f"{self.peer}: out of resources (0x{code:04X})")
        if code == _SUCCESS or code in _WARNINGS:
            return Answer(True, "" if code == _SUCCESS else f"stored with warning 0x{code:04X}")
        return Answer(False, f"status 0x{code:04X}")

    def has(self, key: ObjectKey) -> bool:
        """Tell whether the other side lists an object; one that does not search is taken to lack it.

        Raises
        ------
        UnreachableError
            If no answer came.
        """
        asked = _query("IMAGE", key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)
        try:
            return any(answer.get("SOPInstanceUID") == key.sop_instance_uid for answer in self._find(asked))
        except SettingsError:
            return False

    def find(self, query: FilmQuery) -> Iterator[ObjectKey]:
        """List films: studies, their series, their images.

        Raises
        ------
        UnreachableError, SettingsError
            If no answer came, or the other side does not search.
        """
        studies = _query("STUDY", query.study_instance_uid)
        studies.StudyDate = query.date
        for study in list(self._find(studies)):
            series_query = _query("SERIES", study.StudyInstanceUID)
            series_query.Modality = ""
            for series in list(self._find(series_query)):
                if query.modalities and series.get("Modality") not in query.modalities:
                    continue
                images = _query("IMAGE", study.StudyInstanceUID, series.SeriesInstanceUID)
                for image in list(self._find(images)):
                    yield ObjectKey(
                        str(study.StudyInstanceUID), str(series.SeriesInstanceUID), str(image.SOPInstanceUID)
                    )

    def fetch(self, key: ObjectKey) -> bytes:
        """Return one object as a DICOM file, by C-GET.

        Raises
        ------
        UnreachableError
            If no answer came.
        SettingsError
            If the other side does not hand it out.
        """
        received: list[bytes] = []

        def keep(event: Any) -> int:
            received.append(_file_bytes(event))
            return _SUCCESS

        contexts = [build_context(StudyRootQueryRetrieveInformationModelGet)]
        # a context each: the other side picks one syntax of a context, and cannot send what is stored in another
        contexts += [build_context(each, one) for each in FILM_CLASSES for one in (_PLAIN, *_COMPRESSED)]
        contexts += [build_context(each, _PLAIN) for each in REPORT_CLASSES]
        roles = [build_role(each, scp_role=True) for each in (*FILM_CLASSES, *REPORT_CLASSES)]
        association = self._associate(contexts, roles, [(evt.EVT_C_STORE, keep)])
        asked = _query("IMAGE", key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)
        try:
            answers = association.send_c_get(asked, StudyRootQueryRetrieveInformationModelGet)
            self._finish(answers, "C-GET")
        finally:
            if association.is_established:
                association.release()
        if len(received) != 1:
            raise SettingsError(f"{self.peer}: {len(received)} objects came for one, {key.sop_instance_uid}")
        return received[0]

    def move(self, study_instance_uid: str, listen_port: int, keep: Callable[[str, bytes], None]) -> None:
        """Have a study sent to a listener of our own, by C-MOVE to our application entity title.

        Parameters
        ----------
        study_instance_uid : str
            The study.
        listen_port : int
            Where the other side reaches us; it must know our title and this port.
        keep : callable
            Gets SOPInstanceUID and file of each object.

        Raises
        ------
        UnreachableError, SettingsError
            If no answer came, or not everything.
        """
        listener = AE(ae_title=self.peer.calling_aet)
        for each in (*FILM_CLASSES, *REPORT_CLASSES):
            listener.add_supported_context(each, _SYNTAXES)

        def store(event: Any) -> int:
            keep(str(event.request.AffectedSOPInstanceUID), _file_bytes(event))
            return _SUCCESS

        server = listener.start_server(("0.0.0.0", listen_port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
        association = None
        try:
            association = self._associate([build_context(StudyRootQueryRetrieveInformationModelMove)])
            asked = _query("STUDY", study_instance_uid)
            answers = association.send_c_move(asked, self.peer.calling_aet, StudyRootQueryRetrieveInformationModelMove)
            self._finish(answers, "C-MOVE")
        finally:
            if association is not None and association.is_established:
                association.release()
            if server is not None:  # only a blocking server is none
                server.shutdown()

    def _finish(self, answers: Any, what: str) -> None:
        status = Dataset()
        try:
            for status, _ in answers:
                if "Status" not in status:
                    raise self._broken()
        except (ValueError, RuntimeError):
            raise SettingsError(f"{self.peer}: offers no {what}") from None
        code = int(status.get("Status", 0xC000))
        if code != _SUCCESS or int(status.get("NumberOfFailedSuboperations") or 0):
            raise SettingsError(f"{self.peer}: {what} ended with status 0x{code:04X}")

    def _find(self, asked: Dataset) -> Iterator[Dataset]:
        model = StudyRootQueryRetrieveInformationModelFind
        if self._finding is None or not self._finding.is_established:
            self._finding = self._associate([build_context(model)])
        try:
            for status, identifier in self._finding.send_c_find(asked, model):
                if "Status" not in status:
                    self._finding = None
                    raise self._broken()
                if int(status.Status) in _PENDING and identifier is not None:
                    yield identifier
                elif int(status.Status) != _SUCCESS:
                    raise SettingsError(f"{self.peer}: C-FIND ended with status 0x{int(status.Status):04X}")
        except ValueError:
            raise SettingsError(f"{self.peer}: offers no C-FIND") from None
        except RuntimeError:
            raise self._broken() from None

    def _storage_contexts(self) -> list[Any]:
        pairs: dict[str, set[str]] = {}
        for path in self.files:
            ds = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
            pairs.setdefault(str(ds.SOPClassUID), set()).add(str(ds.file_meta.TransferSyntaxUID))
        plain = {str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)}
        contexts = []
        for sop_class, syntaxes in sorted(pairs.items()):
            contexts += [build_context(sop_class, one) for one in sorted(syntaxes - plain)]
            if syntaxes & plain:
                contexts.append(build_context(sop_class, sorted(plain, reverse=True)))
        return contexts

    def _associate(self, contexts: list[Any], roles: list[Any] | None = None, handlers: Any = None) -> Association:
        ae = AE(ae_title=self.peer.calling_aet)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = self.access.timeout_s
        association = ae.associate(
            self.peer.host,
            self.peer.port,
            contexts=contexts,
            ae_title=self.peer.aet,
            ext_neg=[*(roles or []), *self._identity()] or None,
            tls_args=(self.access.tls_context(), self.peer.host) if self.access.is_tls else None,
            evt_handlers=handlers,
        )
        if association.is_established:
            return association
        if association.is_rejected:
            reason = association.acceptor.primitive
            passing = reason is not None and reason.result == 0x02
            words = f"{self.peer}: association rejected; check both application entity titles"
            raise UnreachableError(words) if passing else SettingsError(words)
        raise self._broken()

    def _identity(self) -> list[Any]:
        if not self.access.has_secret:
            return []
        identity = UserIdentityNegotiation()
        if self.access.token:
            identity.user_identity_type, identity.primary_field = 5, self.access.token.encode()  # a JSON web token
        else:
            identity.user_identity_type = 2 if self.access.password else 1
            identity.primary_field = self.access.user.encode()
            if self.access.password:
                identity.secondary_field = self.access.password.encode()
        return [identity]

    def _broken(self) -> UnreachableError:
        return UnreachableError(f"{self.peer}: no connection, or it broke off")


def _query(level: str, study: str = "", series: str = "", instance: str = "") -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    ds.StudyInstanceUID = study
    if level in ("SERIES", "IMAGE"):
        ds.SeriesInstanceUID = series
    if level == "IMAGE":
        ds.SOPInstanceUID = instance
    return ds


def _file_bytes(event: Any) -> bytes:
    ds = event.dataset
    ds.file_meta = event.file_meta
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()
