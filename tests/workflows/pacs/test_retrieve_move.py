"""Films by C-FIND and C-MOVE, plain and encrypted, from a PACS of the test's own."""

import gc
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    DigitalXRayImageStorageForPresentation,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)
from typer.testing import CliRunner

from camray.adapters.pacs.credentials import Credentials
from camray.commands.app import app
from camray.domain.delivery import FilmQuery
from camray.domain.errors import PeerError, SettingsError
from camray.stages.ingest import stage as ingest
from camray.workflows.pacs.connection import open_peer
from camray.workflows.pacs.retrieve import Fetched, fetch_films
from camray.workflows.pacs.retry import RetryPolicy
from tests.one_worker import map_here
from tests.stages.ingest.test_stage import write_film
from tests.workflows.pacs.orthanc import free_port
from tests.workflows.pacs.test_send_tls import make_certificate

# pynetdicom leaves the socket of a broken association to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

FIND, MOVE = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelMove
KEYS = {
    "STUDY": ("StudyInstanceUID",),
    "SERIES": ("StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
}


@dataclass
class Pacs:
    """Lists films, and sends them to the one destination that it knows."""

    films: list[pydicom.Dataset]
    port: int = field(default_factory=free_port)
    listen_port: int = field(default_factory=free_port)
    send_tls: ssl.SSLContext | None = None  # how it calls the destination
    dates: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"PACS@127.0.0.1:{self.port}"

    def find(self, event: Any) -> Iterator[tuple[int, pydicom.Dataset | None]]:
        asked, told = event.identifier, set()
        level = str(asked.QueryRetrieveLevel)
        if level == "STUDY":
            self.dates.append(str(asked.StudyDate))
        for film in self.films:
            keys = [key for key in KEYS[level] if key in asked and asked.get(key)]
            if any(film.get(key) != asked.get(key) for key in keys):
                continue
            values = tuple(str(film.get(key, "")) for key in KEYS[level])
            if values in told:
                continue
            told.add(values)
            answer = pydicom.Dataset()
            answer.QueryRetrieveLevel = level
            for key, value in zip(KEYS[level], values, strict=True):
                setattr(answer, key, value)
            yield 0xFF00, answer

    def move(self, event: Any) -> Iterator[Any]:
        if event.move_destination != "CAMRAY":
            yield None, None
            return
        wanted = [film for film in self.films if film.SOPInstanceUID == event.identifier.SOPInstanceUID]
        tls = {} if self.send_tls is None else {"tls_args": (self.send_tls, "127.0.0.1")}
        yield "127.0.0.1", self.listen_port, tls
        yield len(wanted)
        for film in wanted:
            self.moved.append(str(film.SOPInstanceUID))
            yield 0xFF00, film


@pytest.fixture
def films(tmp_path: Path) -> list[pydicom.Dataset]:
    """Two studies; the last of the films is no chest film, and not asked for."""
    kinds = ("DX", "DX", "DX", "CT")
    return [
        pydicom.dcmread(write_film(tmp_path / "theirs" / f"{n}.dcm", n, Modality=kind, SeriesInstanceUID=f"1.8.{n}"))
        for n, kind in enumerate(kinds)
    ]


@pytest.fixture
def start() -> Iterator[Callable[..., Pacs]]:
    """Return a starter: ``start(pacs, server_context=None) -> Pacs``."""
    servers = []

    def started(pacs: Pacs, context: ssl.SSLContext | None = None) -> Pacs:
        ae = AE(ae_title="PACS")
        ae.acse_timeout = 3  # gives up on the destination before the one who asked gives up on it
        for each in (FIND, MOVE):
            ae.add_supported_context(each)
        ae.add_requested_context(DigitalXRayImageStorageForPresentation)
        handlers = [(evt.EVT_C_FIND, pacs.find), (evt.EVT_C_MOVE, pacs.move)]
        place = ("127.0.0.1", pacs.port)
        servers.append(ae.start_server(place, block=False, evt_handlers=handlers, ssl_context=context))
        return pacs

    yield started
    for server in servers:
        server.shutdown()
    gc.collect()  # while its complaints may be ignored


def _fetch(pacs: Pacs, credentials: Credentials, out: Path) -> Fetched:
    with open_peer("dimse", pacs.address, credentials, (), "CAMRAY", str(pacs.listen_port)) as archive:
        return fetch_films(archive, FilmQuery(modalities=("CR", "DX")), out, RetryPolicy(1))


def _assert_equal(films: list[pydicom.Dataset], out: Path) -> None:
    assert sorted(path.name for path in out.glob("*.dcm")) == [f"{film.SOPInstanceUID}.dcm" for film in films]
    for film in films:
        back = pydicom.dcmread(out / f"{film.SOPInstanceUID}.dcm")
        assert back == film
        assert (back.pixel_array == film.pixel_array).all()


def test_ingest_moves_films_here_and_reads_them(
    films: list[pydicom.Dataset], start: Callable[..., Pacs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setattr(ingest, "map_processes", map_here)
    pacs, config = start(Pacs(films)), tmp_path / "moved.yaml"
    config.write_text(
        f"name: moved\ndata: {{manifest: folder, root: {tmp_path / 'nowhere'}}}\n"
        "ingest: {rows: 64, cols: 48, workers: 1, audit: false}\ntrack: {enabled: false}\n"
    )
    words = ["ingest", str(config), "--from", "dimse", pacs.address, "--listen", str(pacs.listen_port)]
    words += ["--date", "20260101-20260131", "--attempts", "1", "--timeout", "20", "--runs", str(tmp_path / "runs")]
    told = CliRunner().invoke(app, [*words, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)
    run = tmp_path / "runs" / "moved"
    _assert_equal(films[:3], run / "fetched")
    assert (pacs.dates, pacs.moved) == (["20260101-20260131"], ["1.2.3.0", "1.2.3.1", "1.2.3.2"])
    images = pd.read_parquet(run / "ingest" / "images.parquet")
    assert sorted(images["image_id"]) == ["1.2.3.0", "1.2.3.1", "1.2.3.2"]
    assert images["patient_key"].nunique() == 2  # films 0 and 1 are of one patient
    assert "canary" not in told.output.lower()
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0, again.output
    assert "3 there already" in again.output
    assert len(pacs.moved) == 3


@pytest.mark.slow
def test_films_are_moved_encrypted_both_ways(
    films: list[pydicom.Dataset], start: Callable[..., Pacs], tmp_path: Path
) -> None:
    cert_file, key_file = make_certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert_file, key_file)
    pacs = start(Pacs(films, send_tls=ssl.create_default_context(cafile=str(cert_file))), serving)
    credentials = Credentials(ca_file=cert_file, cert_file=cert_file, key_file=key_file, is_tls=True, timeout_s=20)
    done = _fetch(pacs, credentials, tmp_path / "moved")
    assert (done.fetched, done.refused) == (3, {})
    _assert_equal(films[:3], tmp_path / "moved")


def test_an_encrypted_listener_takes_nothing_in_the_clear(
    films: list[pydicom.Dataset], start: Callable[..., Pacs], tmp_path: Path
) -> None:
    cert_file, key_file = make_certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert_file, key_file)
    pacs = start(Pacs(films[:1]), serving)
    credentials = Credentials(ca_file=cert_file, cert_file=cert_file, key_file=key_file, is_tls=True, timeout_s=20)
    with pytest.raises(PeerError, match=r"C-MOVE ended with status 0xA801.*does it know CAMRAY at this machine's port"):
        _fetch(pacs, credentials, tmp_path / "moved")
    assert list((tmp_path / "moved").iterdir()) == []


def test_an_encrypted_listener_without_a_certificate_says_which_option_mends_it(tmp_path: Path) -> None:
    pacs = Pacs([])
    with pytest.raises(SettingsError, match="--cert-file"):
        _fetch(pacs, Credentials(is_tls=True, timeout_s=20), tmp_path / "moved")
