"""Tracking with MLflow: each call is recorded in a journal first, then sent; `sync` sends what could not be sent."""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from camray.adapters.tracking.journal import FOLDER, ROOT, Entry, Journal
from camray.adapters.tracking.keys import picture_key, tracking_key
from camray.adapters.tracking.sender import Sender
from camray.adapters.tracking.store import import_mlflow, quiet_calls, store_uri
from camray.adapters.tracking.sync import brief, drain, left_open
from camray.domain.uris import without_secrets

logger = logging.getLogger(__name__)
VALUE_CHARACTERS, DIGEST_CHARACTERS = 500, 36
RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class _ModelFile:
    path: Path


class MlflowTracker:
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
        self._run, self._opened, self._warned = ROOT, False, False
        self._next_try = 0.0
        self._known: dict[tuple[str, str], dict[str, str]] = {}

    def __enter__(self) -> "MlflowTracker":
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
        self._known = _known_values(self._journal.entries)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if self._journal is not None:
            if self._opened:
                self._next_try = 0.0
                self._tell("end", ROOT, status=_status_of(error))
            if self._journal.pending and self._warned:
                logger.warning(
                    "%d calls to MLflow are not sent; send them with `camray track sync %s`",
                    len(self._journal.pending),
                    self._run_root,
                )
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Assign all calls of the block to a nested run of this name."""
        if self._journal is None:
            yield
            return
        self._open()
        earlier = sum(
            e["call"] == "start" and e.get("name") == name and e["run"] != ROOT for e in self._journal.entries
        )
        outer, self._run = self._run, f"{name}#{earlier + 1}"
        self._tell("start", self._run, name=name, parent=outer, experiment=self._experiment)
        try:
            yield
        except BaseException as error:
            self._tell("end", self._run, status=_status_of(error))
            raise
        else:
            self._tell("end", self._run, status="FINISHED")
        finally:
            self._run = outer

    def params(self, values: Mapping[str, Any]) -> None:
        """Record settings, flattened with dots.

        MLflow never changes a param: as long as a setting has another value than at first, the tag ``changed.<key>``
        holds it.
        """
        known = self._known.setdefault((self._run, "params"), {})
        given = {tracking_key(key): str(value)[:VALUE_CHARACTERS] for key, value in _flat(values).items()}
        new = {key: value for key, value in given.items() if key not in known}
        changed = {
            tracking_key(f"changed.{key}"): value for key, value in given.items() if known.get(key, value) != value
        }
        self._remove_tags([tracking_key(f"changed.{key}") for key in given if known.get(key) == given[key]])
        if new:
            known.update(new)
            self._record("params", values=new)
        self.tags(changed)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record facts about the run."""
        known = self._known.setdefault((self._run, "tags"), {})
        new = {tracking_key(key): str(value)[:VALUE_CHARACTERS] for key, value in values.items()}
        new = {key: value for key, value in new.items() if known.get(key) != value}
        if new:
            known.update(new)
            self._record("tags", values=new)

    def _remove_tags(self, keys: Sequence[str]) -> None:
        known = self._known.get((self._run, "tags"), {})
        present = [key for key in keys if known.pop(key, None) is not None]
        if present:
            self._record("untag", keys=present)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record figures of one step in one batch; values that are not finite are omitted."""
        finite = {tracking_key(key): float(value) for key, value in values.items() if math.isfinite(value)}
        if finite:
            self._record("metrics", values=finite, step=int(step))

    def dataset(self, table: pd.DataFrame, name: str, source: str, digest: str, context: str) -> None:
        """Record which films were used, here and for the whole run: name, digest, columns, count; never a row."""
        if self._journal is None:
            return
        mlflow = import_mlflow()
        with quiet_calls():
            from mlflow.data.code_dataset_source import CodeDatasetSource

            origin = CodeDatasetSource(tags={"source": source})
            described = mlflow.data.from_pandas(table, source=origin, name=name, digest=digest[:DIGEST_CHARACTERS])
            plain = described._to_mlflow_entity()
        parts = {
            part: getattr(plain, part) for part in ("name", "digest", "source_type", "source", "schema", "profile")
        }
        self._record("dataset", dataset=parts, context=context)
        if self._run != ROOT:  # the whole run's data too
            self._tell("dataset", ROOT, dataset=parts, context=context)
        self._tell("tags", ROOT, values={"data_digest": digest})

    def picture(self, path: Path, key: str, step: int = 0) -> None:
        """Show a PNG as a card with a step slider in the UI."""
        self._record("picture", key=picture_key(key), step=int(step), file=path)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Upload a file, or a whole folder, below `folder`."""
        self._record("artifact", file=path, folder=folder)

    def table(self, rows: pd.DataFrame, name: str, picture_column: str | None = None) -> None:
        """Show a table; `picture_column` holds paths of PNGs that become thumbnails."""
        pictures = None
        if picture_column is not None:
            pictures = [Path(path) for path in rows[picture_column]]
            rows = rows.assign(**{picture_column: ""})
        plain = json.loads(rows.reset_index(drop=True).to_json(orient="split", index=False))
        self._record("table", name=tracking_key(name), rows=plain, pictures=pictures, picture_column=picture_column)

    def model(self, files: Sequence[Path], name: str, description: str = "") -> None:
        """Log files of a trained run as a pyfunc model (film in, boxes out) and register it as candidate."""
        existing = [_ModelFile(path) for path in files if path.is_file()]
        self._record("model", name=name, loader=self._loader, files=existing, description=description)

    def _record(self, call: str, **payload: Any) -> None:
        if self._journal is None:
            return
        self._open()
        self._tell(call, self._run, **payload)

    def _open(self) -> None:
        """Start or resume the tracked run; nested runs that a killed process left open are closed."""
        if self._opened or self._journal is None:
            return
        self._opened = True
        if not any(entry["call"] == "start" for entry in self._journal.entries):
            root = {"name": self._run_root.name, "parent": None, "experiment": self._experiment}
            self._tell("start", ROOT, **root, journal=self._journal.state["journal"])
            return
        for run in left_open(self._journal.entries):
            if run != ROOT:
                self._tell("end", run, status="KILLED")
        self._tell("resume", ROOT)

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
        if self._journal is not None and isinstance(value, _ModelFile):
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


def _known_values(entries: list[Entry]) -> dict[tuple[str, str], dict[str, str]]:
    """Return the params and the tags of each run, as the journal says."""
    known: dict[tuple[str, str], dict[str, str]] = {}
    for entry in entries:
        if entry["call"] in {"params", "tags"} and isinstance(entry.get("values"), dict):
            known.setdefault((entry["run"], entry["call"]), {}).update(entry["values"])
        elif entry["call"] == "untag":
            for key in entry.get("keys", ()):
                known.get((entry["run"], "tags"), {}).pop(key, None)
    return known


def _status_of(error: BaseException | None) -> str:
    if error is None or isinstance(error, GeneratorExit):
        return "FINISHED"
    return "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
