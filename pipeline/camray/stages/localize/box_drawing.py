"""Boxes of all films with given thresholds, as rows of the predictions; see `camray.stages.localize.stage`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.settings.schema import LocalizeSettings
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import Thresholds
from camray.core.localization.located_boxes import Located, RegionRules, locate
from camray.core.metrics.localization.rows import Placement
from camray.domain.geometry import Box, CropWindow
from camray.domain.records import CORNERS, PREDICTION_COLUMNS
from camray.domain.zones import NO_BOX
from camray.io.explained_run import ExplainedRun

_MAPS_AT_ONCE = 32
_ROW_COLUMNS = ["film", *CORNERS, "score", "peak_x", "peak_y", "rank"]


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
    parts = []
    for threshold in progress(thresholds.boxes, len(thresholds.boxes), "drawing boxes"):
        number, prior = run.labels.index(threshold.label), priors[threshold.method]
        maps = heat[threshold.method][:, number]
        label_prior = None if prior is None else prior[number]
        rows = _draw(run, sizes, maps, label_prior, threshold.recipe, settings)
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


def _draw(
    run: ExplainedRun,
    sizes: Sequence[tuple[int, int]],
    heat: NDArray[np.float32],
    prior: NDArray[np.float32] | None,
    recipe: BoxRecipe,
    settings: LocalizeSettings,
) -> pd.DataFrame:
    """Draw the boxes of one label with one recipe: at least one row for every film."""
    placements = list(run.placements.values())
    rows: list[tuple[Any, ...]] = []
    for films, window in _stacks([placement.window for placement in placements]):
        located = locate(
            heat[films],
            window,
            run.grid.shape_model,
            recipe,
            RegionRules(settings.min_area, settings.score),
            prior=prior,
        )
        for position, film in enumerate(films):
            native = _native_rows(located, position, placements[film], sizes[film], only_best=settings.boxes == "one")
            rows += [(int(film), *row) for row in native]
    return pd.DataFrame(rows, columns=_ROW_COLUMNS).sort_values(["film", "rank"], ignore_index=True)


def _stacks(windows: Sequence[CropWindow]) -> Iterator[tuple[NDArray[np.int64], CropWindow]]:
    """Cut the films into stacks of one window each, small enough to stay in the processor's cache."""
    groups: dict[CropWindow, list[int]] = {}
    for film, window in enumerate(windows):
        groups.setdefault(window, []).append(film)
    for window, films in groups.items():
        for start in range(0, len(films), _MAPS_AT_ONCE):
            yield np.array(films[start : start + _MAPS_AT_ONCE]), window


def _native_rows(
    located: Located, position: int, placement: Placement, size: tuple[int, int], *, only_best: bool
) -> Iterator[tuple[Any, ...]]:
    """Yield one film's boxes on the native grid, best first; one row without a box if there is none."""
    transform = placement.transform
    peak = transform.xy_to_native(*map(float, located.peaks_xy[position]))
    first, end = np.searchsorted(located.map_index, [position, position + 1])
    rank = 0
    for number in range(first, end):
        on_native = transform.box_to_native(Box(*map(float, located.boxes[number]))).clipped(*size)
        if on_native is None:
            continue
        yield *on_native.as_tuple(), float(located.score[number]), *peak, rank
        rank += 1
        if only_best:
            break
    if not rank:
        yield *(float("nan"),) * 4, float("nan"), *peak, 0
