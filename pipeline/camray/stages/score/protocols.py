"""Rows of the published protocols that ``score.protocols`` asks for, beside the score table's own.

Reads   what `score` reads; the masks of ``ingest/annotations.parquet``, and ``ingest/ignored.parquet``
Run     ``camray score configs/phantom.yaml score.protocols='[wsol,detection]'``
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from camray.adapters.progress import progress
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.baselines import fixed_point
from camray.core.metrics.localization.hits_and_iou import best_overlaps
from camray.core.metrics.operating_points import classification_statistics
from camray.core.metrics.protocols.chestxray14 import LEADING, MEAN_WITHOUT_LEADING, accuracy_statistics
from camray.core.metrics.protocols.containment import CEILING, ceiling_statistic, containment_statistic
from camray.core.metrics.protocols.detection import detection_statistics
from camray.core.metrics.protocols.ilsvrc import top_errors_statistic
from camray.core.metrics.protocols.top_k_errors import LOCALIZATION_IOU
from camray.core.metrics.protocols.wsol_rows import max_box_acc_statistics, overlaps_of, pixel_statistic
from camray.core.metrics.statistics import MeanOver, Statistic, statistics_table
from camray.domain.records import ThresholdSource
from camray.stages.score.mask_protocol import chexlocalize_statistics
from camray.stages.score.protocol_inputs import ProtocolInputs


def protocol_rows(scored: ProtocolInputs) -> pd.DataFrame:
    """Make the rows of all protocols asked for, in the form of the score table, and always those of the ceiling."""
    parts: list[Statistic] = []
    names = list(dict.fromkeys((*scored.asked.protocols, CEILING)))
    for name in progress(names, len(names), f"protocols on {scored.split}"):
        parts += _PROTOCOLS[name](scored)
    further = [MeanOver(MEAN_WITHOUT_LEADING, "chestxray14/", {LEADING})]
    return statistics_table(
        scored.split,
        len(set(scored.chosen.patients.values())),
        parts,
        Bootstrap(scored.asked.bootstrap, scored.asked.confidence, scored.asked.seed),
        further if "chestxray14" in names and LEADING in scored.chosen.items else (),
    )


def _wsol(scored: ProtocolInputs) -> list[Statistic]:
    thresholds = np.arange(scored.asked.wsol_thresholds) / scored.asked.wsol_thresholds
    parts: list[Statistic] = []
    for label, items in scored.chosen.items.items():
        masks = scored.masks.get(label, {})
        for method in scored.maps.methods:
            heat_of = scored.maps.reader(method, label)
            if len(items):
                found = overlaps_of(items, heat_of, scored.chosen.geometry, thresholds)
                validated, beside = None, scored.validation
                if beside is not None:
                    of_beside = beside.chosen.items[label], beside.maps.reader(method, label), beside.chosen.geometry
                    validated = overlaps_of(*of_beside, thresholds)
                parts += max_box_acc_statistics(items, method, found, validated, scored.asked.oracle)
            if masks:
                patients, geometry = scored.chosen.patients, scored.chosen.geometry
                ignored = scored.ignored.get(label, {})
                parts.append(pixel_statistic(label, method, masks, ignored, patients, heat_of, geometry, thresholds))
    return parts


def _chestxray14(scored: ProtocolInputs) -> list[Statistic]:
    annotated = {image_id for items in scored.chosen.items.values() for image_id in items.image_ids}
    films = scored.chosen.films[scored.chosen.films["image_id"].isin(annotated)]
    parts: list[Statistic] = []
    for items in scored.chosen.items.values():
        if not len(items):
            continue
        for use in scored.uses:
            found, reported = scored.detections(items, use, films)
            parts += accuracy_statistics(found, use.row_method, use.threshold_source, reported)
        for method, found in scored.trivial_detections(items, films).items():
            parts += accuracy_statistics(found, method, ThresholdSource.FIXED.value)
    return parts


def _detection(scored: ProtocolInputs) -> list[Statistic]:
    parts: list[Statistic] = []
    for items in scored.chosen.items.values():
        if not len(items):
            continue
        films = scored.telling_films(items)
        for use in scored.uses:
            found, reported = scored.detections(items, use, films)
            parts += detection_statistics(found, reported, use.row_method, use.threshold_source)
        for method, found in scored.trivial_detections(items, films).items():
            parts += detection_statistics(found, None, method, ThresholdSource.FIXED.value)
    return parts


def _classification(scored: ProtocolInputs) -> list[Statistic]:
    parts: list[Statistic] = []
    for label, found in scored.logits.items():
        beside = None if scored.validation is None else scored.validation.logits.get(label)
        parts += classification_statistics(label, found, beside, scored.asked.confidence)
    return parts


def _containment(scored: ProtocolInputs) -> list[Statistic]:
    parts: list[Statistic] = []
    cells = np.array(scored.maps.shape_model[::-1]) / np.array(scored.maps.shape_feature[::-1])
    for label, items in scored.chosen.items.items():
        point = fixed_point(scored.training.get(label, np.zeros((0, 4))))
        transforms = [scored.chosen.geometry.placements[image_id].transform for image_id in items.image_ids]
        scales = np.array([[each.scale_x, each.scale_y] for each in transforms]).reshape(-1, 2)
        for use in scored.uses if len(items) else ():
            boxes = scored.best_boxes(items, use)
            parts.append(
                containment_statistic(items, boxes, point, cells / scales, use.row_method, use.threshold_source)
            )
    return parts


def _ceiling(scored: ProtocolInputs) -> list[Statistic]:
    geometry, shape = scored.chosen.geometry, scored.maps.shape_feature
    return [ceiling_statistic(items, geometry, shape) for items in scored.chosen.items.values() if len(items)]


def _ilsvrc(scored: ProtocolInputs) -> list[Statistic]:
    """Score the films with any annotated box; a label with a box there, or called present, is true of the film."""
    labels = scored.maps.labels
    image_ids = sorted({image_id for items in scored.chosen.items.values() for image_id in items.image_ids})
    present = np.zeros((len(image_ids), len(labels)), np.bool_)
    for column, label in enumerate(labels):
        known = scored.logits[label]
        shown = {image_id for image_id, is_present in zip(known.image_ids, known.present, strict=True) if is_present}
        shown |= set(scored.chosen.items[label].image_ids) if label in scored.chosen.items else set()
        present[:, column] = [image_id in shown for image_id in image_ids]
    logits = scored.maps.logits.loc[image_ids, labels].to_numpy(np.float64)
    patients = np.array([scored.chosen.patients[image_id] for image_id in image_ids], np.int64)
    place = {image_id: number for number, image_id in enumerate(image_ids)}
    parts: list[Statistic] = []
    for use in scored.uses if image_ids else ():
        right = np.zeros((len(image_ids), len(labels)))
        for label, items in scored.chosen.items.items():
            if len(items):
                rows = [place[image_id] for image_id in items.image_ids]
                overlaps, _ = best_overlaps(items, scored.best_boxes(items, use))
                right[rows, labels.index(label)] = overlaps >= LOCALIZATION_IOU
        parts.append(top_errors_statistic(logits, present, right, patients, use.row_method, use.threshold_source))
    return parts


_PROTOCOLS: Mapping[str, Callable[[ProtocolInputs], list[Statistic]]] = {
    "wsol": _wsol,
    "chestxray14": _chestxray14,
    "chexlocalize": chexlocalize_statistics,
    "detection": _detection,
    "ilsvrc": _ilsvrc,
    "classification": _classification,
    "containment": _containment,
    CEILING: _ceiling,
}
