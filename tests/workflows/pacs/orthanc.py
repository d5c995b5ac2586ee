"""An Orthanc server of the test's own, and a line to it that breaks."""

import json
import random
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
START_SECONDS = 60


def is_installed() -> bool:
    return Path(PROGRAM).is_file() and PLUGIN.exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Orthanc:
    """Addresses and REST calls of a running server."""

    def __init__(self, http_port: int, dicom_port: int, move_port: int) -> None:
        self.http_port, self.dicom_port, self.move_port = http_port, dicom_port, move_port
        self.web = f"http://127.0.0.1:{http_port}/dicom-web"
        self.peer = f"ORTHANC@127.0.0.1:{dicom_port}"

    def rest(self, path: str, data: bytes | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def file(self, identifier: str) -> bytes:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.http_port}/instances/{identifier}/file", timeout=30
        ) as answer:
            return bytes(answer.read())

    def instances(self) -> dict[str, str]:
        """SOPInstanceUID to Orthanc's identifier; fails if a UID is listed twice."""
        found = [
            (self.rest(f"/instances/{each}")["MainDicomTags"]["SOPInstanceUID"], each)
            for each in self.rest("/instances")
        ]
        assert len({uid for uid, _ in found}) == len(found)
        return dict(found)


@contextmanager
def running(folder: Path) -> Iterator[Orthanc]:
    server = Orthanc(free_port(), free_port(), free_port())
    config = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": server.http_port,
        "DicomPort": server.dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"camray": ["CAMRAY", "127.0.0.1", server.move_port]},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "ConcurrentJobs": 1,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, str(path)], stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(server, process, folder / "orthanc.log")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def _await(server: Orthanc, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            server.rest("/system")
            return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            time.sleep(0.2)
    raise AssertionError("Orthanc does not answer")


class Cutter:
    """A TCP line to a port that is cut after a random number of bytes, a number of times, and then holds."""

    def __init__(self, port: int, cuts: int, most_bytes: int, seed: int) -> None:
        self.cuts, self._left, self._most, self._target = 0, cuts, most_bytes, port
        self._rng, self._lock = random.Random(seed), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._open = False
        self._listener.close()

    def _serve(self) -> None:
        while self._open:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            with self._lock:
                budget = [self._rng.randint(1, self._most)] if self._left > 0 else [None]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink, near, far, budget), daemon=True).start()

    def _pump(self, source: Any, sink: Any, near: Any, far: Any, budget: list[Any]) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                if self._is_spent(budget, len(data)):
                    break
                sink.sendall(data)
        for each in (near, far):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _is_spent(self, budget: list[Any], count: int) -> bool:
        with self._lock:
            if budget[0] is None or budget[0] < 0:
                return budget[0] is not None
            budget[0] -= count
            if budget[0] >= 0:
                return False
            if self._left > 0:
                self._left -= 1
                self.cuts += 1
                return True
            budget[0] = None  # enough was cut meanwhile
            return False
