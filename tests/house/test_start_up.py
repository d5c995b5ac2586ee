"""What a command says first, it says before anything is imported that takes seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = "torch numpy pandas scipy numba sklearn skimage pydicom matplotlib mlflow pyarrow PIL"
# ends the process with code 7 where a slow module is about to be imported
WATCH = f"""
import os, sys
class Watch:
    def find_spec(self, name, *_):
        if name in {SLOW.split()!r}:
            sys.stdout.flush()
            sys.stderr.write("imports " + name)
            sys.stderr.flush()
            os._exit(7)
sys.meta_path.insert(0, Watch())
from camray.cli import main
main()
"""


def start(*words: str) -> tuple[int, str]:
    command = [sys.executable, "-c", WATCH, *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=ROOT)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["runs", "--runs", "configs"]])
def test_help_version_and_the_list_of_runs_import_nothing_slow(words: list[str]) -> None:
    code, text = start(*words)
    assert (code, "imports" in text) == (0, False), text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "configs/phantom.yaml", "train.epoch=3"], "did you mean 'train.max_epochs'"),
        (["predict", "configs", "films", "--out", "x"], "not a run folder"),
    ],
)
def test_mistakes_are_reported_without_importing_anything_slow(words: list[str], said: str) -> None:
    code, text = start(*words)
    assert (code, said in " ".join(text.split())) == (2, True), text


def test_a_run_names_its_folder_before_it_imports_what_is_slow(tmp_path: Path) -> None:
    code, text = start("run", "configs/phantom.yaml", "--runs", str(tmp_path))
    assert (code, f"run       {tmp_path}/phantom\n" in text) == (7, True), text
