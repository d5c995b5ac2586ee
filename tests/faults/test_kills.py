"""Killed again and again, by any signal, in any stage and any process: the end is the same to the byte."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import ComprehensiveSRStorage, Verification

from tests.faults.fault_table import FULL, SEED, Tally, shared
from tests.faults.tiny_run import STAGES, UNTRACKED, copied, difference, record
from tests.faults.warm_commands import Ended, Running, camray, start

pytestmark = FULL

KILLS = {**dict.fromkeys(STAGES, 11), "review": 12, "deliver": 12}  # 101
WORKER_KILLS = 8
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
INCOMPLETE = 4
MOST_TRIES = 8  # per kill: a command may end before its signal
START_S = 0.15  # the shortest life before a signal


@dataclass
class Killer:
    """Starts one command again and again, and kills it at moments that the dice choose within its life."""

    words: list[str | Path]
    kind: str
    life_s: float
    dice: random.Random
    faults: Tally

    def kill(self, times: int) -> None:
        """Kill so many times; a command that ended before its signal does not count."""
        killed = tried = 0
        while killed < times and tried < MOST_TRIES * times:
            killed += self._kill_once(self.dice.choice(SIGNALS))
            tried += 1
        if killed < times:
            self.faults.count(self.kind, f"only {killed} of {times} signals found it at work")

    def _kill_once(self, number: signal.Signals) -> bool:
        running = start(*self.words)
        running.wait_for_start()
        running.process.join(START_S + self.dice.random() * self.life_s)
        if running.process.exitcode is not None:
            ended = running.wait()
            self.life_s = max(0.05, 0.8 * min(self.life_s, ended.seconds - START_S))
            if ended.code != 0:
                self.faults.count(self.kind, str(ended))
            return False
        os.kill(running.process.pid or 0, number)
        self.faults.count(f"{self.kind}: {number.name}", _fault(running.wait(), number))
        return True


def _fault(ended: Ended, number: signal.Signals) -> str:
    if number == signal.SIGKILL:
        return "" if ended.code in {-signal.SIGKILL, 0} else str(ended)
    return "" if ended.code in {INCOMPLETE, 0} and not ended.is_crash else str(ended)


def kill_stages(kills: dict[str, int], undisturbed: Path, runs: Path, faults: Tally) -> None:
    dice = random.Random(f"{SEED} kills")
    for stage, times in kills.items():
        life_s = float(record(undisturbed, stage)["seconds"]) + 0.5
        words: list[str | Path] = ["run", *UNTRACKED, "--runs", runs, "--until", stage]
        Killer(words, f"kill in {stage}", life_s, dice, faults).kill(times)
        ended = camray(*words)
        faults.count("after kills, to the end", "" if ended.code == 0 else str(ended))
        changed = difference(runs / "tiny", undisturbed, (stage,))
        faults.count("after kills, equal digests", changed)


@pytest.mark.parametrize("stage", STAGES)
def test_kills_in_a_stage(stage: str, tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    run = copied(tiny_run, tmp_path)
    for later in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(run / later)
    kill_stages({stage: shared(KILLS[stage])}, tiny_run, tmp_path, faults)


def test_kills_of_workers(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    dice = random.Random(f"{SEED} workers")
    words = [*UNTRACKED, "ingest.workers=2", "--runs", tmp_path]
    assert camray("run", *words, "--until", "generate").code == 0
    times, life_s = shared(WORKER_KILLS), 8.0
    killed = tried = 0
    while killed < times and tried < MOST_TRIES * times:
        running = start("run", *words, "--until", "ingest", "--force")
        number = dice.choice(SIGNALS)
        is_sent = _kill_a_worker(running, number, dice.random() * life_s)
        ended = running.wait()
        killed, tried, life_s = killed + is_sent, tried + 1, life_s if is_sent else 0.7 * life_s
        if is_sent or ended.code != 0:
            faults.count(f"kill of a worker: {number.name}", str(ended) if ended.is_crash else "")
    if killed < times:
        faults.count("kill of a worker", f"only {killed} of {times} signals found one")
    ended = camray("run", *words, "--until", "ingest")
    faults.count("after kills, to the end", "" if ended.code == 0 else str(ended))
    faults.count("after kills, equal digests", difference(tmp_path / "tiny", tiny_run, ("generate", "ingest")))


def _kill_a_worker(running: Running, number: signal.Signals, delay_s: float) -> bool:
    """Wait for workers, and send a signal to one of them some time later; return whether it was sent."""
    try:
        parent = psutil.Process(running.process.pid)
        while running.process.is_alive():
            workers = [child for child in parent.children() if "spawn_main" in " ".join(child.cmdline())]
            if workers:
                running.process.join(delay_s)
                workers[0].send_signal(number)
                return True
            time.sleep(0.02)
    except psutil.Error:
        return False
    return False


def test_kills_of_the_review_page(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    page = copied(tiny_run, tmp_path) / "review"
    words: list[str | Path] = ["review", page.parent]
    whole = camray(*words)
    assert whole.code == 0, whole
    before = _contents(page)
    killer = Killer(words, "kill in review", max(0.2, whole.seconds - START_S), random.Random(SEED), faults)
    killer.kill(shared(KILLS["review"]))
    ended = camray(*words)
    faults.count("after kills, to the end", "" if ended.code == 0 else str(ended))
    names = {name for name, content in _contents(page).items() if before.get(name) != content}
    faults.count("after kills, equal digests", f"review: {sorted(names)[:3]}" if names else "")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def archive() -> Iterator[tuple[str, list[str]]]:
    """A PACS: its address, and the UIDs of what it received, one each time."""
    received: list[str] = []

    def store(event: evt.Event) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    entity = AE("ARCHIVE")
    for context in (ComprehensiveSRStorage, "1.2.840.10008.5.1.4.1.1.88.34", Verification):
        entity.add_supported_context(context)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield f"ARCHIVE@127.0.0.1:{server.server_address[1]}", received
    server.shutdown()


def test_kills_of_a_delivery(tiny_run: Path, tmp_path: Path, archive: tuple[str, list[str]], faults: Tally) -> None:
    address, received = archive
    run = copied(tiny_run, tmp_path)
    words: list[str | Path] = ["export", run, "--formats", "sr", "--to", "dimse", address]
    killer = Killer(words, "kill in delivery", 1.5, random.Random(SEED), faults)
    killer.kill(shared(KILLS["deliver"]))
    ended = camray(*words)
    faults.count("after kills, to the end", "" if ended.code == 0 else str(ended))
    objects = list((run / "export" / "dicom").glob("*.sr.dcm"))
    is_whole = len(set(received)) == len(objects) > 0
    faults.count("after kills, all delivered", "" if is_whole else f"{len(set(received))} of {len(objects)}")
