"""Calibration of box recipes, one per label, on validation films alone.

Few boxes invite over-fitting. Therefore the accuracy of a recipe is averaged with that of its neighbours on the grid,
each label's accuracy is blended with that of all labels together, the more the fewer boxes the label has, and the
recipe from image labels alone is kept unless the chosen one is better by more than chance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from camray.core.localization.box_recipes import BoxRecipe, Reference
from camray.core.localization.connected_components import REGION_CHOICES, best_boxes
from camray.core.localization.heat_maps import scaled_about_centre, upsampled
from camray.core.localization.located_boxes import heat_thresholds, hit_points, with_prior
from camray.core.localization.recipe_grid import RecipeGrid, ValidationMaps
from camray.domain.geometry import CropWindow, iou_matrix

_COARSE_SIDE_PX = 96  # maps are sampled about this finely while recipes are compared; boxes are drawn on the full grid
_TIE = 1e-3  # weight of the mean IoU beside the accuracy: breaks ties, nothing more
_HIT_TIE = 1e-6
_ROUNDING = 1e-12
MARGIN = 1.0  # standard errors by which a chosen recipe must beat the one from image labels alone
_NEIGHBOURS = np.array([0.25, 0.5, 0.25])


@dataclass(frozen=True)
class CalibratedRecipe:
    """A chosen recipe, how many films chose it, and what it reached on them (optimistic: it was chosen there).

    `is_start` tells that the recipe from image labels alone was kept, `hit_rate` and its smoothing apart.
    """

    recipe: BoxRecipe
    n: int
    accuracy: float
    hit_rate: float
    is_start: bool = False


def calibrate(
    labels: Mapping[str, ValidationMaps],
    shape_model: tuple[int, int],
    grid: RecipeGrid,
    *,
    iou_threshold: float,
    min_area: float,
    shrink_films: float,
) -> dict[str, CalibratedRecipe]:
    """Choose one recipe for each label that has validation boxes.

    Parameters
    ----------
    labels : mapping of str to ValidationMaps
        Labels without a film are left out of the result.
    shape_model : tuple of int
        (rows, cols) of the model grid.
    grid : RecipeGrid
        What to compare.
    iou_threshold : float
        A film counts as right when its first box meets any annotated box with at least this IoU.
    min_area : float
        Smallest region, fraction of the film.
    shrink_films : float
        The accuracy over all labels counts as so many films beside a label's own.

    Notes
    -----
    A label's `start` is kept unless the best recipe is right on more films by over `MARGIN` standard errors of the
    difference, film by film. Ties go to the higher mean IoU, then to the earlier point of the grid. The hit point's
    smoothing is chosen apart, by the share of films whose peak is in an annotated box; ties go to the least smoothing.
    """
    used = {label: maps for label, maps in labels.items() if len(maps.heat)}
    n = {label: len(maps.heat) for label, maps in used.items()}
    levels = {label: grid.levels_of(maps) for label, maps in used.items()}
    overlaps = {label: _overlaps(used[label], shape_model, grid, levels[label], min_area) for label in used}
    best: dict[str, tuple[float, BoxRecipe, NDArray[np.bool_]]] = {}
    for reference in dict.fromkeys(each for tried in levels.values() for each in tried):
        judged = {
            label: _judge(table[reference], iou_threshold) for label, table in overlaps.items() if reference in table
        }
        for label, blended in _blend(judged, n, shrink_films).items():
            flat = int(np.argmax(blended))
            value = float(blended.flat[flat])
            if label not in best or value > best[label][0]:
                where = np.unravel_index(flat, blended.shape)
                recipe = _recipe_at(grid, reference, levels[label][reference], where)
                if reference == "background":
                    recipe = replace(recipe, background=_background(used[label]))
                best[label] = value, recipe, overlaps[label][reference].reshape(n[label], -1)[:, flat] >= iou_threshold
    kept = {label: _kept(each, shape_model, best[label][2], iou_threshold, min_area) for label, each in used.items()}
    hits = {label: _hits(maps, shape_model, grid) for label, maps in used.items()}
    peaks = {label: _first_best(each) for label, each in _blend(hits, n, shrink_films).items()}
    chosen = {label: kept[label] or (recipe, right) for label, (_, recipe, right) in best.items()}
    return {
        label: CalibratedRecipe(
            recipe=replace(recipe, peak_smooth=grid.smooth[peaks[label][0]], peak_prior=grid.prior[peaks[label][1]]),
            n=n[label],
            accuracy=float(right.mean()),
            hit_rate=float(hits[label][peaks[label]]),
            is_start=kept[label] is not None,
        )
        for label, (recipe, right) in chosen.items()
    }


def _background(maps: ValidationMaps) -> float:
    return 0.0 if maps.start is None else maps.start.background


def _kept(
    maps: ValidationMaps,
    shape_model: tuple[int, int],
    right: NDArray[np.bool_],
    iou_threshold: float,
    min_area: float,
) -> tuple[BoxRecipe, NDArray[np.bool_]] | None:
    """Return the start and the films it is right on, unless being `right` on others [P] is better beyond chance."""
    start = maps.start
    if start is None:
        return None
    alone = RecipeGrid(levels=(start.level,), smooth=(start.smooth,), dilate=(start.dilate,))
    table = _overlaps(maps, shape_model, alone, {start.reference: np.array([start.level])}, min_area)[start.reference]
    own = table.reshape(len(right), len(REGION_CHOICES))[:, REGION_CHOICES.index(start.region)] >= iou_threshold
    gain = right.astype(np.float64) - own
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return (start, own) if gain.mean() <= MARGIN * error + _ROUNDING else None


def _judge(overlap: NDArray[np.float64], iou_threshold: float) -> NDArray[np.float64]:
    """Accuracy with a trace of mean IoU, averaged over neighbouring smoothings, prior weights, levels and dilations."""
    judged = (overlap >= iou_threshold).mean(axis=0) + _TIE * overlap.mean(axis=0)
    return _with_neighbours(judged, axes=(0, 1, 2, 3))


def _with_neighbours(table: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    for axis in axes:
        table = convolve1d(table, _NEIGHBOURS, axis=axis, mode="nearest")
    return table


def _first_best(hit_rates: NDArray[np.float64]) -> tuple[int, int]:
    """Return the least smoothing and prior weight on the best plateau of hit rates [smoothing, weight]."""
    judged = _with_neighbours(hit_rates, axes=(0, 1))
    steps = np.add.outer(np.arange(judged.shape[0]), np.arange(judged.shape[1]))
    smooth, prior = np.unravel_index(int(np.argmax(judged - _HIT_TIE * steps)), judged.shape)
    return int(smooth), int(prior)


def _blend(
    tables: Mapping[str, NDArray[np.float64]], n: Mapping[str, int], shrink_films: float
) -> dict[str, NDArray[np.float64]]:
    """Pull each label's table towards the mean over all films, as if that were `shrink_films` films of its own."""
    if not tables:
        return {}
    pooled = sum(n[label] * table for label, table in tables.items()) / sum(n[label] for label in tables)
    return {
        label: np.asarray((n[label] * table + shrink_films * pooled) / (n[label] + shrink_films))
        for label, table in tables.items()
    }


