"""A map over spawned processes: in order, with bounded memory, and safe against crashes of a codec.

Each worker has its own pipe and answers item by item: the item on which it dies is known, and no other item is lost.
"""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.util import Finalize
from typing import Any, Generic, TypeVar

from camray.domain.errors import ImageError, PipelineError, PixelError
from camray.domain.records import RefusalReason

Item = TypeVar("Item")
Value = TypeVar("Value")

_AHEAD = 4  # chunks per worker ahead of the slowest item: limits the results that wait for their turn
_READY = "ready"
_START_S = 600.0  # longest time for the start of a worker, which imports much and may wait for a slow disk
_HANDLED_BY_PARENT = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    )
}


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """Result of one item: a value, or the error that refuses it."""

    item: Item
    value: Value | None
    error: ImageError | None


def count_workers(workers: int) -> int:
    """Return `workers`; for 0, the number of cores that this process may use."""
    return workers or len(os.sched_getaffinity(0))


def map_processes(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    workers: int,
    chunk: int = 8,
    timeout_s: float = 300.0,
) -> Iterator[Outcome[Item, Value]]:
    """Apply a function to every item, in spawned processes of one thread each.

    Parameters
    ----------
    function : callable
        Importable by name (or a `functools.partial` of such). An `ImageError` it raises refuses its item.
    items : iterable
        Read only as far as needed.
    workers : int
        Processes; also 1 is a process of its own, which may crash.
    chunk : int
        Items sent to a worker at once.
    timeout_s : float
        Longest time for one item, without the start of its worker.

    Yields
    ------
    Outcome
        In the order of the items. An item on which a worker died or hung twice (the second time without other items)
        has an ``UNREADABLE_PIXELS`` error.

    Raises
    ------
    OSError
        If the function raises one with an error number: a full disk, for instance.
    PipelineError
        If the function raises any other error, or the workers cannot start.
    """
    if workers < 1 or chunk < 1:
        raise ValueError(f"workers and chunk must be positive, got {workers} and {chunk}")
    return _Pool(function, iter(items), workers, chunk, timeout_s).run()


def _answer(function: Callable[[Item], Value], item: Item) -> tuple[Value | None, ImageError | None] | Exception:
    """Return the value of an item and the error that refuses it, or an error that ends the map."""
    try:
        return function(item), None
    except ImageError as error:
        return None, error.with_traceback(None)
    except PipelineError as error:
        return error.with_traceback(None)
    except OSError as error:
        if error.errno is None:  # a decoder's error
            raise
        return OSError(error.errno, error.strerror, error.filename)


