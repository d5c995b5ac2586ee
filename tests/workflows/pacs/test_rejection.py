"""A PACS that rejects credentials ends a transfer at its first answer; one that refuses an object does not."""

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import ComprehensiveSRStorage  # type: ignore[attr-defined]

from camray import cli
from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.pacs.ae_address import parse_ae_address
from camray.adapters.pacs.credentials import Credentials
from camray.adapters.pacs.dicomweb import DicomWeb
from camray.adapters.pacs.dimse import Dimse
from camray.domain.delivery import DeliveryState, FilmQuery
from camray.domain.errors import AuthenticationError, RequestRefusedError, UnreachableError
from camray.workflows.pacs.retrieve import fetch_films
from camray.workflows.pacs.retry import RetryPolicy
from camray.workflows.pacs.send import deliver
from tests.workflows.pacs.orthanc import free_port
from tests.workflows.pacs.test_send import make_objects
from tests.workflows.pacs.web_service import QuietHandler, serving

# pynetdicom leaves the socket of a rejected association to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
FILMS = 5


class WebPacs:
    """Lists `FILMS` films, answers every other request with one status, and counts the requests of each kind."""

    def __init__(self) -> None:
        self.status, self.searches, self.retrievals, self.stores = 403, 0, 0, 0
        self.rejects_searches = False

    def handler(self) -> type[QuietHandler]:
        pacs = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                if "/instances/" in self.path:
                    pacs.retrievals += 1
                    self.answer(pacs.status)
                    return
                pacs.searches += 1
                uids = [f"1.2.4.{number}" for number in range(FILMS)] if "/instances" in self.path else ["1.2.9"]
                tag = "00080018" if "/instances" in self.path else "0020000E"
                rows = [{tag: {"vr": "UI", "Value": [uid]}, "0020000D": {"vr": "UI", "Value": ["1.2"]}} for uid in uids]
                self.answer(pacs.status if pacs.rejects_searches else 200, json.dumps(rows).encode())

            def do_POST(self) -> None:
                pacs.stores += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(pacs.status)

        return Handler


@pytest.fixture
def web() -> Iterator[tuple[WebPacs, str]]:
    pacs = WebPacs()
    with serving(pacs.handler()) as address:
        yield pacs, f"{address}/dicom-web"


