"""Paired tests of two runs on the films that both scored.

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

from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.localization.default_method import default_thresholds
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
from camray.domain.records import CORNERS
from camray.io.artifacts import artifacts_of
from camray.io.explained_run import ExplainedRun, is_explained, open_explained_run
from camray.io.run_lookup import check_is_run


@dataclass(frozen=True)
class PairedComparison:
    """Result of `camray diff`.

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
        """Return the comparison for programs; undefined numbers are null."""
        rows = json.loads(self.table.to_json(orient="records", double_precision=6))
        return {**self.about, "rows": rows}


@dataclass(frozen=True)
class _ScoredRun:
    """One run, its explanation method, and its best boxes by that method."""

    run: ExplainedRun
    method: str
    predictions: pd.DataFrame


def compare_runs(first: Path, second: Path, split: str, method: str | None, bootstrap: Bootstrap) -> PairedComparison:
    """Compare two runs on the films of a split that both have.

    Parameters
    ----------
    first, second : Path
        Run folders.
    split : str
        Of both runs: a film that either was trained on is never compared.
    method : str or None
        Explanation method; None takes each run's first.
    bootstrap : Bootstrap
        Resamples of the patients, the same for both runs, and confidence of all intervals.

    Raises
    ------
    PipelineError
        If a run was not localized, or they share no film or no label.
    """
    runs = [_open(path, method) for path in (first, second)]
    films = [each.run.split(split) for each in runs]
    shared = films[0][films[0]["image_id"].isin(films[1]["image_id"])].reset_index(drop=True)
    labels = [label for label in runs[0].run.labels if label in runs[1].run.labels]
    if shared.empty or not labels:
        raise PipelineError(
            f"{first} and {second} share {len(shared)} film(s) of the split '{split}' and {len(labels)} label(s); "
            "two runs can be compared where both scored the same films (same data and ingest.split_seed)"
        )
    patients = number_patients(shared)
    logits = [_known_logits(each.run, runs[0].run.films.labels, shared, patients, labels) for each in runs]
    table = pd.concat(
        [
            paired_classification(logits[0], logits[1], bootstrap.confidence),
            paired_localization(
                _paired_values(runs, shared, patients, labels),
                len(set(patients.values())),
                bootstrap,
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
        "methods": [each.method for each in runs],
        "annotations_agree": _annotations_agree(runs, shared),
        "confidence": bootstrap.confidence,
        "resamples": bootstrap.resamples,
    }
    return PairedComparison(table, about)


def _open(path: Path, method: str | None) -> _ScoredRun:
    folder = RunFolder(path)
    files = artifacts_of(folder).localize
    if not (is_explained(folder) and files.predictions.is_file() and files.thresholds.is_file()):
        check_is_run(path)
        raise PipelineError(f"{path}: is not localized; run `camray localize {path}` first")
    run = open_explained_run(folder)
    if method is not None and method not in run.methods:
        raise PipelineError(f"{path}: no maps of method '{method}'; there are: {', '.join(run.methods)}")
    predictions = run.predictions
    return _ScoredRun(run, run.default_method if method is None else method, predictions[predictions["rank"] == 0])


def _known_logits(
    run: ExplainedRun,
    known_labels: pd.DataFrame,
    shared: pd.DataFrame,
    patients: Mapping[str, int],
    labels: Sequence[str],
) -> dict[str, LabelLogits]:
    """Return the logits of one run on the shared films whose presence is known, by label."""
    known = known_labels[known_labels["value"].isin(["0", "1"]) & known_labels["image_id"].isin(shared["image_id"])]
    logits = {}
    for label in labels:
        values = known[known["label"] == label].set_index("image_id")["value"].sort_index()
        image_ids = [str(image_id) for image_id in values.index]
        if not image_ids:
            continue
        logits[label] = LabelLogits(
            patients=np.array([patients[image_id] for image_id in image_ids], dtype=np.int64),
            logits=run.logit_table.loc[image_ids, label].to_numpy(dtype=np.float64),
            present=(values == "1").to_numpy(dtype=bool),
        )
    return logits


def _paired_values(
    runs: Sequence[_ScoredRun], shared: pd.DataFrame, patients: Mapping[str, int], labels: Sequence[str]
) -> dict[str, PairedValues]:
    pairs = {}
    thresholds = [default_thresholds(each.run.thresholds.boxes, each.method, labels) for each in runs]
    for label in labels:
        items = collect_annotated_films(label, runs[0].run.films.boxes, shared, patients)
        if len(items) and all(label in by_label for by_label in thresholds):
            first, second = (
                _measures(scored, items, by_label[label]) for scored, by_label in zip(runs, thresholds, strict=True)
            )
            pairs[label] = PairedValues(items.patients, first, second)
    return pairs


def _measures(scored: _ScoredRun, items: AnnotatedFilms, threshold: BoxThreshold) -> dict[Measure, FloatArray]:
    rows = scored.predictions[scored.predictions["label"] == items.label]
    by_film = rows[rows["threshold_id"] == threshold.id].set_index("image_id").reindex(list(items.image_ids))
    hits = point_hits(items, by_film[["peak_x", "peak_y"]].to_numpy(dtype=np.float64))
    return {("hit_rate", None): hits, **box_measures(items, by_film[CORNERS].to_numpy(dtype=np.float64))}


def _annotations_agree(runs: Sequence[_ScoredRun], shared: pd.DataFrame) -> bool:
    tables = []
    for each in runs:
        boxes = each.run.films.boxes
        boxes = boxes[boxes["image_id"].isin(shared["image_id"])]
        tables.append(boxes.sort_values(["image_id", "label", *CORNERS]).reset_index(drop=True))
    return bool(tables[0][["image_id", "label"]].equals(tables[1][["image_id", "label"]])) and bool(
        np.allclose(tables[0][CORNERS].to_numpy(np.float64), tables[1][CORNERS].to_numpy(np.float64))
    )
