"""DICOMweb: objects out by STOW-RS, films in by QIDO-RS and WADO-RS."""

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread, dcmwrite

from camray.adapters.pacs.credentials import Access, without_secret
from camray.domain.delivery import Answer, FilmQuery, ObjectKey, UnreachableError
from camray.domain.errors import SettingsError

PAGE = 500
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_WHOLE = 2**31 - 1  # bytes in one request: chunked bodies are refused by many proxies
_Result = TypeVar("_Result")


class DicomWeb:
    """One DICOMweb service.

    Parameters
    ----------
    url : str
        Root of the service, for instance ``https://pacs.example/dicom-web``.
    access : Access
        Certificates and secrets.

    Raises
    ------
    SettingsError
        If the address or a certificate cannot be used, or a secret would go there in the clear.
    """

    def __init__(self, url: str, access: Access) -> None:
        access.check_address(url)
        self.address = without_secret(url)
        if access.ca_file is not None or access.cert_file is not None:
            access.tls_context()  # files that are no certificates are told now
        session = _Session()
        session.verify = str(access.ca_file) if access.ca_file is not None else True
        if access.cert_file is not None:
            session.cert = (
                str(access.cert_file) if access.key_file is None else (str(access.cert_file), str(access.key_file))
            )
        if access.token:
            session.headers["Authorization"] = f"Bearer {access.token}"
        elif access.user:
            session.auth = (access.user, access.password)
        self._session = session
        for name in ("dicomweb_client", "retrying"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # their lines hold what answers hold
        self._client = DICOMwebClient(url.rstrip("/"), session=session, chunk_size=_WHOLE, timeout=access.timeout_s)
        self._client.set_http_retry_params(retry=False)  # whoever delivers decides, and asks in between

    def __enter__(self) -> "DicomWeb":
        """Return itself: connections open by themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close whatever connections are open."""
        self._session.close()

    def send(self, path: Path) -> Answer:
        """Store one object.

        Parameters
        ----------
        path : Path
            DICOM file.

        Raises
        ------
        UnreachableError
            If no answer came.
        SettingsError
            If the service does not let us in.
        """
        ds = dcmread(path)
        try:
            said = self._ask(lambda: self._client.store_instances([ds]))
        except _RefusedError as refused:
            return Answer(False, str(refused))
        failed = list(said.get("FailedSOPSequence") or [])  # servers send it empty
        if failed:
            reason = failed[0].get("FailureReason")
            return Answer(False, "no reason given" if reason is None else f"failure reason 0x{int(reason):04X}")
        stored = [item.get("ReferencedSOPInstanceUID") for item in said.get("ReferencedSOPSequence") or []]
        if ds.SOPInstanceUID in stored:
            return Answer(True)
        if self.has(ObjectKey(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)):
            return Answer(True, "listed after an answer that does not name it")
        raise UnreachableError(f"{self.address}: the answer does not say whether the object was stored")

    def has(self, key: ObjectKey) -> bool:
        """Tell whether the service lists an object.

        Raises
        ------
        UnreachableError
            If no answer came.
        """
        try:
            found = self._ask(
                lambda: self._client.search_for_instances(
                    key.study_instance_uid,
                    key.series_instance_uid,
                    search_filters={"SOPInstanceUID": key.sop_instance_uid},
                )
            )
        except _RefusedError:
            return False  # nothing of that study, or no search at all
        return any(_first(item, "00080018") == key.sop_instance_uid for item in found)

    def find(self, query: FilmQuery) -> Iterator[ObjectKey]:
        """List films, page by page.

        Yields
        ------
        ObjectKey
            Of every instance of the series asked for.

        Raises
        ------
        UnreachableError, SettingsError
            If no answer came, or the service does not search.
        """
        filters = {"StudyDate": query.date} if query.date else {}
        for modality in query.modalities or ("",):
            wanted: dict[str, Any] = {**filters, **({"Modality": modality} if modality else {})}
            study = query.study_instance_uid or None
            series = self._pages(lambda offset, s=study, w=wanted: self._client.search_for_series(  # type: ignore[misc]
                s, search_filters=w, limit=PAGE, offset=offset, fields=["StudyInstanceUID"]))  # fmt: skip
            for one in list(series):
                study_uid, series_uid = _first(one, "0020000D") or query.study_instance_uid, _first(one, "0020000E")
                instances = self._pages(lambda offset, s=study_uid, e=series_uid: (  # type: ignore[misc]
                    self._client.search_for_instances(s, e, limit=PAGE, offset=offset)))  # fmt: skip
                for instance in instances:
                    yield ObjectKey(study_uid, series_uid, _first(instance, "00080018"))

    def fetch(self, key: ObjectKey) -> bytes:
        """Return one object as a DICOM file, in whatever syntax it is stored.

        Raises
        ------
        UnreachableError
            If no answer came.
        SettingsError
            If the service does not hand it out.
        """
        try:
            ds = self._ask(
                lambda: self._client.retrieve_instance(
                    key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid,
                    media_types=(("application/dicom", "*"),),
                )
            )  # fmt: skip
        except _RefusedError as refused:
            raise SettingsError(f"{self.address}: object {key.sop_instance_uid} is not handed out: {refused}") from None
        out = io.BytesIO()
        dcmwrite(out, ds, enforce_file_format=True)
        return out.getvalue()

    def _pages(self, ask: Callable[[int], list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Ask until a page is not full; a service that ignores the offset is noticed by its first row."""
        offset, before = 0, ""
        while True:
            try:
                page = self._ask(lambda at=offset: ask(at))  # type: ignore[misc]
            except _RefusedError as refused:
                raise SettingsError(f"{self.address}: does not search: {refused}") from None
            if not page or repr(page[0]) == before:
                return
            yield from page
            if len(page) < PAGE:
                return
            offset, before = offset + len(page), repr(page[0])

    def _ask(self, question: Callable[[], _Result]) -> _Result:
        try:
            return question()
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (401, 403):
                raise SettingsError(f"{self.address}: access refused (HTTP {status}); check credentials") from None
            if status in _TRANSIENT or status == 0:
                raise UnreachableError(f"{self.address}: HTTP {status}") from None
            raise _RefusedError(f"HTTP {status}") from None
        except requests.exceptions.SSLError as error:
            raise SettingsError(f"{self.address}: {_distrust(str(error))}") from None
        except (requests.RequestException, OSError, ValueError, KeyError) as error:  # cut answers do not parse
            raise UnreachableError(f"{self.address}: {type(error).__name__}") from None


class _Session(requests.Session):
    """A session whose authorities are those that were asked for, whatever the environment says."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> dict[str, Any]:
        """Keep `verify`: the environment's bundle would be taken before the session's."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self.verify is not True:
            settings["verify"] = self.verify
        return dict(settings)


def _distrust(words: str) -> str:
    """Return what is wrong with an encrypted connection, and what to do; the library's words stay behind."""
    lower = words.lower()
    if "hostname" in lower or "ip address mismatch" in lower:
        return "its certificate is for another name; give the address by the name in the certificate"
    if "expired" in lower or "not yet valid" in lower:
        return "its certificate is out of date; ask its owner for a new one, and check this machine's clock"
    if "certificate_required" in lower or "certificate required" in lower or "handshake failure" in lower:
        return "it wants a certificate of ours; give one with --cert-file and --key-file"
    if "certificate verify failed" in lower:
        return "its certificate is signed by no authority that is trusted here; name that authority with --ca-file"
    return "no encrypted connection; check address and port, --ca-file, --cert-file and --key-file"


class _RefusedError(Exception):
    """The service said no, and will say so again."""


def _first(item: dict[str, Any] | Dataset, tag: str) -> str:
    values = item.get(tag, {}).get("Value", [""]) if isinstance(item, dict) else [""]
    return str(values[0]) if values else ""
