"""The few-shot baseline in the score stage: its rows, what they depend on, and when there are none."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.domain.records import CORNERS
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from tests.scored_run import MODEL, add_network, make_run, settings_of

LABELS = ("nodule", "effusion")
FEW_SHOT = "baseline:few_shot"


def score_it(folder: RunFolder, **settings: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    result = score.run(settings_of(**settings), folder, NullTracker())
    return pd.read_csv(folder.root / "score" / "scores.csv"), dict(result.figures)


def number(scores: pd.DataFrame, method: str, metric: str, label: str = "mean", criterion: float = np.nan) -> float:
    rows = scores[(scores["method"] == method) & (scores["metric"] == metric) & (scores["label"] == label)]
    rows = rows[rows["criterion"].isna() if np.isnan(criterion) else np.isclose(rows["criterion"], criterion)]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, pd.DataFrame, dict[str, Any]]:
    folder = make_run(tmp_path_factory.mktemp("run"), LABELS, 120, feature=(MODEL[0] // 8, MODEL[1] // 8))
    add_network(folder, LABELS)
    localize.run(settings_of(), folder, NullTracker())
    return folder, *score_it(folder)


@pytest.fixture
def copied(scored: tuple[RunFolder, pd.DataFrame, dict[str, Any]], tmp_path: Path) -> RunFolder:
    shutil.copytree(scored[0].root, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def boxes_of(folder: RunFolder) -> tuple[pd.DataFrame, "pd.Series[str]"]:
    """All annotations, and the split of each."""
    boxes = pd.read_parquet(folder.root / "ingest" / "annotations.parquet")
    images = pd.read_parquet(folder.root / "ingest" / "images.parquet").set_index("image_id")
    return boxes, images["split"].loc[boxes["image_id"]].reset_index(drop=True)


def write_boxes(folder: RunFolder, boxes: pd.DataFrame) -> None:
    boxes.to_parquet(folder.root / "ingest" / "annotations.parquet", index=False)


def test_it_has_the_rows_of_a_method_with_thresholds_from_validation(
    scored: tuple[RunFolder, pd.DataFrame, dict[str, Any]],
) -> None:
    folder, scores, figures = scored
    rows = scores[scores["method"] == FEW_SHOT]
    assert set(rows["threshold_source"]) == {"validation"}
    keys = ["label", "metric", "criterion", "n"]
    ours = scores[(scores["method"] == "cam") & (scores["threshold_source"] == "validation")]
    assert rows[keys].fillna(-1).to_numpy().tolist() == ours[keys].fillna(-1).to_numpy().tolist()
    boxes, split = boxes_of(folder)
    validation = boxes[(split == "validation").to_numpy()]
    assert figures["few_shot_films"] == validation["image_id"].nunique()
    assert figures["few_shot_boxes"] == len(validation)
    assert figures["few_shot_hit_rate"] == pytest.approx(number(scores, FEW_SHOT, "hit_rate"))
    page = (folder.root / "score" / "report.html").read_text(encoding="utf-8")
    assert f"trained on {figures['few_shot_films']} validation films with {len(validation)} boxes" in page
    assert "baseline: few-shot" in page


def test_it_is_better_than_the_fixed_box_and_the_fixed_point(
    scored: tuple[RunFolder, pd.DataFrame, dict[str, Any]],
) -> None:
    """The squares are the brightest of the film: which label they are of cannot be told, where they are can."""
    scores = scored[1]
    found = number(scores, FEW_SHOT, "iou_accuracy", criterion=0.3)
    assert found > 0.1 + number(scores, "baseline:class_mean_box", "iou_accuracy", criterion=0.3)
    assert number(scores, FEW_SHOT, "hit_rate") > 0.1 + number(scores, "baseline:fixed_point", "hit_rate")


class EnoughError(Exception):
    """Ends a stage that has done what is looked at."""


@pytest.mark.untraced
def test_boxes_of_scored_films_have_no_part_in_its_maps(copied: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    real = score.score_few_shot

    def kept(*arguments: Any) -> Any:
        results.append(real(*arguments))
        raise EnoughError

    def few_shot_of(folder: RunFolder) -> None:
        with pytest.raises(EnoughError):
            score_it(folder)

    monkeypatch.setattr(score, "score_few_shot", kept)
    few_shot_of(copied)
    boxes, split = boxes_of(copied)
    moved = boxes.copy()
    moved.loc[(split == "test").to_numpy(), CORNERS] = [1.0, 2.0, 30.0, 40.0]
    write_boxes(copied, moved)
    few_shot_of(copied)
    moved.loc[(split == "validation").to_numpy(), CORNERS] = [1.0, 2.0, 30.0, 40.0]
    write_boxes(copied, moved)
    few_shot_of(copied)
    before, test_moved, validation_moved = results
    assert before.thresholds == test_moved.thresholds
    pd.testing.assert_frame_equal(before.by_split["test"].predictions, test_moved.by_split["test"].predictions)
    assert before.by_split["test"].maps.keys() == test_moved.by_split["test"].maps.keys()
    for image_id, heat in before.by_split["test"].maps.items():
        np.testing.assert_array_equal(heat, test_moved.by_split["test"].maps[image_id])
        assert (heat != validation_moved.by_split["test"].maps[image_id]).any()


def test_all_other_rows_and_the_predictions_are_the_same_without_it(
    scored: tuple[RunFolder, pd.DataFrame, dict[str, Any]], copied: RunFolder
) -> None:
    localized = {path.name: path.read_bytes() for path in (copied.root / "localize").iterdir()}
    _, figures = score_it(copied, few_shot=False)
    rows, with_it = ((each.root / "score" / "scores.csv").read_text().splitlines() for each in (copied, scored[0]))
    assert rows == [row for row in with_it if FEW_SHOT not in row]
    assert not any("few_shot" in name for name in figures)
    assert {path.name: path.read_bytes() for path in (copied.root / "localize").iterdir()} == localized


@pytest.mark.untraced
def test_protocols_score_it_as_a_method(copied: RunFolder) -> None:
    scores, _ = score_it(copied, protocols=["detection", "rodeo", "chestxray14", "ilsvrc"])
    few_shot, ours = (
        scores[(scores["method"] == method) & (scores["threshold_source"] == "validation")]
        for method in (FEW_SHOT, "cam")
    )
    assert set(few_shot["metric"]) == set(ours["metric"])
    assert number(scores, FEW_SHOT, "detection/coco_ap") > 0


def test_it_is_absent_with_a_reason(copied: RunFolder) -> None:
    boxes, split = boxes_of(copied)
    is_validation = (split == "validation").to_numpy()
    films = boxes["image_id"][is_validation & (boxes["label"] == LABELS[0]).to_numpy()].unique()
    write_boxes(copied, boxes[~(is_validation & (boxes["label"] == LABELS[0]) & ~boxes["image_id"].isin(films[:2]))])
    scores, figures = score_it(copied)
    patients = len({film[-4:-2] + str(int(film[-2:]) // 2) for film in films[:2]})
    assert f"no few-shot baseline for {LABELS[0]} ({patients}): at least 5 patients" in figures["note_few_shot"]
    assert set(scores[scores["method"] == FEW_SHOT]["label"]) == {LABELS[1], "mean"}
    write_boxes(copied, boxes[~is_validation])
    thresholds = copied.root / "localize" / "thresholds.json"
    plain = json.loads(thresholds.read_text(encoding="utf-8"))
    plain["thresholds"] = [entry for entry in plain["thresholds"] if entry["source"] == "fixed"]
    thresholds.write_text(json.dumps(plain), encoding="utf-8")
    scores, figures = score_it(copied)
    assert FEW_SHOT not in set(scores["method"])
    assert f"{LABELS[0]} (0), {LABELS[1]} (0)" in figures["note_few_shot"]
    page = (copied.root / "score" / "report.html").read_text(encoding="utf-8")
    assert "No few-shot baseline for nodule (0), effusion (0): at least 5 patients" in page


def test_without_weights_it_says_so(copied: RunFolder) -> None:
    (copied.root / "train" / "model.safetensors").unlink()
    scores, figures = score_it(copied)
    assert FEW_SHOT not in set(scores["method"])
    assert figures["note_few_shot"].startswith("no few-shot baseline: the weights of the network")


@pytest.mark.untraced
def test_validation_films_are_never_scored_by_it(copied: RunFolder) -> None:
    scores, _ = score_it(copied, splits=["validation", "test"], oracle=True)
    assert set(scores[scores["method"] == FEW_SHOT]["split"]) == {"test"}
