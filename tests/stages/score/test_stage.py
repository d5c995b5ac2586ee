"""The whole stage on small films, its numbers once more from the tables on disk, in plain loops."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import PipelineError
from camray.domain.records import ANNOTATION_COLUMNS, EPOCH_COLUMNS, IMAGE_COLUMNS, SCORE_COLUMNS
from camray.io.artifacts import artifacts_of
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from tests.core.metrics import reference
from tests.scored_run import make_run, settings_of

LABELS = ("nodule <b>/mass</b>", "effusion", "never annotated")
BASELINES = {"random", "centre", "class_mean_box", "fixed_point", "whole_image", "shuffled"}


class Listener(NullTracker):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def artifact(self, path: Path, folder: str = "") -> None:
        self.told.append(path.name)


def localized(root: Path, labels: tuple[str, ...] = LABELS[:2], films: int = 60, seed: int = 1) -> RunFolder:
    folder = make_run(root, labels, films, seed)
    localize.run(settings_of(), folder, NullTracker())
    return folder


@pytest.fixture(scope="module")
def listener() -> Listener:
    """What the store was told of the scored run."""
    return Listener()


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> RunFolder:
    folder = localized(tmp_path_factory.mktemp("run"))
    score.run(settings_of(pictures=True), folder, listener)
    return folder


@pytest.fixture
def copied(scored: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(scored.root, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def scores_of(folder: RunFolder) -> pd.DataFrame:
    return pd.read_csv(folder.root / "score" / "scores.csv")


def value_of(scores: pd.DataFrame, **keys: Any) -> float:
    chosen = scores
    for key, wanted in keys.items():
        found = chosen[key].fillna("") if key == "threshold_source" else chosen[key]
        chosen = chosen[np.isclose(found, wanted) if key == "criterion" else found == wanted]
    assert len(chosen) == 1, keys
    return float(chosen["value"].iloc[0])


def test_every_row_is_there_once(scored: RunFolder) -> None:
    scores = scores_of(scored)
    assert list(scores.columns) == list(SCORE_COLUMNS)
    assert not scores.duplicated(["split", "method", "label", "metric", "criterion", "threshold_source"]).any()
    assert set(scores.split) == {"test"}
    methods = {"cam", "gradcam", "cam:fraction_of_max", "gradcam:fraction_of_max"}
    assert set(scores.method) == {"classifier", *methods, "ceiling"} | {f"baseline:{name}" for name in BASELINES}
    assert set(scores.label) == {*LABELS[:2], "mean"}
    assert set(scores.threshold_source.dropna()) == {"fixed", "validation"}
    for method in ("cam", "gradcam"):
        for source in ("fixed", "validation"):
            part = scores[(scores.method == method) & (scores.threshold_source == source) & (scores.label == "mean")]
            assert part.groupby("metric").size().to_dict() == {
                "hit_rate": 1,
                "iou_accuracy": 7,
                "iobb_accuracy": 7,
                "mean_iou": 1,
                "max_box_acc": 1,
                "max_box_acc_v2": 1,
            }
    assert set(scores[scores.method == "baseline:fixed_point"].metric) == {"hit_rate"}
    known = scores.dropna(subset=["value", "low"])
    assert ((known.value >= 0) & (known.value <= 1)).all()
    assert (known.low <= known.value + 1e-12).all()
    assert (known.value <= known.high + 1e-12).all()


def test_the_numbers_equal_plain_loops_over_the_tables_on_disk(scored: RunFolder) -> None:
    images = pd.read_parquet(scored.root / "ingest" / "images.parquet").set_index("image_id")
    boxes = pd.read_parquet(scored.root / "ingest" / "annotations.parquet")
    predictions = pd.read_parquet(scored.root / "localize" / "predictions.parquet")
    scores = scores_of(scored)
    for label in LABELS[:2]:
        for method, source, policy in (
            ("cam", "fixed", "above_background"),
            ("cam:fraction_of_max", "fixed", "fraction_of_max"),
            ("cam", "validation", "calibrated"),
        ):
            hits, ious, iobbs = [], [], []
            for image_id in sorted(set(boxes[boxes.label == label].image_id)):
                if images.loc[image_id, "split"] != "test":
                    continue
                chosen = boxes[(boxes.label == label) & (boxes.image_id == image_id)]
                annotated = [tuple(map(float, row)) for row in chosen[["x0", "y0", "x1", "y1"]].to_numpy()]
                best = predictions[
                    (predictions.image_id == image_id)
                    & (predictions.label == label)
                    & (predictions.threshold_id == f"{policy}/cam/{label}")
                    & (predictions["rank"] == 0)
                ].iloc[0]
                box = None if pd.isna(best.x0) else (best.x0, best.y0, best.x1, best.y1)
                hits.append(reference.is_hit((best.peak_x, best.peak_y), annotated))
                ious.append(reference.best_iou(box, annotated))
                iobbs.append(reference.best_iobb(box, annotated))
            keys = {"method": method, "label": label, "threshold_source": source}
            assert value_of(scores, metric="hit_rate", **keys) == pytest.approx(np.mean(hits))
            assert value_of(scores, metric="mean_iou", **keys) == pytest.approx(np.mean(ious))
            for criterion in (0.1, 0.3, 0.7):
                at = {"criterion": criterion, **keys}
                assert value_of(scores, metric="iou_accuracy", **at) == np.mean([iou >= criterion for iou in ious])
                assert value_of(scores, metric="iobb_accuracy", **at) == np.mean([each >= criterion for each in iobbs])
    mean = value_of(scores, method="cam", label="mean", threshold_source="fixed", metric="hit_rate")
    parts = scores[(scores.method == "cam") & (scores.threshold_source == "fixed") & (scores.metric == "hit_rate")]
    assert mean == pytest.approx(parts[parts.label != "mean"].value.mean())


def test_the_map_finds_more_than_any_baseline(scored: RunFolder) -> None:
    scores = scores_of(scored)
    hit = scores[(scores.metric == "hit_rate") & (scores.label == "mean")].set_index("method").value
    assert hit["cam"].min() > hit[hit.index.str.startswith("baseline:")].max()


@pytest.mark.untraced
def test_same_tables_same_bytes_in_any_order_of_films(copied: RunFolder) -> None:
    before = {path.name: path.read_bytes() for path in (copied.root / "score").rglob("*") if path.is_file()}
    shutil.rmtree(copied.root / "score")
    for name, columns in (("images", IMAGE_COLUMNS), ("annotations", ANNOTATION_COLUMNS)):
        path = copied.root / "ingest" / f"{name}.parquet"
        table = pd.read_parquet(path)
        table.sample(frac=1, random_state=5)[list(columns)].reset_index(drop=True).to_parquet(path, index=False)
    score.run(settings_of(pictures=True), copied, NullTracker())
    after = {path.name: path.read_bytes() for path in (copied.root / "score").rglob("*") if path.is_file()}
    assert after == before


def test_scoring_the_calibration_films_is_refused_or_marked_oracle(copied: RunFolder) -> None:
    with pytest.raises(PipelineError, match="chosen on the split 'validation'"):
        score.run(settings_of(splits=["validation"]), copied, NullTracker())
    score.run(settings_of(splits=["validation"], oracle=True), copied, NullTracker())
    scores = scores_of(copied)
    assert set(scores.threshold_source.dropna()) == {"fixed", "oracle"}
    assert "oracle" in (copied.root / "score" / "report.html").read_text(encoding="utf-8")


def test_the_oracle_is_never_below_a_threshold_chosen_elsewhere(copied: RunFolder) -> None:
    score.run(settings_of(oracle=True), copied, NullTracker())
    scores = scores_of(copied)
    for metric in ("max_box_acc", "max_box_acc_v2"):
        for method in ("cam", "gradcam", "baseline:centre"):
            by_source = scores[(scores.metric == metric) & (scores.method == method) & (scores.label == LABELS[1])]
            values = by_source.set_index("threshold_source").value
            assert values["oracle"] >= values[["fixed", "validation"]].max()


def test_without_any_box_only_the_classifier_is_scored(copied: RunFolder) -> None:
    path = copied.root / "ingest" / "annotations.parquet"
    pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)
    thresholds = copied.root / "localize" / "thresholds.json"
    told = json.loads(thresholds.read_text(encoding="utf-8"))
    told["thresholds"] = [entry for entry in told["thresholds"] if entry["source"] == "fixed"]
    thresholds.write_text(json.dumps(told), encoding="utf-8")
    result = score.run(settings_of(), copied, NullTracker())
    assert set(scores_of(copied).method) == {"classifier"}
    assert set(result.figures) == {"mean_auroc"}


def test_new_films_without_tables_give_an_empty_table(scored: RunFolder, tmp_path: Path) -> None:
    make_run(tmp_path / "new", LABELS[:2], 6, seed=2)
    new = RunFolder(tmp_path / "new", trained=scored.root)
    for name in ("labels", "annotations"):
        path = new.root / "ingest" / f"{name}.parquet"
        pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)
    localize.run(settings_of(), new, NullTracker())
    result = score.run(settings_of(), new, NullTracker())
    scores = scores_of(new)
    assert scores.value.isna().all()
    assert result.figures == {}
    assert result.counts.n_in == result.counts.n_done > 0
    assert (new.root / "score" / "report.html").is_file()


def test_new_films_use_the_trained_runs_boxes_and_thresholds(scored: RunFolder, tmp_path: Path) -> None:
    make_run(tmp_path / "new", LABELS[:2], 30, seed=2)
    new = RunFolder(tmp_path / "new", trained=scored.root)
    path = new.root / "ingest" / "images.parquet"
    images = pd.read_parquet(path)
    explained = pd.read_parquet(new.root / "explain" / "images.parquet")
    images = images[images.image_id.isin(explained.image_id)].assign(split="test")
    images.to_parquet(path, index=False)
    explained.assign(split="test").to_parquet(new.root / "explain" / "images.parquet", index=False)
    localize.run(settings_of(), new, NullTracker())
    score.run(settings_of(), new, NullTracker())
    scores = scores_of(new)
    # no film of its own was trained on, yet the mean training box is known
    row = scores[(scores.method == "baseline:class_mean_box") & (scores.metric == "mean_iou")]
    assert row.value.notna().all()
    assert "validation" in set(scores[scores.metric == "max_box_acc"].threshold_source)


def test_labels_no_reader_ever_marked_have_no_localization_rows(tmp_path: Path) -> None:
    folder = make_run(tmp_path, LABELS, 40)
    path = folder.root / "ingest" / "annotations.parquet"
    boxes = pd.read_parquet(path)
    boxes[boxes.label != LABELS[2]].to_parquet(path, index=False)
    localize.run(settings_of(), folder, NullTracker())
    score.run(settings_of(), folder, NullTracker())
    scores = scores_of(folder)
    metrics = set(scores[scores.label == LABELS[2]].metric)
    assert {name for name in metrics if not name.startswith("promise/")} == {"auroc", "auprc"}


def test_films_that_were_not_explained_are_an_error(copied: RunFolder) -> None:
    with pytest.raises(PipelineError, match=r"split 'train'.*were not explained.*explain\.splits"):
        score.run(settings_of(splits=["train"]), copied, NullTracker())


def test_the_page_is_self_contained_escaped_and_names_films_by_id_alone(scored: RunFolder) -> None:
    page = (scored.root / "score" / "report.html").read_text(encoding="utf-8")
    assert "nodule &lt;b&gt;/mass" in page
    assert "<b>/mass" not in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) >= 4 + 2 * 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    shown = set(re.findall(r"<code>([^<]*)</code>", page))
    images = pd.read_parquet(scored.root / "ingest" / "images.parquet")
    assert shown <= set(images[images.split == "test"].image_id)
    assert "patient-key" not in page
    assert "How the thresholds were chosen" in page


def test_pictures_are_files_too_and_the_store_is_told(scored: RunFolder, listener: Listener) -> None:
    assert {"report.html", "scores.csv"} <= set(listener.told)
    names = {path.name for path in (scored.root / "score" / "pictures").iterdir()}
    charts = {
        f"test-{name}.png"
        for name in (
            "hit-rate",
            "iou-accuracy",
            "overlap",
            "thresholds",
            "froc",
            "froc-01",
            "roc",
            "pr",
            "reliability-uncalibrated",  # too few validation films
        )
    }
    films = {f"test-finding-{number:02d}-{place}.png" for number in (0, 1) for place in ("best", "median", "worst")}
    assert names == charts | films


def test_masks_are_scored_by_their_enclosing_box(copied: RunFolder) -> None:
    path = copied.root / "ingest" / "annotations.parquet"
    boxes, before = pd.read_parquet(path), scores_of(copied)
    boxes.assign(kind="mask").to_parquet(path, index=False)
    score.run(settings_of(), copied, NullTracker())
    pd.testing.assert_frame_equal(scores_of(copied), before)


def test_the_audits_probes_stand_beside_the_classifier_on_the_same_films(copied: RunFolder) -> None:
    ingest, rng = copied.root / "ingest", np.random.default_rng(3)
    images = pd.read_parquet(ingest / "images.parquet")
    logits = rng.normal(size=(2, len(images), 2)).astype(np.float32)
    logits[1, :, 1] = np.nan  # a probe that could not be fitted
    np.save(ingest / "probes.npy", logits)
    told = {"probe_kinds": ["border", "age"], "label_names": list(LABELS[:2])}
    (ingest / "audit.json").write_text(json.dumps(told))
    score.run(settings_of(), copied, NullTracker())
    scores = scores_of(copied)
    found = scores[scores["method"].str.startswith("baseline:probe:") & (scores["metric"] == "auroc")]
    assert set(zip(found["method"], found["label"], strict=True)) == {
        ("baseline:probe:border", LABELS[0]),
        ("baseline:probe:border", LABELS[1]),
        ("baseline:probe:border", "mean"),
        ("baseline:probe:age", LABELS[0]),
        ("baseline:probe:age", "mean"),
    }
    ours = scores[(scores["method"] == "classifier") & (scores["metric"] == "auroc")].set_index("label")
    border = found[found["method"] == "baseline:probe:border"].set_index("label")
    assert (border["n"] == ours.loc[border.index, "n"]).all()
    labels = pd.read_parquet(ingest / "labels.parquet")
    known = labels[(labels["label"] == LABELS[0]) & labels["value"].isin(["0", "1"])].set_index("image_id")["value"]
    test = [i for i in images.index if images["split"][i] == "test" and images["image_id"][i] in known.index]
    present = (known.loc[images["image_id"][test]] == "1").to_numpy()
    expected = roc_auc_score(present, logits[0, test, 0])
    assert border.loc[LABELS[0], "value"] == pytest.approx(expected)
    np.save(ingest / "probes.npy", logits[:, 1:])
    with pytest.raises(PipelineError, match="ingest again"):
        score.run(settings_of(), copied, NullTracker())


def test_the_learning_curve_is_that_of_the_runs_own_training(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert score._learning_curve(settings_of(pictures=True), folder) is None
    rows = [("member-0", 1, "loss", "", 0.5), ("member-0", 1, "auroc", "mean", 0.75)]
    artifacts_of(folder).train.epochs.write(pd.DataFrame(rows, columns=list(EPOCH_COLUMNS)))
    assert (score._learning_curve(settings_of(pictures=True), folder) or b"")[1:4] == b"PNG"
    assert score._learning_curve(settings_of(pictures=False), folder) is None
    assert score._learning_curve(settings_of(pictures=True), RunFolder(tmp_path, trained=tmp_path)) is None
