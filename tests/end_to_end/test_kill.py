"""SIGKILL at any moment, start again, and nothing is different."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.workflows.stage_inputs import STAGE_NAMES
from tests.end_to_end.conftest import SMALL, camray


def _kill_during(stage: str, runs: Path) -> bool:
    """Start the small run and kill it while `stage` is open; tell whether it was caught open."""
    command = [sys.executable, "-m", "camray", "demo", *SMALL, "--runs", str(runs)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun, done = runs / "small" / stage / "begin.json", runs / "small" / stage / "stage.json"
    while started.poll() is None and not begun.is_file():
        time.sleep(0.002)
    time.sleep(0.05)
    started.send_signal(signal.SIGKILL)
    started.wait()
    return not done.is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_in_every_stage_and_run_again_ends_with_the_same_digests(small_run: Path, tmp_path: Path) -> None:
    caught = {stage: _kill_during(stage, tmp_path) for stage in STAGE_NAMES}
    assert sum(caught.values()) >= len(STAGE_NAMES) - 1, caught
    done = camray("demo", *SMALL, "--runs", tmp_path)
    assert done.returncode == 0, done.stderr
    undisturbed, killed = RunFolder(small_run), RunFolder(tmp_path / "small")
    assert (killed.root / "score" / "scores.csv").read_bytes() == (
        undisturbed.root / "score" / "scores.csv"
    ).read_bytes()
    for stage in STAGE_NAMES:
        assert killed.output_digest(stage) == undisturbed.output_digest(stage), stage
