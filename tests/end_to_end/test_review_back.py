"""Readers' answers as annotations: imported, then scored with the same network, and trained on with the same split."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from camray.adapters.review.decisions import PAGE_FORMAT
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.records import CORNERS
from tests.end_to_end.conftest import SMALL, camray_here

LABEL = "Pneumothorax"


@pytest.fixture(scope="module")
def reviewed(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[float]]]:
    """A copy of the run in which a reader drew, on every film of the test split, just what the network would."""
    run = tmp_path_factory.mktemp("review") / "small"
    shutil.copytree(small_run, run)
    images = pd.read_parquet(run / "ingest" / "images.parquet")
    best = pd.read_parquet(run / "localize" / "predictions.parquet")
    entries = json.loads((run / "localize" / "thresholds.json").read_text(encoding="utf-8"))["thresholds"]
    plain = next(e["id"] for e in entries if (e["label"], e["method"], e["source"]) == (LABEL, "cam", "fixed"))
    best = best[(best["label"] == LABEL) & (best["threshold_id"] == plain) & (best["rank"] == 0)].dropna(subset=CORNERS)
    boxes = dict(zip(best["image_id"], best[CORNERS].to_numpy().tolist(), strict=True))
    test = [image_id for image_id in images.loc[images["split"] == "test", "image_id"] if image_id in boxes]
    assert len(test) >= 4
    films = [_film(image_id, boxes[image_id]) for image_id in test]
    path = run.parent / "decisions.json"
    path.write_text(json.dumps({"format": PAGE_FORMAT, "reader": "R", "films": films}), encoding="utf-8")
    done = camray_here("review", "import", path, run, "--resamples", "0", "--json")
    assert done.returncode == 0, done.stderr
    return run, {image_id: boxes[image_id] for image_id in test}


def _film(image_id: str, box: list[float]) -> dict[str, Any]:
    ai = {"reported": False, "probability": 0.1, "boxes": []}
    finding = {"verdict": "adjust", "boxes": [box], "comment": "", "changed": "2026", "ai": ai}
    return {"image_id": image_id, "finished": True, "changed": "2026", "seconds": 3, "findings": {LABEL: finding}}


def _annotated(run: Path) -> dict[str, list[float]]:
    table = pd.read_parquet(run / "ingest" / "annotations.parquet")
    drawn = table[(table["label"] == LABEL) & (table["reader"] == "R")]
    return dict(zip(drawn["image_id"], drawn[CORNERS].to_numpy().tolist(), strict=True))


def test_the_same_network_is_scored_with_the_readers_boxes(
    small_run: Path, reviewed: tuple[Path, dict[str, list[float]]], tmp_path: Path
) -> None:
    run, boxes = reviewed
    words = ["--manifest", "folder", "--labels", run / "reviewed" / "labels-test.csv"]
    words += ["--boxes", run / "reviewed" / "boxes-test.csv", "--out", tmp_path / "scored"]
    done = camray_here("predict", run, run / "generate" / "films", *words, "--formats", "csv", "--json")
    assert done.returncode == 0, done.stderr
    assert _annotated(tmp_path / "scored") == boxes  # corners to the last bit

    def right(root: Path) -> float:
        scores = pd.read_csv(root / "score" / "scores.csv")
        kept = scores[(scores.label == LABEL) & (scores.method == "cam") & (scores.metric == "iou_accuracy")]
        kept = kept[(kept.split == "test") & (kept.threshold_source == "fixed")]
        return float(kept.loc[kept.criterion == 0.5, "value"].iloc[0])

    assert right(tmp_path / "scored") == 1.0  # the reader drew what the network does
    assert right(small_run) < 1.0


@pytest.mark.slow
def test_training_takes_them_and_keeps_the_split(reviewed: tuple[Path, dict[str, list[float]]], tmp_path: Path) -> None:
    run, boxes = reviewed
    data = [f"data.manifest={run / 'reviewed' / 'manifest.yaml'}", f"data.root={run / 'generate'}"]
    words = [*SMALL[3:], *data, "data.generate=null", "ingest.split=official", "name=again"]
    words += ["train.max_epochs=1", "train.pretext.epochs=0", "explain.methods=[cam]", "score.pictures=false"]
    done = camray_here("run", "configs/phantom.yaml", *words, "--runs", tmp_path, "--until", "score", "--json")
    assert done.returncode == 0, done.stderr
    again = tmp_path / "again"
    assert RunFolder(again).record("train") is not None
    assert _annotated(again) == boxes
    splits = [
        pd.read_parquet(root / "ingest" / "images.parquet").set_index("image_id")["split"].sort_index()
        for root in (run, again)
    ]
    assert splits[0].equals(splits[1])
    assert (pd.read_csv(again / "score" / "scores.csv").label == LABEL).any()


def test_formats_come_beside_what_is_exported_already(reviewed: tuple[Path, dict[str, list[float]]]) -> None:
    run, _ = reviewed
    before = {path.name for path in (run / "export" / "overlays").iterdir()}
    done = camray_here("export", run, "--formats", "voc", "--json")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (run / "export" / "overlays").iterdir()} == before
    assert {"boxes.csv", "coco.json", "voc"} <= {path.name for path in (run / "export").iterdir()}
    again = camray_here("export", run, "--formats", "csv", "--json")
    assert json.loads(again.stdout)["stages"]["export"]["skipped"]
