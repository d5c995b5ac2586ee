"""Exports: overlays of selected films, boxes for other tools, DICOM objects for the reading room.

Reads   ``ingest/`` (films, labels, annotations), ``explain/`` (heat maps), ``localize/`` (boxes, thresholds); for DICOM
        objects the source films and ``train/`` (which model it was); for the model card also ``score/``
Writes  ``export/overlays/*.png boxes.csv coco.json labelstudio.json voc/ dicom/ card.md card.html``
Run     ``camray export configs/phantom.yaml``
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from camray.adapters.export_formats import (
    voc_label_names,
    write_boxes_csv,
    write_coco,
    write_label_studio,
    write_voc,
)
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.domain.file_names import file_names
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import artifacts_of, model_files
from camray.io.explained_run import ExplainedRun, open_explained_run
from camray.io.film_results import exported_boxes, exported_films
from camray.io.model_card import read_card_facts
from camray.reporting.fonts import font_note
from camray.reporting.model_card import card_markdown, card_page
from camray.stages.export.dicom import WrittenObjects, write_objects
from camray.stages.export.dicom_objects import FORMATS
from camray.stages.export.overlays import draw_overlays, track_overlays

_DRAWN = {"overlays", "sc", "pdf"}  # formats that are pictures or pages


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Write the exports that ``export.formats`` names; see `camray.workflows.run`."""
    explained = open_explained_run(folder)
    image_ids = exported_films(explained, settings.export.splits)
    boxes = exported_boxes(explained, image_ids, everything=settings.localize.report == "all")
    _write_tables(settings, explained, image_ids, boxes, tracker)
    figures: dict[str, Any] = {"overlays": 0, "boxes": len(boxes)}
    if _DRAWN & set(settings.export.formats) and (note := font_note(explained.labels)):
        figures["note_fonts"] = note
    if "voc" in settings.export.formats:
        figures |= _respelled_note(explained.labels)
    if "overlays" in settings.export.formats and settings.export.max_overlays:
        overlays = draw_overlays(explained, image_ids, settings)
        track_overlays(overlays, explained.artifacts.export.overlays, settings.track.overlays, tracker)
        figures["overlays"] = len(overlays)
    objects = _write_dicom(settings, explained, image_ids, tracker)
    card = _write_card(settings, folder, tracker)
    if settings.track.register_model and folder.trained is None:
        tracker.model(model_files(folder), settings.name, card)
    n_films = len(image_ids)
    if objects is None:
        return StageResult(Counts(n_films, n_films), figures)
    n_refused = len(objects.refused)
    figures |= {"dicom_objects": objects.n_objects}
    figures |= _object_notes(objects, explained.artifacts.export.header_changes.name)
    return StageResult(Counts(n_films, n_films - n_refused, n_refused), figures)


def _write_card(settings: Settings, folder: RunFolder, tracker: Tracker) -> str:
    """Write the model card of a run that trained; return its Markdown, or nothing."""
    if folder.trained is not None or folder.record("train") is None:
        return ""
    files, facts = artifacts_of(folder).export, read_card_facts(folder, settings)
    markdown = card_markdown(facts)
    write_bytes(files.card, markdown.encode())
    write_bytes(files.card_page, card_page(facts).encode())
    for path in (files.card, files.card_page):
        tracker.artifact(path)
    tracker.note(markdown)
    return markdown


def _respelled_note(labels: Sequence[str]) -> dict[str, str]:
    respelled = {label: name for label, name in voc_label_names(labels).items() if name != label}
    listed = ", ".join(f"{label!r} as {name!r}" for label, name in respelled.items())
    return {"note_voc": f"names of findings that labelmap.txt cannot hold are respelled: {listed}"} if listed else {}


def _object_notes(objects: WrittenObjects, listed_in: str) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    if objects.header_changes:
        notes["films_with_changed_header_values"] = len(objects.header_changes)
        notes["note_header_values"] = (
            f"{len(objects.header_changes)} film(s) have header values that break the DICOM standard's rules; objects "
            f"have them kept, normalised or left out as {listed_in} lists by film"
        )
    return notes


def _write_tables(
    settings: Settings, explained: ExplainedRun, image_ids: list[str], boxes: pd.DataFrame, tracker: Tracker
) -> None:
    """Write boxes in the formats of other tools, and track them."""
    files, formats = explained.artifacts.export, settings.export.formats
    files.folder.mkdir(parents=True, exist_ok=True)
    films = explained.films.images.set_index("image_id", drop=False).loc[image_ids].reset_index(drop=True)
    tables = {
        name: path
        for name, path in (("csv", files.boxes), ("coco", files.coco), ("labelstudio", files.label_studio))
        if name in formats
    }
    for name, path in tables.items():
        _write_table(name, path, films, boxes, explained.labels)
    with TemporaryDirectory() as scratch:  # a file's name may be a patient's: it stays on this machine
        nameless, of_films = boxes.assign(file=""), films.assign(source=films["image_id"])
        for name, path in tables.items():
            copy = Path(scratch) / path.name
            _write_table(name, copy, of_films, nameless, explained.labels)
            tracker.artifact(copy)
    if "voc" in formats:
        write_voc(files.voc, films, boxes, explained.labels, file_names(image_ids))
        tracker.artifact(files.voc)


def _write_table(name: str, path: Path, films: pd.DataFrame, boxes: pd.DataFrame, labels: Sequence[str]) -> None:
    if name == "csv":
        write_boxes_csv(path, boxes)
    else:
        write = {"coco": write_coco, "labelstudio": write_label_studio}[name]
        write(path, films, boxes, labels)


def _write_dicom(
    settings: Settings, explained: ExplainedRun, image_ids: list[str], tracker: Tracker
) -> WrittenObjects | None:
    """Write the requested DICOM objects. They identify the patient, so only their list goes to the tracker."""
    if not set(FORMATS) & set(settings.export.formats):
        return None
    objects = write_objects(settings, explained, image_ids)
    tracker.artifact(explained.artifacts.export.objects)
    return objects
