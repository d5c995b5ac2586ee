"""Protocol `chexlocalize` on one split: pixel counts, thresholds, and the predicted masks as a file.

Reads   what `score` reads; the masks of ``ingest/annotations.parquet``
Writes  ``score/segmentations-<split>.json``: film, label, ``{"size": [h, w], "counts": run lengths}``, as published
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from camray.adapters.run_folders.atomic_files import write_json
from camray.core.metrics.protocols.chexlocalize import (
    OTSU,
    TUNED_THRESHOLDS,
    MaskCounts,
    count_film,
    native_heat01,
    predicted_mask,
    published_mask,
    published_name,
    tuned_column,
    tuned_cutoff,
)
from camray.core.metrics.protocols.chexlocalize_rows import mask_statistics, means_below_human
from camray.core.metrics.statistics import Statistic
from camray.core.probability.logistic import probabilities_of
from camray.domain.records import ThresholdSource
from camray.io.split_films import SplitFilms
from camray.stages.score.protocol_inputs import ProtocolInputs


def chexlocalize_statistics(inputs: ProtocolInputs) -> list[Statistic]:
    """Make the rows of all labels and methods, and write the shown method's masks beside them."""
    statistics: list[Statistic] = []
    default_method = inputs.run.default_method
    segmentations: dict[str, dict[str, object]] = {}
    for label in inputs.run.labels:
        masks = inputs.films.masks.get(label, {})
        if not masks:
            continue
        human = {str(metric): value for metric, value in inputs.settings.human.get(label, {}).items()}
        for method in inputs.run.methods:
            counts = _mask_counts(inputs.films, masks, method, label)
            columns, validation = {ThresholdSource.FIXED.value: OTSU}, inputs.validation
            cutoff: float | None = None
            if validation is not None and validation.masks.get(label):
                tuning = _mask_counts(validation, validation.masks[label], method, label)
                column, cutoff = tuned_column(tuning), tuned_cutoff(tuning)
                columns |= {} if column is None else {ThresholdSource.VALIDATION.value: column}
            statistics += mask_statistics(label, method, counts, columns, cutoff, human)
            if method == default_method:
                mask_column = columns.get(ThresholdSource.VALIDATION.value, OTSU)
                for image_id in sorted(masks):
                    drawn = predicted_mask(
                        _native_heat01(inputs.films, method, label, image_id),
                        None if mask_column == OTSU else TUNED_THRESHOLDS[mask_column],
                    )
                    segmentations.setdefault(published_name(image_id), {})[label] = published_mask(drawn)
    if segmentations:
        write_json(inputs.run.artifacts.score.segmentations(inputs.films.split), segmentations)
    return statistics + means_below_human(statistics)


def _native_heat01(films: SplitFilms, method: str, label: str, image_id: str) -> NDArray[np.float32]:
    transform, heat = films.geometry.placements[image_id].transform, films.run.heat(method, label, image_id)
    return native_heat01(heat, transform, films.sizes[image_id], films.geometry.shape_model)


def _mask_counts(films: SplitFilms, masks: Mapping[str, NDArray[np.bool_]], method: str, label: str) -> MaskCounts:
    """Count pixels of the films that are annotated with a mask or known not to show the label."""
    known = films.logits[label]
    absent = {image_id for image_id, is_present in zip(known.image_ids, known.present, strict=True) if not is_present}
    image_ids = sorted(absent | set(masks))
    counts = [count_film(_native_heat01(films, method, label, image_id), masks.get(image_id)) for image_id in image_ids]
    return MaskCounts(
        np.array([films.patients[image_id] for image_id in image_ids], np.int64),
        np.array([masks[image_id].sum() if image_id in masks else 0 for image_id in image_ids], np.float64),
        np.array([np.prod(films.sizes[image_id]) for image_id in image_ids], np.float64),
        np.array([both for both, _, _ in counts]).reshape(len(counts), -1),
        np.array([predicted for _, predicted, _ in counts]).reshape(len(counts), -1),
        np.array([hit for _, _, hit in counts], np.bool_),
        probabilities_of(films.run.logit_table.loc[image_ids, label].to_numpy(np.float64)),
    )
