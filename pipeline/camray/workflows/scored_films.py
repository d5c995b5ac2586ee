"""Scores of films that have labels, and boxes if any, by a trained network; the run folder is temporary.

Reads   a trained run, a package or a registered model; films and their tables
"""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.domain.scores import Score, Scores
from camray.io.artifacts import artifacts_of
from camray.workflows.predict import settings_for
from camray.workflows.run import run


def scored_films(
    trained: Path, films: Path, labels: Path, boxes: Path | None = None, manifest: str | None = None
) -> Scores:
    """Score films as ``camray predict --labels --boxes`` does, on the CPU.

    Parameters
    ----------
    trained, films, labels, boxes, manifest
        As of `camray.workflows.predict.settings_for`.

    Raises
    ------
    SettingsError
        If a path does not exist.
    PipelineError
        If a stage fails.
    """
    with tempfile.TemporaryDirectory(prefix="camray-scores-") as root:
        folder = RunFolder(Path(root) / "scored", trained=trained)
        settings = settings_for(trained, films.absolute(), labels, boxes, manifest)
        plain = {"ingest": {"audit": False}, "score": {"pictures": False}}
        changes: dict[str, Any] = {key: getattr(settings, key).model_copy(update=new) for key, new in plain.items()}
        for _ in run(settings.model_copy(update={**changes, "device": "cpu"}), folder, NullTracker(), until="score"):
            pass
        files = artifacts_of(folder)
        refusals, images = files.ingest.refusals.read(), files.ingest.images.read()
        reasons = tuple(f"{each.source}: {each.reason}: {each.message}" for each in refusals.itertuples())
        return Scores(tuple(map(_score, _records(files.score.scores))), len(images), reasons)


def _records(path: Path) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in pd.read_csv(path).to_dict("records")]


def _score(row: dict[str, Any]) -> Score:
    threshold = row["threshold_source"]
    return Score(
        label=str(row["label"]),
        metric=str(row["metric"]),
        method=str(row["method"]),
        threshold="" if pd.isna(threshold) else str(threshold),
        criterion=_number(row["criterion"]),
        value=_number(row["value"]),
        low=_number(row["low"]),
        high=_number(row["high"]),
        n=int(row["n"]),
    )


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
