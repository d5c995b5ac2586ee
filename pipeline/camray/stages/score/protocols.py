"""Rows of the published protocols that ``score.protocols`` requests, in addition to those of the score table.

Reads   what `score` reads; the masks of ``ingest/annotations.parquet``, and ``ingest/ignored.parquet``
Run     ``camray score configs/phantom.yaml score.protocols='[wsol,detection]'``
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from camray.adapters.progress import progress
from camray.core.metrics.localization.annotated_films import FloatArray
from camray.core.metrics.localization.baselines import fixed_point
from camray.core.metrics.localization.hits_and_iou import best_overlaps
from camray.core.metrics.operating_points import calibration_statistics, classification_statistics
from camray.core.metrics.promise_scores import promise_statistic
from camray.core.metrics.protocols.chestxray14 import LEADING, MEAN_WITHOUT_LEADING, accuracy_statistics
from camray.core.metrics.protocols.containment import CEILING, ceiling_statistic, containment_statistic
from camray.core.metrics.protocols.detection import detection_statistics
from camray.core.metrics.protocols.ilsvrc import top_errors_statistic
from camray.core.metrics.protocols.rodeo import rodeo_statistic
from camray.core.metrics.protocols.top_k_errors import LOCALIZATION_IOU
from camray.core.metrics.protocols.wsol_rows import MaskedFilms, max_box_acc_statistics, overlaps_of, pixel_statistics
from camray.core.metrics.statistics import MeanOver, Statistic, statistics_table
from camray.domain.records import ThresholdSource
from camray.io.bootstrap import bootstrap_of
from camray.io.film_verdicts import not_judged_table
from camray.stages.score.mask_protocol import chexlocalize_statistics
from camray.stages.score.protocol_inputs import ProtocolInputs


def protocol_rows(inputs: ProtocolInputs) -> pd.DataFrame:
    """Make the rows of all requested protocols, in the form of the score table; always promises and ceiling too."""
    statistics = [*_calibration(inputs), *_promises(inputs)]
    names = list(dict.fromkeys((*inputs.settings.protocols, CEILING)))
    for name in progress(names, len(names), f"protocols on {inputs.films.split}"):
        statistics += _PROTOCOLS[name](inputs)
    further = [MeanOver(MEAN_WITHOUT_LEADING, "chestxray14/", {LEADING})]
    return statistics_table(
        inputs.films.split,
        inputs.films.n_patients,
        statistics,
        bootstrap_of(inputs.settings),
        further if "chestxray14" in names and LEADING in inputs.films.items else (),
    )


def _calibration(inputs: ProtocolInputs) -> list[Statistic]:
    """Make the rows of calibrated probabilities, and of the network's own output beside them."""
    source = ThresholdSource.ORACLE if inputs.is_calibrated_here else ThresholdSource.VALIDATION
    statistics: list[Statistic] = []
    for label, films in inputs.films.logits.items():
        probabilities = inputs.probabilities(label)
        if probabilities is not None and len(probabilities):
            statistics += calibration_statistics(label, films, probabilities, source.value)
    return statistics


def _promises(inputs: ProtocolInputs) -> list[Statistic]:
    """Make the rows of what was promised; none where these very films chose the cutoffs (unless as an oracle)."""
    thresholds, is_own = inputs.run.thresholds, inputs.is_calibrated_here
    if is_own and not inputs.settings.oracle:
        return []
    source = ThresholdSource.ORACLE if is_own else ThresholdSource.VALIDATION
    statistics: list[Statistic] = []
    reasons = not_judged_table(inputs.run, "judged")
    for promise in thresholds.promises:
        films = inputs.films.logits[promise.label]
        if len(films.logits) and promise.label not in thresholds.not_judged:
            unjudged = (reasons.loc[list(films.image_ids), promise.label] != "").to_numpy(dtype=bool)
            reported = thresholds.reported(promise.label, films.logits, "judged") & ~unjudged
            statistics.append(promise_statistic(promise, films, reported, unjudged, source.value))
    return statistics