def _work(function: Callable[[Any], Any], connection: Connection) -> None:
    """Answer chunks until the pipe closes or an error ends the map; runs in the worker."""
    connection.send(_READY)
    while True:
        try:
            chunk = connection.recv()
        except EOFError:
            return
        for item in chunk:
            is_answered = False
            try:
                answer = _answer(function, item)
                connection.send(answer)
                is_answered = True
            finally:
                if not is_answered:  # an exception propagates; a crash does not reach this line
                    connection.send(PipelineError("unexpected error in a worker; see its traceback on stderr"))
            if isinstance(answer, Exception):
                return


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Block signals that end a run until a worker has started and is registered; the worker inherits the block.

    A terminal or a service manager sends them to all processes; the parent alone handles them, and kills its workers.
    The first start launches Python's resource tracker, which unblocks interrupts; so the tracker is started before.
    """
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED_BY_PARENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    saved = {name: os.environ[name] for name in _ONE_THREAD if name in os.environ}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name in _ONE_THREAD:
            del os.environ[name]
        os.environ.update(saved)


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    todo: deque[tuple[int, Any]] = field(default_factory=deque)
    is_ready: bool = False
    since: float = 0.0  # when the first item of `todo` started


class _Pool(Generic[Item, Value]):
    def __init__(
        self, function: Callable[[Item], Value], items: Iterator[Item], workers: int, chunk: int, timeout_s: float
    ) -> None:
        self._function, self._size, self._chunk, self._timeout_s = function, workers, chunk, timeout_s
        self._source = enumerate(items)
        self._again: deque[tuple[int, Item]] = deque()  # items of dead workers
        self._suspects: set[int] = set()  # a worker died on them once
        self._workers: list[_Worker] = []
        self._done: dict[int, Outcome[Item, Value]] = {}
        self._issued = self._next = 0
        self._is_exhausted = False
        # at exit, before Python waits for workers that it asks to end by a signal that they block
        self._at_exit = Finalize(self, _kill, (self._workers,), exitpriority=10)

    def run(self) -> Iterator[Outcome[Item, Value]]:
        is_clean = False
        try:
            while True:
                self._hand_out()
                while self._next in self._done:
                    self._next += 1
                    yield self._done.pop(self._next - 1)
                    self._hand_out()
                if not any(worker.todo for worker in self._workers):
                    break
                self._collect()
            is_clean = True
        finally:
            self._stop(is_clean)

    def _hand_out(self) -> None:
        while True:
            worker = next((worker for worker in self._workers if not worker.todo), None)
            if worker is None and len(self._workers) >= self._size:
                return
            chunk = self._take()
            if not chunk:
                return
            worker = worker or self._start()
            worker.todo.extend(chunk)
            worker.since = time.monotonic()
            try:
                worker.connection.send([item for _, item in chunk])
            except (BrokenPipeError, ConnectionResetError):  # died while idle
                self._bury(worker)

    def _take(self) -> list[tuple[int, Item]]:
        if self._again:
            if self._again[0][0] in self._suspects:
                return [self._again.popleft()]
            limit = min(len(self._again), self._chunk)
            stop = next((at for at in range(limit) if self._again[at][0] in self._suspects), limit)
            return [self._again.popleft() for _ in range(stop)]
        if self._is_exhausted or self._issued - self._next >= self._size * self._chunk * _AHEAD:
            return []
        chunk = [pair for _, pair in zip(range(self._chunk), self._source, strict=False)]
        self._is_exhausted = len(chunk) < self._chunk
        self._issued += len(chunk)
        return chunk

    def _start(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self._function, theirs), daemon=True)
        with _no_interrupt(), _one_thread_each():  # interrupts are handled by the parent, not by workers
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _collect(self) -> None:
        busy = {worker.connection: worker for worker in self._workers if worker.todo}
        ready = wait(list(busy), timeout=min(1.0, self._timeout_s))
        for connection, worker in busy.items():
            if connection in ready:
                self._receive(worker)
            elif time.monotonic() - worker.since > (self._timeout_s if worker.is_ready else _START_S):
                worker.process.kill()
                self._bury(worker)

    def _receive(self, worker: _Worker) -> None:
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):  # died, perhaps within its answer
            self._bury(worker)
            return
        worker.since = time.monotonic()
        if answer == _READY:
            worker.is_ready = True
            return
        if isinstance(answer, Exception):
            worker.process.join(5)
            raise answer
        index, item = worker.todo.popleft()
        value, error = answer
        self._suspects.discard(index)
        self._done[index] = Outcome(item, value, error)

    def _bury(self, worker: _Worker) -> None:
        worker.process.join(5)
        code = worker.process.exitcode
        self._workers.remove(worker)
        worker.connection.close()
        if not worker.is_ready:
            raise PipelineError(
                f"a worker process cannot start (exit code {code}), expected to start within {_START_S:.0f} s; see the "
                "messages above, free memory or set ingest.workers=1"
            )
        index, item = worker.todo[0]
        if index in self._suspects:
            worker.todo.popleft()
            self._suspects.discard(index)
            message = f"the worker that decoded it died or hung, twice (exit code {code})"
            self._done[index] = Outcome(item, None, PixelError(RefusalReason.UNREADABLE_PIXELS, message))
        else:  # tried once more, without other items
            self._suspects.add(index)
        self._again.extendleft(reversed(worker.todo))

    def _stop(self, is_clean: bool) -> None:
        for worker in self._workers:
            worker.connection.close()
        if is_clean:
            for worker in self._workers:
                worker.process.join(5)
        _kill(self._workers)
        self._at_exit.cancel()


def _kill(workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.process.is_alive():
            worker.process.kill()
    for worker in workers:
        worker.process.join()
