"""Two commands on one run: the second is refused at once, with one message, and leaves no trace."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from camray import cli
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.io.tracking import open_tracker

HOLD = """
import sys
from contextlib import ExitStack
from pathlib import Path
from camray.adapters.run_folders.run_folder import RunFolder
with ExitStack() as held:
    for root in sys.argv[1:]:
        held.enter_context(RunFolder(Path(root)).locked())
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def busy_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run folders on which another process is at work."""
    runs = tmp_path_factory.mktemp("runs")
    names = ("phantom", "phantom-compare", "phantom-seed1", "findings")
    for name in names:
        write_json(runs / name / "settings.json", Settings(name=name).model_dump(mode="json"))
    for stage in ("ingest", "train", "localize"):
        write_json(runs / "phantom" / stage / "stage.json", {"outputs": {}})
    (runs / "phantom" / "mlflow").mkdir()
    (runs / "phantom" / "mlflow" / "journal.jsonl").touch()
    (runs / "films").mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, *[str(runs / name) for name in names]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    yield runs
    holder.stdin.close()
    assert holder.wait(timeout=60) == 0
    holder.stdout.close()


def _files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


@pytest.mark.parametrize(
    ("words", "run"),
    [
        ("run configs/phantom.yaml --runs RUNS", "phantom"),
        ("run configs/phantom.yaml track.enabled=false --runs RUNS", "phantom"),
        ("run configs/phantom.yaml --seeds 1,2 --runs RUNS", "phantom-seed1"),
        ("demo --runs RUNS", "phantom"),
        ("score RUNS/phantom", "phantom"),
        ("ingest RUNS/phantom", "phantom"),
        ("export RUNS/phantom", "phantom"),
        ("sanity RUNS/phantom", "phantom"),
        ("review RUNS/phantom", "phantom"),
        ("review import RUNS/films RUNS/phantom", "phantom"),
        ("compare configs/phantom.yaml --runs RUNS", "phantom-compare"),
        ("predict RUNS/phantom RUNS/films --out RUNS/findings", "findings"),
        ("track sync RUNS/phantom", "phantom"),
    ],
)
def test_a_run_in_other_hands_is_refused_in_one_line(
    words: str,
    run: str,
    busy_runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = _files(busy_runs)
    monkeypatch.setattr(sys, "argv", ["camray", *words.replace("RUNS", str(busy_runs)).split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 4
    said = "another process holds the run's lock; wait for its end, then run the same command again\n"
    expected = f"IncompleteError: {busy_runs / run}: {said}"
    told = capsys.readouterr().err
    *before_that, refusal = told.splitlines(keepends=True)
    assert refusal == expected
    assert all(re.match("seed 1$|(run|sanity|predict) +/", line) for line in before_that)  # what it was going to do
    assert caplog.messages == []
    assert _files(busy_runs) == before


def test_one_process_may_hold_its_run_twice_and_lets_go_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = RunFolder(tmp_path / "run")
    with open_tracker(Settings(name="run"), folder):
        with folder.locked():
            pass
        assert _lock_from_elsewhere(folder.root) != 0  # leaving the inner block did not let go
    assert _lock_from_elsewhere(folder.root) == 0


def _lock_from_elsewhere(root: Path) -> int:
    words = [sys.executable, "-c", HOLD, str(root)]
    done = subprocess.run(words, input="", capture_output=True, text=True, check=False)
    return done.returncode