def _wsol(inputs: ProtocolInputs) -> list[Statistic]:
    thresholds = np.arange(inputs.settings.wsol_thresholds) / inputs.settings.wsol_thresholds
    statistics: list[Statistic] = []
    interpolation = inputs.settings.wsol_interpolation
    geometry = replace(inputs.films.geometry, interpolation=interpolation)
    for label, items in inputs.films.items.items():
        masks = inputs.films.masks.get(label, {})
        for method in inputs.run.methods:
            heat_of = inputs.run.heat_reader(method, label)
            if len(items):
                overlaps = overlaps_of(items, heat_of, geometry, thresholds)
                validated, validation = None, inputs.validation
                if validation is not None:
                    validation_heat_of = validation.run.heat_reader(method, label)
                    validation_geometry = replace(validation.geometry, interpolation=interpolation)
                    validated = overlaps_of(
                        validation.items[label], validation_heat_of, validation_geometry, thresholds
                    )
                statistics += max_box_acc_statistics(items, method, overlaps, validated, inputs.settings.oracle)
            if masks:
                masked = MaskedFilms(label, masks, inputs.films.ignored.get(label, {}), inputs.films.patients)
                statistics += pixel_statistics(masked, method, heat_of, geometry, thresholds)
    return statistics


def _chestxray14(inputs: ProtocolInputs) -> list[Statistic]:
    annotated = {image_id for items in inputs.films.items.values() for image_id in items.image_ids}
    films = inputs.films.films[inputs.films.films["image_id"].isin(annotated)]
    counts = _all_box_counts(inputs)
    statistics: list[Statistic] = []
    for items in inputs.films.items.values():
        if not len(items):
            continue
        for use in inputs.uses:
            detections, reported = inputs.detections(items, use, films)
            statistics += accuracy_statistics(detections, use.row_method, use.threshold_source, counts, reported)
        for method, detections in inputs.trivial_detections(items, films).items():
            statistics += accuracy_statistics(detections, method, ThresholdSource.FIXED.value, counts)
    return statistics


def _all_box_counts(inputs: ProtocolInputs) -> FloatArray:
    """Count the annotated boxes of all labels on each annotated film, in the order of ``image_id``."""
    image_ids = sorted({image_id for items in inputs.films.items.values() for image_id in items.image_ids})
    counts = pd.Series(0.0, index=image_ids)
    for items in inputs.films.items.values():
        counts.loc[list(items.image_ids)] += items.box_counts
    return np.asarray(counts.to_numpy(np.float64))


def _detection(inputs: ProtocolInputs) -> list[Statistic]:
    statistics: list[Statistic] = []
    for items in inputs.films.items.values():
        if not len(items):
            continue
        films = inputs.decidable_films(items)
        for use in inputs.uses:
            detections, reported = inputs.detections(items, use, films)
            statistics += detection_statistics(
                detections, reported, use.row_method, use.threshold_source, inputs.settings.coco_ious
            )
        for method, detections in inputs.trivial_detections(items, films).items():
            statistics += detection_statistics(
                detections, None, method, ThresholdSource.FIXED.value, inputs.settings.coco_ious
            )
    return statistics


def _rodeo(inputs: ProtocolInputs) -> list[Statistic]:
    """Score all findings together, on films where at least one of them can be decided; only reported boxes count."""
    findings = [items for items in inputs.films.items.values() if len(items)]
    if len(findings) < 2:
        return []
    decidable_ids = [set(inputs.decidable_films(items)["image_id"]) for items in findings]
    films = inputs.films.films[inputs.films.films["image_id"].isin(set().union(*decidable_ids))]
    image_ids = sorted(films["image_id"])
    decidable = np.array([[image_id in ids for image_id in image_ids] for ids in decidable_ids])
    statistics: list[Statistic] = []
    for use in inputs.uses:
        detections = [inputs.detections(items, use, films) for items in findings]
        reported = [each.kept(is_reported) for each, is_reported in detections]
        statistics.append(rodeo_statistic(reported, decidable, use.row_method, use.threshold_source))
    trivial = [inputs.trivial_detections(items, films) for items in findings]
    for method in trivial[0]:
        if all(method in each for each in trivial):
            boxes = [each[method] for each in trivial]
            statistics.append(rodeo_statistic(boxes, decidable, method, ThresholdSource.FIXED.value))
    return statistics


