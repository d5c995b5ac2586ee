"""What people get: overlays of the most telling films, boxes for other tools, DICOM objects for the reading room.

Reads   ``ingest/`` (films, labels, annotations), ``explain/`` (heat maps), ``localize/`` (boxes, thresholds); for DICOM
        objects the source films and ``train/`` (which model it was)
Writes  ``export/overlays/*.png boxes.csv coco.json dicom/``
Run     ``camray export configs/phantom.yaml``
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from camray.adapters.export_formats import write_boxes_csv, write_coco, write_label_studio, write_voc
from camray.adapters.pixel_store import PixelStore
from camray.adapters.progress import progress
from camray.adapters.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.localization.heat_maps import film_window, upsampled
from camray.domain.file_names import file_names
from camray.domain.geometry import Box, GridTransform, boxes_to_array, iou_matrix
from camray.domain.records import CORNERS, IMAGE_COLUMNS, Counts, StageResult
from camray.io.film_results import ShownResults, read_results
from camray.reporting.overlays import draw_overlay, films_to_draw, heat01_of
from camray.stages.export.dicom import FORMATS, Exported, write_objects


@dataclass(frozen=True)
class _Drawn:
    """One film as it is drawn: its finding, its boxes on the native grid, and the file."""

    image_id: str
    label: str
    probability: float
    reported: bool
    predicted: list[Box]
    annotated: list[Box]
    path: Path


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Write the exports that ``export.formats`` names; see `camray.workflows.run` for the calling."""
    target, found = folder.stage("export"), read_results(settings, folder)
    boxes = found.boxes(everything=settings.localize.report == "all")
    for path in _write_tables(settings, found, boxes, target):
        tracker.artifact(path)
    drawn: list[_Drawn] = []
    if "overlays" in settings.export.formats and settings.export.max_overlays:
        (target / "overlays").mkdir(exist_ok=True)
        plan = _plan(found, settings, target / "overlays")
        for one in progress(plan, len(plan), "drawing"):
            _draw(one, found, folder)
        drawn = plan
        _show(drawn, target / "overlays", settings.track.overlays, tracker)
    objects = _write_dicom(settings, folder, found, target, tracker)
    if settings.track.register_model and folder.trained is None:
        tracker.model(folder.root, settings.name)
    films = len(found.images)
    figures = {"overlays": len(drawn), "boxes": len(boxes)}
    if objects is None:
        return StageResult(Counts(films, films), figures)
    refused = len(objects.refused)
    return StageResult(Counts(films, films - refused, refused), {**figures, "dicom_objects": objects.objects})


def _write_tables(settings: Settings, found: ShownResults, boxes: pd.DataFrame, target: Path) -> list[Path]:
    """Write boxes in the forms of other tools; return what was written."""
    films = pd.DataFrame([*found.images.values()], columns=[*IMAGE_COLUMNS])
    csv, coco, label_studio, voc = (target / name for name in ("boxes.csv", "coco.json", "labelstudio.json", "voc"))
    written = []
    if "csv" in settings.export.formats:
        write_boxes_csv(csv, boxes)
        written.append(csv)
    if "coco" in settings.export.formats:
        write_coco(coco, films, boxes, found.labels)
        written.append(coco)
    if "labelstudio" in settings.export.formats:
        write_label_studio(label_studio, films, boxes, found.labels)
        written.append(label_studio)
    if "voc" in settings.export.formats:
        write_voc(voc, films, boxes, found.labels, file_names(found.images))
    return written


def _write_dicom(
    settings: Settings, folder: RunFolder, found: ShownResults, target: Path, tracker: Tracker
) -> Exported | None:
    """Write DICOM objects where any are asked for. They hold the patient, so only their list goes to the tracker."""
    if not set(FORMATS) & set(settings.export.formats):
        return None
    exported = write_objects(settings, folder, found, target / "dicom")
    tracker.artifact(target / "dicom" / "objects.csv")
    return exported


