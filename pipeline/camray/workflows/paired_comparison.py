"""Two runs compared on the films that both scored: paired tests, no stage of its own.

Reads   ``ingest/``, ``explain/`` and ``localize/`` of both runs
Run     ``camray diff runs/rsna-seed1 runs/rsna-seed2``
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.run_folder import RunFolder, check_is_run, read_table
from camray.core.localization.default_method import default_method, default_thresholds
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.annotated_films import (
    AnnotatedFilms,
    FloatArray,
    Measure,
    collect_annotated_films,
    number_patients,
)
from camray.core.metrics.localization.hits_and_iou import box_measures, point_hits
from camray.core.metrics.paired_tests import PairedValues, paired_classification, paired_localization
from camray.core.metrics.score_table import LabelLogits
from camray.domain.errors import PipelineError
from camray.domain.records import CORNERS, PREDICTION_COLUMNS
from camray.io.scored_films import Films, Maps, read_films, read_maps


@dataclass(frozen=True)
class PairedComparison:
    """What `camray diff` tells.

    Parameters
    ----------
    table : DataFrame
        `camray.core.metrics.paired_tests.DIFF_COLUMNS`.
    about : dict
        Runs, films, patients, methods and threshold sources, and what both runs do not share.
    """

    table: pd.DataFrame
    about: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison for machines; undefined numbers are null."""
        rows = json.loads(self.table.to_json(orient="records", double_precision=6))
        return {**self.about, "rows": rows}


@dataclass(frozen=True)
class _Run:
    """One run's films, maps and best boxes."""

    folder: RunFolder
    films: Films
    maps: Maps
    predictions: pd.DataFrame
    thresholds: Sequence[Mapping[str, Any]]
    method: str

    def split(self, name: str) -> pd.DataFrame:
        """Return the films of a split that were explained."""
        chosen = self.films.split(name)
        return chosen[chosen["image_id"].isin(self.maps.images["image_id"])]


def compare_runs(
    first: Path, second: Path, split: str, method: str | None, resamples: int, confidence: float, seed: int
) -> PairedComparison:
    """Compare two runs on the films of a split that both have.

    Parameters
    ----------
    first, second : Path
        Run folders.
    split : str
        Of both runs: a film that either was trained on is never compared.
    method : str or None
        Explanation method; None takes each run's first.
    resamples, confidence, seed
        Of the bootstrap, and of the intervals.

    Raises
    ------
    PipelineError
        If a run was not localized, or they share no film or no label.
    """
    runs = [_open(path, method) for path in (first, second)]
    films = [run.split(split) for run in runs]
    shared = films[0][films[0]["image_id"].isin(films[1]["image_id"])].reset_index(drop=True)
    labels = [label for label in runs[0].maps.labels if label in runs[1].maps.labels]
    if shared.empty or not labels:
        raise PipelineError(
            f"{first} and {second} share {len(shared)} film(s) of the split '{split}' and {len(labels)} label(s); "
            "two runs can be compared where both scored the same films (same data and ingest.split_seed)"
        )
    patients = number_patients(shared)
    logits = [_known_logits(run, runs[0].films.labels, shared, patients, labels) for run in runs]
    table = pd.concat(
        [
            paired_classification(logits[0], logits[1], confidence),
            paired_localization(
                _paired_values(runs, shared, patients, labels),
                len(set(patients.values())),
                Bootstrap(resamples, confidence, seed),
            ),
        ],
        ignore_index=True,
    )
    about = {
        "first": str(first),
        "second": str(second),
        "split": split,
        "films": len(shared),
        "patients": len(set(patients.values())),
        "films_only_in_first": len(films[0]) - len(shared),
        "films_only_in_second": len(films[1]) - len(shared),
        "methods": [run.method for run in runs],
        "annotations_agree": _annotations_agree(runs, shared),
        "confidence": confidence,
        "resamples": resamples,
    }
    return PairedComparison(table, about)


def _open(path: Path, method: str | None) -> _Run:
    folder = RunFolder(path)
    maps = read_maps(folder)
    predicted, thresholds = path / "localize" / "predictions.parquet", path / "localize" / "thresholds.json"
    if maps is None or not predicted.is_file() or not thresholds.is_file():
        check_is_run(path)
        raise PipelineError(f"{path}: is not localized; run `camray localize {path}` first")
    if method is not None and method not in maps.methods:
        raise PipelineError(f"{path}: no maps of method '{method}'; there are: {', '.join(maps.methods)}")
    predictions = read_table(predicted, PREDICTION_COLUMNS)
    predictions["image_id"] = predictions["image_id"].astype(str)
    return _Run(
        folder,
        read_films(folder),
        maps,
        predictions[predictions["rank"] == 0],
        json.loads(thresholds.read_text(encoding="utf-8"))["thresholds"],
        default_method(maps.methods) if method is None else method,
    )


def _known_logits(
    run: _Run, labels: pd.DataFrame, shared: pd.DataFrame, patients: Mapping[str, int], wanted: Sequence[str]
) -> dict[str, LabelLogits]:
    known = labels[labels["value"].isin(["0", "1"]) & labels["image_id"].isin(shared["image_id"])]
    found = {}
    for label in wanted:
        values = known[known["label"] == label].set_index("image_id")["value"].sort_index()
        image_ids = [str(image_id) for image_id in values.index]
        if not image_ids:
            continue
        found[label] = LabelLogits(
            patients=np.array([patients[image_id] for image_id in image_ids], dtype=np.int64),
            logits=run.maps.logits.loc[image_ids, label].to_numpy(dtype=np.float64),
            present=(values == "1").to_numpy(dtype=bool),
        )
    return found


def _paired_values(
    runs: Sequence[_Run], shared: pd.DataFrame, patients: Mapping[str, int], labels: Sequence[str]
) -> dict[str, PairedValues]:
    found = {}
    chosen = [default_thresholds(run.thresholds, run.method, labels) for run in runs]
    for label in labels:
        items = collect_annotated_films(label, runs[0].films.boxes, shared, patients)
        if len(items) and all(label in entries for entries in chosen):
            both = [_measures(run, items, entries[label]) for run, entries in zip(runs, chosen, strict=True)]
            found[label] = PairedValues(items.patients, both[0], both[1])
    return found


def _measures(run: _Run, items: AnnotatedFilms, entry: Mapping[str, Any]) -> dict[Measure, FloatArray]:
    rows = run.predictions[(run.predictions["label"] == items.label) & (run.predictions["threshold_id"] == entry["id"])]
    by_film = rows.set_index("image_id").reindex(list(items.image_ids))
    hits = point_hits(items, by_film[["peak_x", "peak_y"]].to_numpy(dtype=np.float64))
    return {("hit_rate", None): hits, **box_measures(items, by_film[CORNERS].to_numpy(dtype=np.float64))}


def _annotations_agree(runs: Sequence[_Run], shared: pd.DataFrame) -> bool:
    tables = []
    for run in runs:
        boxes = run.films.boxes[run.films.boxes["image_id"].isin(shared["image_id"])]
        tables.append(boxes.sort_values(["image_id", "label", *CORNERS]).reset_index(drop=True))
    return bool(tables[0][["image_id", "label"]].equals(tables[1][["image_id", "label"]])) and bool(
        np.allclose(tables[0][CORNERS].to_numpy(np.float64), tables[1][CORNERS].to_numpy(np.float64))
    )
