"""Every kind of file that a run writes, damaged: the next command mends it or names it; no other result comes."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.fault_table import FULL, SEED, Tally, shared
from tests.faults.tiny_run import UNTRACKED, copied, difference
from tests.faults.warm_commands import camray

pytestmark = FULL


def _flip(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data or b"x")
    changed[len(changed) // 2 + dice.randrange(-(len(changed) // 4), len(changed) // 4 + 1)] ^= 1 << dice.randrange(8)
    return bytes(changed)


DAMAGE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "a bit flipped": _flip,
    "cut": lambda data, dice: data[: dice.randrange(len(data) // 2 + 1)],
    "empty": lambda data, dice: b"",
    "junk": lambda data, dice: dice.randbytes(max(64, len(data))),
}
PARTS = 6  # tests that can run at the same time
NOT_READ = {".lock"}  # its bytes mean nothing


def kinds_of_file(run: Path) -> dict[str, Path]:
    """Return one file of each kind: names that differ by numbers only are one kind."""
    kinds: dict[str, Path] = {}
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.name not in NOT_READ:
            name = path.relative_to(run).as_posix()
            kinds.setdefault(re.sub(r"(test|validation)-|[0-9.]*[0-9]", "", name), path.relative_to(run))
    return kinds


def _fault(run: Path, name: Path, undisturbed: Path) -> str:
    """Run again, and once more as the message says; return what is wrong with the outcome."""
    words = ["run", *UNTRACKED, "--runs", run.parent]
    ended = camray(*words)
    if ended.is_crash:
        return f"{name}: {ended}"
    if ended.code == 0:
        changed = difference(run, undisturbed)
        return f"{name}: exit 0, and {changed}" if changed else ""
    told = ended.output.replace("\n", "")
    if name.name not in told and name.parent.name not in told:
        return f"{name} is not named: {ended}"
    shutil.rmtree(run / name.parts[0]) if len(name.parts) > 1 else (run / name).unlink()
    again = camray(*words)
    changed = difference(run, undisturbed) if again.code == 0 else str(again)
    return f"{name}: cannot be mended: {changed}" if changed else ""


def damage(name: Path, how: str, undisturbed: Path, runs: Path, faults: Tally) -> None:
    run = copied(undisturbed, runs)
    path = run / name
    dice = random.Random(f"{SEED} {name} {how}")
    path.write_bytes(DAMAGE[how](path.read_bytes(), dice))
    faults.count(f"file: {how}", _fault(run, name, undisturbed))
    shutil.rmtree(runs)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_kind_of_file_damaged(part: int, tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    pairs = [(name, how) for name in kinds_of_file(tiny_run).values() for how in DAMAGE]
    random.Random(SEED).shuffle(pairs)
    for name, how in pairs[: shared(len(pairs))][part::PARTS]:
        damage(name, how, tiny_run, tmp_path / "runs", faults)
