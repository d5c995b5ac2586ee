"""Answers of DICOMweb services as they differ: pages shorter than requested, refusals with and without a reason."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom import dcmread

from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.pacs.credentials import Credentials
from camray.adapters.pacs.dicomweb import DicomWeb
from camray.domain.delivery import FilmQuery, ObjectKey
from camray.domain.errors import PeerError, RequestRefusedError, SettingsError, UnreachableError
from camray.workflows.pacs.retry import RetryPolicy
from camray.workflows.pacs.send import deliver
from tests.workflows.pacs.test_send import make_objects
from tests.workflows.pacs.web_service import DICOM_JSON as JSON
from tests.workflows.pacs.web_service import QuietHandler, serving

N_FILMS = 250


def _row(number: int) -> dict[str, Any]:
    uids = {"0020000D": f"1.2.1.{number}", "0020000E": f"1.2.2.{number}", "00080018": f"1.2.3.{number}"}
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}


class Service:
    """A DICOMweb service: how it pages, what it answers to an object, and which objects it lists."""

    def __init__(self) -> None:
        self.cap, self.limit_refused_above = 10**6, 10**6
        self.warns, self.ignores_offset, self.refuses_beyond = False, False, False
        self.status, self.body, self.content_type = 200, b"", JSON
        self.listed: set[str] = set()
        self.film, self.film_type = b"", 'multipart/related; type="application/dicom"; boundary=B'
        self.extra: dict[str, Any] = {}  # in every row of a search
        self.stores = 0

    def search(self, query: dict[str, list[str]]) -> tuple[int, bytes, str, dict[str, str]]:
        limit, offset = int(query["limit"][0]), int(query["offset"][0])
        if limit > self.limit_refused_above or (self.refuses_beyond and offset >= N_FILMS):
            return 400, b"", JSON, {}
        start = 0 if self.ignores_offset else offset
        page = [{**_row(number), **self.extra} for number in range(start, min(N_FILMS, start + min(limit, self.cap)))]
        left = N_FILMS - start - len(page)
        headers = {"Warning": f'299 pacs "There are {left} additional results that can be requested"'}
        return (
            (200 if page else 204),
            json.dumps(page).encode() if page else b"",
            JSON,
            headers if self.warns and left else {},
        )

    def handler(self) -> type[QuietHandler]:
        service = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = parse_qs(parts.query)
                if parts.path.endswith("/series"):
                    self.answer(*service.search(query))
                elif parts.path.endswith("/instances") and "SOPInstanceUID" in query:
                    uids = service.listed & set(query["SOPInstanceUID"])
                    rows = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]
                    self.answer(200, json.dumps(rows).encode())
                elif parts.path.endswith("/instances"):
                    number = int(parts.path.split("/")[-2].rpartition(".")[2])
                    rows = [_row(number)] if query["offset"] == ["0"] else []
                    self.answer(200, json.dumps(rows).encode())
                else:
                    self.answer(200, service.film, service.film_type)

            def do_POST(self) -> None:
                service.stores += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(service.status, service.body, service.content_type)

        return Handler


@pytest.fixture
def service() -> Iterator[tuple[Service, DicomWeb]]:
    pacs = Service()
    with serving(pacs.handler()) as address, DicomWeb(f"{address}/dicom-web", Credentials(timeout_s=10)) as web:
        yield pacs, web


def _n_found(web: DicomWeb) -> int:
    return len(set(web.find(FilmQuery(modalities=("DX",)))))


@pytest.mark.parametrize(
    "habit",
    [
        {},
        {"cap": 100, "warns": True},
        {"cap": 100},
        {"cap": 60, "refuses_beyond": True},
        {"limit_refused_above": 100},
        {"limit_refused_above": 7},
        {"cap": 250, "ignores_offset": True},
    ],
    ids=str,
)
def test_pacs_answers_in_pages_of_any_length(service: tuple[Service, DicomWeb], habit: dict[str, Any]) -> None:
    pacs, web = service
    vars(pacs).update(habit)
    assert _n_found(web) == N_FILMS


def test_a_list_that_cannot_be_completed_is_an_error(service: tuple[Service, DicomWeb]) -> None:
    pacs, web = service
    vars(pacs).update(cap=100, warns=True, ignores_offset=True)
    with pytest.raises(PeerError, match="more results than it returns"):
        _n_found(web)


def _failure(uid: str, reason: Any) -> dict[str, Any]:
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}
    return {"00081198": {"vr": "SQ", "Value": [item]}}


def _success(uid: str) -> dict[str, Any]:
    return {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}}]}}


def _xml(uid: str, reason: int) -> bytes:
    attribute = '<DicomAttribute tag="{}"><Value number="1">{}</Value></DicomAttribute>'
    item = attribute.format("00081155", uid) + attribute.format("00081197", reason)
    model = f'<DicomAttribute tag="00081198" vr="SQ"><Item number="1">{item}</Item></DicomAttribute>'
    return (
        f'<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">{model}</NativeDicomModel>'.encode()
    )


@pytest.mark.parametrize("status", [202, 409])
@pytest.mark.parametrize("content_type", [JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=UTF-8", "application/json"])
@pytest.mark.parametrize("form", ["object", "list", "xml", "text"])
def test_pacs_answers_with_a_refusal_and_the_next_object_is_sent(
    service: tuple[Service, DicomWeb], tmp_path: Path, status: int, content_type: str, form: str
) -> None:
    pacs, web = service
    files = make_objects(tmp_path / "objects", 2)
    failure = _failure("", 43264) if form != "text" else _failure("", "43264")
    pacs.status, pacs.content_type = status, content_type
    pacs.body = _xml("", 43264) if form == "xml" else json.dumps([failure] if form == "list" else failure).encode()
    done = deliver(files, web, DeliveryLog(tmp_path / "log"), RetryPolicy(attempts=1))
    assert (pacs.stores, set(done.refused.values()), done.unreached) == (2, {"failure reason 0xA900"}, 0)


@pytest.mark.parametrize(("status", "reason"), [(409, 0x0111), (409, 0xB00A), (202, 0x0111), (409, None)])
@pytest.mark.parametrize("is_listed", [True, False])
def test_pacs_answers_that_an_object_is_there_already(
    service: tuple[Service, DicomWeb], tmp_path: Path, status: int, reason: int | None, is_listed: bool
) -> None:
    pacs, web = service
    (path,) = make_objects(tmp_path / "objects", 1)
    uid = str(dcmread(path).SOPInstanceUID)
    pacs.status, pacs.body = status, b"" if reason is None else json.dumps(_failure(uid, reason)).encode()
    pacs.listed = {uid} if is_listed else set()
    assert web.send(path).is_accepted is is_listed


@pytest.mark.parametrize("form", ["list", "object", "byte order mark"])
def test_pacs_answers_in_every_form(service: tuple[Service, DicomWeb], tmp_path: Path, form: str) -> None:
    pacs, web = service
    (path,) = make_objects(tmp_path / "objects", 1)
    success = _success(str(dcmread(path).SOPInstanceUID))
    pacs.body = json.dumps([success] if form == "list" else success).encode(
        "utf-8-sig" if form == "byte order mark" else "utf-8"
    )
    assert web.send(path).is_accepted


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"[null]", b"{", b"<html>", b'{"00081198": null}', b"[" * 10**5])
def test_an_answer_without_the_object_holds_nothing_up(
    service: tuple[Service, DicomWeb], tmp_path: Path, body: bytes
) -> None:
    pacs, web = service
    pacs.body = body
    done = deliver(make_objects(tmp_path / "objects", 2), web, DeliveryLog(tmp_path / "log"), RetryPolicy(attempts=1))
    assert (pacs.stores, len(done.refused), done.unreached) == (2, 2, 0)


@pytest.mark.parametrize("row", [{"0020000E": {}}, {"0020000D": {"vr": "UI", "Value": ["1.2.9"]}}])
def test_a_row_without_its_uid_or_of_another_study_is_an_error(
    service: tuple[Service, DicomWeb], row: dict[str, Any]
) -> None:
    pacs, web = service
    pacs.extra = row
    with pytest.raises(
        PeerError, match=r"lists (a row without SeriesInstanceUID|study 1\.2\.9; expected study 1\.2\.1)"
    ):
        list(web.find(FilmQuery(study_instance_uid="1.2.1")))


def test_a_service_that_ignores_the_modality_lists_no_film_of_another(service: tuple[Service, DicomWeb]) -> None:
    pacs, web = service
    pacs.extra = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    assert _n_found(web) == 0
    pacs.extra["00080060"]["Value"] = ["DX"]
    assert _n_found(web) == N_FILMS


def test_a_web_page_in_place_of_a_list_is_an_error_that_no_repetition_mends() -> None:
    class Proxy(QuietHandler):
        def do_GET(self) -> None:
            self.answer(200, b"<html>Please log in, Mr Doe</html>", "Text/HTML; charset=utf-8")

    with (
        serving(Proxy) as address,
        DicomWeb(f"{address}/dicom-web", Credentials(timeout_s=10)) as web,
        pytest.raises(PeerError, match=r"a web page \(HTML\) was answered; expected DICOM JSON") as raised,
    ):
        list(web.find(FilmQuery(study_instance_uid="1.2.1")))
    assert not isinstance(raised.value, UnreachableError), "it would be asked for again and again"
    assert "Doe" not in str(raised.value)


def _parts(*files: bytes) -> bytes:
    return b"".join(b"--B\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files) + b"--B--"


def test_another_object_than_the_requested_one_is_refused(service: tuple[Service, DicomWeb], tmp_path: Path) -> None:
    pacs, web = service
    (path,) = make_objects(tmp_path / "objects", 1)
    pacs.film = _parts(path.read_bytes())
    ds = dcmread(path)
    key = ObjectKey(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))
    assert dcmread(io.BytesIO(web.fetch(key))).SOPInstanceUID == ds.SOPInstanceUID
    for name in ("study_instance_uid", "series_instance_uid", "sop_instance_uid"):
        with pytest.raises(RequestRefusedError, match="another object"):
            web.fetch(replace(key, **{name: "1.2.9"}))
    pacs.film, pacs.film_type = path.read_bytes(), "application/dicom"
    assert dcmread(io.BytesIO(web.fetch(key))).SOPInstanceUID == ds.SOPInstanceUID


@pytest.mark.parametrize("content", ["two objects", "no object", "text in its place", "half a header", "a page"])
def test_an_answer_that_is_not_one_object_is_one_refusal(
    service: tuple[Service, DicomWeb], tmp_path: Path, content: str
) -> None:
    pacs, web = service
    (path,) = make_objects(tmp_path / "objects", 1)
    film = path.read_bytes()
    pacs.film = {
        "two objects": _parts(film, film),
        "no object": _parts(),
        "text in its place": _parts(b"Patient^Canary was not found"),
        "half a header": _parts(film[:150]),
        "a page": b"<html>",
    }[content]
    pacs.film_type = "text/html" if content == "a page" else pacs.film_type
    with pytest.raises(RequestRefusedError, match=r"is not one DICOM file|another object") as refused:
        web.fetch(ObjectKey("1.2.1", "1.2.2", "1.2.3"))
    assert "Canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:se/cret@host/dicom-web",
        "https://user:12/se-cret@host",
        "https://user:se?cret@host",
        "https://user:se#cret@host",
        "https://user:se@cret@host",
        "https://cret@host:99999/x",
        "https://host/dicom-web?apikey=cret",
        "http://host/dicom-web?apikey=cret",
        "https://host/dicom-web#cret",
        "https://host:cret/",
        "https://[::cret/",
        "ftp://user:cret@host",
        "cret",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        DicomWeb(url, Credentials(token="t"))
    assert "cret" not in str(refused.value)
