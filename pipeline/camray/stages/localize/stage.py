"""Boxes and peaks on the native grid, for every film, label, method and threshold policy.

Reads   ``explain/``; ``ingest/images.parquet``, and of validation films ``labels.parquet annotations.parquet``; for new
        films the trained run's ``localize/thresholds.json`` instead
Writes  ``localize/thresholds.json predictions.parquet``; ``lungs.parquet`` unless ``localize.zones`` is off
Run     ``camray localize configs/phantom.yaml``
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.localization.box_thresholds import BoxThreshold, Thresholds
from camray.core.probability.calibration import OLDER_RUN
from camray.core.probability.promise_words import OLDER_PROMISES, promise_words
from camray.core.training.device import choose_device
from camray.domain.errors import CheckpointError
from camray.domain.records import Counts, StageResult
from camray.domain.zones import NO_BOX, UNKNOWN
from camray.io.artifacts import artifacts_of
from camray.io.box_drawing import draw_boxes
from camray.io.explained_run import ExplainedRun, open_explained_run
from camray.io.film_lungs import find_film_lungs, read_lung_network
from camray.stages.localize.threshold_choice import choose_thresholds


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Choose thresholds unless the network is another run's, and draw all boxes; see `camray.workflows.run`."""
    explained = open_explained_run(folder)
    heat = {method: explained.heat_maps(method) for method in explained.methods}
    if folder.trained is None:
        thresholds = choose_thresholds(explained, heat, settings.localize)
    else:
        thresholds = _thresholds_of_trained_run(explained)
    thresholds = thresholds.moved_to(settings.localize.prevalence)
    files = explained.artifacts.localize
    files.thresholds.write(thresholds)
    priors = {method: explained.prior(method) for method in explained.methods}
    predictions = draw_boxes(
        explained,
        explained.image_ids,
        lambda threshold: _maps_of(threshold, explained.labels.index(threshold.label), heat, priors),
        thresholds,
        settings.localize,
    )
    predictions["zone"] = _zones(predictions, explained, settings)
    files.predictions.write(predictions)
    tracker.artifact(files.thresholds.path)
    with_box = predictions[predictions["x0"].notna()]
    n_films = len(explained.explained)
    figures = {
        "films": n_films,
        "thresholds": len(thresholds.boxes),
        "boxes": len(with_box),
        "reported_boxes": int(with_box["reported"].sum()),
        "not_judged": _share_not_judged(thresholds, explained, settings.localize.report),
        **{
            f"note_{number}": note
            for number, note in enumerate(
                (*thresholds.notes, *_probability_notes(thresholds, settings), *_promise_notes(thresholds, settings))
            )
        },
    }
    return StageResult(Counts(n_films, n_films), figures)


def _probability_notes(thresholds: Thresholds, settings: Settings) -> list[str]:
    """Say why no finding has a probability, or which given prevalences move nothing."""
    if thresholds.boxes and not thresholds.calibrations:
        return [f"no finding has a probability: {OLDER_RUN}"]
    given = [thresholds.calibration_of(label) for label in settings.localize.prevalence]
    return [f"prevalence of '{each.label}' not used, as it has no probability" for each in given if each.kind == "none"]


def _promise_notes(thresholds: Thresholds, settings: Settings) -> list[str]:
    """Say what is promised of the findings that are judged."""
    if settings.localize.report != "judged":
        return []
    if thresholds.boxes and not thresholds.promises:
        return [f"nothing is promised of any finding: {OLDER_PROMISES}"]
    judged = {
        each.label: promise_words(each) for each in thresholds.promises if each.label not in thresholds.not_judged
    }
    return [f"'{label}': {words}" for label, words in judged.items() if words]


def _share_not_judged(thresholds: Thresholds, explained: ExplainedRun, report: str) -> float:
    """Return the share of findings on films that are neither reported nor denied."""
    columns = [
        thresholds.why_not_judged(label, explained.logits[:, number], report) != ""
        for number, label in enumerate(explained.labels)
        if label in thresholds.cutoff_of
    ]
    return float(np.mean(columns)) if columns and len(explained.logits) else 0.0


def _maps_of(
    threshold: BoxThreshold,
    number: int,
    heat: Mapping[str, NDArray[np.float32]],
    priors: Mapping[str, NDArray[np.float32] | None],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the maps [N, h, w] and the prior map of a threshold's method and label."""
    prior = priors[threshold.method]
    return heat[threshold.method][:, number], None if prior is None else prior[number]


def _zones(predictions: pd.DataFrame, explained: ExplainedRun, settings: Settings) -> list[str]:
    """Find the films' lungs, write them, and name the zone of each box."""
    if not settings.localize.zones:
        return [UNKNOWN if has_box else NO_BOX for has_box in predictions["x0"].notna()]
    device = choose_device(settings.device)
    network = read_lung_network(settings.localize.lungs, device)
    lungs = find_film_lungs(explained.films, explained.image_ids, network, device)
    explained.artifacts.localize.lungs.write(lungs.table())
    return lungs.zones(predictions)


def _thresholds_of_trained_run(explained: ExplainedRun) -> Thresholds:
    file = artifacts_of(explained.folder.model_run).localize.thresholds
    thresholds = file.read()
    unknown = {threshold.label for threshold in thresholds.boxes} - set(explained.labels)
    missing = {threshold.method for threshold in thresholds.boxes} - set(explained.methods)
    if unknown or missing:
        raise CheckpointError(
            f"{file.path}: names labels {sorted(unknown)} or methods {sorted(missing)} that were not explained; "
            "use the trained run's own settings"
        )
    return thresholds
