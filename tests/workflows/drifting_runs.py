"""A run of drawn films and folders of its predictions, as the stages leave them, with planted drift."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.settings.stored_digest import with_digest
from camray.adapters.tracking.interface import NullTracker
from camray.domain.records import ACQUISITION_COLUMNS, EXPLAINED_COLUMNS, IMAGE_COLUMNS, Counts, StageResult
from camray.io.artifacts import artifacts_of
from camray.stages.localize import stage as localize
from tests.scored_run import make_run, settings_of

LABELS = ("Square",)
Change = Callable[[pd.DataFrame], pd.DataFrame]


def _same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def _settings() -> Settings:
    plain = settings_of().model_dump(mode="json")
    return Settings.model_validate({**plain, "track": {"enabled": False}, "localize": {"zones": False}})


def _write_settings(root: Path) -> None:
    write_json(root / "settings.json", with_digest(_settings().model_dump(mode="json")))


def _acquisition(image_ids: "pd.Series[str]", seed: int) -> pd.DataFrame:
    rng, films = np.random.default_rng(seed), len(image_ids)
    greys = {name: rng.normal(0.5, 0.05, films) for name in ACQUISITION_COLUMNS if name.split("_")[0] == "grey"}
    others = {"border_mean": rng.normal(0.2, 0.05, films), "local_contrast": rng.normal(0.1, 0.02, films)}
    maker = rng.choice(["aaaa", "bbbb"], films, p=[0.7, 0.3])
    plain = {"image_id": image_ids, "maker": maker, "maker_key": "key", "voi": "window", "is_doubtful": False}
    return pd.DataFrame({**plain, **greys, **others})[list(ACQUISITION_COLUMNS)].astype(ACQUISITION_COLUMNS)


def finish(folder: RunFolder, stage: str, **inputs: str) -> None:
    """Write the record of a stage."""
    folder.finish(stage, {"inputs": inputs}, StageResult(Counts(1, 1)))


def make_trained(root: Path, films: int = 160) -> RunFolder:
    """Make a run of two films a patient, trained and localized."""
    folder = make_run(root, LABELS, films)
    _write_settings(root)
    files = artifacts_of(folder).ingest
    files.acquisition.write(_acquisition(files.images.read()["image_id"], 1))
    write_bytes(artifacts_of(folder).train.weights, b"weights")  # never loaded: drift reads what was predicted
    write_bytes(artifacts_of(folder).train.contract.path, b"{}")
    localize.run(_settings(), folder, NullTracker())
    for stage in ("ingest", "train", "explain", "localize"):
        finish(folder, stage)
    return folder


def make_predictions(root: Path, trained: RunFolder, films: int = 110, logits: float = 0.0) -> Path:
    """Make a folder of predictions of other films; all logits are raised by a number."""
    folder = RunFolder(make_run(root, LABELS, films, seed=2).root, trained=trained.root)
    _write_settings(root)
    run = artifacts_of(folder)
    explained = run.explain.images.read()
    table = run.ingest.images.read()
    table = table[table["image_id"].isin(explained["image_id"])].assign(split="test")
    run.ingest.images.write(table.astype(IMAGE_COLUMNS))
    run.explain.images.write(explained.assign(split="test").astype(EXPLAINED_COLUMNS))
    run.ingest.acquisition.write(_acquisition(table["image_id"], 2))
    np.save(run.explain.logits, np.load(run.explain.logits) + np.float32(logits))
    localize.run(_settings(), folder, NullTracker())
    finish(folder, "ingest")
    finish(folder, "explain", train=trained.output_digest("train"), ingest=folder.output_digest("ingest"))
    outside = {"trained_localize": trained.output_digest("localize")}
    finish(folder, "localize", explain=folder.output_digest("explain"), **outside)
    return root


def changed(predictions: Path, root: Path, images: Change = _same, acquisition: Change = _same) -> Path:
    """Copy a folder of predictions with other headers or another appearance of its films."""
    shutil.copytree(predictions, root, ignore=shutil.ignore_patterns("drift"))
    files = artifacts_of(RunFolder(root)).ingest
    files.images.write(images(files.images.read()).astype(IMAGE_COLUMNS))
    files.acquisition.write(acquisition(files.acquisition.read()).astype(ACQUISITION_COLUMNS))
    finish(RunFolder(root), "ingest")
    explain = RunFolder(root).record("explain") or {}
    finish(RunFolder(root), "explain", train=explain["inputs"]["train"])
    return root
