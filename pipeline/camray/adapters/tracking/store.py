"""Location and creation of the tracking store, and quiet calls to it.

MLflow is imported here and in `sender` only, inside functions: a run without tracking is not delayed by it.
"""

import io
import logging
import os
import sqlite3
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock

DATABASE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"
TRACKING_VARIABLE, REGISTRY_VARIABLE = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"
_NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
_TIMEOUTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def store_uri(uri: str | None, store_folder: Path) -> str:
    """Return the URI of the store: from the settings, or SQLite in the folder of the runs."""
    return uri or _sqlite_uri(store_folder / DATABASE)


def artifact_location(uri: str, store_folder: Path) -> str | None:
    """Return the artifact location of a new experiment; None lets the server decide."""
    if urlsplit(uri).scheme in {"http", "https", "databricks"}:
        return None
    database = sqlite_path(uri)
    folder = store_folder if database is None else database.parent
    return (folder / ARTIFACTS).resolve().as_uri()


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None for any other URI."""
    scheme, separator, rest = uri.partition(":///")
    if not separator or scheme.partition("+")[0] != "sqlite":
        return None
    return Path(unquote(rest.partition("?")[0]))


def _sqlite_uri(path: Path) -> str:
    """Return the URI of a SQLite file; in it, ``?`` would begin a query and ``%`` an escape.

    Where one of them is escaped, the driver is named: of ``sqlite:///`` MLflow takes the path as it is written, and
    creates a folder of that name.
    """
    plain = path.resolve().as_posix()
    escaped = plain.replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{plain}" if escaped == plain else f"sqlite+pysqlite:///{escaped}"


def import_mlflow() -> Any:
    """Import MLflow with telemetry off, and with errors as its only log messages.

    Environment variables that the user has set are not changed.
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
def quiet_calls(timeouts: Mapping[str, str] | None = None) -> Iterator[None]:
    """Call MLflow with short timeouts, no progress bars and no output, until the end of the block.

    Parameters
    ----------
    timeouts : mapping, optional
        Environment variables of MLflow in place of the short defaults.
    """
    variables = {**_QUIET, **_TIMEOUTS, **(timeouts or {})}
    before = {key: os.environ.get(key) for key in variables}
    os.environ.update({key: value for key, value in variables.items() if before[key] is None})
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
    """Direct MLflow's fluent calls to a store; restore them and their environment variables after the block."""
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
    """Create a SQLite store and its tables, once.

    Two processes that open a new file at the same time both fail in its migrations, and leave it unusable. So the
    tables are created in a temporary file under a lock, which is then renamed.
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
            mlflow.MlflowClient(_sqlite_uri(fresh)).search_experiments(max_results=1)
        with closing(sqlite3.connect(fresh)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        copy.replace(path)
        fresh.unlink(missing_ok=True)


@contextmanager
def no_bytecode() -> Iterator[None]:
    """Keep Python from compiling what is imported: MLflow imports the entry where it is about to be stored."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
