"""Boxes and hit points on the native grid, for every film, label, method and threshold policy.

Reads   ``explain/``; ``ingest/images.parquet``, and of validation films ``labels.parquet annotations.parquet``; for new
        films the trained run's ``localize/thresholds.json`` instead
Writes  ``localize/thresholds.json predictions.parquet``; ``lungs.parquet`` unless ``localize.zones`` is off
Run     ``camray localize configs/phantom.yaml``
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.run_folder import RunFolder, read_table, write_json, write_table
from camray.adapters.settings.schema import LocalizeSettings, Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.localization.box_recipes import BoxRecipe, Located, fixed_recipe, locate, recipe_from_json
from camray.core.localization.calibration import RecipeGrid, ValidationMaps, calibrate, choose_cutoff
from camray.core.localization.heat_maps import CropWindow
from camray.core.training.device import choose_device
from camray.domain.errors import CheckpointError, PipelineError
from camray.domain.geometry import Box
from camray.domain.records import (
    ANNOTATION_COLUMNS,
    CORNERS,
    LABEL_COLUMNS,
    LUNG_COLUMNS,
    PREDICTION_COLUMNS,
    Counts,
    Split,
    StageResult,
    ThresholdSource,
)
from camray.domain.zones import NO_BOX, UNKNOWN
from camray.io.explained_films import ExplainedFilms, read_explained
from camray.io.film_lungs import find_film_lungs, read_lung_network

_MAPS_AT_ONCE = 32
_FIXED_CRITERION = "fixed beforehand, no boxes used"


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Choose thresholds where they are this run's to choose, and draw all boxes; see `camray.workflows.run`."""
    films, asked = read_explained(folder), settings.localize
    heat = {method: films.heat(method) for method in films.methods}
    if folder.trained is None:
        chosen = _choose(films, heat, folder, asked)
    else:
        chosen = _read_thresholds(folder.model_run.root / "localize" / "thresholds.json", films)
    target = folder.stage("localize")
    write_json(target / "thresholds.json", chosen)
    predictions = _predict(films, heat, chosen, asked)
    predictions["zone"] = _zones(predictions, films, folder, settings)
    write_table(target / "predictions.parquet", predictions, PREDICTION_COLUMNS)
    tracker.artifact(target / "thresholds.json")
    with_box = predictions[predictions["x0"].notna()]
    figures = {
        "films": len(films.table),
        "thresholds": len(chosen["thresholds"]),
        "boxes": len(with_box),
        "reported_boxes": int(with_box["reported"].sum()),
        **{f"note_{number}": note for number, note in enumerate(chosen["notes"])},
    }
    return StageResult(Counts(len(films.table), len(films.table)), figures)


def _zones(predictions: pd.DataFrame, films: ExplainedFilms, folder: RunFolder, settings: Settings) -> list[str]:
    """Find the films' lungs, write them down, and name each box's zone."""
    if not settings.localize.zones:
        return [UNKNOWN if has_box else NO_BOX for has_box in predictions["x0"].notna()]
    device = choose_device(settings.device)
    network = read_lung_network(settings.localize.lungs, device)
    found = find_film_lungs(folder, [str(image_id) for image_id in films.table["image_id"]], network, device)
    write_table(folder.stage("localize") / "lungs.parquet", found.table(), LUNG_COLUMNS)
    return found.zones(predictions)


def _read_thresholds(path: Path, films: ExplainedFilms) -> dict[str, Any]:
    if not path.is_file():
        raise PipelineError(f"{path}: no thresholds; finish the trained run first")
    chosen: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    unknown = {entry["label"] for entry in chosen["thresholds"]} - set(films.labels)
    missing = {entry["method"] for entry in chosen["thresholds"]} - set(films.methods)
    if unknown or missing:
        raise CheckpointError(
            f"{path}: names labels {sorted(unknown)} or methods {sorted(missing)} that were not explained; "
            "use the trained run's own settings"
        )
    return chosen


