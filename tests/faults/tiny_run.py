"""A run of all stages that takes seconds, and comparison of another run with it."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.faults.warm_commands import camray

FIRST_S = 400.0  # CPU time of the first run, which compiles
STAGES = ("generate", "ingest", "train", "explain", "localize", "score", "export")
TINY = [
    str(Path(__file__).resolve().parents[2] / "configs" / "phantom.yaml"),
    "name=tiny",
    "data.generate.films=24",
    "data.generate.rows=96",
    "ingest.rows=64",
    "ingest.cols=64",
    "ingest.workers=1",
    "train.max_epochs=2",
    "train.batch_size=8",
    "train.pretext.epochs=1",
    "localize.report=cutoff",
    "score.bootstrap=10",
    "score.pictures=false",
    "export.max_overlays=2",
    "export.formats=[overlays,csv,coco,labelstudio,voc]",
]
UNTRACKED = [*TINY, "track.enabled=false"]


def make_tiny_run(runs: Path) -> Path:
    """Make the run, its review page and its structured reports; return its root."""
    done = camray("run", *UNTRACKED, "--runs", runs, timeout_s=FIRST_S)
    if done.code != 0:
        pytest.fail(f"the undisturbed run failed: {done}")
    return runs / "tiny"


def copied(run: Path, runs: Path) -> Path:
    """Copy a run into another folder of runs, with all modification times."""
    target = runs / run.name
    shutil.copytree(run, target)
    return target


def record(run: Path, stage: str) -> dict[str, Any]:
    """Return ``stage.json``, empty where there is none."""
    path = run / stage / "stage.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def difference(run: Path, undisturbed: Path, stages: tuple[str, ...] = STAGES) -> str:
    """Name what differs between the outputs of two runs, on disk and in their records; empty: nothing."""
    for stage in stages:
        expected = record(undisturbed, stage)["outputs"]
        try:
            written = record(run, stage).get("outputs")
        except ValueError:
            return f"{stage}/stage.json is damaged"
        if written != expected:
            names = {name for name in {*expected, *(written or {})} if (written or {}).get(name) != expected.get(name)}
            return f"{stage}: {', '.join(sorted(names)[:3])} differ(s)"
        for name, digest in expected.items():
            path = run / stage / name
            if not path.is_file():
                return f"{stage}/{name} is missing"
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                return f"{stage}/{name} is not what its record says"
    return ""
