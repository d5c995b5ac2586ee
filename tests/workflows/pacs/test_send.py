"""Delivery and fetching with another side that is made to fail in every way."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset

from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.pacs.ae_address import AEAddress, parse_ae_address
from camray.adapters.pacs.credentials import Credentials, load_credentials, redacted_url
from camray.adapters.pacs.dicomweb import DicomWeb
from camray.adapters.pacs.dimse import Dimse
from camray.domain.delivery import DeliveryState, FilmQuery, ObjectKey, StoreAnswer
from camray.domain.errors import ExportError, InputRefusedError, RequestRefusedError, SettingsError, UnreachableError
from camray.workflows.pacs.connection import open_peer
from camray.workflows.pacs.retrieve import fetch_films
from camray.workflows.pacs.retry import RetryPolicy
from camray.workflows.pacs.send import deliver


def make_objects(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        ds = Dataset()
        ds.SOPClassUID = uid.ComprehensiveSRStorage
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.1", "1.2.2", f"1.2.3.{number}"
        ds.PatientName = "Canary^Yellow"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        paths.append(folder / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


@dataclass
class Shelf:
    """The other side: breaks off before or after storing, as the dice fall."""

    seed: int
    breaks: int
    address: str = "shelf"
    stored: list[str] = field(default_factory=list)
    searches: bool = True
    refuse: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def send(self, path: Path) -> StoreAnswer:
        name = str(pydicom.dcmread(path).SOPInstanceUID)
        if name in self.refuse:
            return StoreAnswer(False, "failure reason 0x0110")
        where = self._dice.randrange(3) if self.breaks else 2
        if where < 2:
            self.breaks -= 1
        if where == 0:
            raise UnreachableError("broke off before")
        self.stored.append(name)
        if where == 1:
            raise UnreachableError("broke off after")
        return StoreAnswer(True)

    def has(self, key: ObjectKey) -> bool:
        if self.breaks and self._dice.random() < 0.3:
            self.breaks -= 1
            raise UnreachableError("broke off while asked")
        return self.searches and key.sop_instance_uid in self.stored


@pytest.mark.parametrize("seed", range(6))
def test_each_object_arrives_once_whatever_breaks(seed: int, tmp_path: Path) -> None:
    """Restarts in between: each call has few attempts, and the log is opened anew."""
    files, shelf, waits = make_objects(tmp_path / "o", 12), Shelf(seed, breaks=20), []
    calls = 0
    while True:
        calls += 1
        done = deliver(files, shelf, DeliveryLog(tmp_path / "log"), RetryPolicy(attempts=2, sleep=waits.append))
        if not done.unreached:
            break
        assert done.fault
        assert calls < 50
    assert sorted(shelf.stored) == sorted(f"1.2.3.{n}" for n in range(12))
    assert done.accepted + done.already == 12
    rows = DeliveryLog(tmp_path / "log").rows("shelf")
    assert [state for _, state, _, _ in rows] == [DeliveryState.ACCEPTED] * 12
    assert "canary" not in (tmp_path / "log").read_bytes().decode("latin-1").lower()


def test_a_kill_between_sending_and_noting_doubles_nothing(tmp_path: Path) -> None:
    (path,), shelf = make_objects(tmp_path / "o", 1), Shelf(1, breaks=0)
    log = DeliveryLog(tmp_path / "log")

    class KilledError(BaseException):
        pass

    def killed(sent: Path) -> StoreAnswer:
        Shelf.send(shelf, sent)
        raise KilledError

    shelf.send = killed  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        deliver([path], shelf, log, RetryPolicy(sleep=_never))
    del shelf.send
    done = deliver([path], shelf, DeliveryLog(tmp_path / "log"), RetryPolicy(sleep=_never))
    assert (done.accepted, shelf.stored) == (1, ["1.2.3.0"])


def _never(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s")


def test_a_refusal_is_told_with_its_reason_and_tried_again_the_next_time(tmp_path: Path) -> None:
    files, shelf = make_objects(tmp_path / "o", 3), Shelf(1, breaks=0, refuse=("1.2.3.1",))
    log = DeliveryLog(tmp_path / "log")
    done = deliver(files, shelf, log, RetryPolicy(sleep=_never))
    assert (done.accepted, done.refused) == (2, {"1.dcm": "failure reason 0x0110"})
    assert done.as_json()["reasons"] == {"failure reason 0x0110": 1}
    shelf.refuse = ()
    assert deliver(files, shelf, log, RetryPolicy(sleep=_never)).accepted == 1


def test_other_bytes_under_the_same_uid_are_refused(tmp_path: Path) -> None:
    (path,), shelf, log = make_objects(tmp_path / "o", 1), Shelf(1, breaks=0), DeliveryLog(tmp_path / "log")
    deliver([path], shelf, log, RetryPolicy(sleep=_never))
    path.write_bytes(path.read_bytes() + b"\0\0")
    with pytest.raises(ExportError, match="with other content"):
        deliver([path], shelf, log, RetryPolicy(sleep=_never))


def test_waits_double_up_to_a_limit() -> None:
    retry = RetryPolicy(attempts=5, first_wait_s=1, longest_wait_s=6)
    assert [retry.wait_s(attempt) for attempt in range(1, 6)] == [1, 2, 4, 6, 6]


@dataclass
class Archive:
    """Films by UID; the list and every film break off once."""

    films: dict[str, bytes]
    address: str = "archive"
    broken: set[str] = field(default_factory=set)
    closed: tuple[str, ...] = ()

    def find(self, query: FilmQuery) -> Iterator[ObjectKey]:
        self._break("list")
        yield from (ObjectKey("1", "2", name) for name in (*self.films, *self.films))

    def fetch(self, key: ObjectKey) -> bytes:
        self._break(key.sop_instance_uid)
        if key.sop_instance_uid in self.closed:
            raise RequestRefusedError("refused")
        return self.films[key.sop_instance_uid]

    def _break(self, what: str) -> None:
        if what not in self.broken:
            self.broken.add(what)
            raise UnreachableError("broke off")


def test_films_come_once_and_names_never_lead_outside(tmp_path: Path) -> None:
    archive = Archive({"1.2": b"one", "../../x": b"two", "1.3": b"three"}, closed=("1.3",))
    waits: list[float] = []
    done = fetch_films(archive, FilmQuery(), tmp_path / "deep" / "films", RetryPolicy(3, sleep=waits.append))
    assert (done.fetched, done.refused) == (2, {"1.3": "refused"})
    assert waits == [1.0] * 4
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert {path.parent for path in written} == {tmp_path / "deep" / "films"}
    assert sorted(path.read_bytes() for path in written) == [b"one", b"two"]
    assert fetch_films(archive, FilmQuery(), tmp_path / "deep" / "films", RetryPolicy(1, sleep=_never)).already == 2


def test_an_archive_out_of_reach_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="run the same command again to resume"):
        fetch_films(Archive({"1": b""}), FilmQuery(), tmp_path / "f", RetryPolicy(1, sleep=_never))
    with pytest.raises(InputRefusedError, match="lists no matching film"):
        fetch_films(Archive({}, broken={"list"}), FilmQuery(), tmp_path / "f", RetryPolicy(1, sleep=_never))


@pytest.mark.parametrize("address", ["PACS", "PACS@host", "PACS@host:0", "@host:1", "A" * 17 + "@host:1", "P@:104"])
def test_a_wrong_dicom_address_is_told(address: str) -> None:
    with pytest.raises(SettingsError):
        parse_ae_address(address)


def test_addresses_are_parsed_and_shown_without_secrets() -> None:
    assert parse_ae_address("PACS@[::1]:104").port == 104
    assert parse_ae_address("PACS@pacs.example:11112", "US") == AEAddress("PACS", "pacs.example", 11112, "US")
    assert redacted_url("https://me:pw@pacs.example:8443/dicom-web/?key=1") == "https://pacs.example:8443/dicom-web"
    with pytest.raises(SettingsError, match="dicomweb URL, or dimse"):
        open_peer("ftp", "x", Credentials())


@pytest.mark.parametrize("url", ["pacs.example", "ftp://pacs.example/x", "https://me:pw@pacs.example/x"])
def test_a_wrong_web_address_is_told(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DicomWeb(url, Credentials())
    assert "pw" not in str(caught.value)


def test_secrets_never_travel_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMRAY_PACS_USER", "me")
    monkeypatch.setenv("CAMRAY_PACS_PASSWORD", "open sesame")
    credentials = load_credentials(None, None, None, False, 5.0)
    assert "sesame" not in repr(credentials)
    for make in (
        lambda: DicomWeb("http://pacs.example/x", credentials),
        lambda: Dimse(parse_ae_address("P@pacs.example:1"), credentials),
    ):
        with pytest.raises(SettingsError, match="unencrypted"):
            make()
    DicomWeb("http://127.0.0.1:1/x", credentials)
    DicomWeb("https://pacs.example/x", credentials)
    monkeypatch.delenv("CAMRAY_PACS_USER")
    with pytest.raises(SettingsError, match="CAMRAY_PACS_USER is not"):
        load_credentials(None, None, None, False, 5.0)
    with pytest.raises(SettingsError, match="no such certificate"):
        load_credentials(tmp_path / "none.pem", None, None, False, 5.0)


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    (path,) = make_objects(tmp_path / "o", 1)
    with pytest.raises(UnreachableError), DicomWeb("http://127.0.0.1:9/dicom-web", Credentials(timeout_s=2)) as web:
        web.send(path)