def _choose(
    films: ExplainedFilms, heat: Mapping[str, NDArray[np.float32]], folder: RunFolder, asked: LocalizeSettings
) -> dict[str, Any]:
    """Return what goes into ``thresholds.json``; only validation films' labels and boxes are looked at."""
    annotations = read_table(folder.root / "ingest" / "annotations.parquet", ANNOTATION_COLUMNS)
    labels = read_table(folder.root / "ingest" / "labels.parquet", LABEL_COLUMNS)
    is_validation = (films.table["split"] == Split.VALIDATION).to_numpy(dtype=bool)
    seen = set(films.table["image_id"][is_validation])
    notes: list[str] = []
    entries = [
        _entry(method, label, policy, _fixed(policy, asked), ThresholdSource.FIXED, None, _FIXED_CRITERION, 0)
        for policy in asked.policies
        if policy != "calibrated"
        for method in films.methods
        for label in films.labels
    ]
    if "calibrated" in asked.policies:
        known = annotations[annotations["image_id"].isin(seen)].dropna(subset=CORNERS)
        for method in films.methods:
            entries += _calibrated_entries(films, heat[method], method, known, asked, notes)
    cutoffs = _cutoffs(films, labels[labels["image_id"].isin(seen)], is_validation, notes)
    return {"thresholds": entries, "cutoffs": cutoffs, "notes": notes}


def _fixed(policy: str, asked: LocalizeSettings) -> BoxRecipe:
    level = {"fraction_of_max": asked.fraction_of_max, "raw": asked.raw, "quantile": asked.quantile, "otsu": 0.0}
    return fixed_recipe(policy, level[policy], asked.smooth, asked.region)


def _entry(
    method: str,
    label: str,
    policy: str,
    recipe: BoxRecipe,
    source: ThresholdSource,
    split: str | None,
    criterion: str,
    n: int,
) -> dict[str, Any]:
    return {
        "id": f"{policy}/{method}/{label}",
        "method": method,
        "label": label,
        "policy": policy,
        "source": str(source),
        "value": recipe.level,
        "parameters": recipe.as_json(),
        "split": split,
        "criterion": criterion,
        "n": n,
    }


def _calibrated_entries(
    films: ExplainedFilms,
    heat: NDArray[np.float32],
    method: str,
    annotations: pd.DataFrame,
    asked: LocalizeSettings,
    notes: list[str],
) -> list[dict[str, Any]]:
    priors = films.prior(method)
    maps = {
        label: _validation_maps(
            films,
            heat[:, number],
            np.zeros(heat.shape[2:], np.float32) if priors is None else priors[number],
            annotations[annotations["label"] == label],
        )
        for number, label in enumerate(films.labels)
    }
    grid = RecipeGrid(
        levels=asked.calibrate_levels,
        raw_quantiles=asked.calibrate_raw,
        smooth=asked.calibrate_smooth,
        dilate=asked.calibrate_dilate,
        prior=(0.0,) if priors is None else asked.calibrate_prior,
    )
    chosen = calibrate(
        maps,
        films.shape_model,
        grid,
        iou_threshold=asked.calibrate_iou,
        min_area=asked.min_area,
        shrink_films=asked.calibrate_shrink,
    )
    notes += [f"calibrated, {method}: no validation boxes of '{label}' (n=0)" for label in maps if label not in chosen]
    criterion = (
        f"share of annotated films whose first box has IoU >= {asked.calibrate_iou:g}, averaged over neighbouring "
        f"recipes and blended with all labels' as {asked.calibrate_shrink:g} films; ties by mean IoU; hit point apart"
    )
    source, split = ThresholdSource.VALIDATION, str(Split.VALIDATION)
    return [
        _entry(method, label, "calibrated", found.recipe, source, split, criterion, found.n)
        | {"reached": {"iou_accuracy": round(found.accuracy, 6), "hit_rate": round(found.hit_rate, 6)}}
        for label, found in chosen.items()
    ]


def _validation_maps(
    films: ExplainedFilms, heat: NDArray[np.float32], prior: NDArray[np.float32], annotations: pd.DataFrame
) -> ValidationMaps:
    """Collect one label's annotated films; `annotations` holds validation films of that label alone."""
    position = {image_id: number for number, image_id in enumerate(films.table["image_id"])}
    of_film: dict[int, list[tuple[float, ...]]] = {}
    for image_id, *corners in annotations[["image_id", *CORNERS]].itertuples(index=False):
        number = position[image_id]
        of_film.setdefault(number, []).append(films.transforms[number].box_to_model(Box(*corners)).as_tuple())
    chosen = sorted(of_film)
    boxes = [np.array(of_film[number]) for number in chosen]
    return ValidationMaps(heat[chosen], [films.windows[number] for number in chosen], boxes, prior)


