"""Which tracker a run gets, and that no identifier of a film's header comes near the store."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.adapters.tracking.mlflow import MlflowTracker
from camray.io.tracking import open_tracker
from camray.workflows.run import run
from tests.film_factory import FilmRecipe


def test_switched_off_and_further_processes_tell_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path / "runs" / "x")
    with open_tracker(Settings.model_validate({"name": "x", "track": {"enabled": False}}), folder) as tracker:
        assert isinstance(tracker, NullTracker)
    monkeypatch.setenv("RANK", "1")
    with open_tracker(Settings(name="x"), folder) as tracker:
        assert isinstance(tracker, NullTracker)
    assert not folder.root.exists()


@pytest.mark.parametrize(
    ("asked", "variable", "uri"),
    [
        (None, None, None),
        (None, "http://from.variable", "http://from.variable"),
        ("http://asked", "http://v", "http://asked"),
    ],
)
def test_the_store_is_asked_for_or_the_variable_or_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, variable: str | None, uri: str | None
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if variable:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    settings = Settings.model_validate({"name": "x", "track": {"uri": asked}})
    with open_tracker(settings, RunFolder(tmp_path / "runs" / "x")) as tracker:
        assert isinstance(tracker, MlflowTracker)
        assert tracker._uri == uri
        assert tracker._store_folder == tmp_path / "runs"


def test_no_identifier_reaches_the_store(
    tmp_path: Path, write_film: Callable[..., Path], empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    films = tmp_path / "films"
    for number in range(6):
        recipe = FilmRecipe(bits_stored=8 + number % 4)
        path = write_film(
            recipe,
            SOPInstanceUID=f"1.2.3.{number}",
            StudyInstanceUID=f"1.2.4.{number}",
            AccessionNumber="CANARY99",
            PatientID=f"Canary{number}",
        )
        films.mkdir(exist_ok=True)
        path.rename(films / f"{number}.dcm")
    (films / "bad.dcm").write_bytes(b"Canary^Broken" * 200)
    table = {"image_id": [f"1.2.3.{n}" for n in range(6)], "Mass": [0, 1, 0, 1, 0, 1]}
    pd.DataFrame(table).to_csv(films / "labels.csv", index=False)
    settings = Settings.model_validate(
        {
            "name": "secret",
            "data": {"root": str(films)},
            "ingest": {"rows": 64, "cols": 64, "workers": 1, "fractions": [0.4, 0.3, 0.3]},
        }
    )
    folder = RunFolder(tmp_path / "runs" / "secret")
    folder.root.mkdir(parents=True)
    shutil.copy(empty_store, folder.root.parent)
    with open_tracker(settings, folder) as tracker:
        reports = list(run(settings, folder, tracker, until="ingest"))
        tracker.picture(films / "labels.csv", "not a picture")  # refused by the store, and kept out of the way
    assert reports[-1].record["counts"]["done"] > 0
    looked_at = 0
    for path in (tmp_path / "runs").rglob("*"):
        if path.is_file():
            looked_at += 1
            assert b"canary" not in path.read_bytes().lower(), path
    assert looked_at > 8
