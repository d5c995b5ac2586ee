"""Boxes and peaks (hit points) of raw heat maps: where a map is cut, and which regions become boxes."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from camray.core.localization.box_recipes import BoxRecipe, Reference
from camray.core.localization.connected_components import FloatImage, find_regions
from camray.core.localization.heat_maps import peaks_xy, scaled_about_centre, upsampled
from camray.domain.geometry import CropWindow

_SMALLEST_POSITIVE = np.nextafter(np.float32(0), np.float32(1))
FLAT = 1e-5  # relative spread below which an interpolated map counts as constant (float32 rounding)


@dataclass(frozen=True)
class RegionRules:
    """Rules of a run for all boxes, whatever their recipe.

    Parameters
    ----------
    min_area : float
        Smallest region, fraction of the window.
    score : {'max', 'mean'}
        A box's score: highest or mean heat of its region, smoothed and with the prior as the recipe says.
    """

    min_area: float
    score: Literal["max", "mean"] = "max"


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
        Hit points (x, y), model px; NaN where the map is constant.
    """

    map_index: NDArray[np.int64]
    rank: NDArray[np.int64]
    boxes: NDArray[np.float64]
    score: NDArray[np.float64]
    peaks_xy: NDArray[np.float64]


def holds_localization(heat: FloatImage) -> NDArray[np.bool_]:
    """Return which maps localize anything: those that are not constant.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Raw maps. The sign of the heat does not matter: a bias moves it.

    Returns
    -------
    ndarray of shape (N,), bool
        False for maps without a peak.
    """
    return _extent(heat)[2]


