"""DICOMweb client: STOW-RS to send objects, QIDO-RS and WADO-RS to list and fetch them."""

import io
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread, dcmwrite

from camray.adapters.pacs.credentials import PASSWORD, TOKEN, USER, Credentials, redacted_url
from camray.domain.delivery import FilmQuery, ObjectKey, StoreAnswer
from camray.domain.errors import AuthenticationError, PeerError, RequestRefusedError, UnreachableError

PAGE_SIZE = 500  # results per search request
_REJECTED = {401, 403}
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_CHUNK_BYTES = 2**31 - 1  # one chunk per request: many proxies refuse chunked bodies
_Result = TypeVar("_Result")


class DicomWeb:
    """One DICOMweb service.

    Parameters
    ----------
    url : str
        Root of the service, for instance ``https://pacs.example/dicom-web``.
    credentials : Credentials
        Certificates, secrets and timeout.

    Raises
    ------
    SettingsError
        If the URL or a certificate cannot be used, or a secret would be sent unencrypted.
    """

    def __init__(self, url: str, credentials: Credentials) -> None:
        credentials.check_url(url)
        self.address = redacted_url(url)
        self._session = _session(credentials)
        for name in ("dicomweb_client", "retrying"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # their log lines contain parts of the answers
        self._client = DICOMwebClient(
            url.rstrip("/"), session=self._session, chunk_size=_CHUNK_BYTES, timeout=credentials.timeout_s
        )
        self._client.set_http_retry_params(retry=False)  # the caller retries, and queries in between

    def __enter__(self) -> "DicomWeb":
        """Return the client; connections open when they are needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all open connections."""
        self._session.close()

    def send(self, path: Path) -> StoreAnswer:
        """Store one DICOM file.

        Raises
        ------
        UnreachableError
            If no complete answer arrived.
        AuthenticationError
            If the service rejects the credentials or the certificate.
        """
        ds = dcmread(path)
        try:
            response = self._request(lambda: self._client.store_instances([ds]))
        except RequestRefusedError as refused:
            return StoreAnswer(False, _without_address(refused, self.address))
        failed = list(response.get("FailedSOPSequence") or [])  # some servers send an empty one
        if failed:
            reason = failed[0].get("FailureReason")
            return StoreAnswer(False, "no reason given" if reason is None else f"failure reason 0x{int(reason):04X}")
        stored = [item.get("ReferencedSOPInstanceUID") for item in response.get("ReferencedSOPSequence") or []]
        if ds.SOPInstanceUID in stored:
            return StoreAnswer(True)
        if self.has(ObjectKey(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)):
            return StoreAnswer(True, "listed, although the answer does not name it")
        raise UnreachableError(f"{self.address}: the answer does not say whether the object was stored")

    def has(self, key: ObjectKey) -> bool:
        """Return whether the service lists an object; a service that refuses the search counts as not having it.

        Raises
        ------
        UnreachableError, AuthenticationError
            As `send` does.
        """
        filters = {"SOPInstanceUID": key.sop_instance_uid}
        search = partial(
            self._client.search_for_instances,
            key.study_instance_uid,
            key.series_instance_uid,
            search_filters=filters,
        )
        try:
            instances = self._request(search)
        except RequestRefusedError:
            return False  # the study is unknown, or the service does not search
        return any(_first(item, "00080018") == key.sop_instance_uid for item in instances)

    def find(self, query: FilmQuery) -> Iterator[ObjectKey]:
        """List films, page by page.

        Yields
        ------
        ObjectKey
            Of every instance in the matching series.

        Raises
        ------
        UnreachableError, AuthenticationError
            As `send` does.
        RequestRefusedError
            If the service does not search.
        """
        for modality in query.modalities or ("",):
            filters = {"StudyDate": query.date, "Modality": modality}
            search = partial(
                self._client.search_for_series,
                query.study_instance_uid or None,
                search_filters={name: value for name, value in filters.items() if value},
                fields=["StudyInstanceUID"],
            )
            for series in list(self._pages(search)):
                study_uid = _first(series, "0020000D") or query.study_instance_uid
                series_uid = _first(series, "0020000E")
                for instance in self._pages(partial(self._client.search_for_instances, study_uid, series_uid)):
                    yield ObjectKey(study_uid, series_uid, _first(instance, "00080018"))

    def fetch(self, key: ObjectKey) -> bytes:
        """Return one object as a DICOM file, in the transfer syntax in which it is stored.

        Raises
        ------
        UnreachableError, AuthenticationError
            As `send` does.
        RequestRefusedError
            If the service does not return the object.
        """
        uids = (key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)
        ds = self._request(
            lambda: self._client.retrieve_instance(*uids, media_types=(("application/dicom", "*"),)),
        )
        out = io.BytesIO()
        dcmwrite(out, ds, enforce_file_format=True)
        return out.getvalue()

    def _pages(self, search: Callable[..., list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Search until a page is not full; a service that ignores the offset is recognized by its first row."""
        offset, previous = 0, ""
        while True:
            page = self._request(partial(search, limit=PAGE_SIZE, offset=offset))
            if not page or repr(page[0]) == previous:
                return
            yield from page
            if len(page) < PAGE_SIZE:
                return
            offset, previous = offset + len(page), repr(page[0])

    def _request(self, call: Callable[[], _Result]) -> _Result:
        """Call the service; map what the libraries below raise to `PeerError`."""
        try:
            return call()
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            raise self._http_error(status) from None
        except requests.exceptions.SSLError as error:
            raise AuthenticationError(f"{self.address}: {_tls_advice(str(error))}") from None
        except (requests.RequestException, OSError, ValueError, KeyError) as error:  # a truncated answer does not parse
            raise UnreachableError(f"{self.address}: {type(error).__name__}") from None

    def _http_error(self, status: int) -> PeerError:
        if status in _REJECTED:
            return AuthenticationError(
                f"{self.address}: credentials rejected (HTTP {status}); set {USER} and {PASSWORD}, or {TOKEN}, "
                "and check that this user has access"
            )
        if status in _TRANSIENT or status == 0:
            return UnreachableError(f"{self.address}: HTTP {status}")
        return RequestRefusedError(f"{self.address}: request refused (HTTP {status})")


def _session(credentials: Credentials) -> requests.Session:
    if credentials.ca_file is not None or credentials.cert_file is not None:
        credentials.tls_context()  # reports unusable certificate files before the first request
    session = _Session()
    session.verify = str(credentials.ca_file) if credentials.ca_file is not None else True
    if credentials.cert_file is not None:
        cert, key = str(credentials.cert_file), credentials.key_file
        session.cert = cert if key is None else (cert, str(key))
    if credentials.token:
        session.headers["Authorization"] = f"Bearer {credentials.token}"
    elif credentials.user:
        session.auth = (credentials.user, credentials.password)
    return session


class _Session(requests.Session):
    """A session that trusts the authorities of `verify`, whatever REQUESTS_CA_BUNDLE says."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> dict[str, Any]:
        """Keep `verify`; requests would prefer the bundle of the environment."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self.verify is not True:
            settings["verify"] = self.verify
        return dict(settings)


def _tls_advice(message: str) -> str:
    """Return the fault of an encrypted connection and its remedy; the library's own message is not repeated."""
    lower = message.lower()
    if "hostname" in lower or "ip address mismatch" in lower:
        return "its certificate is for another name; use the host name in the certificate"
    if "expired" in lower or "not yet valid" in lower:
        return "its certificate is out of date; ask its owner for a new one, and check this machine's clock"
    if "certificate_required" in lower or "certificate required" in lower or "handshake failure" in lower:
        return "it requires a client certificate; name one with --cert-file and --key-file"
    if "certificate verify failed" in lower:
        return "its certificate is signed by no trusted authority; name the authority's certificate with --ca-file"
    return "no encrypted connection; check host and port, --ca-file, --cert-file and --key-file"


def _without_address(error: Exception, address: str) -> str:
    return str(error).removeprefix(f"{address}: ")


def _first(item: dict[str, Any] | Dataset, tag: str) -> str:
    values = item.get(tag, {}).get("Value", [""]) if isinstance(item, dict) else [""]
    return str(values[0]) if values else ""
