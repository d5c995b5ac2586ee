"""The MLflow user interface for the store of the runs, on this machine only."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from camray.adapters.tracking.store import make_store, store_uri

_SWITCHED_OFF = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def ui_command(uri: str, port: int) -> list[str]:
    """Return the command that serves the UI of a store on 127.0.0.1, to this machine's browsers only."""
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost")]
    return [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--allowed-hosts", ",".join(hosts)),
    ]


def ui_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of `ui_command`: telemetry and background jobs off, unless the user has set them."""
    return {**_SWITCHED_OFF, **environment}


def serve_ui(runs: Path, port: int) -> int:
    """Serve the UI of the default store below `runs` until the user stops it.

    Returns
    -------
    int
        The server's exit status.
    """
    uri = store_uri(None, runs)
    make_store(uri)
    return subprocess.run(ui_command(uri, port), env=ui_environment(os.environ), check=False).returncode