def _classification(inputs: ProtocolInputs) -> list[Statistic]:
    statistics: list[Statistic] = []
    for label, films in inputs.films.logits.items():
        validation = None if inputs.validation is None else inputs.validation.logits.get(label)
        statistics += classification_statistics(label, films, validation, inputs.settings.confidence)
    return statistics


def _containment(inputs: ProtocolInputs) -> list[Statistic]:
    statistics: list[Statistic] = []
    cells = np.array(inputs.run.grid.shape_model[::-1]) / np.array(inputs.run.grid.shape_feature[::-1])
    for label, items in inputs.films.items.items():
        point = fixed_point(inputs.training.get(label, np.zeros((0, 4))))
        transforms = [inputs.films.geometry.placements[image_id].transform for image_id in items.image_ids]
        scales = np.array([[each.scale_x, each.scale_y] for each in transforms]).reshape(-1, 2)
        for use in inputs.uses if len(items) else ():
            boxes = inputs.best_boxes(items, use)
            statistics.append(
                containment_statistic(items, boxes, point, cells / scales, use.row_method, use.threshold_source)
            )
    return statistics


def _ceiling(inputs: ProtocolInputs) -> list[Statistic]:
    geometry, shape = inputs.films.geometry, inputs.run.grid.shape_feature
    return [ceiling_statistic(items, geometry, shape) for items in inputs.films.items.values() if len(items)]


def _ilsvrc(inputs: ProtocolInputs) -> list[Statistic]:
    """Score the films with any annotated box; a label with a box there, or called present, is true of the film."""
    labels = inputs.run.labels
    image_ids = sorted({image_id for items in inputs.films.items.values() for image_id in items.image_ids})
    present = np.zeros((len(image_ids), len(labels)), np.bool_)
    for column, label in enumerate(labels):
        known = inputs.films.logits[label]
        true_ids = {image_id for image_id, is_present in zip(known.image_ids, known.present, strict=True) if is_present}
        true_ids |= set(inputs.films.items[label].image_ids) if label in inputs.films.items else set()
        present[:, column] = [image_id in true_ids for image_id in image_ids]
    logits = inputs.run.logit_table.loc[image_ids, list(labels)].to_numpy(np.float64)
    patients = np.array([inputs.films.patients[image_id] for image_id in image_ids], np.int64)
    row_of = {image_id: number for number, image_id in enumerate(image_ids)}
    statistics: list[Statistic] = []
    for use in inputs.uses if image_ids else ():
        right = np.zeros((len(image_ids), len(labels)))
        for label, items in inputs.films.items.items():
            if len(items):
                rows = [row_of[image_id] for image_id in items.image_ids]
                overlaps, _ = best_overlaps(items, inputs.best_boxes(items, use))
                right[rows, labels.index(label)] = overlaps >= LOCALIZATION_IOU
        statistics.append(top_errors_statistic(logits, present, right, patients, use.row_method, use.threshold_source))
    return statistics


_PROTOCOLS: Mapping[str, Callable[[ProtocolInputs], list[Statistic]]] = {
    "wsol": _wsol,
    "chestxray14": _chestxray14,
    "chexlocalize": chexlocalize_statistics,
    "detection": _detection,
    "rodeo": _rodeo,
    "ilsvrc": _ilsvrc,
    "classification": _classification,
    "containment": _containment,
    CEILING: _ceiling,
}
