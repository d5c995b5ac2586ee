"""Rows of the published protocols that ``score.protocols`` asks for, beside the score table's own.

Reads   what `score` reads; the masks of ``ingest/annotations.parquet``
Run     ``camray score configs/phantom.yaml score.protocols='[wsol,detection]'``
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from pipeline.core.scoring.chestxray14 import accuracy_parts
from pipeline.core.scoring.detection import detection_parts
from pipeline.core.scoring.parts import MeanOver, Part, part_table
from pipeline.core.scoring.wsol_rows import max_box_acc_parts, overlaps_of, pixel_part
from pipeline.domain.records import ThresholdSource
from pipeline.stages.progress import progress
from pipeline.stages.score_scored import Scored


def protocol_rows(scored: Scored) -> pd.DataFrame:
    """Make the rows of all protocols asked for, in the form of the score table."""
    parts: list[Part] = []
    for name in progress(scored.asked.protocols, len(scored.asked.protocols), f"protocols on {scored.split}"):
        parts += _PROTOCOLS[name](scored)
    further = [MeanOver("mean without Cardiomegaly", "chestxray14/", {"Cardiomegaly"})]
    return part_table(
        scored.split,
        len(set(scored.chosen.patients.values())),
        parts,
        scored.asked.bootstrap,
        scored.asked.confidence,
        scored.asked.seed,
        further if "chestxray14" in scored.asked.protocols and "Cardiomegaly" in scored.chosen.items else (),
    )


def _wsol(scored: Scored) -> list[Part]:
    thresholds = np.arange(scored.asked.wsol_thresholds) / scored.asked.wsol_thresholds
    parts: list[Part] = []
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
                parts += max_box_acc_parts(items, method, found, validated, scored.asked.oracle)
            if masks:
                patients, geometry = scored.chosen.patients, scored.chosen.geometry
                parts.append(pixel_part(label, method, masks, {}, patients, heat_of, geometry, thresholds))
    return parts


def _chestxray14(scored: Scored) -> list[Part]:
    annotated = {image_id for items in scored.chosen.items.values() for image_id in items.image_ids}
    films = scored.chosen.films[scored.chosen.films["image_id"].isin(annotated)]
    parts: list[Part] = []
    for items in scored.chosen.items.values():
        if not len(items):
            continue
        for use in scored.uses:
            found, reported = scored.detections(items, use, films)
            parts += accuracy_parts(found, use.row_method, use.threshold_source, reported)
        for method, found in scored.trivial_detections(items, films).items():
            parts += accuracy_parts(found, method, ThresholdSource.FIXED.value)
    return parts


def _detection(scored: Scored) -> list[Part]:
    parts: list[Part] = []
    for label, items in scored.chosen.items.items():
        known = scored.logits[label]
        absent = {
            image_id for image_id, is_present in zip(known.image_ids, known.present, strict=True) if not is_present
        }
        films = scored.chosen.films[scored.chosen.films["image_id"].isin(absent | set(items.image_ids))]
        if not len(items):
            continue
        for use in scored.uses:
            found, reported = scored.detections(items, use, films)
            parts += detection_parts(found, reported, use.row_method, use.threshold_source)
        for method, found in scored.trivial_detections(items, films).items():
            parts += detection_parts(found, None, method, ThresholdSource.FIXED.value)
    return parts


_PROTOCOLS: Mapping[str, Callable[[Scored], list[Part]]] = {
    "wsol": _wsol,
    "chestxray14": _chestxray14,
    "detection": _detection,
}
