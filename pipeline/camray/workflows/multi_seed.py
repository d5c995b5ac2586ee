"""Mean and spread of one experiment over several seeds; no seed is selected.

Reads   ``runs/<name>-seed<n>/score/scores.csv`` of each seed
Writes  ``runs/<name>-seeds/spread.csv`` and ``spread.json``, and a run of that name in MLflow
Run     ``camray run configs/phantom.yaml --seeds 1,2,3``
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.linked_folders import link_tree
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.metrics.seed_spread import spread_of
from camray.core.metrics.summary import HEADLINE_IOU, main_method
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.spreadsheet_cells import with_formulas, without_formulas
from camray.io.artifacts import artifacts_of
from camray.io.tracking import open_tracker
from camray.io.workflow_artifacts import SpreadFiles

SHARED_STAGES = ("generate", "ingest")  # no seed of training changes them


def parse_seeds(text: str) -> list[int]:
    """Read ``1,2,3``.

    Raises
    ------
    SettingsError
        If these are not at least two different whole numbers from 0.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(map(int, parts))) != len(parts) or len(parts) < 2:
        raise SettingsError(f"--seeds {text}: expected at least two different whole numbers, for instance 1,2,3")
    return [int(part) for part in parts]


def settings_of_seed(settings: Settings, seed: int) -> Settings:
    """Return the experiment with another seed and a run of its own; patients stay in the same splits."""
    return settings.model_copy(update={"name": f"{settings.name}-seed{seed}", "seed": seed})


def share_inputs(first: RunFolder, other: RunFolder, stages: Sequence[str] = SHARED_STAGES) -> None:
    """Link the films that the first seed's run generated and ingested, or only some of them, into another run.

    A stage that the other run has finished or begun is not changed. The linked files are those that its own ingest
    would write; the stage's record holds their digests and is checked against the settings.
    """
    for name in stages:
        if first.record(name) is None or (other.root / name).exists():
            continue
        unfinished = other.root / f"{name}.tmp"
        link_tree(first.root / name, unfinished)
        unfinished.replace(other.root / name)


def write_spread(settings: Settings, runs: Path, seeds: Sequence[int]) -> pd.DataFrame:
    """Write mean and spread over the seeds' score tables, and log them to MLflow as a run beside those of the seeds.

    Returns
    -------
    DataFrame
        See `camray.core.metrics.seed_spread.spread_of`.

    Raises
    ------
    PipelineError
        If a seed's run was not scored.
    """
    tables = {}
    for seed in seeds:
        folder = RunFolder(runs / settings_of_seed(settings, seed).name)
        path = artifacts_of(folder).score.scores
        if folder.record("score") is None or not path.is_file():
            raise PipelineError(f"{folder.root}: not scored; run the same command again")
        tables[seed] = with_formulas(pd.read_csv(path))
    spread = spread_of(tables)
    folder = RunFolder(runs / f"{settings.name}-seeds")
    files = SpreadFiles(folder.root)
    write_bytes(files.table, without_formulas(spread).to_csv(index=False).encode())
    write_json(files.headline, {"seeds": sorted(seeds), "rows": headline_of(spread)})
    with open_tracker(settings, folder) as tracker:
        track_spread(settings, files, seeds, spread, tracker)
    return spread


def track_spread(
    settings: Settings, files: SpreadFiles, seeds: Sequence[int], spread: pd.DataFrame, tracker: Tracker
) -> None:
    """Log settings, the headline's mean, spread, least and largest value by finding, and the written files."""
    listed = ",".join(str(seed) for seed in sorted(seeds))
    tracker.params({key: value for key, value in settings.model_dump(mode="json").items() if key != "seed"})
    tracker.params({"seeds": listed})
    tracker.tags({"seeds": listed, "summary": "mean and spread over seeds"})
    figures = {}
    for row in headline_of(spread):
        metric = row["metric"] + ("" if row["criterion"] is None else f"_{row['criterion']:g}")
        source = f"/{row['threshold_source']}" if row["threshold_source"] else ""
        for what in ("mean", "sd", "low", "high"):
            if row[what] is not None:
                figures[f"{row['label']}/{metric}{source}/{what}"] = float(row[what])
    tracker.metrics(figures)
    for path in (files.table, files.headline):
        tracker.artifact(path)


def headline_of(spread: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the main rows: mean and spread of the default method's numbers per finding."""
    method = main_method(spread)
    metrics = (("auroc", np.nan), ("hit_rate", np.nan), ("iou_accuracy", HEADLINE_IOU), ("mean_iou", np.nan))
    rows = []
    for metric, criterion in metrics:
        selected = spread[(spread["metric"] == metric) & (spread["method"].isin([method, "classifier"]))]
        if np.isfinite(criterion):
            selected = selected[np.isclose(selected["criterion"], criterion)]
        for row in selected[selected["threshold_source"] != "oracle"].to_dict("records"):
            rows.append({str(key): _plain(value) for key, value in row.items()})
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