def _recipe_at(
    grid: RecipeGrid, reference: Reference, levels: NDArray[np.float64], where: tuple[np.intp, ...]
) -> BoxRecipe:
    smooth, prior, level, dilate, region = where
    return BoxRecipe(
        reference,
        float(levels[level]),
        smooth=grid.smooth[smooth],
        prior=grid.prior[prior],
        dilate=grid.dilate[dilate],
        region=REGION_CHOICES[region],
    )


def _overlaps(
    maps: ValidationMaps,
    shape_model: tuple[int, int],
    grid: RecipeGrid,
    levels: Mapping[Reference, NDArray[np.float64]],
    min_area: float,
) -> dict[Reference, NDArray[np.float64]]:
    """IoU of each film's first box with its best annotated box, [P, smoothing, weight, level, dilation, choice]."""
    tried = (len(grid.smooth), len(grid.prior))
    tables = {
        reference: np.zeros((len(maps.heat), *tried, len(each), len(grid.dilate), len(REGION_CHOICES)))
        for reference, each in levels.items()
    }
    step_px = max(1, round(max(shape_model) / _COARSE_SIDE_PX))
    for window, films in _by_window(maps.windows):
        for point in np.ndindex(*tried):
            heat = with_prior(maps.heat[films], maps.prior, grid.prior[point[1]])
            coarse = upsampled(heat, shape_model, window, grid.smooth[point[0]], step_px)
            for reference, each in levels.items():
                cut = heat_thresholds(coarse, reference, each, _background(maps))
                boxes = best_boxes(coarse, cut, max(1.0, min_area * coarse.shape[1] * coarse.shape[2]))
                on_model = _from_samples(boxes, window, (coarse.shape[1], coarse.shape[2]))
                dilated = scaled_about_centre(on_model[:, :, None], np.array(grid.dilate)[:, None])
                for film, candidates in zip(films, _clipped(dilated, window), strict=True):
                    tables[reference][(film, *point)] = _best_iou(candidates, maps.annotated[film])
    return tables


def _hits(maps: ValidationMaps, shape_model: tuple[int, int], grid: RecipeGrid) -> NDArray[np.float64]:
    """Share of films whose peak is in an annotated box, [smoothing, prior weight]."""
    inside = np.zeros((len(maps.heat), len(grid.smooth), len(grid.prior)))
    for window, films in _by_window(maps.windows):
        for point in np.ndindex(inside.shape[1:]):
            heat = with_prior(maps.heat[films], maps.prior, grid.prior[point[1]])
            points = hit_points(heat, window, shape_model, grid.smooth[point[0]])
            for film, (x, y) in zip(films, points, strict=True):
                boxes = maps.annotated[film]
                within = (boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3])
                inside[(film, *point)] = within.any()
    return np.asarray(inside.mean(axis=0))


def _by_window(windows: Sequence[CropWindow]) -> Iterator[tuple[CropWindow, NDArray[np.int64]]]:
    groups: dict[CropWindow, list[int]] = {}
    for film, window in enumerate(windows):
        groups.setdefault(window, []).append(film)
    for window, films in groups.items():
        yield window, np.array(films)


def _from_samples(boxes: NDArray[np.float64], window: CropWindow, samples: tuple[int, int]) -> NDArray[np.float64]:
    """Map boxes [..., 4] from the coarse samples of a window to the model grid."""
    scale = np.array([window.cols / samples[1], window.rows / samples[0]] * 2)
    return np.asarray(boxes * scale + np.array([window.col0, window.row0] * 2))


def _clipped(boxes: NDArray[np.float64], window: CropWindow) -> NDArray[np.float64]:
    low = np.array([window.col0, window.row0] * 2, np.float64)
    return np.clip(boxes, low, np.array([window.col1, window.row1] * 2, np.float64))


def _best_iou(boxes: NDArray[np.float64], annotated: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highest IoU of each box [..., 4] with any of the annotated ones [A, 4]; 0 for a missing (NaN) box."""
    flat = boxes.reshape(-1, 4)
    return np.asarray(np.nan_to_num(iou_matrix(flat, annotated), nan=0.0).max(axis=1).reshape(boxes.shape[:-1]))
