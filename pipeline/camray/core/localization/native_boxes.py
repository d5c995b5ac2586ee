"""Boxes and peaks of one label, brought to the native grid of each film, from its maps and a recipe."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.connected_components import FloatImage
from camray.core.localization.heat_maps import Placement
from camray.core.localization.located_boxes import Located, RegionRules, locate
from camray.domain.geometry import Box, CropWindow
from camray.domain.records import CORNERS

_MAPS_AT_ONCE = 32
_ROW_COLUMNS = ["film", *CORNERS, "score", "peak_x", "peak_y", "rank"]


@dataclass(frozen=True)
class PlacedFilms:
    """Films on a model grid.

    Parameters
    ----------
    placements : sequence of Placement
        Position of each of the N films.
    sizes : sequence of tuple of int
        (rows, cols) of each film, native px.
    shape_model : tuple of int
        (rows, cols) of the model grid.
    """

    placements: Sequence[Placement]
    sizes: Sequence[tuple[int, int]]
    shape_model: tuple[int, int]


def draw_native_boxes(
    films: PlacedFilms,
    heat: FloatImage,
    recipe: BoxRecipe,
    rules: RegionRules,
    prior: FloatImage | None = None,
    *,
    only_best: bool,
) -> pd.DataFrame:
    """Draw the boxes of one label with one recipe: at least one row for every film.

    Parameters
    ----------
    films : PlacedFilms
        N films.
    heat : ndarray of shape (N, h, w), float32
        Their raw maps on the feature grid.
    recipe, rules, prior
        As for `locate`.
    only_best : bool
        One box per film instead of all.

    Returns
    -------
    DataFrame
        Columns ``film`` (its number), ``x0, y0, x1, y1, score, peak_x, peak_y, rank``; native px, clipped to the film,
        ordered by film and rank. A film without a box has one row with missing corners.
    """
    rows: list[tuple[Any, ...]] = []
    for numbers, window in _stacks([placement.window for placement in films.placements]):
        located = locate(heat[numbers], window, films.shape_model, recipe, rules, prior)
        for position, film in enumerate(numbers):
            native = _native_rows(located, position, films.placements[film], films.sizes[film], only_best=only_best)
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
