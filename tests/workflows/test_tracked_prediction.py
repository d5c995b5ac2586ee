"""Volumes of a prediction: counted by hand, and sent only where the trained run is tracked."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.domain.records import IMAGE_COLUMNS, PREDICTION_COLUMNS, REFUSAL_COLUMNS, Counts, StageResult
from camray.workflows import tracked_prediction
from camray.workflows.tracked_prediction import track_prediction, volumes
from tests.scored_run import settings_of


@pytest.fixture
def predicted(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "out", trained=tmp_path / "trained")
    (tmp_path / "trained").mkdir()
    ingest, localize = folder.stage("ingest"), folder.stage("localize")
    empty = {name: ["x"] * 3 if kind == "string" else np.zeros(3) for name, kind in IMAGE_COLUMNS.items()}
    write_table(ingest / "images.parquet", pd.DataFrame(empty), IMAGE_COLUMNS)
    refused = pd.DataFrame([("a", "blank", ""), ("b", "blank", ""), ("c", "colour", "")], columns=list(REFUSAL_COLUMNS))
    write_table(ingest / "refusals.parquet", refused, REFUSAL_COLUMNS)
    rows = [("1", "Mass", True), ("1", "Mass", True), ("2", "Mass", False), ("2", "Cyst", False)]
    plain = {name: ["x"] * 4 if kind == "string" else np.zeros(4) for name, kind in PREDICTION_COLUMNS.items()}
    named = dict(zip(("image_id", "label", "reported"), zip(*rows, strict=True), strict=True))
    write_table(localize / "predictions.parquet", pd.DataFrame({**plain, **named}), PREDICTION_COLUMNS)
    folder.finish("localize", {"seconds": 1.5}, StageResult(Counts(3, 3)))
    folder.finish("export", {"seconds": 0.5}, StageResult(Counts(3, 3), {"boxes": 7}))
    return folder


def test_volumes_by_hand(predicted: RunFolder) -> None:
    assert volumes(predicted) == {
        "predict/films": 3.0,
        "predict/refused": 3.0,
        "predict/refused.blank": 2.0,
        "predict/refused.colour": 1.0,
        "predict/boxes": 7.0,
        "predict/seconds": 2.0,
        "predict/reported/Mass": 1.0,
        "predict/reported/Cyst": 0.0,
    }


def test_nothing_is_told_where_the_trained_run_is_not_tracked(
    predicted: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracked_prediction, "open_tracker", None)
    track_prediction(settings_of(), predicted)
    assert not (predicted.root / "mlflow").exists()
