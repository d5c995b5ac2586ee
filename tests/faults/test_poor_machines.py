"""Machines that lack something: permission, files, shared memory, a user's name, a home, the right time."""

import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fault_table import FULL, Tally
from tests.faults.tiny_run import UNTRACKED, copied, difference
from tests.faults.warm_commands import Ended, camray, start

pytestmark = FULL

NOBODY = 12345  # in no passwd
DAY_S = 86400
CAPABILITY = "-all,+dac_read_search"  # reads everything, since Python may be in root's home; writes what it may
STRANGER = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    f"--inh-caps={CAPABILITY}",
    f"--ambient-caps={CAPABILITY}",
    f"--bounding-set={CAPABILITY}",
]


def _little_shared_memory() -> None:
    """Give this process a /dev/shm of 64 KiB; runs in the command's process."""
    libc = ctypes.CDLL(None, use_errno=True)
    for made in (
        libc.unshare(0x00020000),  # CLONE_NEWNS
        libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None),  # MS_REC | MS_PRIVATE
        libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=64k"),
    ):
        if made != 0:
            raise OSError(ctypes.get_errno(), "no small /dev/shm")


def _as_stranger(words: list[str | Path], more: dict[str, str] | None = None) -> Ended:
    """Run a command from its start as a user without a name, whose home cannot be written."""
    variables = {**os.environ, "HOME": "/nonexistent", "MPLBACKEND": "Agg"}
    for name in (
        "USER",
        "LOGNAME",
        "LNAME",
        "USERNAME",
        "NUMBA_CACHE_DIR",
        "MPLCONFIGDIR",
        "XDG_CACHE_HOME",
        "CAMRAY_KEY_FILE",
    ):
        variables.pop(name, None)
    variables |= more or {}
    command = [*STRANGER, sys.executable, "-m", "camray", *map(str, words)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd="/tmp", timeout=280, check=False)
    return Ended(done.returncode, done.stdout + done.stderr, time.monotonic() - started)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def _copied_for_all(run: Path, runs: Path) -> Path:
    """Copy a run so that everybody may change it."""
    target = copied(run, runs)
    for path in (runs, target, *target.rglob("*")):
        path.chmod(0o777)
    return target


def _only_root() -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root becomes another user, and only with setpriv")


def test_unknown_user(tiny_run: Path, public_folder: Path, faults: Tally) -> None:
    _only_root()
    run = _copied_for_all(tiny_run, public_folder / "runs")
    ended = _as_stranger(["score", run, "--force"])
    faults.count("unknown user, unwritable home", "" if ended.code == 0 else str(ended))
    changed = difference(run, tiny_run)
    faults.count("unknown user, equal digests", changed)
    ended = _as_stranger(["demo", *UNTRACKED[1:], "--runs", public_folder])  # the key belongs into the home
    is_told = ended.code == 2 and "CAMRAY_KEY_FILE" in ended.output
    faults.count("unknown user, no place for the key", "" if is_told else str(ended))
    ended = _as_stranger(
        ["demo", *UNTRACKED[1:], "--runs", public_folder], {"CAMRAY_KEY_FILE": str(public_folder / "key")}
    )
    faults.count("unknown user, unwritable home", "" if ended.code == 0 else str(ended))


def test_read_only_folder(tiny_run: Path, public_folder: Path, faults: Tally) -> None:
    _only_root()
    run = _copied_for_all(tiny_run, public_folder / "runs")
    for path in (run, *run.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for words in (["score", run, "--force"], ["review", run], ["demo", *UNTRACKED[1:], "--runs", run.parent]):
        ended = _as_stranger(words)
        is_told = ended.code in {2, 4} and not ended.is_crash and "writ" in ended.output
        faults.count("read-only folder", "" if is_told else f"{words[0]}: {ended}")


def _to_the_end(undisturbed: Path, runs: Path, ended: Ended, kind: str, faults: Tally) -> None:
    """Count a run that ended well with equal outputs, or with a message, after which it can be finished."""
    if ended.is_crash:
        faults.count(kind, str(ended))
        return
    again = ended if ended.code == 0 else camray("run", *UNTRACKED, "--runs", runs)
    changed = difference(runs / "tiny", undisturbed) if again.code == 0 else str(again)
    faults.count(kind, changed)


def test_few_open_files(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    for limit in (64, 32):
        runs = tmp_path / str(limit)
        ended = camray("run", *UNTRACKED, "--runs", runs, limits={resource.RLIMIT_NOFILE: limit})
        _to_the_end(tiny_run, runs, ended, f"{limit} open files", faults)
        if limit == 64 and ended.code != 0:
            faults.count("64 open files", str(ended))


def test_small_shared_memory(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    words = [*UNTRACKED, "ingest.workers=2", "--runs", tmp_path]
    ended = start("run", *words, prepare=_little_shared_memory).wait()
    if "no small /dev/shm" in ended.output:
        pytest.skip("file systems cannot be mounted here")
    _to_the_end(tiny_run, tmp_path, ended, "small /dev/shm", faults)


def test_clock_set_back(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    """Files from the future: finished ones, and those of an interrupted run."""
    for name, later in (("finished", ()), ("interrupted", ("localize", "score", "export"))):
        runs = tmp_path / name
        run = copied(tiny_run, runs)
        for stage in later:
            (run / stage / "stage.json").unlink()
        for path in run.rglob("*"):
            os.utime(path, (time.time() + DAY_S, time.time() + DAY_S))
        ended = camray("run", *UNTRACKED, "--runs", runs)
        _to_the_end(tiny_run, runs, ended, "clock set back", faults)
        if ended.code != 0:
            faults.count("clock set back", str(ended))
