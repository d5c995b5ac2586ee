"""Rows of one network in the comparison, and of the trivial baselines.

Reads   ``ingest/ explain/ localize/ score/`` of samples, ``ingest/ train/`` of the network's run
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization import baselines
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, number_patients
from camray.core.metrics.localization.hits_and_iou import best_overlaps
from camray.core.metrics.localization.rows import baseline_levels, sweep_maps
from camray.core.metrics.model_comparison import auroc_figures, baseline_rows, boxed_labels, placed_figures
from camray.core.metrics.protocols.top_k_errors import LOCALIZATION_IOU, TOP_KS, top_errors
from camray.core.metrics.score_table import LabelLogits, score_table
from camray.core.metrics.threshold_selection import CAM_PAPER_POLICY
from camray.domain.records import CORNERS, Split, ThresholdSource
from camray.domain.spreadsheet_cells import with_formulas
from camray.io.explained_run import ExplainedRun, open_explained_run
from camray.io.ingested_films import IngestedFilms, read_ingested
from camray.io.split_films import SplitFilms, split_films
from camray.io.trained_model import network_input
from camray.workflows.model_comparison.explanation import Classifier, Cost, film_logits

_POLICIES = {ThresholdSource.VALIDATION.value: "calibrated", ThresholdSource.FIXED.value: CAM_PAPER_POLICY}
TEST, VALIDATION = Split.TEST.value, Split.VALIDATION.value


@dataclass(frozen=True)
class Sample:
    """One scored sample, and which labels its test films show.

    Parameters
    ----------
    run : ExplainedRun
        The sample.
    test : SplitFilms
        Its test films.
    image_ids : list of str
        Test films, N.
    present : ndarray of shape (N, L), bool
        Present according to the label table, or annotated.
    scores : DataFrame
        `SCORE_COLUMNS`.
    """

    run: ExplainedRun
    test: SplitFilms
    image_ids: list[str]
    present: NDArray[np.bool_]
    scores: pd.DataFrame

    @property
    def logits(self) -> FloatArray:
        """Of the test films, [N, L]."""
        return self.run.logit_table.loc[self.image_ids].to_numpy(dtype=np.float64)

    def right(self, boxes_of: Mapping[str, Sequence[FloatArray]]) -> FloatArray:
        """Return which labels' boxes are right, [N, L].

        Parameters
        ----------
        boxes_of : mapping of str to sequence of ndarray of shape (n, 4)
            By label, one box per annotated film of the label; several draws are averaged.
        """
        shares = np.zeros(self.present.shape)
        row_of = {image_id: number for number, image_id in enumerate(self.image_ids)}
        for label, draws in boxes_of.items():
            items = self.test.items[label]
            rows = [row_of[image_id] for image_id in items.image_ids]
            share = [(best_overlaps(items, draw)[0] >= LOCALIZATION_IOU).astype(np.float64) for draw in draws]
            if rows and share:
                shares[rows, self.run.labels.index(label)] = np.mean(share, axis=0)
        return shares


def read_sample(folder: RunFolder) -> Sample:
    """Read a scored sample."""
    run = open_explained_run(folder)
    test, labels = split_films(run, TEST, run.labels), run.films.labels
    image_ids = sorted(test.films["image_id"])
    present = labels[labels["value"] == "1"]
    pairs = set(zip(present["image_id"], present["label"], strict=True))
    pairs |= {(image_id, label) for label, items in test.items.items() for image_id in items.image_ids}
    is_present = np.array([[(image_id, label) in pairs for label in run.labels] for image_id in image_ids])
    return Sample(run, test, image_ids, is_present, with_formulas(pd.read_csv(run.artifacts.score.scores)))


def method_rows(sample: Sample, costs: Mapping[str, Cost], named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return two rows for each method that a sample was explained by: thresholds of validation, and fixed ones.

    Parameters
    ----------
    sample : Sample
    costs : mapping
        By method; those with a reason get one row with it.
    named : mapping
        What all rows share.
    """
    shared = {**named, **_counted(sample)}
    rows = []
    for name, cost in costs.items():
        if cost.reason:
            rows.append({**named, "method": name, "reason": cost.reason})
            continue
        spent = {"seconds_a_film": cost.seconds, "passes_a_film": cost.passes}
        for source, policy in _POLICIES.items():
            boxes = _boxes(sample, name, policy)
            rows.append(
                {
                    **shared,
                    "method": name,
                    "threshold_source": source,
                    **spent,
                    "boxed_labels": boxed_labels(sample.scores, name),
                    **placed_figures(sample.scores, name, source),
                    **error_figures(sample.logits, sample.present, sample.right(boxes)),
                }
            )
    return rows


def error_figures(logits: FloatArray, present: NDArray[np.bool_], right: FloatArray) -> dict[str, float]:
    """Return the errors of the comparison's columns; top 5 only where there are five labels."""
    figures: dict[str, float] = {}
    for k in TOP_KS:
        if k <= logits.shape[1]:
            errors = top_errors(logits, present, right, k)
            figures[f"top{k}_classification_error"] = errors.classification
            figures[f"top{k}_localization_error"] = errors.localization
    return figures