def _cutoffs(
    films: ExplainedFilms, labels: pd.DataFrame, is_validation: NDArray[np.bool_], notes: list[str]
) -> list[dict[str, Any]]:
    image_ids, probabilities = films.table["image_id"][is_validation], films.probabilities[is_validation]
    cutoffs = []
    for number, label in enumerate(films.labels):
        rows = labels[labels["label"] == label]
        value = image_ids.map(dict(zip(rows["image_id"], rows["value"], strict=True)))
        is_known = value.isin(["0", "1"]).to_numpy(dtype=bool)
        found = choose_cutoff(probabilities[is_known, number], (value[is_known] == "1").to_numpy(dtype=bool))
        criterion = "highest Youden J (sensitivity + specificity - 1)"
        if not found.n:
            notes.append(f"cutoff of '{label}': validation films show not both classes; 0.5 taken")
            criterion = "0.5 for want of both classes among the validation films"
        cutoffs.append(
            {
                "label": label,
                "probability": found.probability,
                "split": str(Split.VALIDATION) if found.n else None,
                "criterion": criterion,
                "n": found.n,
            }
        )
    return cutoffs


def _predict(
    films: ExplainedFilms, heat: Mapping[str, NDArray[np.float32]], chosen: Mapping[str, Any], asked: LocalizeSettings
) -> pd.DataFrame:
    """Return the rows of ``predictions.parquet``, thresholds in the order of ``thresholds.json``, films in theirs."""
    cutoffs = {entry["label"]: float(entry["probability"]) for entry in chosen["cutoffs"]}
    entries = chosen["thresholds"]
    priors = {method: films.prior(method) for method in films.methods}
    parts = []
    for entry in progress(entries, len(entries), "drawing boxes"):
        number = films.labels.index(entry["label"])
        prior = priors[entry["method"]]
        recipe, maps = recipe_from_json(entry["parameters"]), heat[entry["method"]][:, number]
        rows = _rows_of(films, maps, None if prior is None else prior[number], recipe, asked)
        of_film = rows.pop("film").to_numpy()
        probability = films.probabilities[of_film, number]
        rows["image_id"] = films.table["image_id"].to_numpy()[of_film]
        rows["label"], rows["method"], rows["threshold_id"] = entry["label"], entry["method"], entry["id"]
        rows["logit"], rows["probability"] = films.logits[of_film, number], probability
        rows["reported"] = True if asked.report == "all" else probability >= cutoffs[entry["label"]]
        rows["zone"] = NO_BOX
        parts.append(rows[list(PREDICTION_COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(PREDICTION_COLUMNS))


def _rows_of(
    films: ExplainedFilms,
    heat: NDArray[np.float32],
    prior: NDArray[np.float32] | None,
    recipe: BoxRecipe,
    asked: LocalizeSettings,
) -> pd.DataFrame:
    """Draw one label's boxes with one recipe: film, box, peak, score and rank; one row at least for every film."""
    rows: list[tuple[Any, ...]] = []
    for numbers, window in _stacks(films.windows):
        found = locate(
            heat[numbers],
            window,
            films.shape_model,
            recipe,
            min_area=asked.min_area,
            score=asked.score,
            prior=prior,
        )
        rows += _native_rows(films, numbers, found, only_best=asked.boxes == "one")
    columns = ["film", *CORNERS, "score", "peak_x", "peak_y", "rank"]
    return pd.DataFrame(rows, columns=columns).sort_values(["film", "rank"], ignore_index=True)


def _stacks(windows: tuple[CropWindow, ...]) -> Iterator[tuple[NDArray[np.int64], CropWindow]]:
    """Cut the films into stacks of one window each, small enough to stay in the processor's cache."""
    groups: dict[CropWindow, list[int]] = {}
    for number, window in enumerate(windows):
        groups.setdefault(window, []).append(number)
    for window, numbers in groups.items():
        for start in range(0, len(numbers), _MAPS_AT_ONCE):
            yield np.array(numbers[start : start + _MAPS_AT_ONCE]), window


def _native_rows(
    films: ExplainedFilms, numbers: NDArray[np.int64], found: Located, only_best: bool
) -> Iterator[tuple[Any, ...]]:
    nothing = (float("nan"),) * 4
    starts = np.searchsorted(found.map_index, np.arange(len(numbers) + 1))
    for place, film in enumerate(numbers):
        transform, (rows, cols) = films.transforms[film], films.sizes[film]
        peak = transform.xy_to_native(*map(float, found.peaks_xy[place]))
        rank = 0
        for which in range(starts[place], starts[place + 1]):
            on_native = transform.box_to_native(Box(*map(float, found.boxes[which]))).clipped(rows, cols)
            if on_native is None:
                continue
            yield int(film), *on_native.as_tuple(), float(found.score[which]), *peak, rank
            rank += 1
            if only_best:
                break
        if not rank:
            yield int(film), *nothing, float("nan"), *peak, 0
