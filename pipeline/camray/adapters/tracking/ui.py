"""The MLflow user interface for the store of the runs, on this machine only."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from camray.adapters.tracking.store import import_mlflow, make_store, quiet_calls, store_uri
from camray.domain.errors import IncompleteError

_SWITCHED_OFF = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",
}
POLL_SECONDS = 0.5


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


def serve_ui(runs: Path, port: int, answers: Callable[[str], None]) -> int:
    """Serve the UI of the default store below `runs` until the user stops it.

    Parameters
    ----------
    runs : Path
        Folder of the runs.
    port : int
        On 127.0.0.1.
    answers : callable
        Told the address of the newest run's experiment, as soon as the server answers there.

    Returns
    -------
    int
        The server's exit status.

    Raises
    ------
    IncompleteError
        If another program answers on the port.
    """
    address = f"http://127.0.0.1:{port}"
    if _is_answering(address):
        raise IncompleteError(
            f"{address}: another program answers there already, perhaps an earlier `camray track ui`; stop it, or name "
            f"another port with --port {port + 1}"
        )
    uri = store_uri(None, runs)
    make_store(uri)
    command, environment = ui_command(uri, port), ui_environment(os.environ)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        page = address + page_of_runs(uri)
        while server.poll() is None and not _is_answering(f"{address}/health"):
            time.sleep(POLL_SECONDS)
        if server.poll() is None:
            answers(page)
        try:
            return server.wait()
        except KeyboardInterrupt:  # the server has received it too
            return server.wait()


def page_of_runs(uri: str) -> str:
    """Return the page of the UI that lists the runs of the experiment with the newest run; of an empty store none."""
    mlflow = import_mlflow()
    with quiet_calls():
        client = mlflow.MlflowClient(uri, registry_uri=uri)
        experiments = [found.experiment_id for found in client.search_experiments()]
        newest: Any = client.search_runs(experiments, order_by=["attributes.start_time DESC"], max_results=1)
    return f"/#/experiments/{newest[0].info.experiment_id}/runs" if newest else ""


def _is_answering(address: str) -> bool:
    with suppress(OSError, ValueError), closing(urllib.request.urlopen(address, timeout=2)):
        return True
    return False
