"""Where the tracking store is, made once before anybody uses it, and kept quiet.

MLflow is imported here and in `sender` only, inside functions: a run without tracking never pays its three seconds.
"""

import io
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

DATABASE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"
TRACKING_VARIABLE, REGISTRY_VARIABLE = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"
_NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def store_uri(uri: str | None, store_folder: Path) -> str:
    """Return the store's address: what the settings say, or SQLite in the folder of the runs."""
    return uri or f"sqlite:///{(store_folder / DATABASE).resolve().as_posix()}"


def artifact_location(uri: str, store_folder: Path) -> str | None:
    """Return where a new experiment's artifacts go; None leaves it to a server."""
    if urlsplit(uri).scheme in {"http", "https", "databricks"}:
        return None
    database = sqlite_path(uri)
    folder = store_folder if database is None else database.parent
    return (folder / ARTIFACTS).resolve().as_uri()


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address, None for any other."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def import_mlflow() -> Any:
    """Import MLflow with telemetry off and its log lines below warnings unheard.

    Variables that the user has set are left as they are.
    """
    for key, value in _NO_TELEMETRY.items():
        os.environ.setdefault(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


@contextmanager
def quiet_calls(patience: Mapping[str, str] | None = None) -> Iterator[None]:
    """Call MLflow with short patience, no progress bars, and nothing printed; all of it ends with the block.

    Parameters
    ----------
    patience : mapping, optional
        Environment variables of MLflow that differ from the short default.
    """
    wanted = {**_QUIET, **_PATIENCE, **(patience or {})}
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update({key: value for key, value in wanted.items() if before[key] is None})
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)


@contextmanager
def pointed_at(mlflow: Any, uri: str) -> Iterator[None]:
    """Point MLflow's fluent calls at a store, and leave them, and the environment they write, as they were."""
    tracking, registry = (os.environ.get(name) for name in (TRACKING_VARIABLE, REGISTRY_VARIABLE))
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(tracking)
        mlflow.set_registry_uri(registry)
        if registry is None:
            os.environ.pop(REGISTRY_VARIABLE, None)


def make_store(uri: str) -> None:
    """Create a SQLite store and its tables, once, whoever comes first.

    Two processes that open a fresh file together both fail in its migrations, and leave it unusable. So the tables are
    made in a file of their own under a lock, and moved into place whole.
    """
    path = sqlite_path(uri)
    if path is None or path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        if path.is_file():
            return
        fresh, copy = path.with_name(path.name + ".fresh.tmp"), path.with_name(path.name + ".copy.tmp")
        for leftover in (fresh, copy):
            leftover.unlink(missing_ok=True)
        mlflow = import_mlflow()
        with quiet_calls():
            mlflow.MlflowClient(f"sqlite:///{fresh.resolve().as_posix()}").search_experiments(max_results=1)
        with closing(sqlite3.connect(fresh)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        copy.replace(path)
        fresh.unlink(missing_ok=True)
