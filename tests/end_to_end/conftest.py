"""A run small enough for every test machine: all stages on a handful of generated films."""

import subprocess
import sys
from pathlib import Path

import pytest

SMALL = [
    "name=small",
    "data.generate.films=40",
    "data.generate.rows=160",
    "ingest.rows=96",
    "ingest.cols=64",
    "train.max_epochs=2",
    "train.batch_size=8",
    "localize.report=cutoff",
    "score.bootstrap=50",
    "export.max_overlays=4",
]


def camray(*words: str | Path, timeout_s: float = 280) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a process of its own."""
    command = [sys.executable, "-m", "camray", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of one finished small run, with tracking on."""
    runs = tmp_path_factory.mktemp("runs")
    done = camray("demo", *SMALL, "--runs", runs, "--json", "--csv")
    if done.returncode != 0:
        pytest.fail(f"the small run failed:\n{done.stderr}")
    (runs / "answer.json").write_text(done.stdout, encoding="utf-8")
    return runs / "small"
