"""Overlays of selected films: heat map, predicted and annotated boxes."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from camray.adapters.dicom.write.common_attributes import code_of
from camray.adapters.progress import progress
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.domain.file_names import file_names
from camray.domain.geometry import Box, boxes_to_array, iou_matrix
from camray.domain.records import CORNERS
from camray.io.explained_run import ExplainedRun
from camray.reporting.fonts import drawable_names
from camray.reporting.overlays import draw_overlay, films_to_draw, heat01_of


@dataclass(frozen=True)
class Overlay:
    """One drawn film: its finding, boxes on the native grid, and the picture."""

    image_id: str
    label: str
    probability: float  # NaN where none is stated
    reported: bool
    predicted: list[Box]
    annotated: list[Box]
    path: Path


def draw_overlays(run: ExplainedRun, image_ids: list[str], settings: Settings) -> list[Overlay]:
    """Draw the films of highest and lowest probability of each finding, and some without any."""
    folder = run.artifacts.export.overlays
    folder.mkdir(parents=True, exist_ok=True)
    overlays = _select(run, image_ids, settings, folder)
    names = drawable_names({finding.name: code_of(finding) for finding in run.findings})
    for overlay in progress(overlays, len(overlays), "drawing"):
        _draw(run, overlay, names[overlay.label])
    return overlays


def track_overlays(overlays: list[Overlay], folder: Path, most: int, tracker: Tracker) -> None:
    """Log all overlays as files, and a sample as pictures and as a table."""
    tracker.artifact(folder, "overlays")
    sample = overlays[:most]
    for step, overlay in enumerate(sample):
        tracker.picture(overlay.path, "overlay", step)
    if sample:
        tracker.table(pd.DataFrame(list(_table_rows(sample))), "findings", "overlay")


def _select(run: ExplainedRun, image_ids: list[str], settings: Settings, folder: Path) -> list[Overlay]:
    predictions = run.default_predictions[run.default_predictions["image_id"].isin(image_ids)]
    best = predictions.sort_values("rank").drop_duplicates(["image_id", "label"])
    logits = {
        str(label): list(zip(rows["logit"].astype(float), rows["image_id"].astype(str), strict=True))
        for label, rows in best.groupby("label", observed=True)
    }
    labels = run.films.labels
    positive = set(labels["image_id"][labels["value"] == "1"])
    reported = set(predictions.loc[predictions["reported"], "image_id"])
    negatives = set(image_ids) - positive - reported
    by_label = {label: logits[label] for label in run.labels if label in logits}
    pairs = films_to_draw(by_label, negatives, settings.export.max_overlays, settings.seed)
    names = file_names(image_id for image_id, _ in pairs)
    probability_of = {(i, label): float(p) for i, label, p in best[["image_id", "label", "probability"]].to_numpy()}
    reported_pairs = best[best["reported"]]
    is_reported = set(zip(reported_pairs["image_id"], reported_pairs["label"], strict=True))
    return [
        Overlay(
            image_id=image_id,
            label=label,
            probability=probability_of[image_id, label],
            reported=(image_id, label) in is_reported,
            predicted=_boxes_of(predictions.sort_values("rank"), image_id, label),
            annotated=_boxes_of(run.films.annotations, image_id, label),
            path=folder / f"{names[image_id]}.png",
        )
        for image_id, label in pairs
    ]


def _boxes_of(table: pd.DataFrame, image_id: str, label: str) -> list[Box]:
    rows = table[(table["image_id"] == image_id) & (table["label"] == label)].dropna(subset=CORNERS)
    return [Box(*map(float, corners)) for corners in rows[CORNERS].to_numpy()]


def _draw(run: ExplainedRun, overlay: Overlay, name: str) -> None:
    """Draw the part of the model grid that the film covers."""
    view = run.view(overlay.image_id, run.default_thresholds[overlay.label])
    stated = [] if isnan(overlay.probability) else [f"{overlay.probability:.2f}"]
    words = [*stated, *([] if overlay.reported else ["not reported"])]
    picture = draw_overlay(
        view.grey,
        heat01_of(view.heat),
        view.boxes(overlay.predicted),
        view.boxes(overlay.annotated),
        f"{name} {', '.join(words) or 'reported'}",
        aspect=view.aspect,
    )
    Image.fromarray(picture).save(overlay.path)


def _table_rows(sample: list[Overlay]) -> Iterator[dict[str, Any]]:
    for step, overlay in enumerate(sample):
        both = bool(overlay.predicted and overlay.annotated)
        best, annotated = boxes_to_array(overlay.predicted[:1]), boxes_to_array(overlay.annotated)
        yield {
            "step": step,
            "image_id": overlay.image_id,
            "label": overlay.label,
            "probability": None if isnan(overlay.probability) else round(overlay.probability, 4),
            "reported": overlay.reported,
            "prediction": _text_of(overlay.predicted),
            "annotation": _text_of(overlay.annotated),
            "iou": round(float(iou_matrix(best, annotated).max()), 4) if both else None,
            "overlay": str(overlay.path),
        }


def _text_of(boxes: list[Box]) -> str:
    return "; ".join("(" + ", ".join(f"{side:.0f}" for side in box.as_tuple()) + ")" for box in boxes)
