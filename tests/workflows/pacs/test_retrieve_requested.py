"""A PACS that brings other objects than the requested one: nothing of them is kept, and each film is accounted for."""

import gc
import socket
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    DigitalXRayImageStorageForPresentation,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from camray.adapters.pacs.ae_address import ListenAddress, parse_listen_address
from camray.adapters.pacs.credentials import Credentials
from camray.domain.delivery import FilmQuery
from camray.domain.errors import PeerError, SettingsError
from camray.workflows.pacs.connection import open_peer
from camray.workflows.pacs.retrieve import Fetched, fetch_films
from camray.workflows.pacs.retry import RetryPolicy
from tests.stages.ingest.test_stage import write_film
from tests.workflows.pacs.orthanc import free_port

# pynetdicom leaves the socket of a broken association to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

FILM = DigitalXRayImageStorageForPresentation
UIDS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


class Pacs:
    """Two films; for the first it sends what `answer` makes of the film and of the other one."""

    def __init__(self, films: list[pydicom.Dataset]) -> None:
        self.films, self.listen_port = films, free_port()
        self.answer: Callable[[pydicom.Dataset, pydicom.Dataset], list[pydicom.Dataset]] = lambda film, other: [film]
        self.rows: dict[str, Any] = {}  # in place of values in its lists

    def find(self, event: Any) -> Iterator[tuple[int, pydicom.Dataset]]:
        level = str(event.identifier.QueryRetrieveLevel)
        for film in self.films:
            wanted = [event.identifier.get(name) for name in UIDS.values()]
            if any(uid and uid != film.get(name) for name, uid in zip(UIDS.values(), wanted, strict=True)):
                continue
            row = pydicom.Dataset()
            row.Modality = "DX"
            setattr(row, UIDS[level], film.get(UIDS[level]))
            for name, value in self.rows.items():
                if name in row:
                    setattr(row, name, value)
            yield 0xFF00, row

    def objects(self, event: Any) -> list[pydicom.Dataset]:
        first, second = self.films
        return self.answer(first, second) if event.identifier.SOPInstanceUID == first.SOPInstanceUID else [second]

    def get(self, event: Any) -> Iterator[Any]:
        objects = self.objects(event)
        yield len(objects)
        yield from ((0xFF00, ds) for ds in objects)

    def move(self, event: Any) -> Iterator[Any]:
        yield "127.0.0.1", self.listen_port
        yield from self.get(event)


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[tuple[Pacs, str]]:
    paths = [write_film(tmp_path / "theirs" / f"{n}.dcm", n, SeriesInstanceUID=f"1.8.{n}") for n in range(2)]
    films = [pydicom.dcmread(path) for path in paths]
    films[1].StudyInstanceUID = "1.7.1"
    pacs, entity, port = Pacs(films), AE(ae_title="PACS"), free_port()
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
    entity.add_supported_context(FILM, scu_role=False, scp_role=True)
    entity.add_requested_context(FILM)
    handlers: list[Any] = [(evt.EVT_C_FIND, pacs.find), (evt.EVT_C_GET, pacs.get), (evt.EVT_C_MOVE, pacs.move)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    yield pacs, f"PACS@127.0.0.1:{port}"
    server.shutdown()
    gc.collect()  # while its complaints may be ignored


def _fetch(pacs: tuple[Pacs, str], service: str, out: Path, query: FilmQuery | None = None) -> Fetched:
    listen = f"PACS@{pacs[0].listen_port}" if service == "C-MOVE" else None
    with open_peer("dimse", pacs[1], Credentials(timeout_s=20), (), "CAMRAY", listen) as archive:
        return fetch_films(archive, query or FilmQuery(), out, RetryPolicy(1))


def _changed(film: pydicom.Dataset, **values: Any) -> pydicom.Dataset:
    copy = deepcopy(film)
    for name, value in values.items():
        setattr(copy, name, value)
    return copy


@pytest.mark.parametrize("service", ["C-GET", "C-MOVE"])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda film, other: [other], "1 of the objects that arrived have another"),
        (lambda film, other: [_changed(film, StudyInstanceUID="1.7.9")], "1 of the objects that arrived have another"),
        (lambda film, other: [_changed(film, SeriesInstanceUID="1.8.9")], "1 of the objects that arrived have another"),
        (lambda film, other: [film, other, other], "2 of the objects that arrived have another"),
        (lambda film, other: [other, film], "1 of the objects that arrived have another"),
        (lambda film, other: [film, _changed(film, PatientName="Canary")], "2 copies arrived and differ"),
        (lambda film, other: [], "reported success, but the object did not arrive"),
    ],
    ids=["another", "another study", "another series", "more", "another first", "copies that differ", "nothing"],
)
def test_what_was_not_requested_is_refused_and_the_next_film_is_fetched(
    pacs: tuple[Pacs, str], tmp_path: Path, service: str, answer: Any, reason: str
) -> None:
    first, second = (str(film.SOPInstanceUID) for film in pacs[0].films)
    pacs[0].answer = answer
    done = _fetch(pacs, service, tmp_path / "films")
    assert (done.fetched, list(done.refused)) == (1, [first])
    assert service in done.refused[first]
    assert reason in done.refused[first]
    assert [path.name for path in (tmp_path / "films").iterdir()] == [f"{second}.dcm"]
    assert pydicom.dcmread(tmp_path / "films" / f"{second}.dcm") == pacs[0].films[1]