def _plan(found: ShownResults, settings: Settings, folder: Path) -> list[_Drawn]:
    best = found.predictions.sort_values("rank").drop_duplicates(["image_id", "label"])
    probabilities = {
        str(label): list(zip(rows["probability"].astype(float), rows["image_id"].astype(str), strict=True))
        for label, rows in best.groupby("label", observed=True)
    }
    positive = {i for (i, _), value in found.values.items() if value == "1"}
    reported = set(found.predictions.loc[found.predictions["reported"], "image_id"])
    negatives = set(found.images) - positive - reported
    by_label = {label: probabilities[label] for label in found.labels if label in probabilities}
    chosen = films_to_draw(by_label, negatives, settings.export.max_overlays, settings.seed)
    names = file_names(image_id for image_id, _ in chosen)
    rows: dict[tuple[str, str], tuple[float, bool]] = {
        (str(row["image_id"]), str(row["label"])): (float(row["probability"]), bool(row["reported"]))
        for row in best.to_dict("records")
    }
    return [
        _Drawn(
            image_id=image_id,
            label=label,
            probability=rows[image_id, label][0],
            reported=rows[image_id, label][1],
            predicted=_boxes_of(found.predictions, image_id, label),
            annotated=_boxes_of(found.annotations, image_id, label),
            path=folder / f"{names[image_id]}.png",
        )
        for image_id, label in chosen
    ]


def _boxes_of(table: pd.DataFrame, image_id: str, label: str) -> list[Box]:
    rows = table[(table["image_id"] == image_id) & (table["label"] == label)].dropna(subset=CORNERS)
    if "rank" in rows.columns:
        rows = rows.sort_values("rank")
    return [Box(*map(float, corners)) for corners in rows[CORNERS].to_numpy()]


def _draw(one: _Drawn, found: ShownResults, folder: RunFolder) -> None:
    """Draw the part of the model grid that the film covers."""
    image = found.images[one.image_id]
    stored = PixelStore(folder.root / "ingest" / "store").shard(int(image["shard"]))[int(image["index"])]
    grey = (stored / np.float32(np.iinfo(stored.dtype).max)).astype(np.float32)
    transform = GridTransform(*(float(image[key]) for key in ("scale_x", "scale_y", "offset_x", "offset_y")))
    window = film_window(transform, (int(image["rows"]), int(image["cols"])), (grey.shape[0], grey.shape[1]))
    maps = PixelStore(folder.root / "explain", f"heat-{found.method}").shard(int(image["shard_heat"]))
    raw = np.asarray(maps[int(image["index_heat"]), found.labels.index(one.label)], dtype=np.float32)
    smooth = found.smooth(one.label)
    heat = upsampled(raw[None], (grey.shape[0], grey.shape[1]), window, smooth)[0]
    shown = transform.then(1.0, 1.0, -window.col0, -window.row0)
    said = "" if one.reported else ", not reported"
    rows, cols = window.row1 - window.row0, window.col1 - window.col0
    picture = draw_overlay(
        grey[window.row0 : window.row1, window.col0 : window.col1],
        heat01_of(heat),
        [shown.box_to_model(box) for box in one.predicted],
        [shown.box_to_model(box) for box in one.annotated],
        f"{one.label} {one.probability:.2f}{said}",
        aspect=rows / cols * found.pixel_aspect(image),
    )
    Image.fromarray(picture).save(one.path)


def _show(drawn: list[_Drawn], overlays: Path, most: int, tracker: Tracker) -> None:
    """Tell the tracker: all overlays as files, a sample as cards and as a table."""
    tracker.artifact(overlays, "overlays")
    sample = drawn[:most]
    for step, one in enumerate(sample):
        tracker.picture(one.path, "overlay", step)
    if sample:
        tracker.table(pd.DataFrame(list(_finding_rows(sample))), "findings", "overlay")


def _finding_rows(sample: list[_Drawn]) -> Iterator[dict[str, Any]]:
    for step, one in enumerate(sample):
        both = bool(one.predicted and one.annotated)
        overlap = iou_matrix(boxes_to_array(one.predicted[:1]), boxes_to_array(one.annotated)) if both else None
        yield {
            "step": step,
            "image_id": one.image_id,
            "label": one.label,
            "probability": round(one.probability, 4),
            "reported": one.reported,
            "prediction": _told(one.predicted),
            "annotation": _told(one.annotated),
            "iou": None if overlap is None else round(float(overlap.max()), 4),
            "overlay": str(one.path),
        }


def _told(boxes: list[Box]) -> str:
    return "; ".join("(" + ", ".join(f"{side:.0f}" for side in box.as_tuple()) + ")" for box in boxes)
