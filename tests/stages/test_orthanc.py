"""The whole way to a real PACS and back: Orthanc, started by the test."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from pipeline.adapters.delivery.access import Access
from pipeline.adapters.delivery.dimse import Dimse, parse_peer
from pipeline.adapters.delivery.ledger import Ledger
from pipeline.adapters.runs import RunFolder
from pipeline.adapters.tracking import NullTracker
from pipeline.domain.delivery import FilmQuery
from pipeline.stages import export
from pipeline.stages.deliver import LEDGER, Patience, deliver, objects_of, open_destination
from pipeline.stages.fetch import fetch_films
from tests.stages import orthanc
from tests.stages.dicom_run import make_run, settings_of
from tests.stages.orthanc import Cutter, Orthanc

pytestmark = [
    pytest.mark.server,
    # pynetdicom leaves the socket of a broken association to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not orthanc.is_installed(), reason="Orthanc and its DICOMweb plugin are not installed"),
]
FILMS, CUTS = 20, 20
ACCESS = Access(timeout_s=20)
PATIENCE = Patience(attempts=CUTS + 3, first_wait_s=0.01, longest_wait_s=0.02)


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


def _send(files: list[Path], how: str, address: str, ledger: Ledger) -> dict[str, object]:
    with open_destination(how, address, ACCESS, files) as destination:
        return deliver(files, destination, ledger, PATIENCE, _no_wait).as_json()


def _no_wait(seconds: float) -> None:
    assert seconds < 1


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
    files, ledger = objects_of(run), Ledger(tmp_path / LEDGER)
    told = _send(files, how, _address(server, how), ledger)
    assert (told["accepted"], told["refused"], told["unreached"]) == (len(files), 0, 0)
    _assert_all_there_once(files, server, tmp_path)
    again = _send(files, how, _address(server, how), ledger)
    assert (again["accepted"], again["already_there"]) == (0, len(files))


@pytest.mark.parametrize("how", ["dicomweb", "dimse"])
def test_a_line_cut_twenty_times_loses_and_doubles_nothing(
    how: str, run: RunFolder, server: Orthanc, tmp_path: Path
) -> None:
    files, ledger = objects_of(run), Ledger(tmp_path / LEDGER)
    target = server.http_port if how == "dicomweb" else server.dicom_port
    line = Cutter(target, CUTS, most_bytes=150_000, seed=4)
    try:
        told = _send(files, how, _address(server, how, line.port), ledger)
    finally:
        line.close()
    assert line.cuts == CUTS
    assert (told["accepted"], told["refused"], told["unreached"]) == (len(files), 0, 0)
    _assert_all_there_once(files, server, tmp_path)
    rows = ledger.rows(str(told["destination"]))
    assert sum(attempts for _, _, attempts, _ in rows) >= len(files)


@pytest.mark.parametrize("how", ["dicomweb", "dimse"])
def test_films_are_fetched_equal_and_only_once(how: str, run: RunFolder, server: Orthanc, tmp_path: Path) -> None:
    films = sorted((run.root.parent / "films").iterdir())
    for film in films:
        server.rest("/instances", film.read_bytes())
    out = tmp_path / "fetched"
    with open_destination(how, _address(server, how), ACCESS) as archive:
        done = fetch_films(archive, FilmQuery(), out, 2, PATIENCE.wait_s, _no_wait)
        assert (done.fetched, done.refused) == (FILMS, {})
        again = fetch_films(archive, FilmQuery(), out, 2, PATIENCE.wait_s, _no_wait)
        assert (again.fetched, again.already) == (0, FILMS)
    for film in films:
        ds = pydicom.dcmread(film)
        back = pydicom.dcmread(out / f"{ds.SOPInstanceUID}.dcm")
        assert back == ds
        syntaxes = back.file_meta.TransferSyntaxUID, ds.file_meta.TransferSyntaxUID
        assert syntaxes[0] == syntaxes[1] or not (how == "dicomweb" or any(each.is_compressed for each in syntaxes))


def test_films_come_by_c_move_too(run: RunFolder, server: Orthanc) -> None:
    film = sorted((run.root.parent / "films").iterdir())[0]
    server.rest("/instances", film.read_bytes())
    ds, received = pydicom.dcmread(film), {}
    with Dimse(parse_peer(server.peer), ACCESS) as peer:
        peer.move(str(ds.StudyInstanceUID), server.move_port, lambda uid, content: received.update({uid: content}))
    assert set(received) == {str(ds.SOPInstanceUID)}
