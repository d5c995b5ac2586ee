"""Models from MLflow: the run's boxes, obtained once for each version, checked, and clear words where there is none."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import camray
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking import registry
from camray.adapters.tracking.mlflow import MlflowTracker
from camray.adapters.tracking.store import store_uri
from camray.domain.errors import SettingsError, UnreachableError
from camray.domain.labels import Finding
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import model_files
from camray.io.ingest_contract import IngestContract, write_ingest_contract
from camray.workflows.predictor import load_predictor
from camray.workflows.trained_source import trained_folder
from tests.end_to_end.conftest import camray_here
from tests.workflows.test_predictor import LABELS, write_trained

pytestmark = pytest.mark.traced  # modules of io

LEVELS = np.random.default_rng(0).integers(0, 256, (2, 100, 80), dtype=np.uint8)
NAME = "chest demo"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The folder of two runs, registered one after the other under one name."""
    runs = tmp_path_factory.mktemp("registry") / "runs"
    runs.mkdir()
    shutil.copy(empty_store, runs)
    for name, pool in (("first", "gap"), ("second", "gmp")):
        write_trained(runs / name, pool=pool)
        findings = tuple(Finding(label) for label in LABELS)
        contract = IngestContract(findings, 64, 48, "letterbox", 8, "folder", "digest")
        write_ingest_contract(runs / name / "ingest" / "contract.json", contract)
        folder = RunFolder(runs / name)
        for stage in ("train", "localize"):
            folder.finish(stage, {}, StageResult(Counts(1, 1)))
        loader = "camray.workflows.predictor:load_predictor"
        with MlflowTracker(runs / name, runs, None, "demo", loader) as tracker, tracker.stage("export"):
            tracker.model(model_files(folder), NAME)
    return runs


@pytest.fixture(autouse=True)
def cache(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri(None, store))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "camray" / "models"


def _table(root: str | Path) -> pd.DataFrame:
    return load_predictor(trained_folder(root))(LEVELS)


def test_alias_and_version_give_the_boxes_of_their_runs(store: Path) -> None:
    first, second = _table(store / "first"), _table(store / "second")
    assert not first.equals(second)
    pd.testing.assert_frame_equal(_table(f"models:/{NAME}/1"), first, check_exact=True)
    for address in (f"models:/{NAME}@candidate", f"models:/{NAME}/2", f"models:/{NAME}/latest"):
        pd.testing.assert_frame_equal(_table(address), second, check_exact=True)
    found = camray.load(f"models:/{NAME}@candidate").predict(LEVELS)
    boxes = [each.box.as_tuple() for film in found for each in film.finding("Mass").boxes]  # type: ignore[union-attr]
    assert boxes == [tuple(row) for row in second.dropna()[["x0", "y0", "x1", "y1"]].to_numpy()]


def test_a_model_of_an_mlflow_run(store: Path) -> None:
    state = json.loads((store / "first" / "mlflow" / "state.json").read_text(encoding="utf-8"))
    pd.testing.assert_frame_equal(
        _table(f"runs:/{state['runs']['run']}/model"), _table(store / "first"), check_exact=True
    )


def test_a_version_is_obtained_once_and_again_only_where_it_was_damaged(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _table(f"models:/{NAME}/1")
    calls = []
    original = registry.download_model

    def counted(*words: Any) -> Path:
        calls.append(words)
        return original(*words)

    monkeypatch.setattr("camray.io.registered_models.download_model", counted)
    _table(f"models:/{NAME}/1")
    assert calls == []
    (weights,) = cache.rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    pd.testing.assert_frame_equal(_table(f"models:/{NAME}/1"), expected)
    assert len(calls) == 1
    _table(f"models:/{NAME}@candidate")
    assert len(calls) == 2
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("models:/chest dem@candidate", "did you mean 'chest demo'"),
        (f"models:/{NAME}@champion", "aliases: candidate"),
        (f"models:/{NAME}/7", "not in the MLflow store"),
        (f"models:/{NAME}", "expected models:/NAME@ALIAS"),
        ("models:/", "expected models:/NAME@ALIAS"),
        ("models:/@candidate", "expected models:/NAME@ALIAS"),
        ("runs:/0123/model", "not in the MLflow store"),
        ("runs:/0123", "expected models:/NAME@ALIAS"),
    ],
)
def test_an_address_without_a_model_is_refused(address: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        camray.load(address)


def test_a_store_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(SettingsError, match=r"no MLflow store at .*none\.db"):
        camray.load(f"models:/{NAME}@candidate")
    assert not (tmp_path / "none.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    for name in ("MAX_RETRIES", "BACKOFF_FACTOR"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "0")
    with pytest.raises(UnreachableError, match="does not answer") as error:
        camray.load(f"models:/{NAME}@candidate")
    assert "secret" not in str(error.value)


def test_predict_takes_an_address(store: Path, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    for number, levels in enumerate(LEVELS):
        Image.fromarray(levels).save(tmp_path / "films" / f"{number}.png")
    done = camray_here(
        "predict", f"models:/{NAME}/2", tmp_path / "films", "--out", tmp_path / "out", "--formats", "csv"
    )
    assert done.returncode == 0, done.stderr
    found = pd.read_parquet(tmp_path / "out" / "localize" / "predictions.parquet").dropna(subset=["x0"])
    expected = load_predictor(store / "second")(sorted((tmp_path / "films").iterdir())).dropna(subset=["x0"])
    columns = ["image_id", "label", "x0", "y0", "x1", "y1", "score"]
    assert len(expected) > 1
    assert sorted(found[columns].to_numpy().tolist()) == sorted(expected[columns].to_numpy().tolist())
