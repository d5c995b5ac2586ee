"""Where to cut a heat map: recipes, and the boxes and hit points they give.

A *recipe* says everything between a raw map and its box: smoothing, what the threshold is measured against, which of
several regions is meant, and how far its box is widened. The fixed policies are recipes that no box has ever
influenced; `pipeline.core.calibration` picks one on validation boxes.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from pipeline.core.boxes import (
    FloatImage,
    RegionChoice,
    Window,
    find_regions,
    peaks_xy,
    scaled_about_centre,
    upsampled,
)

Reference = Literal["max", "range", "raw", "quantile", "otsu"]
_SMALLEST_POSITIVE = np.nextafter(np.float32(0), np.float32(1))
_FLAT = 1e-5  # relative spread below which an interpolated map counts as constant (float32 rounding)


@dataclass(frozen=True)
class Recipe:
    """From a raw map to its box and hit point.

    Parameters
    ----------
    reference : {'max', 'range', 'raw', 'quantile', 'otsu'}
        What `level` is measured against, within the film: ``max``: fraction of the map's maximum; ``range``: fraction
        of the way from its minimum to its maximum; ``raw``: the heat itself; ``quantile``: fraction of the film that is
        cooler; ``otsu``: Otsu's threshold, `level` unused.
    level : float
        See `reference`.
    smooth : float
        Sigma of a Gaussian applied to the map before its box is drawn, in feature cells.
    peak_smooth : float
        The same before its hit point is taken.
    dilate : float
        Factor on the box's sides, about its centre.
    region : {'hottest', 'largest', 'evidence'}
        Which region comes first: highest heat, most pixels, or the largest sum of heat above the threshold.
    """

    reference: Reference
    level: float
    smooth: float = 0.0
    peak_smooth: float = 0.0
    dilate: float = 1.0
    region: RegionChoice = "hottest"

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as it stands in ``thresholds.json``."""
        return asdict(self)


@dataclass(frozen=True)
class Located:
    """Boxes and hit points of a stack of N maps, on the model grid.

    Parameters
    ----------
    map_index : ndarray of shape (B,), int64
        The map each box belongs to; ascending. A map may have none.
    rank : ndarray of shape (B,), int64
        0 is a map's best box.
    boxes : ndarray of shape (B, 4), float64
        (x0, y0, x1, y1), model px, half-open; not yet clipped to the film.
    score : ndarray of shape (B,), float64
        In units of the (smoothed) heat.
    peaks_xy : ndarray of shape (N, 2), float64
        Hit points (x, y), model px; NaN where the map holds no localization.
    """

    map_index: NDArray[np.int64]
    rank: NDArray[np.int64]
    boxes: NDArray[np.float64]
    score: NDArray[np.float64]
    peaks_xy: NDArray[np.float64]


def holds_localization(heat: FloatImage) -> NDArray[np.bool_]:
    """Tell which maps [N, H, W] point anywhere: not constant, and some evidence above zero."""
    flat = heat.reshape(len(heat), -1)
    if flat.shape[1] == 0 or not len(heat):
        return np.zeros(len(heat), bool)
    low, high = flat.min(axis=1), flat.max(axis=1)
    return np.asarray((high > 0) & (high - low > _FLAT * np.maximum(np.abs(low), np.abs(high))))


