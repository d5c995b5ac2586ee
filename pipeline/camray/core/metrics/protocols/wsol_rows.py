"""Rows of the protocol `wsol` of one label and method: by our conventions and by those of the original."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.localization.heat_maps import bicubic, upsampled
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, IntArray
from camray.core.metrics.localization.hits_and_iou import MAX_BOX_ACC_CRITERION, MAX_BOX_ACC_V2_CRITERIA
from camray.core.metrics.localization.rows import Geometry, HeatOf
from camray.core.metrics.protocols.max_box_acc import SweepBuilder, best_level, window_transform
from camray.core.metrics.protocols.wsol import PixelPrecisionStatistic, original_sweep, pixel_histograms, whole_px
from camray.core.metrics.statistics import BestThresholdStatistic, RatioStatistic, Statistic, StatisticRow
from camray.domain.geometry import GridTransform
from camray.domain.records import ThresholdSource

CLEAN, ORIGINAL = "wsol", "wsol_original"
FIXED_FRACTION = 0.2
FIXED, VALIDATION, ORACLE = (source.value for source in ThresholdSource)


@dataclass(frozen=True)
class Overlaps:
    """IoU of N films at T thresholds: of the largest region's box, and the best of any region's; [N, T] each."""

    largest: FloatArray
    every: FloatArray


def overlaps_of(
    items: AnnotatedFilms, heat_of: HeatOf, geometry: Geometry, thresholds: FloatArray
) -> dict[str, Overlaps]:
    """Sweep the maps of a label's annotated films by both sets of conventions.

    Parameters
    ----------
    items : AnnotatedFilms
        N films.
    heat_of : callable
        ``image_id`` to the label's raw map [h, w] on the feature grid.
    geometry : Geometry
        Positions of the films on the model grid.
    thresholds : ndarray of shape (T,), float64
        0 to below 1.

    Returns
    -------
    dict
        `CLEAN` and `ORIGINAL` to overlaps.
    """
    builder = SweepBuilder(items, thresholds)
    original = np.zeros((2, len(items), len(thresholds)))
    for number, image_id in enumerate(items.image_ids):
        heat, to_heat = film_heat(heat_of, image_id, geometry)
        placed = geometry.placements[image_id]
        builder.add(number, heat, placed.window, placed.transform)
        offset = np.array([to_heat.offset_x, to_heat.offset_y] * 2)
        annotated = items.boxes_of(number) * np.array([to_heat.scale_x, to_heat.scale_y] * 2) + offset
        swept = original_sweep(heat, np.maximum(annotated, 0.0), thresholds)
        original[0, number], original[1, number] = swept.iou_largest, swept.iou_any
    clean = builder.sweep()
    return {CLEAN: Overlaps(clean.iou_largest, clean.iou_any), ORIGINAL: Overlaps(original[0], original[1])}


def film_heat(heat_of: HeatOf, image_id: str, geometry: Geometry) -> tuple[NDArray[np.float32], GridTransform]:
    """Interpolate one film's map on its window of the model grid.

    Parameters
    ----------
    heat_of : callable
        ``image_id`` to its raw map on the feature grid.
    image_id : str
        Of the film.
    geometry : Geometry
        Model grid and placement of the films.

    Returns
    -------
    (ndarray of shape (H, W), float32; GridTransform)
        The map, and the transform from the native grid to it.
    """
    placed = geometry.placements[image_id]
    interpolate = bicubic if geometry.interpolation == "bicubic" else upsampled
    heat = interpolate(heat_of(image_id)[None].astype(np.float32), geometry.shape_model, placed.window)[0]
    return heat, window_transform(placed.transform, placed.window, heat.shape)


def max_box_acc_statistics(
    items: AnnotatedFilms,
    method: str,
    scored: Mapping[str, Overlaps],
    validation: Mapping[str, Overlaps] | None,
    oracle: bool,
) -> list[Statistic]:
    """Make the rows of MaxBoxAcc and V2.

    Parameters
    ----------
    items : AnnotatedFilms
        N films of a label.
    method : str
        As in the score table.
    scored : mapping
        Conventions to their overlaps at T thresholds, from `overlaps_of`.
    validation : mapping, optional
        The same of validation films, which choose thresholds of their own for each convention and criterion.
    oracle : bool
        Also give the paper's own number, whose thresholds are the best on the scored films.

    Returns
    -------
    list of Statistic
        ``wsol/max_box_acc``; ``wsol/max_box_acc_v2`` at each criterion, and without one their mean; and
        ``wsol_original/...`` likewise. A fixed threshold is 20 % of the range (of the maximum, by the original).
    """
    statistics: list[Statistic] = []
    for convention, overlaps in scored.items():
        fixed = round(FIXED_FRACTION * overlaps.largest.shape[1])
        levels = {FIXED: [fixed] * (1 + len(MAX_BOX_ACC_V2_CRITERIA))}
        on_validation = None if validation is None else validation[convention]
        if on_validation is not None and len(on_validation.largest):
            of_any = [best_level(on_validation.every, criterion) for criterion in MAX_BOX_ACC_V2_CRITERIA]
            levels[VALIDATION] = [best_level(on_validation.largest, MAX_BOX_ACC_CRITERION), *of_any]
        for source, of_source in levels.items():
            statistics.append(_at_levels(_rows(items, method, convention, source), items, overlaps, of_source))
        if oracle:
            statistics += _oracle_statistics(items, method, convention, overlaps)
    return statistics


def _rows(items: AnnotatedFilms, method: str, convention: str, source: str) -> list[StatisticRow]:
    v2 = [(f"{convention}/max_box_acc_v2", criterion) for criterion in (*MAX_BOX_ACC_V2_CRITERIA, None)]
    keys = [(f"{convention}/max_box_acc", MAX_BOX_ACC_CRITERION), *v2]
    return [StatisticRow(items.label, method, metric, criterion, source, len(items)) for metric, criterion in keys]


def _at_levels(
    rows: list[StatisticRow], items: AnnotatedFilms, overlaps: Overlaps, levels: Sequence[int]
) -> RatioStatistic:
    """Make MaxBoxAcc at the first of the levels, and V2 at the others, one for each criterion."""
    level, *levels_v2 = levels
    each = [
        overlaps.every[:, level_v2] >= criterion
        for level_v2, criterion in zip(levels_v2, MAX_BOX_ACC_V2_CRITERIA, strict=True)
    ]
    counted = [overlaps.largest[:, level] >= MAX_BOX_ACC_CRITERION, *each, np.mean(each, axis=0)]
    above = np.stack(counted, axis=1).astype(np.float64)
    return RatioStatistic(rows, items.patients, above, np.ones_like(above))


def _oracle_statistics(items: AnnotatedFilms, method: str, convention: str, overlaps: Overlaps) -> list[Statistic]:
    largest = (overlaps.largest >= MAX_BOX_ACC_CRITERION)[:, None]
    every = np.stack([overlaps.every >= criterion for criterion in MAX_BOX_ACC_V2_CRITERIA], axis=1)
    groups = [largest, every[:, :1], every[:, 1:2], every[:, 2:], every]
    rows = _rows(items, method, convention, ORACLE)
    return [BestThresholdStatistic(row, items.patients, group) for row, group in zip(rows, groups, strict=True)]


def mask_on_map(mask: NDArray[np.bool_], to_map: GridTransform, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Sample a native mask at the centres of a map's pixels.

    Parameters
    ----------
    mask : ndarray of shape (rows, cols), bool
        Native grid.
    to_map : GridTransform
        Native grid to map.
    shape : tuple of int
        (H, W) of the map.

    Returns
    -------
    ndarray of shape (H, W), bool
        Outside the film its border is repeated.
    """
    rows, cols = shape
    x = whole_px((np.arange(cols) + 0.5 - to_map.offset_x) / to_map.scale_x)
    y = whole_px((np.arange(rows) + 0.5 - to_map.offset_y) / to_map.scale_y)
    return _taken(mask, y, x)


