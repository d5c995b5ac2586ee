"""Damaged films through ``camray ingest``: none ends it, each is counted, and none is used with other pixels."""

import io
import json
import random
from pathlib import Path

import pandas as pd

from camray.adapters.dicom.read.elements import suppress_warnings
from camray.adapters.dicom.read.image import read_dicom
from camray.io.film_files import pixel_digest
from tests.faults.damaged_films import Film
from tests.faults.fault_table import FULL, SEED, Tally, shared
from tests.faults.kinds_of_damage import KINDS
from tests.faults.warm_commands import Ended, camray

pytestmark = FULL

PER_KIND = 56  # of 38 kinds: 2,128 files
WORKER_MIB = 1200.0  # includes the imports
GRID = ["ingest.rows=32", "ingest.cols=32", "ingest.shard_films=64", "track.enabled=false"]


def write_films(root: Path, per_kind: int) -> dict[str, str]:
    """Write the films; return the digest of each one's own pixels, by its name below `root`."""
    digests = {}
    for place, (kind, (_, make)) in enumerate(KINDS.items()):
        (root / kind).mkdir(parents=True)
        for number in range(per_kind if "bomb" not in kind else max(1, per_kind // 14)):
            film, dice = Film(place * per_kind + number), random.Random(f"{SEED} {kind} {number}")
            path = root / kind / f"{number:04d}.dcm"
            with suppress_warnings():
                path.write_bytes(film.file())
                digests[path.relative_to(root).as_posix()] = pixel_digest(read_dicom(path, None).values)
                path.write_bytes(make(film, dice))
    return digests


def _ingest(films: Path, runs: Path, workers: int) -> Ended:
    words = ["name=damaged", f"data.root={films}", f"ingest.workers={workers}", *GRID]
    return camray("ingest", "configs/folder.yaml", *words, "--runs", runs, timeout_s=600)


def _fault(outcome: str, source: str, used: dict[str, str], refused: dict[str, str], own: str) -> str:
    """Return what is wrong with the outcome of one file; empty: nothing."""
    if (source in used) == (source in refused):
        return f"{source} is in {'both tables' if source in used else 'no table'}"
    if "died or hung" in refused.get(source, ""):
        return f"{source}: its worker died or hung"
    if outcome in {"same", "noticed"} and source in used and used[source] != own:
        return f"{source} is used with other pixels"
    if outcome == "same" and source in refused:
        return f"{source} is refused: {refused[source]}"
    return f"{source} is used" if outcome == "refused" and source in used else ""


def check_ingest(films: Path, digests: dict[str, str], runs: Path, workers: int, faults: Tally) -> None:
    ended = _ingest(films, runs, workers)
    if ended.code in {0, 3}:
        _check_tables(ended, digests, runs, faults)
        return
    faults.count("whole ingest", str(ended))
    for kind in KINDS:  # find the kinds that end an ingest, and judge the others
        own = {source.split("/")[1]: digest for source, digest in digests.items() if source.split("/")[0] == kind}
        alone = _ingest(films / kind, runs / kind, workers)
        if alone.code in {0, 3}:
            _check_tables(alone, own, runs / kind, faults, kind)
        else:
            faults.count(f"film: {kind}", str(alone))


def _check_tables(ended: Ended, digests: dict[str, str], runs: Path, faults: Tally, kind: str = "") -> None:
    folder = runs / "damaged" / "ingest"
    refusals = pd.read_parquet(folder / "refusals.parquet")
    images = (
        pd.read_parquet(folder / "images.parquet")
        if ended.code == 0
        else pd.DataFrame({"source": [], "pixel_sha256": []})
    )
    used = dict(zip(images["source"], images["pixel_sha256"], strict=True))
    refused = {row.source: f"{row.reason}: {row.message}" for row in refusals.itertuples()}
    for source, own in digests.items():
        its_kind = kind or source.split("/")[0]
        faults.count(f"film: {its_kind}", _fault(KINDS[its_kind][0], source, used, refused, own))
    faults.count("identifiers in messages", _named(ended, refusals))
    if ended.code != 0:  # nothing usable: no record
        return
    record = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
    counts = record["counts"]
    is_whole = counts == {"in": len(digests), "done": len(images), "refused": len(refusals)}
    faults.count("whole ingest", "" if is_whole else f"counts {counts} of {len(digests)} files")
    peak = record["peak_memory_mib"]
    faults.count("memory of a worker", "" if peak < WORKER_MIB else f"{peak} MiB")


def _named(ended: Ended, refusals: pd.DataFrame) -> str:
    stream = io.StringIO()
    refusals[["reason", "message"]].to_csv(stream)
    return "a header's text is quoted" if "canary" in (stream.getvalue() + ended.output).lower() else ""


def test_damaged_films(tmp_path: Path, faults: Tally) -> None:
    assert len(KINDS) >= 25
    digests = write_films(tmp_path / "films", shared(PER_KIND))
    check_ingest(tmp_path / "films", digests, tmp_path / "runs", 2, faults)
