"""Boxes of films with given thresholds, as rows of the predictions."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.settings.boxes import LocalizeSettings
from camray.core.localization.box_thresholds import BoxThreshold, Thresholds
from camray.core.localization.located_boxes import RegionRules
from camray.core.localization.native_boxes import PlacedFilms, draw_native_boxes
from camray.domain.records import PREDICTION_COLUMNS
from camray.domain.zones import NO_BOX
from camray.io.explained_run import ExplainedRun

MapsOf = Callable[[BoxThreshold], tuple[NDArray[np.float32], NDArray[np.float32] | None]]


def draw_boxes(
    run: ExplainedRun, image_ids: Sequence[str], maps_of: MapsOf, thresholds: Thresholds, settings: LocalizeSettings
) -> pd.DataFrame:
    """Draw the boxes of some films of a run.

    Parameters
    ----------
    run : ExplainedRun
        The run.
    image_ids : sequence of str
        N explained films.
    maps_of : callable
        From a threshold to the raw maps [N, h, w] of its method and label, and the prior map [h, w] or None.
    thresholds : Thresholds
        How boxes are drawn, and which are reported.
    settings : LocalizeSettings
        Smallest region, score, number of boxes per film.

    Returns
    -------
    DataFrame
        `PREDICTION_COLUMNS`, thresholds in their order, films in the order given; zones are still empty.
    """
    sizes = [run.films.sizes[image_id] for image_id in image_ids]
    films = PlacedFilms([run.placements[image_id] for image_id in image_ids], sizes, run.grid.shape_model)
    rules, only_best = RegionRules(settings.min_area, settings.score), settings.boxes == "one"
    positions, names = run.positions(image_ids), np.array(image_ids, object)
    logits = run.logits[positions]
    probabilities = thresholds.probabilities(run.labels, logits)
    parts = []
    for threshold in progress(thresholds.boxes, len(thresholds.boxes), "drawing boxes"):
        maps, prior = maps_of(threshold)
        rows = draw_native_boxes(films, maps, threshold.recipe, rules, prior, only_best=only_best)
        number, film = run.labels.index(threshold.label), rows.pop("film").to_numpy()
        rows["image_id"] = names[film]
        rows["label"], rows["method"], rows["threshold_id"] = threshold.label, threshold.method, threshold.id
        rows["logit"], rows["probability"] = logits[film, number], probabilities[film, number]
        rows["reported"] = thresholds.reported(threshold.label, logits[film, number], settings.report)
        rows["zone"] = NO_BOX
        parts.append(rows[list(PREDICTION_COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(PREDICTION_COLUMNS))
