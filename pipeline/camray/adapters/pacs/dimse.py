"""DIMSE: objects out by C-STORE, films in by C-FIND and C-GET, or by C-MOVE to a listener of our own."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
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
    Comprehensive3DSRStorage,
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

from camray.adapters.pacs.ae_address import Peer
from camray.adapters.pacs.credentials import Access
from camray.adapters.pacs.storage_scp import Listener, file_bytes
from camray.domain.delivery import Answer, FilmQuery, ObjectKey, UnreachableError
from camray.domain.errors import SettingsError

FILM_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
REPORT_CLASSES = (ComprehensiveSRStorage, EnhancedSRStorage, Comprehensive3DSRStorage)  # what comes back from a reader
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)
_WARNINGS = {0xB000, 0xB006, 0xB007}
_PASSING = {0xA700, 0xA701, 0xA702}  # out of resources
_PLAIN = [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]
_COMPRESSED = [
    [str(each)]
    for each in (
        DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1,
        JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2K, RLELossless,
    )
]  # fmt: skip


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
    listen_port : int or None
        Fetch by C-MOVE to this port of ours, which the other side must know under our title; None fetches by C-GET.
    """

    peer: Peer
    access: Access = field(default_factory=Access)
    files: Sequence[Path] = ()
    listen_port: int | None = None
    _listener: Listener | None = field(default=None, init=False, repr=False)
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
        """Return itself, listening if it must: associations open by themselves."""
        if self.listen_port is not None:
            classes = [str(each) for each in (*FILM_CLASSES, *REPORT_CLASSES)]
            self._listener = Listener(self.peer.calling_aet, self.listen_port, self.access, classes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release whatever associations are open, and listen no more."""
        for association in (self._storing, self._finding):
            if association is not None and association.is_established:
                association.release()
        self._storing = self._finding = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

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
        """Return one object as a DICOM file, by C-GET, or by C-MOVE where a port to listen on is given.

        Raises
        ------
        UnreachableError
            If no answer came.
        SettingsError
            If the other side does not hand it out.
        """
        asked = _query("IMAGE", key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)
        if self._listener is not None:
            return self._moved(key, asked, self._listener)
        return self._got(key, asked)

    def _got(self, key: ObjectKey, asked: Dataset) -> bytes:
        received: list[bytes] = []

        def keep(event: Any) -> int:
            received.append(file_bytes(event))
            return _SUCCESS

        contexts = [build_context(StudyRootQueryRetrieveInformationModelGet)]
        # a context each: the other side picks one syntax of a context, and cannot send what is stored in another
        contexts += [build_context(each, one) for each in FILM_CLASSES for one in (_PLAIN, *_COMPRESSED)]
        contexts += [build_context(each, _PLAIN) for each in REPORT_CLASSES]
        roles = [build_role(each, scp_role=True) for each in (*FILM_CLASSES, *REPORT_CLASSES)]
        association = self._associate(contexts, roles, [(evt.EVT_C_STORE, keep)])
        try:
            answers = association.send_c_get(asked, StudyRootQueryRetrieveInformationModelGet)
            self._finish(answers, "C-GET")
        finally:
            if association.is_established:
                association.release()
        if len(received) != 1:
            raise SettingsError(f"{self.peer}: {len(received)} objects came for one, {key.sop_instance_uid}")
        return received[0]

    def _moved(self, key: ObjectKey, asked: Dataset, listener: Listener) -> bytes:
        listener.await_one(key.sop_instance_uid)
        model = StudyRootQueryRetrieveInformationModelMove
        association = self._associate([build_context(model)])
        try:
            self._finish(association.send_c_move(asked, self.peer.calling_aet, model), "C-MOVE")
        except SettingsError as error:
            told = f"does it know {self.peer.calling_aet} at this machine's port {self.listen_port}?"
            raise SettingsError(f"{error}; {told}") from None
        finally:
            if association.is_established:
                association.release()
        content = listener.taken()
        if content is None:
            raise SettingsError(f"{self.peer}: C-MOVE ended well, and {key.sop_instance_uid} did not come")
        return content

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