def heat_thresholds(heat: FloatImage, reference: Reference, levels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn levels into thresholds in units of the heat, map by map.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Interpolated maps, cropped to the film.
    reference : str
        As in `Recipe`.
    levels : ndarray of shape (T,), float64
        As in `Recipe`.

    Returns
    -------
    ndarray of shape (N, T), float32
        Infinity for a map without localization. Only ``range`` may lie below zero: every other threshold is held above
        it, so that a region holds evidence *for* its label alone. No threshold is at or below the map's lowest heat.
    """
    flat = heat.reshape(len(heat), -1)
    usable = holds_localization(heat)
    thresholds = np.full((len(heat), len(levels)), np.inf, np.float32)
    flat = flat[usable]
    if not len(flat):
        return thresholds
    low, high = flat.min(axis=1)[:, None].astype(np.float64), flat.max(axis=1)[:, None].astype(np.float64)
    match reference:
        case "max":
            cut = high * levels
        case "range":
            cut = low + (high - low) * levels
        case "raw":
            cut = np.broadcast_to(levels, (len(flat), len(levels)))
        case "quantile":
            cut = np.quantile(flat, levels, axis=1).T
        case "otsu":
            found = np.array([threshold_otsu(each) for each in flat])  # type: ignore[no-untyped-call]
            cut = np.broadcast_to(found[:, None], (len(flat), len(levels)))
    least = np.nextafter(low.astype(np.float32), np.float32(np.inf))
    floor = least if reference == "range" else np.maximum(least, _SMALLEST_POSITIVE)
    thresholds[usable] = np.maximum(cut.astype(np.float32), floor)
    return thresholds


def locate(
    heat: FloatImage,
    window: Window,
    shape_model: tuple[int, int],
    recipe: Recipe,
    *,
    min_area: float,
    score: Literal["max", "mean"] = "max",
) -> Located:
    """Draw the boxes of a stack of maps whose films cover the same window, best box first.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float32
        Raw maps of one label and method on the feature grid.
    window : Window
        Model pixels that the film covers; nothing outside is looked at.
    shape_model : tuple of int
        (rows, cols) of the model grid.
    recipe : Recipe
        How.
    min_area : float
        Smallest region, fraction of the window.
    score : {'max', 'mean'}
        A box's score: highest or mean (smoothed) heat of its region.

    Raises
    ------
    ValueError
        If the heat is not finite.
    """
    if not np.isfinite(heat).all():
        raise ValueError("heat maps hold NaN or infinity; explain again")
    maps = upsampled(heat, shape_model, window, recipe.smooth)
    cut = heat_thresholds(maps, recipe.reference, np.array([recipe.level]))[:, 0]
    regions = find_regions(maps, cut, min_area * maps.shape[1] * maps.shape[2])
    order = regions.ranked(recipe.region)
    index = regions.map_index[order]
    first_of_map = np.searchsorted(index, index, side="left")
    boxes = scaled_about_centre(regions.boxes[order], recipe.dilate)
    return Located(
        map_index=index,
        rank=np.arange(len(index)) - first_of_map,
        boxes=boxes + np.array([window.col0, window.row0] * 2, np.float64),
        score=(regions.peak if score == "max" else regions.mean)[order],
        peaks_xy=hit_points(heat, window, shape_model, recipe.peak_smooth, maps if _same_smooth(recipe) else None),
    )


def _same_smooth(recipe: Recipe) -> bool:
    return recipe.smooth == recipe.peak_smooth


def hit_points(
    heat: FloatImage,
    window: Window,
    shape_model: tuple[int, int],
    smooth: float,
    maps: FloatImage | None = None,
) -> NDArray[np.float64]:
    """Find each map's peak within the film, [N, 2] (x, y) in model px; NaN where it holds no localization.

    `maps` are the interpolated maps where the caller has them already; other arguments as for `locate`.
    """
    shown = upsampled(heat, shape_model, window, smooth) if maps is None else maps
    points = peaks_xy(shown) + np.array([window.col0, window.row0], np.float64)
    points[~holds_localization(shown)] = np.nan
    return points


def fixed_recipe(policy: str, level: float, smooth: float, region: RegionChoice) -> Recipe:
    """Return the recipe of a policy that no boxes influence.

    Parameters
    ----------
    policy : {'fraction_of_max', 'raw', 'quantile', 'otsu'}
        Name in the settings.
    level : float
        Its parameter; unused for Otsu.
    smooth : float
        Gaussian sigma for boxes and hit points, in feature cells.
    region : str
        Which region comes first.

    Raises
    ------
    ValueError
        If the policy is not a fixed one.
    """
    references: dict[str, Reference] = {
        "fraction_of_max": "max",
        "raw": "raw",
        "quantile": "quantile",
        "otsu": "otsu",
    }
    if policy not in references:
        raise ValueError(f"'{policy}' is not a fixed threshold policy; expected one of {', '.join(references)}")
    plain = Recipe(references[policy], level, smooth=smooth, peak_smooth=smooth, region=region)
    return replace(plain, level=0.0) if policy == "otsu" else plain