@pytest.mark.parametrize("service", ["C-GET", "C-MOVE"])
def test_equal_copies_are_one_film(pacs: tuple[Pacs, str], tmp_path: Path, service: str) -> None:
    pacs[0].answer = lambda film, other: [film, film]
    done = _fetch(pacs, service, tmp_path / "films")
    assert (done.fetched, done.refused) == (2, {})
    assert len(list((tmp_path / "films").iterdir())) == 2


@pytest.mark.parametrize("name", list(UIDS.values()))
def test_a_listed_row_without_its_uid_is_an_error(pacs: tuple[Pacs, str], tmp_path: Path, name: str) -> None:
    pacs[0].rows = {name: None}
    with pytest.raises(PeerError, match=f"lists a row without {name}"):
        _fetch(pacs, "C-GET", tmp_path / "films")


def test_a_list_of_another_study_than_the_requested_one_is_an_error(pacs: tuple[Pacs, str], tmp_path: Path) -> None:
    pacs[0].rows = {"StudyInstanceUID": "1.7.9"}
    with pytest.raises(PeerError, match=r"lists study 1\.7\.9; expected study 1\.7\.1 only"):
        _fetch(pacs, "C-GET", tmp_path / "films", FilmQuery("1.7.1"))
    assert not (tmp_path / "films").exists()


def _store(host: str, port: int, called: str, calling: str, film: pydicom.Dataset) -> int | None:
    """Return the status that a stranger's C-STORE ends with, or None if it gets no association."""
    entity = AE(ae_title=calling)
    entity.connection_timeout = 5
    association = entity.associate(host, port, contexts=_film_contexts(), ae_title=called)
    if not association.is_established:
        return None
    try:
        return int(association.send_c_store(film).Status)
    finally:
        association.release()


def _film_contexts() -> list[Any]:
    entity = AE()
    entity.add_requested_context(FILM)
    return list(entity.requested_contexts)


NOT_AUTHORIZED = 0x0124


@pytest.mark.parametrize(
    ("listen", "caller", "status"),
    [
        ("{port}", ("127.0.0.1", "CAMRAY", "ANY"), NOT_AUTHORIZED),
        ("{port}", ("127.0.0.1", "OTHER", "ANY"), None),
        ("{port}", ("127.0.0.2", "CAMRAY", "ANY"), None),
        ("127.0.0.2:{port}", ("127.0.0.2", "CAMRAY", "ANY"), NOT_AUTHORIZED),
        ("127.0.0.2:{port}", ("127.0.0.1", "CAMRAY", "ANY"), None),
        ("PACS@{port}", ("127.0.0.1", "CAMRAY", "ANY"), None),
        ("PACS@127.0.0.1:{port}", ("127.0.0.1", "CAMRAY", "PACS"), NOT_AUTHORIZED),
    ],
)
def test_a_listener_takes_nothing_unasked_and_hears_one_interface_and_its_own_titles(
    pacs: tuple[Pacs, str], listen: str, caller: tuple[str, str, str], status: int | None
) -> None:
    host, called, calling = caller
    port = free_port()
    with open_peer("dimse", pacs[1], Credentials(timeout_s=5), (), "CAMRAY", listen.format(port=port)):
        assert _store(host, port, called, calling, pacs[0].films[0]) == status
    gc.collect()


def test_a_listener_that_cannot_bind_says_where(pacs: tuple[Pacs, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for listen in (f"127.0.0.1:{port}", f"192.0.2.1:{free_port()}"):
            with (
                pytest.raises(
                    SettingsError, match=r"cannot listen at port \d+ of [\d.]+ .* choose another with --listen"
                ),
                open_peer("dimse", pacs[1], Credentials(timeout_s=5), (), "CAMRAY", listen),
            ):
                pass


def test_listen_addresses() -> None:
    assert parse_listen_address("PACS@11113") == ListenAddress(11113, None, "PACS")
    assert parse_listen_address("0.0.0.0:11113") == ListenAddress(11113, "0.0.0.0")


@pytest.mark.parametrize("address", ["", "x", "0", "65536", "1" * 5000, ":104", "@104", "a\\b@104", "A" * 17 + "@104"])
def test_another_listen_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match=r"expected \[AET@\]|application entity title"):
        parse_listen_address(address)
