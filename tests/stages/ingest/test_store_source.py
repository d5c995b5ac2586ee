"""Ingest of an object store: the bytes of a local folder, one listing, and films that change or vanish."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import requests

from camray.adapters.object_stores import list_store
from camray.domain.errors import AuthenticationError, InputRefusedError, SettingsError, UnreachableError
from camray.stages.ingest import store_source
from camray.stages.ingest.store_source import forget_stores, store_folder
from camray.workflows.stage_inputs import data_digest
from tests.stages.ingest.test_stage import contents, reasons, run, settings_for, write_root

NAMES = ("ü %41 b.dcm", "a#b?c.dcm")


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "key"))
    forget_stores()
    yield
    forget_stores()


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = write_root(tmp_path / "in", 6)
    for number, name in enumerate(NAMES):
        (root / f"sub0/film{number * 3}").rename(root / name)
    (root / "empty.dcm").write_bytes(b"")
    return root


def upload(files: Any, folder: Path, prefix: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files.pipe_file(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def test_a_store_gives_the_bytes_of_a_folder_from_one_listing(
    folder: Path, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(memory, folder, "/b/films")
    listings = []
    monkeypatch.setattr(store_source, "list_store", lambda path: listings.append(path) or list_store(path))
    settings = settings_for(Path("memory://b/films"))
    before = data_digest(settings)
    run(settings, tmp_path / "stored")
    run(settings_for(folder), tmp_path / "local")
    assert contents(tmp_path / "stored") == contents(tmp_path / "local")
    assert len(listings) == 1
    forget_stores()
    assert data_digest(settings) == before
    memory.pipe_file("/b/films/sub1/film1", b"other")
    forget_stores()
    assert data_digest(settings) != before


def test_films_that_change_or_vanish_after_the_listing_are_refused(folder: Path, tmp_path: Path, memory: Any) -> None:
    upload(memory, folder, "/b/films")
    settings = settings_for(Path("memory://b/films"))
    data_digest(settings)
    memory.pipe_file("/b/films/sub1/film1", (folder / "sub1/film4").read_bytes())
    memory.rm("/b/films/sub2/film2")
    run(settings, tmp_path / "run")
    assert reasons(tmp_path / "run") == {
        "empty.dcm": "not_dicom",
        "sub1/film1": "unreadable_header",
        "sub2/film2": "missing_file",
    }


def test_a_store_without_films_is_refused(tmp_path: Path, memory: Any) -> None:
    memory.pipe_file("/b/films/labels.csv", b"image_id,Mass\n")
    with pytest.raises(InputRefusedError, match="memory://b/films: no file matches"):
        run(settings_for(Path("memory://b/films")), tmp_path / "run")


class Cutting:
    """A proxy that ends its first connections after some bytes of the answer."""

    def __init__(self, port: int, cuts: int, after: int) -> None:
        self.target, self.cuts, self.after, self.was_cut = port, cuts, after, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            store = socket.create_connection(("127.0.0.1", self.target))
            left = self.after if self.was_cut < self.cuts else None
            self.was_cut += left is not None
            threading.Thread(target=self._copy, args=(client, store, None), daemon=True).start()
            threading.Thread(target=self._copy, args=(store, client, left), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket, left: int | None) -> None:
        try:
            while (left is None or left > 0) and (content := source.recv(min(65536, left or 65536))):
                target.sendall(content)
                left = None if left is None else left - len(content)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, int]]:
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-canary")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    requests.post(f"http://127.0.0.1:{port}/moto-api/reset", timeout=10)  # the process keeps an earlier test's objects
    files = s3fs.S3FileSystem(endpoint_url=f"http://127.0.0.1:{port}")
    files.mkdir("films")
    yield files, port
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.server
def test_s3_gives_the_bytes_of_a_folder(folder: Path, tmp_path: Path, s3: tuple[Any, int]) -> None:
    upload(s3[0], folder, "films/x")
    s3[0].pipe_file("films/x/marker/", b"")
    run(settings_for(Path("s3://films/x")), tmp_path / "stored")
    run(settings_for(folder), tmp_path / "local")
    stored = contents(tmp_path / "stored")
    assert stored == contents(tmp_path / "local")
    assert not any(b"canary" in content for content in stored.values())


@pytest.mark.server
def test_s3_connections_that_are_cut_are_tried_again(
    folder: Path, tmp_path: Path, s3: tuple[Any, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(s3[0], folder, "films/x")
    proxy = Cutting(s3[1], cuts=2, after=700)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    s3[0].clear_instance_cache()
    run(settings_for(Path("s3://films/x")), tmp_path / "stored")
    run(settings_for(folder), tmp_path / "local")
    assert proxy.was_cut == 2
    assert contents(tmp_path / "stored") == contents(tmp_path / "local")


@pytest.mark.server
def test_s3_lists_more_than_a_page_and_names_what_is_missing(s3: tuple[Any, int]) -> None:
    for number in range(1003):
        s3[0].call_s3("put_object", Bucket="films", Key=f"many/{number}", Body=b"x")
    folder = store_folder(Path("s3://films/many"))
    assert folder is not None
    assert len(folder.listing.objects) == 1003
    with pytest.raises(SettingsError, match="s3://nobucket/x does not exist"):
        list_store(Path("s3://nobucket/x"))


@pytest.mark.server
def test_s3_without_credentials_or_server_says_what_to_do(
    s3: tuple[Any, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3[0].clear_instance_cache()
    with pytest.raises(UnreachableError, match="s3://films/x: the store does not answer"):
        list_store(Path("s3://films/x"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3[0].clear_instance_cache()
    with pytest.raises(AuthenticationError, match="refuses access"):
        list_store(Path("s3://films/x"))
