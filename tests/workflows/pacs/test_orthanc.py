"""The whole way to a real PACS and back: Orthanc, started by the test."""

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from typer.testing import CliRunner

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.pacs.credentials import Credentials
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.commands.app import app
from camray.domain.delivery import FilmQuery
from camray.domain.errors import SettingsError
from camray.domain.geometry import Box
from camray.stages.export import stage as export
from camray.workflows.pacs.connection import open_peer
from camray.workflows.pacs.retrieve import fetch_films
from camray.workflows.pacs.retry import RetryPolicy
from camray.workflows.pacs.send import deliver, objects_of
from tests.adapters.dicom.edited_reports import edited_by_ohif, film_of, ohif_mark
from tests.dicom_run import LABELS, make_run, settings_of
from tests.workflows.pacs import orthanc
from tests.workflows.pacs.orthanc import Cutter, Orthanc

pytestmark = [
    pytest.mark.server,
    # pynetdicom leaves the socket of a broken association to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not orthanc.is_installed(), reason="Orthanc and its DICOMweb plugin are not installed"),
]
FILMS, CUTS = 20, 20
ACCESS = Credentials(timeout_s=20)
RETRY = RetryPolicy(attempts=CUTS + 3, first_wait_s=0.01, longest_wait_s=0.02, sleep=lambda _: None)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let sockets that pynetdicom left be closed, and complained of, while the test may ignore it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("pacs"), FILMS)
    settings = settings_of(folder.root.parent, formats=["sr", "gsps", "sc", "seg", "pdf"], capture_px=256)
    export.run(settings, folder, NullTracker())
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Orthanc]:
    with orthanc.running(tmp_path) as found:
        yield found


def _address(server: Orthanc, how: str, port: int | None = None) -> str:
    if how == "dicomweb":
        return f"http://127.0.0.1:{port or server.http_port}/dicom-web"
    return f"ORTHANC@127.0.0.1:{port or server.dicom_port}"


def _send(files: list[Path], how: str, address: str, log: DeliveryLog) -> dict[str, object]:
    with open_peer(how, address, ACCESS, files) as destination:
        return deliver(files, destination, log, RETRY).as_json()


def _assert_all_there_once(files: list[Path], server: Orthanc, folder: Path) -> None:
    listed = server.instances()
    sent = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in files}
    assert set(listed) == set(sent)
    for uid, path in sent.items():
        back = folder / "back.dcm"
        back.write_bytes(server.file(listed[uid]))
        assert pydicom.dcmread(back) == pydicom.dcmread(path)


@pytest.mark.parametrize("how", ["dicomweb", "dimse"])
def test_everything_is_listed_once_and_comes_back_equal(
    how: str, run: RunFolder, server: Orthanc, tmp_path: Path
) -> None:
    files, log = objects_of(run), DeliveryLog(tmp_path / "delivered.sqlite")
    told = _send(files, how, _address(server, how), log)
    assert (told["accepted"], told["refused"], told["unreached"]) == (len(files), 0, 0)
    _assert_all_there_once(files, server, tmp_path)
    again = _send(files, how, _address(server, how), log)
    assert (again["accepted"], again["already_there"]) == (0, len(files))


@pytest.mark.parametrize("how", ["dicomweb", "dimse"])
def test_a_line_cut_twenty_times_loses_and_doubles_nothing(
    how: str, run: RunFolder, server: Orthanc, tmp_path: Path
) -> None:
    files, log = objects_of(run), DeliveryLog(tmp_path / "delivered.sqlite")
    target = server.http_port if how == "dicomweb" else server.dicom_port
    line = Cutter(target, CUTS, most_bytes=150_000, seed=4)
    try:
        told = _send(files, how, _address(server, how, line.port), log)
    finally:
        line.close()
    assert line.cuts == CUTS
    assert (told["accepted"], told["refused"], told["unreached"]) == (len(files), 0, 0)
    _assert_all_there_once(files, server, tmp_path)
    rows = log.rows(str(told["destination"]))
    assert sum(attempts for _, _, attempts, _ in rows) >= len(files)


