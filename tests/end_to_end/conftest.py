"""A run small enough for every test machine: all stages on a handful of generated films."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from filelock import FileLock

from camray.cli import main
from camray.stages.generate import stage as generate
from camray.stages.ingest import stage as ingest
from tests.one_worker import map_here
from tests.signal_handlers import kept_signal_handlers

SMALL = [
    "name=small",
    "data.generate.films=40",
    "data.generate.rows=160",
    "ingest.rows=96",
    "ingest.cols=64",
    "ingest.workers=1",
    "train.max_epochs=2",
    "train.pretext.epochs=1",
    "train.batch_size=8",
    "localize.report=cutoff",
    "score.bootstrap=50",
    "export.max_overlays=4",
]


def camray(*words: str | Path, timeout_s: float = 280) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a process of its own."""
    command = [sys.executable, "-m", "camray", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def camray_here(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which spares it the imports."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        kept_signal_handlers(),
        pytest.MonkeyPatch.context() as patched,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patched.setattr("sys.argv", ["camray", *map(str, words)])
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of one finished small run, with tracking on, made within the first test process that needs it."""
    is_shared = "PYTEST_XDIST_WORKER" in os.environ
    runs = tmp_path_factory.getbasetemp().parent / "small_run" if is_shared else tmp_path_factory.mktemp("runs")
    answer = runs / "answer.json"
    with FileLock(runs.with_name(f"{runs.name}.lock")):
        if not answer.is_file():
            with pytest.MonkeyPatch.context() as patched:
                for stage in (generate, ingest):
                    patched.setattr(stage, "map_processes", map_here)
                done = camray_here("demo", *SMALL, "--runs", runs, "--json", "--csv")
            if done.returncode != 0:
                pytest.fail(f"the small run failed:\n{done.stderr}")
            answer.write_text(done.stdout, encoding="utf-8")
    return runs / "small"