def original_mask_on_map(mask: NDArray[np.bool_], to_map: GridTransform, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Sample a native mask as the original does: by OpenCV's nearest neighbour, at each pixel's first corner.

    Parameters
    ----------
    mask, to_map, shape
        As for `mask_on_map`.

    Returns
    -------
    ndarray of shape (H, W), bool
        Pixel c of a map of W columns shows column ``floor(c * (1 / (W / side)))``, rounded as OpenCV rounds.
    """
    rows, cols = shape
    x = np.floor((np.arange(cols) - to_map.offset_x) * (1 / to_map.scale_x)).astype(np.int64)
    y = np.floor((np.arange(rows) - to_map.offset_y) * (1 / to_map.scale_y)).astype(np.int64)
    return _taken(mask, y, x)


def _taken(mask: NDArray[np.bool_], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(mask[np.clip(y, 0, mask.shape[0] - 1)[:, None], np.clip(x, 0, mask.shape[1] - 1)])


_MASKS_ON_MAP = {CLEAN: mask_on_map, ORIGINAL: original_mask_on_map}


@dataclass(frozen=True, eq=False)
class MaskedFilms:
    """Films that carry a mask of one label.

    Parameters
    ----------
    label : str
        Finding.
    masks, ignored : mapping
        ``image_id`` to the native mask of all instances, and to pixels that do not count where there are any.
    patients : mapping
        ``image_id`` to patient number.
    """

    label: str
    masks: Mapping[str, NDArray[np.bool_]]
    ignored: Mapping[str, NDArray[np.bool_]]
    patients: Mapping[str, int]


def pixel_statistics(
    films: MaskedFilms, method: str, heat_of: HeatOf, geometry: Geometry, thresholds: FloatArray
) -> list[PixelPrecisionStatistic]:
    """Make the rows of PxAP over the films that carry a mask of the label, by both sets of conventions.

    Parameters
    ----------
    films : MaskedFilms
        Masks of one label.
    method : str
        As in the score table.
    heat_of, geometry, thresholds
        As for `overlaps_of`.

    Returns
    -------
    list of PixelPrecisionStatistic
        ``wsol/pxap`` and ``wsol_original/pxap``, which differ in how a mask is sampled.
    """
    image_ids = sorted(films.masks)
    histograms = {each: np.zeros((2, len(image_ids), len(thresholds) + 1)) for each in _MASKS_ON_MAP}
    for number, image_id in enumerate(image_ids):
        heat, to_heat = film_heat(heat_of, image_id, geometry)
        low, high = float(heat.min()), float(heat.max())
        heat01 = (heat.astype(np.float64) - low) / (high - low) if high > low else np.zeros(heat.shape)
        ignored_mask = films.ignored.get(image_id, np.zeros((1, 1), bool))
        for convention, on_map in _MASKS_ON_MAP.items():
            histograms[convention][:, number] = pixel_histograms(
                heat01,
                on_map(films.masks[image_id], to_heat, heat.shape),
                on_map(ignored_mask, to_heat, heat.shape),
                thresholds,
            )
    numbers: IntArray = np.array([films.patients[image_id] for image_id in image_ids], np.int64)
    return [
        PixelPrecisionStatistic(
            StatisticRow(films.label, method, f"{convention}/pxap", None, FIXED, len(image_ids)), numbers, *counted
        )
        for convention, counted in histograms.items()
    ]
