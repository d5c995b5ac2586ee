"""Localization rows of one label: methods' predictions and maps, and the trivial baselines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.localization.heat_maps import Placement, peak_xy, upsampled
from camray.core.metrics.localization import baselines
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, Measure
from camray.core.metrics.localization.hits_and_iou import (
    box_measures,
    mean_of_measures,
    point_hits,
    single_box_max_box_acc,
)
from camray.core.metrics.protocols.max_box_acc import (
    FIXED_LEVEL,
    SweepBuilder,
    ThresholdSweep,
    best_level,
    best_levels,
    max_box_acc_at,
    oracle_values,
    sweep_of_boxes,
)
from camray.core.metrics.score_table import LabelValues
from camray.domain.records import CORNERS, ThresholdSource

FIXED, VALIDATION, ORACLE = (source.value for source in ThresholdSource)
RANDOM_STEP_PX = 2  # the random baseline's maps are sampled about every second model px: nobody reads its boxes
HeatOf = Callable[[str], NDArray[np.floating]]


@dataclass(frozen=True)
class Geometry:
    """Positions of all films on a model grid of (rows, cols), by ``image_id``; how the protocol `wsol` interpolates."""

    shape_model: tuple[int, int]
    placements: Mapping[str, Placement]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


@dataclass(frozen=True)
class ChosenLevels:
    """Levels that a map's boxes are cut at, all chosen on validation films."""

    box: int
    max_box_acc: int
    max_box_acc_v2: tuple[int, ...]


def sweep_maps(
    items: AnnotatedFilms, heat_of: HeatOf, geometry: Geometry, step_px: int = 1
) -> tuple[ThresholdSweep, FloatArray]:
    """Sweep every annotated film's map over all thresholds.

    Parameters
    ----------
    items : AnnotatedFilms
        N films of one label.
    heat_of : callable
        ``image_id`` to the label's raw map [h, w] on the feature grid.
    geometry : Geometry
        Positions of the films on the model grid.
    step_px : int
        Sample the map about every so many model px.

    Returns
    -------
    sweep : ThresholdSweep
        Boxes and overlaps at all thresholds.
    peaks : ndarray of shape (N, 2), float64
        (x, y) of each map's peak, native px.
    """
    builder, peaks = SweepBuilder(items), np.full((len(items), 2), np.nan)
    for number, image_id in enumerate(items.image_ids):
        placed = geometry.placements[image_id]
        window = placed.window
        heat = upsampled(heat_of(image_id)[None].astype(np.float32), geometry.shape_model, window, step_px=step_px)
        builder.add(number, heat[0], window, placed.transform)
        scale = np.array([window.cols, window.rows]) / heat.shape[:0:-1]
        x, y = peak_xy(heat[0]) * scale + [window.col0, window.row0]
        peaks[number] = placed.transform.xy_to_native(float(x), float(y))
    return builder.sweep(), peaks


def choose_levels(sweep: ThresholdSweep, iou_criterion: float) -> ChosenLevels | None:
    """Choose all levels on validation films; None where there is no annotated one."""
    if len(sweep.iou_largest) == 0:
        return None
    return ChosenLevels(best_level(sweep.iou_largest, iou_criterion), *best_levels(sweep))


def add_max_box_acc(
    values: LabelValues, method: str, sweep: ThresholdSweep, levels: ChosenLevels | None, oracle: bool
) -> None:
    """Add MaxBoxAcc and V2 at 20 % of the range, at the levels chosen on validation, and at the best if requested."""
    values.add(method, FIXED, max_box_acc_at(sweep, FIXED_LEVEL, (FIXED_LEVEL,) * 3))
    if levels is not None:
        values.add(method, VALIDATION, max_box_acc_at(sweep, levels.max_box_acc, levels.max_box_acc_v2))
    if oracle:
        values.add(method, ORACLE, oracle_values(sweep))


def add_predictions(
    values: LabelValues, method: str, source: str, items: AnnotatedFilms, predictions: pd.DataFrame
) -> None:
    """Add hit rate and box metrics of one method's best box and peak per film.

    Parameters
    ----------
    values : LabelValues
        Filled in place.
    method, source : str
        What the rows are about.
    items : AnnotatedFilms
        The label's annotated films.
    predictions : DataFrame
        Columns ``image_id, x0, y0, x1, y1, peak_x, peak_y``, native px: the rows of rank 0 of this label, method and
        threshold; at most one per film. A film without a row, or with missing corners, is a miss.
    """
    by_film = predictions.assign(image_id=predictions["image_id"].astype(str)).set_index("image_id")
    by_film = by_film.reindex(list(items.image_ids))
    points = by_film[["peak_x", "peak_y"]].to_numpy(dtype=np.float64)
    values.add(method, source, {("hit_rate", None): point_hits(items, points)})
    values.add(method, source, box_measures(items, by_film[CORNERS].to_numpy(dtype=np.float64)))


