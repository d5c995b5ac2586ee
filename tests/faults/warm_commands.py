"""Commands of camray, forked from one process that has imported everything: a start takes milliseconds."""

import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.preloaded"])
MARK = b"\0"  # sent when the imports are done
STUCK_S = 180.0
LITTLE_S = 0.5  # CPU time of a command that only waits

Limits = Mapping[int, int]  # resource.RLIMIT_... to both limits


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: a signal; None: it hung), what it printed, and seconds."""

    code: int | None
    output: str
    seconds: float

    @property
    def is_crash(self) -> bool:
        """Whether it hung, died, or met an error that it has no message for."""
        return self.code is None or self.code < 0 or "internal error" in self.output or "Traceback" in self.output

    def __str__(self) -> str:
        last = " ".join(self.output.split())[-400:]
        return f"exit {self.code}: {last}"


@dataclass
class Running:
    """A command at work."""

    process: ForkServerProcess
    pieces: list[bytes]
    reader: threading.Thread
    started: float = field(default_factory=time.monotonic)

    def wait_for_start(self) -> None:
        """Return when the command itself begins."""
        while not self.pieces and self.process.is_alive():
            time.sleep(0.002)

    def wait(self, timeout_s: float = STUCK_S) -> Ended:
        """Wait for the end; a command that uses more CPU time, or none for as long, is killed and has no exit code."""
        self._wait_while_it_works(timeout_s)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        self.reader.join(10)
        text = b"".join(self.pieces).replace(MARK, b"").decode("utf-8", "replace")
        return Ended(code, text, time.monotonic() - self.started)

    def _wait_while_it_works(self, timeout_s: float) -> None:
        counted = used = 0.0
        until = time.monotonic() + timeout_s
        while self.process.exitcode is None and used < timeout_s and time.monotonic() < until:
            self.process.join(1)
            used = _cpu_s(self.process.pid)
            if used > counted + LITTLE_S:
                counted, until = used, time.monotonic() + timeout_s


def _cpu_s(pid: int | None) -> float:
    """Return the CPU time of a process and its children, s."""
    seconds = 0.0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            seconds += sum(process.cpu_times()[:4])  # user, system, and of children that ended
    return seconds


def start(
    *words: str | Path,
    limits: Limits | None = None,
    prepare: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start ``camray *words``, after `prepare` and under `limits`."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    variables = {"MLFLOW_TRACKING_URI": "", **(environment or {})}
    arguments = ([str(word) for word in words], theirs, dict(limits or {}), prepare, variables)
    process = CONTEXT.Process(target=_work, args=arguments)
    process.start()
    theirs.close()
    pieces: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(ours, pieces), daemon=True)
    reader.start()
    return Running(process, pieces, reader)


def camray(*words: str | Path, timeout_s: float = STUCK_S, limits: Limits | None = None) -> Ended:
    """Run one command to its end."""
    return start(*words, limits=limits).wait(timeout_s)


def _drain(connection: Connection, pieces: list[bytes]) -> None:
    while piece := os.read(connection.fileno(), 1 << 16):
        pieces.append(piece)
    connection.close()


def _work(
    words: Sequence[str],
    output: Connection,
    limits: Limits,
    prepare: Callable[[], None] | None,
    variables: Mapping[str, str],
) -> None:
    from camray.cli import main

    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    for name, value in variables.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    if prepare is not None:
        prepare()
    for what, limit in limits.items():
        resource.setrlimit(what, (limit, limit))
    sys.argv = ["camray", *words]
    os.write(1, MARK)
    main()
