"""Parts as processes: several at once, one killed and repeated, and the same outputs as of one process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from tests.end_to_end.conftest import SMALL, camray

STAGES = ("ingest", "explain", "localize", "export")
SHARED = [*SMALL, "ingest.shard_films=4", "track.enabled=false"]  # 40 films: ten shards


def _start(words: list[str | Path]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "camray", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _kill_after_a_shard(process: subprocess.Popen[bytes], out: Path, part: str) -> None:
    while process.poll() is None and not list(out.glob(f"parts/*/{part}/unit-*.json")):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_parts_at_once_one_of_them_killed_end_with_the_digests_of_one_process(tmp_path: Path) -> None:
    made = camray("demo", *SHARED, "--runs", tmp_path, timeout_s=1200)
    assert made.returncode == 0, made.stderr
    predict: list[str | Path] = ["predict", tmp_path / "small", tmp_path / "small" / "generate" / "films", "--out"]
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    done = camray(*predict, whole, timeout_s=900)
    assert done.returncode == 0, done.stderr
    for stage, parts in (("ingest", 2), ("explain", 5)):
        started = [_start([*predict, shared, "--part", f"{number}/{parts}"]) for number in range(parts, 0, -1)]
        _kill_after_a_shard(started[0], shared, f"{parts}-of-{parts}")
        assert [each.wait() for each in started[1:]] == [0] * (parts - 1)
        again = camray(*predict, shared, "--part", f"{parts}/{parts}", timeout_s=900)
        assert again.returncode == 0, again.stderr
        merged = camray(*predict, shared, "--until", stage, timeout_s=900)
        assert merged.returncode == 0, merged.stderr
        assert "10 of 10 shards taken" in merged.stderr
    rest = camray(*predict, shared, timeout_s=900)
    assert rest.returncode == 0, rest.stderr
    for stage in STAGES:
        assert RunFolder(shared).output_digest(stage) == RunFolder(whole).output_digest(stage), stage