def _extent(heat: FloatImage) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return each map's lowest and highest heat, and whether they differ; [N] each."""
    if not heat.size:
        nothing = np.zeros(len(heat), np.float32)
        return nothing, nothing, nothing > 0
    flat = heat.reshape(len(heat), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    return low, high, high - low > FLAT * np.maximum(np.abs(low), np.abs(high))


def heat_thresholds(
    heat: FloatImage, reference: Reference, levels: NDArray[np.float64], background: float = 0.0
) -> NDArray[np.float32]:
    """Turn levels into thresholds in units of the heat, map by map.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Interpolated maps, cropped to the film.
    reference : str
        As in `BoxRecipe`.
    levels : ndarray of shape (T,), float64
        As in `BoxRecipe`.
    background : float
        As in `BoxRecipe`; used with the reference ``background`` alone.

    Returns
    -------
    ndarray of shape (N, T), float32
        Infinity for a map without a box: a constant one, and one that is nowhere above the background (of the reference
        ``background``) or above zero (of the others but ``range``). Only ``range`` and ``background`` may be below
        zero: every other threshold is held above it, so that a region holds evidence *for* its label alone. No
        threshold is at or below the map's lowest heat.
    """
    zero = background if reference == "background" else 0.0
    low, high, varies = _extent(heat)
    usable = varies if reference == "range" else varies & (high > zero)
    thresholds = np.full((len(heat), len(levels)), np.inf, np.float32)
    if not usable.any():
        return thresholds
    low, high = low[usable, None], high[usable, None]
    shape = (len(low), len(levels))
    cut: NDArray[np.floating[Any]]
    match reference:
        case "max":
            cut = high.astype(np.float64) * levels
        case "range":
            cut = low + (high - low).astype(np.float64) * levels
        case "background":
            cut = zero + (high.astype(np.float64) - zero) * levels
        case "raw":
            cut = np.broadcast_to(levels, shape)
        case "quantile":
            cut = np.quantile(heat[usable].reshape(len(low), -1), levels, axis=1).T
        case "otsu":
            otsu = np.array([threshold_otsu(each) for each in heat[usable]])  # type: ignore[no-untyped-call]
            cut = np.broadcast_to(otsu[:, None], shape)
    least = np.nextafter(low, np.float32(np.inf))
    floor = least if reference in ("range", "background") else np.maximum(least, _SMALLEST_POSITIVE)
    thresholds[usable] = np.maximum(cut.astype(np.float32), floor)
    return thresholds


def locate(
    heat: FloatImage,
    window: CropWindow,
    shape_model: tuple[int, int],
    recipe: BoxRecipe,
    rules: RegionRules,
    prior: FloatImage | None = None,
) -> Located:
    """Draw the boxes of a stack of maps whose films cover the same window, best box first.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float32
        Raw maps of one label and method on the feature grid.
    window : CropWindow
        Model pixels that the film covers; nothing outside is looked at.
    shape_model : tuple of int
        (rows, cols) of the model grid.
    recipe : BoxRecipe
        How.
    rules : RegionRules
        Which regions count, and their scores.
    prior : ndarray of shape (h, w), float32, optional
        The label's prior map; needed where the recipe gives it weight.

    Returns
    -------
    Located
        Boxes on the model grid, px, best first per map, with scores and peaks.

    Raises
    ------
    ValueError
        If the heat is not finite, or a prior is missing.
    """
    if not np.isfinite(heat).all():
        raise ValueError("heat maps hold NaN or infinity; explain again")
    maps = upsampled(with_prior(heat, prior, recipe.prior), shape_model, window, recipe.smooth)
    cut = heat_thresholds(maps, recipe.reference, np.array([recipe.level]), recipe.background)[:, 0]
    regions = find_regions(maps, cut, rules.min_area * maps.shape[1] * maps.shape[2])
    order = regions.ranked(recipe.region)
    index = regions.map_index[order]
    boxes = scaled_about_centre(regions.boxes[order], recipe.dilate)
    if (recipe.smooth, recipe.prior) == (recipe.peak_smooth, recipe.peak_prior):
        points = _peaks_of(maps, window)
    else:
        points = hit_points(with_prior(heat, prior, recipe.peak_prior), window, shape_model, recipe.peak_smooth)
    return Located(
        map_index=index,
        rank=np.arange(len(index)) - np.searchsorted(index, index, side="left"),
        boxes=boxes + np.array([window.col0, window.row0] * 2, np.float64),
        score=(regions.peak if rules.score == "max" else regions.mean)[order],
        peaks_xy=points,
    )


def with_prior(heat: FloatImage, prior: FloatImage | None, weight: float) -> FloatImage:
    """Add a label's prior map to its raw maps.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float32
        Raw maps of one label and method.
    prior : ndarray of shape (h, w), float32, or None
        Where the label tends to be, in units of the heat: the mean raw map of the *training* films that show it. It
        comes from image-level labels alone; no box has a part in it.
    weight : float
        Factor on the prior.

    Returns
    -------
    ndarray of shape (N, h, w), float32
        A constant map stays as it is: the prior alone makes no finding.

    Raises
    ------
    ValueError
        If the weight is not zero and there is no prior.
    """
    if weight == 0:
        return heat
    if prior is None:
        raise ValueError(f"a recipe gives the prior map weight {weight:g} and there is no prior map; explain with one")
    added = np.where(holds_localization(heat)[:, None, None], np.float32(weight) * prior, np.float32(0))
    return np.asarray(heat + added, dtype=np.float32)


def hit_points(
    heat: FloatImage, window: CropWindow, shape_model: tuple[int, int], smooth: float
) -> NDArray[np.float64]:
    """Find each map's peak within the film.

    Parameters
    ----------
    heat, window, shape_model
        As for `locate`.
    smooth : float
        Sigma of the smoothing, feature cells.

    Returns
    -------
    ndarray of shape (N, 2), float64
        (x, y) on the model grid, px; NaN for a constant map.
    """
    return _peaks_of(upsampled(heat, shape_model, window, smooth), window)


def _peaks_of(maps: FloatImage, window: CropWindow) -> NDArray[np.float64]:
    points = peaks_xy(maps) + np.array([window.col0, window.row0], np.float64)
    points[~holds_localization(maps)] = np.nan
    return points
