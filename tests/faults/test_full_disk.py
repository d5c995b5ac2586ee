"""No room left: before a stage, within each stage, for one file; afterwards the same command finishes the run."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.fault_table import FULL, SHARE, Tally
from tests.faults.tiny_run import STAGES, UNTRACKED, copied, difference, record
from tests.faults.warm_commands import Ended, camray

pytestmark = FULL

FRACTIONS = (0.0, 0.3, 0.9)  # of what a stage writes
INCOMPLETE = 4


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a file system of `size` bytes in a folder; skip the test where that is not permitted."""
    folder.mkdir()
    options = ["-o", f"size={max(size, 4096)}", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _grow(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=256m", str(folder)], check=True)


def _size(folder: Path) -> int:
    """Return the bytes of a folder in whole pages, folders included."""
    return sum(4096 + (path.stat().st_size + 4095) // 4096 * 4096 for path in folder.rglob("*"))


def _told(ended: Ended) -> str:
    """Return what is wrong with the message; empty: nothing."""
    if ended.is_crash or ended.code != INCOMPLETE:
        return str(ended)
    return "" if "run the same command again" in ended.output.replace("\n", " ") else f"no advice: {ended}"


def _only_before(run: Path, stage: str) -> None:
    """Take a run back to the moment before a stage."""
    for later in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(run / later, ignore_errors=True)


def _fill_up(stage: str, fraction: float, undisturbed: Path, folder: Path, faults: Tally) -> None:
    kind = "disk full before a stage" if fraction == 0 else "disk full within a stage"
    with small_disk(folder, 1 << 28) as disk:
        run = copied(undisturbed, disk)
        _only_before(run, stage)
        used = sum(path.stat().st_blocks * 512 for path in disk.rglob("*") if path.is_file())
        room = int(fraction * _size(undisturbed / stage))
        subprocess.run(["mount", "-o", f"remount,size={used + room}", str(disk)], check=True)
        ended = camray("run", *UNTRACKED, "--runs", disk, "--until", stage)
        failure = "" if ended.code == 0 and fraction > 0 else _told(ended)
        _grow(disk)
        again = camray("run", *UNTRACKED, "--runs", disk)
        changed = difference(run, undisturbed) if again.code == 0 else str(again)
        faults.count(kind, f"{stage}, {fraction}: {failure}" if failure else "")
        faults.count("disk full, run again", f"{stage}, {fraction}: {changed}" if changed else "")
    shutil.rmtree(folder)


def no_large_file(stage: str, undisturbed: Path, runs: Path, faults: Tally) -> None:
    """Repeat a stage where no file may grow: what it made before stays, or is made again."""
    run = copied(undisturbed, runs)
    largest = max((run / stage / name).stat().st_size for name in record(run, stage)["outputs"])
    ended = camray(stage, run, "--force", limits={resource.RLIMIT_FSIZE: max(1, largest // 2)})
    faults.count("file too large", "" if (failure := _told(ended)) == "" else f"{stage}: {failure}")
    kept = difference(run, undisturbed, (stage,))
    faults.count("a repeat that failed keeps what was there", f"{stage}: {kept}" if kept else "")
    again = camray("run", *UNTRACKED, "--runs", runs)
    changed = difference(run, undisturbed) if again.code == 0 else str(again)
    faults.count("disk full, run again", f"{stage}: {changed}" if changed else "")
    shutil.rmtree(runs)


def test_no_room_for_a_file(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    for stage in STAGES[:: max(1, round(0.4 / SHARE))]:
        no_large_file(stage, tiny_run, tmp_path / "runs", faults)


def test_disk_of_no_bytes(tmp_path: Path, faults: Tally) -> None:
    with small_disk(tmp_path / "empty", 0) as disk:
        (disk / "filling").write_bytes(b"")
        subprocess.run(f"cat /dev/zero > {disk}/filling", shell=True, check=False, stderr=subprocess.DEVNULL)
        ended = camray("run", *UNTRACKED, "--runs", disk)
        is_fine = not ended.is_crash and ended.code in {2, INCOMPLETE}
        faults.count("disk of 0 bytes", "" if is_fine else str(ended))


PAIRS = [(stage, fraction) for stage in STAGES for fraction in FRACTIONS]


@pytest.mark.parametrize(("stage", "fraction"), PAIRS[:: max(1, round(1 / SHARE) - 3)])
def test_full_disk(stage: str, fraction: float, tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    _fill_up(stage, fraction, tiny_run, tmp_path / "disk", faults)