def all_baseline_rows(sample: Sample, seed: int, iou_criterion: float) -> list[dict[str, Any]]:
    """Return the trivial baselines' rows; they name labels by their frequency in training.

    Levels of the baselines that are maps were chosen on the sample's validation films, as the score stage does.
    """
    common = np.array([_share_of_training(sample.run.films, label) for label in sample.run.labels])
    logits = np.tile(common, (len(sample.image_ids), 1))
    drawn = _baseline_boxes(sample, seed, iou_criterion)
    rows = []
    for row in baseline_rows(sample.scores):
        boxes = drawn.get(row["method"])
        errors = {} if boxes is None else error_figures(logits, sample.present, sample.right(boxes))
        rows.append(row | {"auroc": 0.5} | _counted(sample) | errors)
    return rows


def network_auroc(
    run: RunFolder, network: Classifier, labels_in_order: Sequence[str], batch_size: int, bootstrap: Bootstrap
) -> dict[str, float]:
    """Return the AUROC columns, over all test films whose labels are known."""
    ingested = read_ingested(run)
    images, labels = ingested.split(TEST).sort_values("image_id").reset_index(drop=True), ingested.labels
    if images.empty:
        return auroc_figures(score_table(TEST, 0, {}, {}, replace(bootstrap, resamples=0)), 0)
    patients = number_patients(images, bootstrap.unit == "film")
    device = next(iter(network.parameters())).device
    parts = []
    for start in range(0, len(images), batch_size):
        pixels = ingested.stored_pixels(images.iloc[start : start + batch_size])
        parts.append(film_logits(network, network_input(pixels, device), batch_size))
    logits = np.concatenate(parts).astype(np.float64)
    known: dict[str, LabelLogits] = {}
    for number, label in enumerate(labels_in_order):
        rows = labels[(labels["label"] == label) & labels["value"].isin(["0", "1"])]
        value = images["image_id"].map(dict(zip(rows["image_id"], rows["value"], strict=True)))
        is_known = value.notna().to_numpy(dtype=bool)
        numbers = np.array([patients[str(image_id)] for image_id in images["image_id"]], dtype=np.int64)
        known[label] = LabelLogits(
            numbers[is_known], logits[is_known, number], (value[is_known] == "1").to_numpy(dtype=bool)
        )
    table = score_table(TEST, len(set(patients.values())), known, {}, bootstrap)
    return auroc_figures(table, len(images))


def _counted(sample: Sample) -> dict[str, Any]:
    rows, cols = sample.run.grid.shape_feature
    validation = sample.run.films.split(VALIDATION)
    return {"map": f"{rows}x{cols}", "films": len(sample.image_ids), "threshold_films": len(validation)}


def _boxes(sample: Sample, method: str, policy: str) -> dict[str, list[FloatArray]]:
    """Return the best box of a method on every annotated film of each label; NaN where it has none."""
    predictions = sample.run.predictions
    predictions = predictions[predictions["rank"] == 0]
    boxes = {}
    for threshold in sample.run.thresholds.boxes:
        if (threshold.method, threshold.policy) == (method, policy):
            rows = predictions[predictions["threshold_id"] == threshold.id].set_index("image_id")
            of_films = rows.reindex(list(sample.test.items[threshold.label].image_ids))
            boxes[threshold.label] = [of_films[CORNERS].to_numpy(dtype=np.float64)]
    return boxes


def _share_of_training(films: IngestedFilms, label: str) -> float:
    train = set(films.split(Split.TRAIN.value)["image_id"])
    known = films.labels[(films.labels["label"] == label) & films.labels["image_id"].isin(train)]
    known = known[known["value"].isin(["0", "1"])]
    return float((known["value"] == "1").mean()) if len(known) else 0.0


def _baseline_boxes(sample: Sample, seed: int, iou_criterion: float) -> dict[str, dict[str, list[FloatArray]]]:
    """Return every baseline's boxes by label, one array for each draw."""
    validation = split_films(sample.run, VALIDATION, sample.run.labels)
    grid = sample.run.grid.shape_feature
    boxes_by_baseline: dict[str, dict[str, list[FloatArray]]] = {name: {} for name in baselines.BASELINES}
    for label, items in sample.test.items.items():
        if not len(items):
            continue
        training = sample.run.films.training_fractions(label)
        fixed = {
            baselines.CLASS_MEAN_BOX: [baselines.native_boxes(baselines.class_mean_box(training), items.sizes_xy)],
            baselines.WHOLE_IMAGE: [baselines.native_boxes(np.array([0.0, 0.0, 1.0, 1.0]), items.sizes_xy)],
            baselines.SHUFFLED: baselines.shuffled_boxes(items, seed),
        }
        levels = baseline_levels(validation.items[label], validation.geometry, grid, seed, iou_criterion)
        for name, level in levels.items():
            if level is not None:
                fixed[name] = [_map_boxes(name, sample, items, seed, grid)[:, level.box]]
        for name, boxes in fixed.items():
            boxes_by_baseline[name][label] = boxes
    return {name: boxes for name, boxes in boxes_by_baseline.items() if boxes}


def _map_boxes(name: str, sample: Sample, items: AnnotatedFilms, seed: int, grid: tuple[int, int]) -> FloatArray:
    if name == baselines.CENTRE:
        return baselines.centre_boxes(items.sizes_xy)
    sweep, _ = sweep_maps(
        items, lambda image_id: baselines.random_heat(seed, items.label, image_id, 0, *grid), sample.test.geometry
    )
    return sweep.largest
