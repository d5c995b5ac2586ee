"""Boxes of all films with given thresholds, as rows of the predictions; see `camray.stages.localize.stage`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.settings.schema import LocalizeSettings
from camray.core.localization.box_thresholds import Thresholds
from camray.core.localization.located_boxes import RegionRules
from camray.core.localization.native_boxes import PlacedFilms, draw_native_boxes
from camray.domain.records import PREDICTION_COLUMNS
from camray.domain.zones import NO_BOX
from camray.io.explained_run import ExplainedRun


def draw_boxes(
    run: ExplainedRun, heat: Mapping[str, NDArray[np.float32]], thresholds: Thresholds, settings: LocalizeSettings
) -> pd.DataFrame:
    """Draw the boxes of all films.

    Parameters
    ----------
    run : ExplainedRun
        The run.
    heat : mapping of str to ndarray of shape (N, L, h, w)
        All raw maps by method.
    thresholds : Thresholds
        How boxes are drawn, and which are reported.
    settings : LocalizeSettings
        Smallest region, score, number of boxes per film.

    Returns
    -------
    DataFrame
        `PREDICTION_COLUMNS`, thresholds in their order, films in the order of the maps; zones are still empty.
    """
    priors = {method: run.prior(method) for method in run.methods}
    sizes = [run.films.sizes[image_id] for image_id in run.image_ids]
    films = PlacedFilms(list(run.placements.values()), sizes, run.grid.shape_model)
    rules, only_best = RegionRules(settings.min_area, settings.score), settings.boxes == "one"
    parts = []
    for threshold in progress(thresholds.boxes, len(thresholds.boxes), "drawing boxes"):
        number, prior = run.labels.index(threshold.label), priors[threshold.method]
        maps = heat[threshold.method][:, number]
        label_prior = None if prior is None else prior[number]
        rows = draw_native_boxes(films, maps, threshold.recipe, rules, label_prior, only_best=only_best)
        film = rows.pop("film").to_numpy()
        probability = run.probabilities[film, number]
        rows["image_id"] = run.explained["image_id"].to_numpy()[film]
        rows["label"], rows["method"], rows["threshold_id"] = threshold.label, threshold.method, threshold.id
        rows["logit"], rows["probability"] = run.logits[film, number], probability
        cutoff = 0.0 if settings.report == "all" else thresholds.cutoff_of[threshold.label]
        rows["reported"] = probability >= cutoff
        rows["zone"] = NO_BOX
        parts.append(rows[list(PREDICTION_COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(PREDICTION_COLUMNS))