@pytest.mark.parametrize("how", ["dicomweb", "dimse"])
def test_films_are_fetched_equal_and_only_once(how: str, run: RunFolder, server: Orthanc, tmp_path: Path) -> None:
    films = sorted((run.root.parent / "films").iterdir())
    for film in films:
        server.rest("/instances", film.read_bytes())
    out = tmp_path / "fetched"
    with open_peer(how, _address(server, how), ACCESS) as archive:
        done = fetch_films(archive, FilmQuery(), out, RETRY)
        assert (done.fetched, done.refused) == (FILMS, {})
        again = fetch_films(archive, FilmQuery(), out, RETRY)
        assert (again.fetched, again.already) == (0, FILMS)
    for film in films:
        ds = pydicom.dcmread(film)
        back = pydicom.dcmread(out / f"{ds.SOPInstanceUID}.dcm")
        assert back == ds
        syntaxes = back.file_meta.TransferSyntaxUID, ds.file_meta.TransferSyntaxUID
        assert syntaxes[0] == syntaxes[1] or not (how == "dicomweb" or any(each.is_compressed for each in syntaxes))


def _camray(*words: str) -> Any:
    told = CliRunner().invoke(app, list(words))
    assert told.exit_code == 0, told.output
    return json.loads(told.output[told.output.index("{") :])


def test_films_come_by_c_move_too(run: RunFolder, server: Orthanc, tmp_path: Path) -> None:
    films = sorted((run.root.parent / "films").iterdir())[:3]
    for film in films:
        server.rest("/instances", film.read_bytes())
    words = ["fetch", "dimse", server.peer, "--out", str(tmp_path / "moved"), "--aet", "CAMRAY", "--json"]
    told = _camray(*words, "--listen", str(server.move_port))
    assert (told["fetched"], told["refused"]) == (3, {})
    for film in films:
        ds = pydicom.dcmread(film)
        assert pydicom.dcmread(tmp_path / "moved" / f"{ds.SOPInstanceUID}.dcm") == ds


def test_a_port_that_the_other_side_does_not_know_is_told(run: RunFolder, server: Orthanc, tmp_path: Path) -> None:
    film = sorted((run.root.parent / "films").iterdir())[0]
    server.rest("/instances", film.read_bytes())
    credentials = Credentials(timeout_s=10)
    with open_peer("dimse", server.peer, credentials, (), "CAMRAY", str(orthanc.free_port())) as archive:
        done = fetch_films(archive, FilmQuery(), tmp_path / "moved", RetryPolicy(1))
    assert done.fetched == 0
    (reason,) = done.refused.values()
    assert "does it know CAMRAY at this machine's port" in reason
    with pytest.raises(SettingsError, match="C-MOVE"):
        open_peer("dicomweb", server.web, credentials, (), "CAMRAY", 11113)


@pytest.mark.parametrize("how", ["dicomweb", "dimse", "move"])
def test_reports_that_readers_edited_are_imported_from_the_pacs(
    how: str, run: RunFolder, server: Orthanc, tmp_path: Path
) -> None:
    """Delivered, edited as OHIF does it in the PACS, fetched and measured: boxes to the last bit."""
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.root, copy.root)
    settings = settings_of(run.root.parent, formats=["sr"]).model_dump(mode="json")
    write_json(copy.root / "settings.json", {**settings, "track": {"enabled": False}})
    reports = [path for path in objects_of(copy) if path.name.endswith(".sr.dcm")]
    _send(reports, "dicomweb", server.web, DeliveryLog(tmp_path / "delivered.sqlite"))
    moved = Box(12.5, 20.25, 50.0, 80.75)
    edited = []
    for path in reports[:4]:
        report = pydicom.dcmread(path)
        ds = edited_by_ohif(report, [ohif_mark(film_of(report), moved, LABELS[0])])
        edited.append(film_of(report)[1])
        with suppress_warnings():
            ds.save_as(tmp_path / "edited.dcm", enforce_file_format=True)
        server.rest("/instances", (tmp_path / "edited.dcm").read_bytes())
    protocol, more = (how, []) if how != "move" else ("dimse", ["--listen", str(server.move_port)])
    words = ["review", "import", str(copy.root), "--from", protocol, _address(server, protocol), *more]
    told = _camray(*words, "--resamples", "0", "--json")
    assert (told["counts"]["films"], told["counts"]["readers"]) == (4, 1)
    boxes = pd.read_csv(copy.root / "reviewed" / "boxes.csv")
    assert sorted(boxes["image_id"]) == sorted(edited)
    expected = [np.float32(np.float32(side) * np.float32(1 + 1e-7)) for side in moved.as_tuple()]
    assert boxes[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[float(side) for side in expected]] * 4
    assert [problem["what"] for problem in told["problems"]] == [
        f"{len(reports)} of its reports are camray's own, not edited by a reader; left out"
    ]
