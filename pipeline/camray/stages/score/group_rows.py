"""Rows by group of films: AUROC, sensitivity, specificity, hit rate and box accuracy, beside all other films."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.cohort.groups import group_names, view_code
from camray.core.metrics.group_metric import GroupMetric
from camray.core.metrics.group_scores import Groups, group_table
from camray.core.metrics.localization.annotated_films import AnnotatedFilms
from camray.core.metrics.localization.hits_and_iou import best_overlaps, point_hits
from camray.core.metrics.score_table import CLASSIFIER, RowKey
from camray.core.metrics.summary import HEADLINE_IOU, PREFERRED_SOURCES
from camray.core.metrics.threshold_selection import ThresholdUse
from camray.domain.records import CORNERS, ThresholdSource
from camray.io.bootstrap import bootstrap_of
from camray.io.split_films import SplitFilms
from camray.stages.score.protocol_inputs import ProtocolInputs

_UNKNOWN = "unknown"


def group_rows(inputs: ProtocolInputs) -> pd.DataFrame:
    """Score the groups of ``score.groups`` on one split; no rows where no column is known, or all films are alike."""
    settings, films = inputs.settings, inputs.films
    groups = _groups(films, settings.groups)
    metrics = [*_areas(inputs), *_called(inputs), *_placed(inputs)] if groups else []
    return group_table(films.split, films.n_patients, metrics, groups, settings.group_patients, bootstrap_of(settings))


def _groups(films: SplitFilms, columns: tuple[str, ...]) -> Groups:
    """Return the groups of the columns that are known of any film; a film without a value is of the group unknown."""
    ingested = films.run.films
    table = ingested.groups if ingested.files.groups.is_file() else ingested.images  # of new films: the view alone
    of_split = table.set_index("image_id").loc[films.films["image_id"]]
    is_known = {"age": "age_years" in table.columns} | {
        name: name in table.columns for name in columns if name != "age"
    }
    named = {column: _names(of_split, column) for column in columns if is_known[column]}
    return {column: np.where(names == "", _UNKNOWN, names) for column, names in named.items() if (names != "").any()}


def _names(films: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """Name each film's group; a view is free text of a header or table, and the scores have only the usual ones."""
    names = group_names(films, column)
    if column != "view":
        return names
    return np.array([view_code(name) for name in names], dtype=object)


def _positions(inputs: ProtocolInputs, image_ids: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the rows of films in the table of the split."""
    index = pd.Index(inputs.films.films["image_id"].astype(str))
    return np.asarray(index.get_indexer(pd.Index(list(image_ids), dtype=object)), np.int64)


def _areas(inputs: ProtocolInputs) -> list[GroupMetric]:
    key = RowKey(CLASSIFIER, "auroc", None, "")
    return [
        GroupMetric(label, key, _positions(inputs, of.image_ids), of.patients, of.logits, of.present)
        for label, of in inputs.films.logits.items()
    ]


def _called(inputs: ProtocolInputs) -> list[GroupMetric]:
    """Return sensitivity and specificity of what is reported; not where these very films chose the cutoff."""
    metrics: dict[str, list[GroupMetric]] = {"sensitivity": [], "specificity": []}
    rows = inputs.run.default_predictions
    rows = rows[rows["rank"] == 0]
    for cutoff in inputs.run.thresholds.cutoffs:
        is_own = cutoff.split == inputs.films.split and inputs.run.folder.trained is None
        if cutoff.not_judged or cutoff.split is None or (is_own and not inputs.settings.oracle):
            continue
        source = ThresholdSource.ORACLE if is_own else ThresholdSource.VALIDATION
        known = inputs.films.logits[cutoff.label]
        reported = rows[rows["label"] == cutoff.label].set_index("image_id")["reported"].loc[list(known.image_ids)]
        is_called, films = reported.to_numpy(dtype=bool), _positions(inputs, known.image_ids)
        for name, right, of in (
            ("sensitivity", is_called, known.present),
            ("specificity", ~is_called, ~known.present),
        ):
            key = RowKey(CLASSIFIER, name, None, source.value)
            values = right[of].astype(np.float64)
            metrics[name].append(GroupMetric(cutoff.label, key, films[of], known.patients[of], values))
    return metrics["sensitivity"] + metrics["specificity"]


def _placed(inputs: ProtocolInputs) -> list[GroupMetric]:
    """Return hit rate and box accuracy of the default method, each finding with the threshold of the headline."""
    hits, boxes = [], []
    for items in inputs.films.items.values():
        use = _use_of(inputs, items) if len(items) else None
        if use is None:
            continue
        best = inputs.best_predictions(items.label)
        best = best[(best["method"] == use.method) & best["threshold_id"].isin(use.threshold_ids)]
        best = best.astype({"image_id": str}).set_index("image_id").reindex(list(items.image_ids))
        iou, _ = best_overlaps(items, best[CORNERS].to_numpy(np.float64))
        values = point_hits(items, best[["peak_x", "peak_y"]].to_numpy(np.float64))
        films = _positions(inputs, items.image_ids)
        hit, box = (
            RowKey(use.row_method, name, criterion, use.threshold_source)
            for name, criterion in (("hit_rate", None), ("iou_accuracy", HEADLINE_IOU))
        )
        hits.append(GroupMetric(items.label, hit, films, items.patients, values))
        is_found = (iou >= HEADLINE_IOU).astype(np.float64)
        boxes.append(GroupMetric(items.label, box, films, items.patients, is_found))
    return hits + boxes


def _use_of(inputs: ProtocolInputs, items: AnnotatedFilms) -> ThresholdUse | None:
    """Return the use that the headline shows of a finding: chosen on validation, else without boxes."""
    table = inputs.run.predictions
    ids = set(table.loc[(table["label"] == items.label), "threshold_id"].unique())
    for source in PREFERRED_SOURCES:
        for use in inputs.uses:
            is_main = use.row_method == use.method == inputs.run.default_method
            if is_main and use.threshold_source == source and use.threshold_ids & ids:
                return use
    return None
