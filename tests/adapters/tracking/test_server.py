"""A real MLflow server that goes away in the middle of a run, and comes back."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camray.adapters.tracking.journal import Journal
from camray.adapters.tracking.mlflow import MlflowTracker
from camray.adapters.tracking.store import make_store, quiet_calls, store_uri
from camray.adapters.tracking.sync import sync
from camray.adapters.tracking.ui import ui_command, ui_environment
from camray.domain.errors import IncompleteError

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
PATIENCE_S = 180.0


def _start(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    command = ui_command(store_uri(None, folder), port)
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "served-artifacts")]
    server = subprocess.Popen(
        command,
        env=ui_environment(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        start_new_session=True,
    )
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return server
        except OSError:
            time.sleep(0.5)
    pytest.fail("the server did not answer")


def _stop(server: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    os.killpg(server.pid, how)
    server.wait(60)


def test_a_server_that_dies_in_the_middle_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_store(store_uri(None, tmp_path))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    root = tmp_path / "runs" / "demo"
    root.mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(root / "picture.png")
    server = _start(tmp_path, port)
    address = f"http://127.0.0.1:{port}"
    with MlflowTracker(root, root.parent, address, "demo", "unused:unused") as tracker:
        tracker.params({"a": 1})
        with tracker.stage("train"):
            tracker.metrics({"loss": 1.0}, 0)
            assert not Journal(root).pending
            _stop(server, signal.SIGKILL)
            began = time.monotonic()
            for epoch in range(1, 50):
                tracker.metrics({"loss": 1.0 / (epoch + 1)}, epoch)
            tracker.picture(root / "picture.png", "overlay")
            tracker.artifact(root / "picture.png", "files")
            assert time.monotonic() - began < 30
    assert sum("cannot be reached" in record.getMessage() for record in caplog.records) == 1
    with pytest.raises(IncompleteError, match="calls are pending; start the server and sync again"):
        sync(root)
    waiting = len(Journal(root).pending)
    assert waiting >= 52
    server = _start(tmp_path, port)
    try:
        assert sync(root) == {"sent": waiting, "rejected": 0, "pending": 0}
        import mlflow

        with quiet_calls():
            client = mlflow.MlflowClient(address)
            runs = client.search_runs([client.get_experiment_by_name("demo").experiment_id])
            (train,) = [run for run in runs if run.info.run_name == "train"]
            history = client.get_metric_history(train.info.run_id, "loss")
            files = [found.path for found in client.list_artifacts(train.info.run_id, "files")]
            cards = client.list_artifacts(train.info.run_id, "images")
    finally:
        _stop(server, signal.SIGTERM)
    assert len(runs) == 2
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sorted((metric.step, metric.value) for metric in history) == [(e, 1.0 / (e + 1)) for e in range(50)]
    assert files == ["files/picture.png"]
    assert len(cards) == 2