def _never(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s")


ONCE = RetryPolicy(sleep=_never)


@pytest.mark.parametrize("status", [401, 403])
def test_rejected_credentials_end_a_fetch_at_once(status: int, web: tuple[WebPacs, str], tmp_path: Path) -> None:
    pacs, url = web
    pacs.status = status
    with (
        DicomWeb(url, Credentials(timeout_s=10)) as archive,
        pytest.raises(AuthenticationError, match=rf"credentials rejected \(HTTP {status}\).*CAMRAY_PACS_TOKEN"),
    ):
        fetch_films(archive, FilmQuery(modalities=()), tmp_path / "films", ONCE)
    assert (pacs.retrievals, list((tmp_path / "films").iterdir())) == (1, [])


def test_a_refused_film_is_counted_and_the_others_are_requested(web: tuple[WebPacs, str], tmp_path: Path) -> None:
    pacs, url = web
    pacs.status = 410
    with DicomWeb(url, Credentials(timeout_s=10)) as archive:
        done = fetch_films(archive, FilmQuery(modalities=()), tmp_path / "films", ONCE)
    assert (pacs.retrievals, done.fetched, len(done.refused)) == (FILMS, 0, FILMS)
    assert set(done.refused.values()) == {f"{url}: request refused (HTTP 410)"}


def test_rejected_credentials_end_a_delivery_at_once(web: tuple[WebPacs, str], tmp_path: Path) -> None:
    pacs, url = web
    files, log = make_objects(tmp_path / "objects", 3), DeliveryLog(tmp_path / "log")
    with DicomWeb(url, Credentials(timeout_s=10)) as service:
        with pytest.raises(AuthenticationError, match="credentials rejected"):
            deliver(files, service, log, ONCE)
        assert pacs.stores == 1
        pacs.status = 409
        done = deliver(files, service, log, ONCE)
    assert (pacs.stores, done.accepted, set(done.refused.values())) == (4, 0, {"request refused (HTTP 409)"})
    assert {state for _, state, _, _ in log.rows(service.address)} == {DeliveryState.REFUSED}


@pytest.mark.parametrize(("status", "code"), [(401, 5), (400, 5), (503, 4)])
def test_the_exit_code_says_whether_another_attempt_helps(
    status: int,
    code: int,
    web: tuple[WebPacs, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pacs, url = web
    pacs.status, pacs.rejects_searches = status, True
    words = ["camray", "fetch", "dicomweb", url, "--out", str(tmp_path / "films"), "--attempts", "1", "--json"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["kind"], error["exit_code"]) == (
        {401: "AuthenticationError", 400: "RequestRefusedError", 503: "UnreachableError"}[status],
        code,
    )
    assert pacs.searches == (9 if status == 400 else 1)  # a page of 500 refused, then 250, 125, ... 1


class DimsePacs:
    """Counts the associations that are requested, and rejects them as it is set to."""

    def __init__(self) -> None:
        self.port, self.associations, self.stored = free_port(), 0, 0
        self.status, self.knows_user = 0x0000, True

    def handlers(self) -> list[Any]:
        return [(evt.EVT_REQUESTED, self._requested), (evt.EVT_C_STORE, self._store), (evt.EVT_USER_ID, self._user)]

    def _requested(self, event: Any) -> None:
        self.associations += 1

    def _store(self, event: Any) -> int:
        self.stored += 1
        return self.status

    def _user(self, event: Any) -> tuple[bool, None]:
        return self.knows_user, None


@pytest.fixture
def start() -> Iterator[Callable[..., DimsePacs]]:
    """Return a starter: ``start(title="PACS", limit=10) -> DimsePacs``."""
    servers = []

    def started(title: str = "PACS", limit: int = 10) -> DimsePacs:
        pacs, ae = DimsePacs(), AE(ae_title=title)
        ae.require_called_aet, ae.maximum_associations = True, limit
        ae.add_supported_context(ComprehensiveSRStorage)
        servers.append(ae.start_server(("127.0.0.1", pacs.port), block=False, evt_handlers=pacs.handlers()))
        return pacs

    yield started
    for server in servers:
        server.shutdown()
    gc.collect()  # while its warnings may be ignored


def _deliver(pacs: DimsePacs, folder: Path, credentials: Credentials, retry: RetryPolicy = ONCE) -> Any:
    files = make_objects(folder / "objects", 3)
    with Dimse(parse_ae_address(f"PACS@127.0.0.1:{pacs.port}"), credentials, files) as peer:
        return deliver(files, peer, DeliveryLog(folder / "log"), retry)


def test_a_rejected_title_ends_a_delivery_at_once(start: Callable[..., DimsePacs], tmp_path: Path) -> None:
    pacs = start("OTHER")
    with pytest.raises(AuthenticationError, match="titles: PACS there, CAMRAY here"):
        _deliver(pacs, tmp_path, Credentials(timeout_s=10))
    assert (pacs.associations, pacs.stored) == (1, 0)


def test_a_rejected_user_ends_a_delivery_at_once(start: Callable[..., DimsePacs], tmp_path: Path) -> None:
    pacs = start()
    pacs.knows_user = False
    with pytest.raises(AuthenticationError, match="check CAMRAY_PACS_USER and CAMRAY_PACS_PASSWORD"):
        _deliver(pacs, tmp_path, Credentials(user="me", password="guess", timeout_s=10))
    assert (pacs.associations, pacs.stored) == (1, 0)


def test_a_request_that_is_not_authorized_ends_a_delivery_at_once(
    start: Callable[..., DimsePacs], tmp_path: Path
) -> None:
    pacs = start()
    pacs.status = 0x0124
    with pytest.raises(AuthenticationError, match="C-STORE is not authorized"):
        _deliver(pacs, tmp_path, Credentials(timeout_s=10))
    assert (pacs.associations, pacs.stored) == (1, 1)


def test_a_refused_object_is_counted_and_the_others_are_sent(start: Callable[..., DimsePacs], tmp_path: Path) -> None:
    pacs = start()
    pacs.status = 0xA900
    done = _deliver(pacs, tmp_path, Credentials(timeout_s=10))
    assert (pacs.stored, done.accepted, set(done.refused.values())) == (3, 0, {"status 0xA900"})


def test_a_busy_pacs_is_tried_again(start: Callable[..., DimsePacs], tmp_path: Path) -> None:
    pacs, waits = start(limit=1), []
    other = AE()
    other.add_requested_context(ComprehensiveSRStorage)
    occupying = other.associate("127.0.0.1", pacs.port, ae_title="PACS")
    assert occupying.is_established
    retry = RetryPolicy(attempts=3, sleep=waits.append)
    done = _deliver(pacs, tmp_path, Credentials(user="me", timeout_s=10), retry)
    occupying.release()
    assert (pacs.associations, waits, done.unreached) == (1 + 3, [1.0, 2.0], 3)
    assert done.fault.endswith("(attempt 3 of 3); run the same command again to resume")


def test_other_errors_are_raised_by_the_first_attempt() -> None:
    calls = []

    def refuse() -> None:
        calls.append(1)
        raise RequestRefusedError("no")

    with pytest.raises(RequestRefusedError):
        ONCE.call(refuse)
    assert len(calls) == 1


def test_a_request_that_succeeds_late_returns_its_result() -> None:
    waits: list[float] = []
    answers = iter([UnreachableError("a"), UnreachableError("b"), 7])

    def request() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert RetryPolicy(attempts=3, sleep=waits.append).call(request) == 7
    assert waits == [1.0, 2.0]
