"""Background of a label's maps, and the box recipe that measures from it: image labels alone, no boxes.

A map's zero means nothing by itself: the head's bias and the pool take up any constant that is added to a CAM. What a
film without the finding shows does mean something. The *background* is the median heat of such films, and a box
encloses the heat from halfway between background and maximum upwards (full width at half maximum). The fraction and the
widening of the boxes are the same for all data sets (docs/experiments.md has what was compared).

A method that clips its maps at zero (Grad-CAM) has clipped its background too. There the fraction of the maximum takes
the place of the half.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.connected_components import FloatImage, RegionChoice


@dataclass(frozen=True)
class Background:
    """Heat of films without a label.

    Parameters
    ----------
    heat : float
        Median over films and cells.
    is_clipped : bool
        The background is zero and no cell is below it: the method clips its maps at zero.
    n : int
        Number of films.
    """

    heat: float
    is_clipped: bool
    n: int


@dataclass(frozen=True)
class BackgroundRules:
    """Constants of the policy, the same for all labels.

    Parameters
    ----------
    level : float
        Fraction of the way from the background to a map's maximum, 0-1.
    clipped_level : float
        The same for maps that are clipped at zero.
    dilate : float
        Factor on the boxes' sides.
    smooth : float
        Gaussian sigma for boxes and hit points, in feature cells.
    region : str
        Which region comes first.
    """

    level: float
    clipped_level: float
    dilate: float
    smooth: float = 0.0
    region: RegionChoice = "hottest"


def background_of(heat: FloatImage, *, is_bounded: bool = False) -> Background:
    """Measure the background.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float32
        Raw maps of one label and method on the feature grid, of films without that label.
    is_bounded : bool
        The maps were held inside the chest: cells at a map's lowest heat are outside it and do not count, unless all
        are, or maps are clipped at zero.

    Returns
    -------
    Background
        In units of the heat.

    Raises
    ------
    ValueError
        If there is no film, or the heat is not finite.

    Examples
    --------
    >>> background_of(np.array([[[-4.0, -3.0, 2.0]]], np.float32))
    Background(heat=-3.0, is_clipped=False, n=1)
    """
    if not heat.size:
        raise ValueError("a background needs at least one film")
    if not np.isfinite(heat).all():
        raise ValueError("heat maps hold NaN or infinity; explain again")
    counted = _above_lowest(heat) if is_bounded and heat.min() < 0 else heat.ravel()
    median = float(np.median((counted if counted.size else heat).astype(np.float64)))
    return Background(median, median == 0 and bool(heat.min() >= 0), len(heat))


def _above_lowest(heat: FloatImage) -> NDArray[np.float32]:
    return np.asarray(heat[heat > heat.min(axis=(1, 2), keepdims=True)], np.float32)


def recipe_above(background: Background, rules: BackgroundRules) -> BoxRecipe:
    """Return the recipe whose boxes are measured from a background.

    Parameters
    ----------
    background : Background
        Of the label and method.
    rules : BackgroundRules
        Constants of the policy.
    """
    return BoxRecipe(
        "background",
        rules.clipped_level if background.is_clipped else rules.level,
        smooth=rules.smooth,
        peak_smooth=rules.smooth,
        dilate=rules.dilate,
        region=rules.region,
        background=background.heat,
    )