@dataclass(frozen=True, eq=False)
class BaselineInputs:
    """Inputs of the baselines of one label, besides its annotated films.

    Parameters
    ----------
    training : ndarray of shape (A, 4), float64
        The label's training boxes, as fractions of their films' sides.
    geometry : Geometry
        Positions of the films on the model grid.
    shape_feature : tuple of int
        (rows, cols) of the feature grid.
    levels : mapping
        Levels of the two baselines that are maps, from `baseline_levels`.
    seed : int
        Of the random map and of the shuffles.
    oracle : bool
        Also give numbers whose threshold was chosen on these films.
    """

    training: FloatArray
    geometry: Geometry
    shape_feature: tuple[int, int]
    levels: Mapping[str, ChosenLevels | None]
    seed: int
    oracle: bool


def add_baselines(values: LabelValues, items: AnnotatedFilms, inputs: BaselineInputs) -> None:
    """Add all baselines' rows.

    Parameters
    ----------
    values : LabelValues
        Filled in place.
    items : AnnotatedFilms
        The label's annotated films.
    inputs : BaselineInputs
        Training boxes, grids, levels and seed.
    """
    maps = _map_baselines(items, inputs.geometry, inputs.shape_feature, inputs.seed, baselines.RANDOM_DRAWS)
    for method, draws in maps.items():
        levels = inputs.levels.get(method)
        values.add(method, FIXED, mean_of_measures([_at_level(items, draw, FIXED_LEVEL) for draw in draws]))
        if levels is not None:
            values.add(method, VALIDATION, mean_of_measures([_at_level(items, draw, levels.box) for draw in draws]))
        for source, measures in _max_box_acc_of_draws(draws, levels).items():
            values.add(method, source, measures)
        if inputs.oracle:
            values.add(method, ORACLE, oracle_values(draws[0][0]))
    mean_box = baselines.native_boxes(baselines.class_mean_box(inputs.training), items.sizes_xy)
    whole = baselines.native_boxes(np.array([0.0, 0.0, 1.0, 1.0]), items.sizes_xy)
    values.add(baselines.CLASS_MEAN_BOX, FIXED, _box_and_centre(items, mean_box))
    point = baselines.fixed_point(inputs.training) * items.sizes_xy
    hits = point_hits(items, point) if len(inputs.training) else np.full(len(items), np.nan)
    values.add(baselines.FIXED_POINT, FIXED, {("hit_rate", None): hits})
    values.add(baselines.WHOLE_IMAGE, FIXED, _box_and_centre(items, whole))
    shuffles = [_box_and_centre(items, boxes) for boxes in baselines.shuffled_boxes(items, inputs.seed)]
    values.add(baselines.SHUFFLED, FIXED, mean_of_measures(shuffles))


def baseline_levels(
    items: AnnotatedFilms, geometry: Geometry, shape_feature: tuple[int, int], seed: int, iou_criterion: float
) -> dict[str, ChosenLevels | None]:
    """Choose the levels of the random map and the centre Gaussian on validation films, as a method's would be."""
    drawn = _map_baselines(items, geometry, shape_feature, seed, 1)
    return {method: choose_levels(draws[0][0], iou_criterion) for method, draws in drawn.items()}


def _map_baselines(
    items: AnnotatedFilms, geometry: Geometry, shape_feature: tuple[int, int], seed: int, n_draws: int
) -> dict[str, list[tuple[ThresholdSweep, FloatArray]]]:
    def heat_of(draw: int) -> HeatOf:
        return lambda image_id: baselines.random_heat(seed, items.label, image_id, draw, *shape_feature)

    centre = sweep_of_boxes(items, baselines.centre_boxes(items.sizes_xy))
    return {
        baselines.RANDOM: [sweep_maps(items, heat_of(draw), geometry, RANDOM_STEP_PX) for draw in range(n_draws)],
        baselines.CENTRE: [(centre, items.sizes_xy / 2)],
    }


def _at_level(items: AnnotatedFilms, draw: tuple[ThresholdSweep, FloatArray], level: int) -> dict[Measure, FloatArray]:
    sweep, peaks = draw
    return {("hit_rate", None): point_hits(items, peaks), **box_measures(items, sweep.largest[:, level])}


def _max_box_acc_of_draws(
    draws: list[tuple[ThresholdSweep, FloatArray]], levels: ChosenLevels | None
) -> dict[str, dict[Measure, FloatArray]]:
    by_source = {FIXED: [max_box_acc_at(sweep, FIXED_LEVEL, (FIXED_LEVEL,) * 3) for sweep, _ in draws]}
    if levels is not None:
        by_source[VALIDATION] = [max_box_acc_at(sweep, levels.max_box_acc, levels.max_box_acc_v2) for sweep, _ in draws]
    return {source: mean_of_measures(measures) for source, measures in by_source.items()}


def _box_and_centre(items: AnnotatedFilms, boxes: FloatArray) -> dict[Measure, FloatArray]:
    """All measures of one box per film whose centre is its point; undefined if there is no box at all."""
    measures: dict[Measure, FloatArray] = {
        ("hit_rate", None): point_hits(items, baselines.box_centres(boxes)),
        **box_measures(items, boxes),
        **single_box_max_box_acc(items, boxes),
    }
    if len(boxes) and np.isnan(boxes).all():
        return {measure: np.full(len(items), np.nan) for measure in measures}
    return measures
