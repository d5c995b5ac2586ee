"""What is told at the end of a run, to people and to machines."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.adapters.settings.loading import parse_settings
from camray.commands import run_output
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.core.metrics.next_steps import TrainingFacts
from camray.core.probability.calibration import LabelCalibration
from camray.domain.records import (
    EXPLAINED_COLUMNS,
    IMAGE_COLUMNS,
    PREDICTION_COLUMNS,
    SCORE_COLUMNS,
    ThresholdSource,
)
from camray.io.explanation_grid import ExplanationGrid, write_grid
from camray.io.thresholds import read_thresholds, write_thresholds
from camray.workflows import run_summary
from camray.workflows.run import StageReport
from camray.workflows.run_summary import headline_texts, interval_title, plain_scores, top_findings

NAN = float("nan")
LABELS = ("Mass", "Cyst")
_ROW = {name: 0.0 for name in PREDICTION_COLUMNS} | {"method": "cam", "zone": ""}


def _scored(root: Path, rows: list[tuple[str, str, float, int]]) -> RunFolder:
    """Scores of the classifier alone: label, metric, value, films."""
    table = pd.DataFrame(
        [("test", "classifier", label, metric, NAN, "", value, NAN, NAN, n) for label, metric, value, n in rows],
        columns=list(SCORE_COLUMNS),
    )
    write_json(root / "score" / "stage.json", {"outputs": {}})
    table.to_csv(root / "score" / "scores.csv", index=False)
    return RunFolder(root)


def test_the_title_of_the_headline_says_what_its_intervals_are() -> None:
    score = {"resample": "film", "confidence": 0.9}
    assert interval_title(parse_settings({"name": "x", "score": score}, "x")) == "90 % intervals by film"
    assert interval_title(parse_settings({"name": "x"}, "x")) == "95 % intervals by patient"
    assert interval_title(parse_settings({"name": "x", "score": {"bootstrap": 0}}, "x")) == "no intervals"


def test_a_label_of_one_class_says_why_it_has_no_auroc(tmp_path: Path) -> None:
    rows = [
        ("Mass", "auroc", 0.75, 8),
        ("Cyst", "auroc", NAN, 8),
        ("Scar", "auroc", NAN, 0),
        ("mean", "auroc", 0.75, 1),
    ]
    folder = _scored(tmp_path, rows)
    assert [(row["finding"], row["AUROC"]) for row in headline_texts(folder)] == [
        ("Mass", "0.75"),
        ("Cyst", "none: one class"),
        ("Scar", "–"),
        ("mean", "0.75"),
    ]
    plain = plain_scores(folder)
    assert [(row["finding"], row["auroc"]) for row in plain[:1]] == [("Mass", 0.75)]
    assert np.isnan(plain[1]["auroc"])
    assert plain[0]["hit_rate"] is None


def test_without_any_number_there_is_no_table_of_dashes(tmp_path: Path) -> None:
    assert headline_texts(_scored(tmp_path, [("Mass", "auroc", NAN, 0)])) == []
    assert headline_texts(RunFolder(tmp_path / "none")) == []
    assert plain_scores(RunFolder(tmp_path / "none")) == []


def _localized(root: Path, calibrated: Sequence[str] = LABELS) -> RunFolder:
    explain = root / "explain"
    write_json(explain / "stage.json", {"outputs": {}})
    write_grid(explain / "grid.json", ExplanationGrid(8, 8, 1, 1, LABELS, ("cam",), {"cam": 0}))
    images = pd.DataFrame(
        {name: ["x"] * 3 if kind == "string" else np.zeros(3) for name, kind in IMAGE_COLUMNS.items()}
    ).assign(image_id=["a", "b", "c"])
    write_table(root / "ingest" / "images.parquet", images, IMAGE_COLUMNS)
    write_table(explain / "images.parquet", images[list(EXPLAINED_COLUMNS)], EXPLAINED_COLUMNS)
    np.save(explain / "logits.npy", np.array([[0, -1], [-2, 3], [1, 0]], dtype=np.float32))
    write_json(root / "localize" / "stage.json", {"outputs": {}})
    recipe, maps = BoxRecipe("max", 0.5), [LabelCalibration(label, "shift", prevalence=0.5) for label in calibrated]
    thresholds = tuple(BoxThreshold(x, "cam", x, "own", ThresholdSource.FIXED, recipe, None, "", 0) for x in LABELS)
    write_thresholds(root / "localize" / "thresholds.json", Thresholds(thresholds, (), (), tuple(maps)))
    rows = [{**_ROW, "image_id": film, "label": "Cyst", "threshold_id": "Cyst"} for film in "ab"]
    table = pd.DataFrame(rows).assign(reported=[False, True])
    write_table(root / "localize" / "predictions.parquet", table, PREDICTION_COLUMNS)
    return RunFolder(root)


def test_the_surest_films_come_first(tmp_path: Path) -> None:
    folder = _localized(tmp_path)
    found = top_findings(folder, 2, "judged")
    assert found is not None
    assert (found.films, [row["image_id"] for row in found.rows], found.rows[0]["boxes"]) == (3, ["b", "c"], None)
    assert found.rows[1]["probabilities"] == pytest.approx({"Mass": 1 / (1 + np.exp(-1)), "Cyst": 0.5})
    (tmp_path / "export").mkdir()
    pd.DataFrame({"image_id": ["b", "b", "x"], "label": "Mass"}).to_csv(tmp_path / "export" / "boxes.csv", index=False)
    found = top_findings(folder, 9, "judged")
    assert found is not None
    assert [row["boxes"] for row in found.rows] == [2, 0, 0]
    assert top_findings(RunFolder(tmp_path / "none"), 9, "judged") is None


def test_films_without_probabilities_are_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = top_findings(_localized(tmp_path / "one", ("Mass",)), 3, "judged")
    assert found is not None
    assert [row["image_id"] for row in found.rows] == ["c", "a", "b"]  # by Mass, which alone has probabilities
    assert found.rows[2]["probabilities"] == {"Mass": pytest.approx(1 / (1 + np.exp(2))), "Cyst": None}
    assert [row["reported"] for row in found.rows] == [[], [], ["Cyst"]]
    none = top_findings(_localized(tmp_path / "none", ()), 3, "judged")
    assert none is not None
    assert [row["image_id"] for row in none.rows] == ["b", "c", "a"]  # by the highest logit
    monkeypatch.setenv("COLUMNS", "80")
    run_output.print_findings(none)
    shown = capsys.readouterr().out
    assert "Cyst reported, Mass not reported" in shown
    assert "0." not in shown


def test_a_finding_that_is_not_judged_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _localized(tmp_path)
    path = folder.root / "localize" / "thresholds.json"
    stored = read_thresholds(path)
    write_thresholds(path, replace(stored, cutoffs=(ReportCutoff("Mass", 0.5, None, "", 0, not_judged="chance"),)))
    for report, told in (("judged", ("Mass",)), ("cutoff", ())):
        found = top_findings(folder, 3, report)
        assert found is not None
        assert found.not_judged == told
        run_output.print_findings(found)
        assert ("Mass not judged" in capsys.readouterr().out) == bool(told)


def test_the_table_of_findings_fits_narrow_and_wide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = top_findings(_localized(tmp_path), 2, "judged")
    for width, told in (("80", "Cyst 0.95, Mass 0.12"), ("120", "0.12 │ 0.95")):
        monkeypatch.setenv("COLUMNS", width)
        run_output.print_findings(found)
        shown = capsys.readouterr().out
        assert "2 of 3 films" in shown
        assert told in shown


def test_texts_of_a_stage_stand_on_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"films": 3, "methods": "cam", "note_0": "first", "note_1": "second", "test: coco": "x" * 60}
    record = {"stage": "localize", "counts": {"in": 3, "done": 3, "refused": 0}, "seconds": 1.0, "figures": figures}
    run_output.print_stage(StageReport(record, skipped=False, resumed=False))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].split() == ["films", "3,", "methods", "cam"]
    assert [line.split() for line in lines[2:]] == [
        ["note", "first"],
        ["note", "second"],
        ["note", "test:", "coco:", "x" * 60],
    ]


def test_positives_are_those_of_training_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = SimpleNamespace(
        split=lambda name: pd.DataFrame({"image_id": ["a", "b"] if name == "train" else ["c"]}),
        labels=pd.DataFrame({"image_id": list("abc"), "label": "Mass", "value": ["1", "0", "1"]}).astype("category"),
        boxes=pd.DataFrame({"image_id": ["a"]}),
        audit_warnings=[],
    )
    known: list[TrainingFacts] = []
    monkeypatch.setattr(run_summary, "read_ingested", lambda _: films)
    monkeypatch.setattr(run_summary, "next_steps", lambda rows, facts: known.append(facts) or ["x"])  # type: ignore[func-returns-value]
    folder = _scored(tmp_path, [("Mass", "auroc", 0.5, 8)])
    train = {"batch_size": 1, "max_epochs": 3}
    settings = parse_settings({"name": "a", "train": train}, "test")
    assert run_summary.next_steps_of(folder, settings) == ["x"]
    (facts,) = known
    assert (dict(facts.positives), facts.steps, facts.boxed_validation_films) == ({"Mass": 1}, 6, 0)
    assert not facts.has_pretrained_weights
    run_summary.next_steps_of(folder, parse_settings({"name": "a", "train": {**train, "epoch_films": 1}}, "test"))
    assert known[1].steps == 3
