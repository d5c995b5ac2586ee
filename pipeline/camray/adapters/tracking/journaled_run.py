"""One run told to a journal first and then to MLflow: its nested runs, its end, and a store that cannot be reached."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from camray.adapters.tracking.journal import FOLDER, ROOT, Journal
from camray.adapters.tracking.sender import Sender
from camray.adapters.tracking.store import store_uri
from camray.adapters.tracking.sync import brief, drain, left_open
from camray.adapters.tracking.system_metrics import SystemMetrics
from camray.adapters.tracking.tracked_runs import (
    experiment_of,
    known_values,
    name_of_root,
    next_root,
    number_of_starts,
    present_root,
    status_of,
    user_tags,
)
from camray.domain.uris import without_secrets

logger = logging.getLogger(__name__)
RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class ModelFile:
    """A file of a model, kept with the journal if it is small."""

    path: Path


class JournaledRun:
    """Tracks one run; never stops it and never changes its result.

    Every call is first appended to the run's journal. While the store is unreachable the journal grows, with one
    warning; the store is tried again from time to time, and `sync` sends the rest.

    Parameters
    ----------
    run_root : Path
        ``runs/<name>``.
    store_folder : Path
        Folder of the default store, usually the folder of the runs.
    uri : str or None
        Store; None means SQLite in `store_folder`.
    experiment : str
        Name of the MLflow experiment.
    loader : str
        ``module:function`` that turns the model's files into a predictor; see `film_model`.
    retry_seconds : float
        Minimum wait before an unreachable store is tried again.
    """

    def __init__(
        self,
        run_root: Path,
        store_folder: Path,
        uri: str | None,
        experiment: str,
        loader: str,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._run_root, self._store_folder, self._uri = run_root, store_folder, uri
        self._experiment, self._loader, self._retry_seconds = experiment, loader, retry_seconds
        self._journal: Journal | None = None
        self._lock: FileLock | None = None
        self._root, self._run, self._opened, self._warned = ROOT, ROOT, False, False
        self._next_try = 0.0
        self._known: dict[tuple[str, str], dict[str, str]] = {}
        self._system = SystemMetrics(store_folder)
        self._told: dict[str, dict[str, str]] = {"params": {}, "tags": {}}  # of the whole run, by this process

    def __enter__(self) -> Self:
        folder = self._run_root / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / ".lock")
            self._lock.acquire(timeout=0)
            self._journal = Journal(self._run_root)
            _point_at_store(self._journal, self._uri, self._store_folder, self._experiment)
        except (OSError, Timeout) as error:
            logger.warning("%s: the run is not tracked (%s)", self._run_root, type(error).__name__)
            self._journal = None
            return self
        self._sender = Sender(store_uri(self._uri, self._store_folder), self._store_folder, self._journal)
        self._in_doubt = bool(self._journal.pending)
        self._known = known_values(self._journal.entries)
        self._root = self._run = present_root(self._journal.entries)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._system.stop()
        self._tell_system()
        if self._journal is not None:
            if self._opened:
                self._next_try = 0.0
                self._tell("end", self._root, status=status_of(error))
            if self._journal.pending and self._warned:
                logger.warning(
                    "%d calls to MLflow are not sent; send them with `camray track sync %s`",
                    len(self._journal.pending),
                    self._run_root,
                )
        if self._lock is not None:
            self._lock.release()

    def watch_system(self) -> None:
        """Sample the machine's load until the run ends."""
        if self._journal is not None:
            self._system.start()

    def _tell_system(self) -> None:
        for sample in self._system.taken() if self._opened else ():
            self._tell("metrics", self._root, values=sample.values, step=sample.step, time_ms=sample.time_ms)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Assign all calls of the block to a nested run of this name."""
        if self._journal is None:
            yield
            return
        self._open()
        entries = self._journal.entries
        outer, self._run = self._run, f"{name}#{number_of_starts(entries, name) + 1}"
        experiment = experiment_of(entries, self._root, self._experiment)
        self._tell("start", self._run, name=name, parent=outer, experiment=experiment, tags=user_tags())
        try:
            yield
        except BaseException as error:
            self._tell("end", self._run, status=status_of(error))
            raise
        else:
            self._tell("end", self._run, status="FINISHED")
        finally:
            self._run = outer
            self._tell_system()

    def _begin_anew(self) -> None:
        if self._journal is None:
            return
        status = "FINISHED" if self._opened else "KILLED"  # what is open now, or what a killed process left open
        for run in left_open(self._journal.entries):
            self._tell("end", run, status=status)
        self._root = self._run = next_root(self._root)
        self._start_root()

    def _start_root(self) -> None:
        if self._journal is None:
            return
        self._opened = True
        self._tell(
            "start",
            self._root,
            name=name_of_root(self._run_root.name, self._root),
            parent=None,
            experiment=self._experiment,
            tags=user_tags(),
            journal=self._journal.state["journal"],
        )

    def _record(self, call: str, **payload: Any) -> None:
        if self._journal is None:
            return
        self._open()
        self._tell(call, self._run, **payload)

    def _open(self) -> None:
        """Start or resume the tracked run; nested runs that a killed process left open are closed."""
        if self._opened or self._journal is None:
            return
        if not any(entry["call"] == "start" for entry in self._journal.entries):
            self._start_root()
            return
        self._opened = True
        for run in left_open(self._journal.entries):
            if run != self._root:
                self._tell("end", run, status="KILLED")
        self._tell("resume", self._root)

    def _tell(self, call: str, run: str, **payload: Any) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(call, run, **{key: self._referenced(value) for key, value in payload.items()})
        except OSError as error:
            logger.warning("%s: tracking stops: the journal cannot be written (%s)", self._run_root, error.strerror)
            self._journal = None
            return
        if time.monotonic() >= self._next_try:
            self._drain()

    def _referenced(self, value: Any) -> Any:
        if self._journal is not None and isinstance(value, Path):
            return self._journal.reference(value)
        if self._journal is not None and isinstance(value, ModelFile):
            return self._journal.reference_to_model_file(value.path)
        if isinstance(value, list):
            return [self._referenced(item) for item in value]
        return value

    def _drain(self) -> None:
        if self._journal is None:
            return
        began = time.monotonic()
        error = drain(self._journal, self._sender, self._in_doubt)
        self._in_doubt = error is not None
        if error is None:
            return
        now = time.monotonic()
        self._next_try = now + max(self._retry_seconds, 10 * (now - began))
        if not self._warned:
            self._warned = True
            logger.warning("MLflow cannot be reached (%s); the run continues and its calls are kept", brief(error))


def _point_at_store(journal: Journal, uri: str | None, store_folder: Path, experiment: str) -> None:
    """Record the store; a new store receives the whole journal from its beginning."""
    relative = os.path.relpath(store_folder.resolve(), journal.run_root.resolve())
    stored, known = without_secrets(uri) if uri else None, journal.state.get("uri")
    known = without_secrets(known) if isinstance(known, str) else None  # earlier versions stored secrets
    if "store_folder" in journal.state and (known, journal.state["store_folder"]) != (stored, relative):
        journal.start_over()
    journal.remember(uri=stored, store_folder=relative, experiment=experiment)
