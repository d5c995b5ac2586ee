"""DICOMweb client: STOW-RS to send objects, QIDO-RS and WADO-RS to list and fetch them."""

import logging
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from camray.adapters.pacs.credentials import PASSWORD, TOKEN, USER, Credentials, redacted_url
from camray.adapters.pacs.requested_object import check_listed, file_bytes, has_uids
from camray.adapters.pacs.stow_answer import parse_stow_answer
from camray.adapters.pacs.web_session import open_session, proxy_advice, tls_advice
from camray.domain.delivery import FilmQuery, ObjectKey, StoreAnswer
from camray.domain.errors import AuthenticationError, PeerError, RequestRefusedError, UnreachableError

PAGE_SIZE = 500  # results per search request
_REJECTED = {401, 403, 407}
_PROXY_LOG_IN = 407
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_BAD_REQUEST = 400
_ALREADY_THERE = {0x0111, 0xB00A}  # duplicate SOP instance (PS3.7 annex C); the second one is Google's
_BOUNDARY = "camray-8d1f0c52-2f0e-4c0b-9d0c-6a6f1f7f3a55"
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
        self._url, self._timeout_s = url.rstrip("/"), credentials.timeout_s
        self._session = open_session(credentials)
        for name in ("dicomweb_client", "retrying"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # their log lines contain parts of the answers
        self._client = DICOMwebClient(
            self._url, session=self._session, chunk_size=_CHUNK_BYTES, timeout=credentials.timeout_s
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
        head = dcmread(path, stop_before_pixels=True)
        key = ObjectKey(str(head.StudyInstanceUID), str(head.SeriesInstanceUID), str(head.SOPInstanceUID))
        response = self._request(partial(self._post, path.read_bytes()))
        status, answer = response.status_code, parse_stow_answer(response.content, key.sop_instance_uid)
        if status in _REJECTED or status in _TRANSIENT:
            raise self._http_error(status)
        if answer.is_stored and status < 400:
            return StoreAnswer(True, "" if not answer.code else f"stored with warning 0x{answer.code:04X}")
        is_refused = answer.is_failed or status >= 400
        if (status == 409 or answer.code in _ALREADY_THERE or not is_refused) and self.has(key):
            return StoreAnswer(True, "already there" if is_refused else "listed, although the answer is unclear")
        if not is_refused:
            return StoreAnswer(False, "the answer does not name the object, and the service does not list it")
        reason = f"request refused (HTTP {status})" if status >= 400 else "no reason given"
        return StoreAnswer(False, reason if answer.code is None else f"failure reason 0x{answer.code:04X}")

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
        PeerError
            If it lists a row without its UID, or another study than the requested one.
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
                if modality and _first(series, "00080060") not in ("", modality):
                    continue  # the service ignores the modality
                study_uid = _first(series, "0020000D") or query.study_instance_uid
                series_uid = _first(series, "0020000E")
                check_listed(self.address, query, StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
                for instance in self._pages(partial(self._client.search_for_instances, study_uid, series_uid)):
                    uid = _first(instance, "00080018")
                    check_listed(self.address, query, StudyInstanceUID=study_uid, SOPInstanceUID=uid)
                    yield ObjectKey(study_uid, series_uid, uid)

    def fetch(self, key: ObjectKey) -> bytes:
        """Return one object as a DICOM file, in the transfer syntax in which it is stored.

        Raises
        ------
        UnreachableError, AuthenticationError
            As `send` does.
        RequestRefusedError
            If the service does not return the object, or returns others.
        """
        ds = self._request(partial(self._retrieve, key))
        if not has_uids(ds, key):
            raise RequestRefusedError(
                f"{self.address}: another object than {key.sop_instance_uid} was returned, or one of another series or "
                "study; expected the requested object only. It was not kept; check that the service retrieves single "
                "images"
            )
        return file_bytes(ds)

    def _retrieve(self, key: ObjectKey) -> Dataset:
        """Retrieve one object; an answer that was received whole and is not one DICOM file is a refusal."""
        uids = (key.study_instance_uid, key.series_instance_uid, key.sop_instance_uid)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom's may quote the header
                return self._client.retrieve_instance(*uids, media_types=(("application/dicom", "*"),))
        except requests.RequestException:
            raise
        except (ValueError, LookupError, EOFError, InvalidDicomError) as error:
            raise RequestRefusedError(
                f"{self.address}: the answer for object {key.sop_instance_uid} is not one DICOM file "
                f"({type(error).__name__}); expected the requested object only. Nothing was kept; fetch by dimse"
            ) from None

    def _post(self, content: bytes) -> requests.Response:
        head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        return self._session.post(
            f"{self._url}/studies",
            data=b"".join([head, content, f"\r\n--{_BOUNDARY}--\r\n".encode()]),
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary="{_BOUNDARY}"',
                "Accept": "application/dicom+json, application/dicom+xml;q=0.5, */*;q=0.1",
            },
            timeout=self._timeout_s,
        )

    def _pages(self, search: Callable[..., list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Search until a page has no new row: a service may answer fewer rows than requested, or ignore the offset.

        A service that refuses the size of a page is asked for half of it.
        """
        limit, offset, is_more, is_full = PAGE_SIZE, 0, False, False
        seen: set[str] = set()
        while True:
            try:
                page = self._request(partial(search, limit=limit, offset=offset)) or []
            except RequestRefusedError as refused:
                if limit > 1 and refused.status == _BAD_REQUEST and (offset == 0 or is_more or is_full):
                    limit //= 2
                    continue
                if offset == 0 or is_more or is_full:
                    raise
                return  # there is nothing at this offset
            fresh = {repr(row): row for row in page if repr(row) not in seen}
            if not fresh:
                if is_more:
                    raise PeerError(
                        f"{self.address}: reports more results than it returns ({len(seen)} so far); narrow the query "
                        "with --study or --date"
                    )
                return
            yield from fresh.values()
            seen.update(fresh)
            offset, is_more, is_full = offset + len(page), self._session.has_more, len(page) >= limit

    def _request(self, call: Callable[[], _Result]) -> _Result:
        """Call the service; map what the libraries below raise to `PeerError`."""
        try:
            return call()
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            raise self._http_error(status) from None
        except requests.exceptions.SSLError as error:
            raise AuthenticationError(f"{self.address}: {tls_advice(str(error))}{proxy_advice(self._url)}") from None
        except (
            requests.RequestException,
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:  # a truncated answer does not parse
            if self._session.is_web_page:  # the same page would come again
                raise PeerError(
                    f"{self.address}: a web page (HTML) was answered; expected DICOM JSON. Check the address of the "
                    f"service, and whether a proxy or a log-in page stands in front of it{proxy_advice(self._url)}"
                ) from None
            raise UnreachableError(f"{self.address}: {type(error).__name__}{proxy_advice(self._url)}") from None

    def _http_error(self, status: int) -> PeerError:
        advice = proxy_advice(self._url)
        if status == _PROXY_LOG_IN:
            return AuthenticationError(f"{self.address}: a proxy requires a log-in (HTTP 407){advice}")
        if status in _REJECTED:
            return AuthenticationError(
                f"{self.address}: credentials rejected (HTTP {status}); set {USER} and {PASSWORD}, or {TOKEN}, "
                f"and check that this user has access{advice}"
            )
        if status in _TRANSIENT or status == 0:
            return UnreachableError(f"{self.address}: HTTP {status}{advice}")
        return RequestRefusedError(f"{self.address}: request refused (HTTP {status}){advice}", status)


def _first(item: dict[str, Any] | Dataset, tag: str) -> str:
    values = item.get(tag, {}).get("Value", [""]) if isinstance(item, dict) else [""]
    return str(values[0]) if values else ""
