"""What calibration reads and compares: maps of validation films that have boxes, and a grid of recipes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.localization.box_recipes import BoxRecipe, Reference
from camray.core.localization.connected_components import FloatImage
from camray.domain.geometry import CropWindow


@dataclass(frozen=True)
class ValidationMaps:
    """One label's validation films that hold boxes, P of them.

    Parameters
    ----------
    heat : ndarray of shape (P, h, w), float32
        Raw maps on the feature grid.
    windows : sequence of CropWindow
        Model pixels of each film.
    annotated : sequence of ndarray of shape (A, 4), float64
        The label's boxes on each film, at least one, on the *model* grid (IoU is the same there), px.
    prior : ndarray of shape (h, w), float32
        As in `camray.core.localization.located_boxes.locate`; zero where there is no prior map.
    start : BoxRecipe or None
        The label's recipe from image labels alone, which a chosen recipe must beat.
    """

    heat: FloatImage
    windows: Sequence[CropWindow]
    annotated: Sequence[NDArray[np.float64]]
    prior: FloatImage
    start: BoxRecipe | None = None


@dataclass(frozen=True)
class RecipeGrid:
    """Recipes to compare.

    Parameters
    ----------
    levels : tuple of float
        For each of the references ``max``, ``range`` and, where a label has one, ``background``; ascending.
    raw_quantiles : tuple of float
        Raw levels are tried at these quantiles of a label's validation heat, ascending; empty: ``raw`` is not tried.
    smooth : tuple of float
        Sigmas in feature cells, for boxes and for hit points, ascending.
    dilate : tuple of float
        Factors on the boxes' sides, ascending.
    prior : tuple of float
        Weights of the prior map, for boxes and for hit points, ascending.
    """

    levels: tuple[float, ...] = tuple(round(0.1 + 0.05 * step, 2) for step in range(17))
    raw_quantiles: tuple[float, ...] = ()
    smooth: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    dilate: tuple[float, ...] = (0.8, 0.9, 1.0, 1.12, 1.25, 1.4, 1.6)
    prior: tuple[float, ...] = (0.0,)

    def levels_of(self, maps: ValidationMaps) -> dict[Reference, NDArray[np.float64]]:
        """Compute the levels to try for one label's maps.

        Parameters
        ----------
        maps : ValidationMaps
            Only `raw_quantiles` need its heat. A background of zero is that of ``max``.

        Returns
        -------
        dict of Reference to ndarray, float64
            Levels in units of their reference.
        """
        fractions = np.array(self.levels)
        levels: dict[Reference, NDArray[np.float64]] = {"max": fractions, "range": fractions}
        if maps.start is not None and maps.start.background:
            levels["background"] = fractions
        if self.raw_quantiles:
            levels["raw"] = np.quantile(maps.heat.astype(np.float64), self.raw_quantiles)
        return levels
