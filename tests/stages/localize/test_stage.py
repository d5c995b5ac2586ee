"""The localize stage on a run folder written by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camray.adapters.pixel_store import shard_path, write_shard
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table, write_table
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.imaging.film_range import FilmFacts, FilmRange
from camray.core.metrics.chance import Evidence, Verdict
from camray.core.probability import fit
from camray.domain.errors import CheckpointError, PipelineError
from camray.domain.geometry import Box, iou
from camray.domain.records import (
    ANNOTATION_COLUMNS,
    EXPLAINED_COLUMNS,
    FILM_CHECK_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    PREDICTION_COLUMNS,
)
from camray.io.explained_run import open_explained_run
from camray.io.film_verdicts import not_judged_table
from camray.stages.localize import stage as localize
from camray.stages.localize import threshold_choice

LABELS = ("mass", "effusion")
MODEL, CELLS = (96, 64), (6, 8)  # rows, cols: cells of 16 x 8 px
SIZES = [(400, 200), (200, 400), (256, 256)]  # native rows, cols, of pixels 5 : 4; letterboxed


def _settings(**changes: object) -> Settings:
    return parse_settings({"name": "t", "localize": {"zones": False, **changes}}, "test")


def _transform(rows: int, cols: int) -> tuple[float, float, float, float]:
    per_length = min(MODEL[0] / (rows * 5), MODEL[1] / (cols * 4))
    scale_x, scale_y = per_length * 4, per_length * 5
    return scale_x, scale_y, (MODEL[1] - cols * scale_x) / 2, (MODEL[0] - rows * scale_y) / 2


def _table(rows: list[dict[str, object]], columns: dict[str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(columns))
    for name, kind in columns.items():
        if table[name].isna().all():
            table[name] = "" if kind == "string" else 0
    return table


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """18 films in three shapes; mass is one bright cell, annotated with 2 x 2 cells about its centre."""
    run, rng = RunFolder(tmp_path / "run"), np.random.default_rng(5)
    films, explained, labels, boxes = [], [], [], []
    heat = np.full((18, 2, *CELLS), -1.0, np.float16)
    logits = np.full((18, 2), -2.0, np.float32)
    for number in range(18):
        (rows, cols), split = SIZES[number % 3], "validation" if number < 12 else "test"
        scale_x, scale_y, x_off, y_off = _transform(rows, cols)
        name = f"film{number:02d}"
        films.append(
            {
                "image_id": name,
                "rows": rows,
                "cols": cols,
                "split": split,
                "shard": 0,
                "index": number,
                "scale_x": scale_x,
                "scale_y": scale_y,
                "offset_x": x_off,
                "offset_y": y_off,
            }
        )
        explained.append({"image_id": name, "split": split, "shard": number // 10, "index": number % 10})
        shows = number % 6 != 5
        labels += [{"image_id": name, "label": "mass", "value": "1" if shows else "0"}]
        labels += [{"image_id": name, "label": "effusion", "value": "uncertain" if number % 2 else "0"}]
        if shows:
            row, col = rng.integers((2, 3), (4, 5))
            heat[number, 0, row, col] = 4.0
            logits[number, 0] = 1.0 + number / 10
            x, y = (col + 0.5) * 8, (row + 0.5) * 16
            corners = [
                (x - 8 - x_off) / scale_x,
                (y - 16 - y_off) / scale_y,
                (x + 8 - x_off) / scale_x,
                (y + 16 - y_off) / scale_y,
            ]
            clipped = Box(*corners).clipped(rows, cols)
            assert clipped is not None
            boxes.append(
                {
                    "image_id": name,
                    "label": "mass",
                    "kind": "box",
                    **dict(zip(("x0", "y0", "x1", "y1"), clipped.as_tuple(), strict=True)),
                }
            )
    write_table(run.stage("ingest") / "images.parquet", _table(films, IMAGE_COLUMNS), IMAGE_COLUMNS)
    write_table(run.stage("ingest") / "labels.parquet", _table(labels, LABEL_COLUMNS), LABEL_COLUMNS)
    write_table(run.stage("ingest") / "annotations.parquet", _table(boxes, ANNOTATION_COLUMNS), ANNOTATION_COLUMNS)
    target = run.stage("explain")
    write_table(target / "images.parquet", _table(explained, EXPLAINED_COLUMNS), EXPLAINED_COLUMNS)
    np.save(target / "logits.npy", logits)
    for method in ("cam", "gradcam"):
        stored = heat if method == "cam" else np.maximum(heat, 0) / np.float16(64)
        for shard, part in enumerate((stored[:10], stored[10:])):
            write_shard(shard_path(target, shard, f"heat-{method}"), iter(part), part.shape[1:], np.float16)
    write_json(
        target / "grid.json",
        {
            "rows": MODEL[0],
            "cols": MODEL[1],
            "feature_rows": CELLS[0],
            "feature_cols": CELLS[1],
            "labels": list(LABELS),
            "methods": ["cam", "gradcam"],
            "heat_exponents": {"cam": 0, "gradcam": 0},
            "notes": {},
        },
    )
    return run


def _run(folder: RunFolder, **changes: object) -> tuple[pd.DataFrame, dict[str, object]]:
    result = localize.run(_settings(**changes), folder, NullTracker())
    assert result.counts.n_in == result.counts.n_done
    target = folder.root / "localize"
    chosen = json.loads((target / "thresholds.json").read_text(encoding="utf-8"))
    return read_table(target / "predictions.parquet", PREDICTION_COLUMNS), chosen


def test_every_film_label_method_and_policy_has_a_row_and_boxes_lie_where_the_heat_is(folder: RunFolder) -> None:
    rows = _run(folder, policies=["fraction_of_max", "otsu", "calibrated"])[0]
    assert len(rows) == 18 * (2 * 2 * 2 + 2)  # effusion has no validation boxes: nothing calibrated for it
    assert not rows.duplicated(["image_id", "label", "method", "threshold_id"]).any()
    truth = read_table(folder.root / "ingest" / "annotations.parquet", ANNOTATION_COLUMNS).set_index("image_id")
    found = rows[(rows["label"] == "mass") & rows["threshold_id"].str.startswith("calibrated")]
    assert set(found.dropna(subset="x0")["image_id"]) == set(truth.index)
    for row in found.dropna(subset="x0").itertuples():
        annotated = Box(*truth.loc[row.image_id, ["x0", "y0", "x1", "y1"]].astype(float))
        assert iou(Box(row.x0, row.y0, row.x1, row.y1), annotated) > 0.6
        assert annotated.contains_xy(row.peak_x, row.peak_y)
        assert np.allclose((row.peak_x, row.peak_y), annotated.centre_xy, atol=400 / 16)
    assert rows[rows["label"] == "effusion"][["x0", "peak_x", "score"]].isna().all(axis=None)
    assert (rows["rank"] == 0).all()


def test_boxes_stay_on_the_film(folder: RunFolder) -> None:
    rows = _run(folder, policies=["quantile"], quantile=0.01, boxes="many")[0].dropna(subset="x0")
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS).set_index("image_id")
    of_film = images.loc[rows["image_id"]]
    assert (rows["x0"] >= 0).all()
    assert (rows["y0"] >= 0).all()
    assert (rows["x1"].to_numpy() <= of_film["cols"].to_numpy()).all()
    assert (rows["y1"].to_numpy() <= of_film["rows"].to_numpy()).all()


def test_thresholds_name_where_they_come_from_and_only_validation_films_count(folder: RunFolder) -> None:
    policies = ["fraction_of_max", "calibrated"]
    first = _run(folder, policies=policies)[1]
    entries = {entry["id"]: entry for entry in first["thresholds"]}
    fixed, calibrated = entries["fraction_of_max/cam/mass"], entries["calibrated/cam/mass"]
    assert (fixed["source"], fixed["split"], fixed["n"], fixed["value"]) == ("fixed", None, 0, 0.2)
    assert (calibrated["source"], calibrated["split"], calibrated["n"]) == ("validation", "validation", 10)
    assert "IoU >= 0.3" in calibrated["criterion"]
    assert "calibrated/cam/effusion" not in entries
    assert any("effusion" in note and "n=0" in note for note in first["notes"])
    cutoff = {entry["label"]: entry for entry in first["cutoffs"]}
    assert (cutoff["mass"]["n"], cutoff["mass"]["output"] > 0.12) == (12, True)
    assert (cutoff["effusion"]["n"], cutoff["effusion"]["output"]) == (0, 0.5)
    path = folder.root / "ingest" / "annotations.parquet"
    annotations = read_table(path, ANNOTATION_COLUMNS)
    is_test = annotations["image_id"] >= "film12"
    assert is_test.any()
    write_table(path, annotations[~is_test], ANNOTATION_COLUMNS)
    assert _run(folder, policies=policies)[1] == first


def test_validation_boxes_that_choose_no_better_leave_the_recipe_from_labels_alone(folder: RunFolder) -> None:
    entries = {entry["id"]: entry for entry in _run(folder)[1]["thresholds"]}
    alone, calibrated = entries["above_background/cam/mass"], entries["calibrated/cam/mass"]
    assert calibrated["criterion"].startswith("that of above_background")
    assert (calibrated["source"], calibrated["split"], calibrated["n"]) == ("validation", "validation", 10)
    assert calibrated["value"] == alone["value"]
    assert {**calibrated["parameters"], "peak_smooth": 0.0} == alone["parameters"]


def test_the_background_comes_from_films_without_the_label_and_no_box_has_a_part_in_it(folder: RunFolder) -> None:
    """Two validation films without mass: one is changed, so the median of their cells is -1.5 in place of -1."""
    for shard, index in ((0, 5), (1, 1)):
        path = shard_path(folder.root / "explain", shard, "heat-cam")
        heat = np.load(path)
        heat[index, 0] = -1.0 if shard else -2.0
        write_shard(path, iter(heat), heat.shape[1:], np.float16)
    (folder.root / "ingest" / "annotations.parquet").write_bytes(b"never read")
    rows, chosen = _run(folder, policies=["above_background"])
    entries = {entry["id"]: entry for entry in chosen["thresholds"]}
    cam, gradcam = (entries[f"above_background/{method}/mass"] for method in ("cam", "gradcam"))
    assert (cam["source"], cam["split"], cam["n"]) == ("fixed", None, 2)
    assert (cam["parameters"]["background"], cam["value"], cam["parameters"]["dilate"]) == (-1.5, 0.5, 1.4)
    assert (gradcam["parameters"]["background"], gradcam["value"]) == (0.0, 0.2)
    assert cam["criterion"] == "background: median heat of validation films without the label; no boxes used"
    assert entries["above_background/cam/effusion"]["n"] == 6  # the other six are uncertain
    assert rows[(rows["label"] == "mass") & (rows["method"] == "cam")]["x0"].notna().sum() == 15


def test_without_films_that_lack_the_label_others_give_the_background(folder: RunFolder) -> None:
    path = folder.root / "ingest" / "labels.parquet"
    write_table(path, read_table(path, LABEL_COLUMNS).assign(value="1"), LABEL_COLUMNS)
    chosen = _run(folder, policies=["above_background"])[1]["thresholds"]
    assert {(entry["n"], "none is known to be without the label" in entry["criterion"]) for entry in chosen} == {
        (12, True)
    }
    path = folder.root / "explain" / "images.parquet"
    write_table(path, read_table(path, EXPLAINED_COLUMNS).assign(split="test"), EXPLAINED_COLUMNS)
    chosen = _run(folder, policies=["above_background"])[1]["thresholds"]
    assert {(entry["n"], "no validation film was explained" in entry["criterion"]) for entry in chosen} == {(18, True)}


def test_cam_and_gradcam_of_one_relative_map_get_the_same_boxes(folder: RunFolder) -> None:
    rows = _run(folder, policies=["fraction_of_max"], fraction_of_max=0.5)[0]
    columns = ["image_id", "label", "x0", "y0", "x1", "y1", "peak_x", "peak_y"]
    first, second = (
        rows.loc[(rows["method"] == method) & (rows["label"] == "mass"), columns].reset_index(drop=True)
        for method in ("cam", "gradcam")
    )
    inside = first.dropna(subset="x0")
    assert len(inside) == 15
    pd.testing.assert_frame_equal(first[["peak_x", "peak_y"]], second[["peak_x", "peak_y"]])
    # the rectified map falls to 0 and not to -1 around its peak: its boxes can only be as large or larger
    assert ((second["x1"] - second["x0"]).dropna() >= (inside["x1"] - inside["x0"]) - 1e-9).all()


def test_reported_follows_the_cutoff_or_everything(folder: RunFolder) -> None:
    rows = _run(folder)[0]
    mass = rows[rows["label"] == "mass"].drop_duplicates("image_id")
    assert mass["reported"].tolist() == (mass["logit"] > 0).tolist()
    assert mass["reported"].sum() == 15
    assert _run(folder, report="all")[0]["reported"].all()


def test_probabilities_are_calibrated_on_validation_films_and_boxes_stay(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, chosen = _run(folder)
    assert plain["probability"].isna().all()
    reasons = {entry["label"]: entry["reason"] for entry in chosen["calibrations"]}
    assert reasons["mass"].startswith("10 validation patients with the finding and 2 without")
    assert f"'mass' has no probability: {reasons['mass']}" in chosen["notes"]
    monkeypatch.setattr(fit, "LEAST_PATIENTS", 2)
    rows, chosen = _run(folder)
    entry = chosen["calibrations"][0]
    assert (entry["label"], entry["n"], entry["positives"], entry["split"]) == ("mass", 12, 10, "validation")
    assert entry["prevalence"] == pytest.approx(10 / 12)
    mass = rows["label"] == "mass"
    expected = 1 / (1 + np.exp(-(entry["slope"] * rows["logit"] + entry["shift"])))
    np.testing.assert_allclose(rows.loc[mass, "probability"], expected[mass], atol=1e-6)
    assert rows.loc[~mass, "probability"].isna().all()
    pd.testing.assert_frame_equal(rows.drop(columns="probability"), plain.drop(columns="probability"))


def test_a_sites_prevalence_moves_probabilities_alone(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "LEAST_PATIENTS", 2)
    plain = _run(folder)[0]
    moved, chosen = _run(folder, prevalence={"mass": 0.5, "effusion": 0.1})
    assert chosen["calibrations"][0]["site_prevalence"] == 0.5
    mass = (plain["label"] == "mass") & plain["x0"].notna()
    odds = [table.loc[mass, "probability"] / (1 - table.loc[mass, "probability"]) for table in (plain, moved)]
    np.testing.assert_allclose(odds[1], odds[0] / 5, rtol=1e-4)  # odds of 10 to 2 become 1 to 1
    pd.testing.assert_frame_equal(moved.drop(columns="probability"), plain.drop(columns="probability"))


@pytest.mark.parametrize(("report", "reported"), [("judged", False), ("cutoff", True), ("all", True)])
def test_a_finding_no_better_than_chance_is_not_reported_unless_asked(
    folder: RunFolder, report: str, reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Evidence(Verdict.CHANCE, "AUROC 0.52 (0.35-0.67) on 12 validation films, 10 with it")
    told = Evidence(Verdict.TOLD, "")
    monkeypatch.setattr(threshold_choice, "evidence_of", lambda p, is_present, *_: chance if is_present.any() else told)
    rows, plain = _run(folder, report=report)
    mass = rows["label"] == "mass"
    assert rows.loc[mass, "reported"].any() == reported
    reasons = {entry["label"]: entry.get("not_judged") for entry in plain["cutoffs"]}
    assert reasons == {"mass": f"{chance.words}: no better than chance", "effusion": None}
    assert f"'mass' is not judged, as it is no better than chance: {chance.words}; " in " ".join(plain["notes"])


def test_films_too_few_to_say_are_told(folder: RunFolder) -> None:
    path = folder.root / "explain" / "logits.npy"
    np.save(path, np.load(path) + np.float32([0, 4]))
    rows, plain = _run(folder)
    assert rows.loc[rows["label"] == "effusion", "reported"].all()
    assert "'effusion' is reported, but may be no better than chance: no validation film shows it" in plain["notes"]
    assert not any("'mass'" in note and "chance" in note for note in plain["notes"])


def test_many_boxes_are_ranked(folder: RunFolder) -> None:
    path = shard_path(folder.root / "explain", 0, "heat-cam")
    heat = np.load(path)
    heat[0, 0] = -1
    heat[0, 0, 1, 3], heat[0, 0, 4, 5] = 4, 3
    write_shard(path, iter(heat), heat.shape[1:], np.float16)
    rows = _run(folder, policies=["fraction_of_max"], boxes="many")[0]
    film = rows[(rows["image_id"] == "film00") & (rows["label"] == "mass") & (rows["method"] == "cam")]
    assert film["rank"].tolist() == [0, 1]
    assert film["score"].is_monotonic_decreasing
    assert film["peak_x"].nunique() == 1


def test_the_stored_power_of_two_is_undone(folder: RunFolder) -> None:
    before = _run(folder)[0]
    target = folder.root / "explain"
    for shard in (0, 1):
        path = shard_path(target, shard, "heat-cam")
        heat = np.load(path) * np.float16(0.25)
        write_shard(path, iter(heat), heat.shape[1:], np.float16)
    grid = json.loads((target / "grid.json").read_text(encoding="utf-8"))
    grid["heat_exponents"]["cam"] = -2
    write_json(target / "grid.json", grid)
    pd.testing.assert_frame_equal(_run(folder)[0], before)


def test_a_trained_runs_thresholds_are_taken_as_they_are(folder: RunFolder, tmp_path: Path) -> None:
    rows, chosen = _run(folder)
    new = RunFolder(tmp_path / "new", trained=folder.root)
    for stage in ("ingest", "explain"):
        for path in (folder.root / stage).iterdir():
            (new.stage(stage) / path.name).write_bytes(path.read_bytes())
    (new.stage("ingest") / "annotations.parquet").unlink()  # never looked at
    again, used = _run(new)
    assert used == chosen
    pd.testing.assert_frame_equal(again, rows)
    write_json(folder.root / "localize" / "thresholds.json", {k: v for k, v in chosen.items() if k != "calibrations"})
    notes = localize.run(_settings(), new, NullTracker()).figures
    assert any("no finding has a probability: thresholds of an earlier version" in str(note) for note in notes.values())
    grid = json.loads((new.root / "explain" / "grid.json").read_text(encoding="utf-8"))
    write_json(new.root / "explain" / "grid.json", grid | {"labels": ["mass", "nodule"]})
    with pytest.raises(CheckpointError, match="effusion"):
        _run(new)
    (folder.root / "localize" / "thresholds.json").unlink()
    with pytest.raises(PipelineError, match="no such file"):
        _run(new)


def test_a_prior_made_while_explaining_is_tried(folder: RunFolder) -> None:
    prior = np.zeros((2, *CELLS), np.float32)
    prior[0, 2:4, 3:5] = 1
    np.save(folder.root / "explain" / "prior-cam.npy", prior)
    chosen = _run(folder, calibrate_prior=[0.5], policies=["fraction_of_max", "calibrated"])[1]
    used = {entry["id"]: entry["parameters"]["prior"] for entry in chosen["thresholds"]}
    assert used["calibrated/cam/mass"] == 0.5
    assert used["calibrated/gradcam/mass"] == 0.0
    assert used["fraction_of_max/cam/mass"] == 0.0


def test_same_input_same_bytes(folder: RunFolder) -> None:
    _run(folder)
    first = {path.name: path.read_bytes() for path in (folder.root / "localize").iterdir()}
    _run(folder)
    assert {path.name: path.read_bytes() for path in (folder.root / "localize").iterdir()} == first


def test_films_that_do_not_belong_together_are_an_error(folder: RunFolder) -> None:
    np.save(folder.root / "explain" / "logits.npy", np.zeros((3, 2), np.float32))
    with pytest.raises(PipelineError, match="does not belong"):
        _run(folder)


@pytest.mark.parametrize(("report", "reported"), [("judged", False), ("cutoff", True)])
def test_nothing_is_judged_on_a_film_of_another_view(
    folder: RunFolder, report: str, reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = FilmRange(60, 30, views=("PA",), centre=(0.0,) * 85, scale=(1.0,) * 85, limit=1.0)
    facts = FilmFacts(np.zeros((18, 85)), ("PA", "LL", *["PA"] * 16), np.full(18, np.nan), np.arange(18))
    monkeypatch.setattr(threshold_choice, "film_range_of", lambda films, share: known)
    monkeypatch.setattr(localize, "film_facts", lambda films, image_ids: facts)
    rows = _run(folder, report=report)[0]
    mass = rows[rows["label"] == "mass"]
    assert mass.loc[mass["image_id"] == "film01", "reported"].all() == reported
    assert mass.loc[mass["image_id"] != "film01", "reported"].sum() == mass["reported"].sum() - 3 * 2 * reported
    path = folder.root / "localize" / "films.parquet"
    assert path.is_file() == (report == "judged")
    if report == "judged":
        checks = read_table(path, FILM_CHECK_COLUMNS)
        assert checks.loc[checks["foreign"] != "", "image_id"].tolist() == ["film01"]
        table = not_judged_table(open_explained_run(folder), report)
        assert table.loc["film01"].tolist() == ["view LL, training films have PA"] * 2
        assert (table.drop(index="film01") == "").to_numpy().all()


def test_too_few_films_compare_nothing_and_say_so(folder: RunFolder) -> None:
    figures = localize.run(_settings(), folder, NullTracker()).figures
    why = "0 training and 12 validation patients; 50 and 20 are needed"
    assert f"films are not compared with the training films: {why}" in figures.values()
    assert not (folder.root / "localize" / "films.parquet").exists()
    silent = localize.run(_settings(foreign=None), folder, NullTracker()).figures
    assert not any("training films" in str(text) for text in silent.values())
