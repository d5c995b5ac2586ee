"""An MLflow store that goes away, is emptied, made anew or moved: the run ends well, and the store gets everything."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.fault_table import FULL, SHARE, Tally
from tests.faults.tiny_run import FIRST_S, TINY, difference
from tests.faults.warm_commands import camray, start

pytestmark = FULL

NOWHERE = "http://127.0.0.1:9"
COUNTED = ("runs", "metrics", "params", "datasets", "registered_models", "model_versions")


def _counts(store: Path) -> dict[str, int]:
    """Return how much of each kind a store holds."""
    with closing(sqlite3.connect(store)) as database:
        return {table: database.execute(f"select count(*) from {table}").fetchone()[0] for table in COUNTED}


@pytest.fixture(scope="module")
def tracked_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a finished run, with its store beside it."""
    runs = tmp_path_factory.mktemp("tracked")
    ended = camray("run", *TINY, "--runs", runs, timeout_s=FIRST_S)
    if ended.code != 0:
        pytest.fail(f"the tracked run failed: {ended}")
    return runs / "tiny"


def _emptied(runs: Path) -> None:
    (runs / "mlflow.db").write_bytes(b"")


def _without_rows(runs: Path) -> None:
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        database.execute("pragma foreign_keys = off")
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"delete from {table}")
        database.commit()


def _made_anew(runs: Path) -> None:
    (runs / "mlflow.db").unlink()
    shutil.rmtree(runs / "mlflow-artifacts", ignore_errors=True)


def _junk(runs: Path) -> None:
    (runs / "mlflow.db").write_bytes(b"not a database" * 100)


def _bad_line(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:5], b"\xff" + lines[5], *lines[6:]])


JOURNAL: dict[str, Callable[[bytes], bytes]] = {
    "a bad byte": _bad_line,
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "junk": lambda data: b"\xfejunk\n" * 9,
}


def test_damaged_journal(tracked_run: Path, tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    """Each file that the tracking keeps in a run; with a bad byte in the journal, no other line of it may be lost."""
    for path in sorted(path for path in (tracked_run / "mlflow").iterdir() if path.name != ".lock" and path.is_file()):
        for how in list(JOURNAL)[:: max(1, round(0.25 / SHARE))]:
            runs = tmp_path / f"{path.name} {how}"
            shutil.copytree(tracked_run.parent, runs)
            damaged = runs / "tiny" / "mlflow" / path.name
            is_long = how != "a bad byte" or path.name == "journal.jsonl"
            damaged.write_bytes(JOURNAL[how if is_long else "cut"](damaged.read_bytes()))
            before = damaged.read_bytes().count(b"\n")
            ended = camray("localize", runs / "tiny", "--force")
            faults.count(f"{path.name} damaged", f"{how}: {ended}" if ended.code != 0 else "")
            faults.count("tracking damaged: equal digests", difference(runs / "tiny", tiny_run))
            if how == "a bad byte" and path.name == "journal.jsonl":
                lines = damaged.read_bytes().count(b"\n")
                faults.count("journal keeps its other lines", "" if lines >= before - 1 else f"{lines} of {before}")
            shutil.rmtree(runs)


CHANGES: dict[str, Callable[[Path], None]] = {
    "store emptied": _emptied,
    "store without rows": _without_rows,
    "store made anew": _made_anew,
    "store is junk": _junk,
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_store(change: str, tracked_run: Path, tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(tracked_run.parent, runs)
    expected = _counts(runs / "mlflow.db")
    CHANGES[change](runs)
    ended = camray("export", runs / "tiny", "--force")
    faults.count(f"{change}: the run ends well", "" if ended.code == 0 else str(ended))
    faults.count(f"{change}: equal digests", difference(runs / "tiny", tiny_run))
    if change == "store is junk":
        (runs / "mlflow.db").unlink()
    ended = camray("track", "sync", runs / "tiny")
    faults.count(f"{change}: sync", "" if ended.code == 0 else str(ended))
    faults.count(f"{change}: the store holds it all", _less(runs / "mlflow.db", expected))


def _less(store: Path, expected: dict[str, int]) -> str:
    try:
        found = _counts(store)
    except sqlite3.Error as error:
        return str(error)
    return ", ".join(f"{found[table]} of {count} {table}" for table, count in expected.items() if found[table] < count)


def test_store_away_and_back(tracked_run: Path, tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    """A server that nobody answers for, and a place that is taken and then free again."""
    served = start("run", *TINY, "--runs", tmp_path / "served", environment={"MLFLOW_TRACKING_URI": NOWHERE}).wait()
    faults.count("store away: the run ends well", "" if served.code == 0 else str(served))
    faults.count("store away: equal digests", difference(tmp_path / "served" / "tiny", tiny_run))
    place, runs = tmp_path / "place", tmp_path / "runs"
    place.write_bytes(b"in the way")
    away = {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    ended = start("run", *TINY, "--runs", runs, environment=away).wait()
    faults.count("store away: the run ends well", "" if ended.code == 0 else str(ended))
    place.unlink()
    place.mkdir()
    synced = start("track", "sync", runs / "tiny", environment=away).wait()
    faults.count("store away: sync", "" if synced.code == 0 else str(synced))
    expected = _counts(tracked_run.parent / "mlflow.db")
    faults.count("store away: the store holds it all", _less(place / "mlflow.db", expected))


def test_store_moved(tracked_run: Path, tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(tracked_run.parent, runs)
    expected = _counts(runs / "mlflow.db")
    moved = tmp_path / "elsewhere" / "store.db"
    moved.parent.mkdir()
    uri = f"track.uri=sqlite:///{moved}"
    ended = camray("export", runs / "tiny", uri, "--force")
    faults.count("store moved: the run ends well", "" if ended.code == 0 else str(ended))
    ended = camray("track", "sync", runs / "tiny")
    faults.count("store moved: sync", "" if ended.code == 0 else str(ended))
    faults.count("store moved: the store holds it all", _less(moved, expected))


def test_two_runs_on_one_store(tracked_run: Path, tmp_path: Path, faults: Tally) -> None:
    running = [start("run", *TINY, f"name={name}", "--runs", tmp_path) for name in ("first", "second")]
    for one in running:
        ended = one.wait(400)
        faults.count("two runs, one store: both end well", "" if ended.code == 0 else str(ended))
    expected = {table: 2 * count for table, count in _counts(tracked_run.parent / "mlflow.db").items()}
    expected = {**expected, "datasets": 1}
    faults.count("two runs, one store: it holds both", _less(tmp_path / "mlflow.db", expected))
