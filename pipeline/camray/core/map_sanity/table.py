"""Tables of the map sanity checks, the films they run on, and the baseline maps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.map_sanity.columns import CASCADE_COLUMNS, CURVE_COLUMNS, SANITY_COLUMNS
from camray.core.map_sanity.method_figures import MethodFigures
from camray.core.map_sanity.similarity import FloatArray
from camray.core.metrics.localization.baselines import CENTRE, CENTRE_SIGMA, RANDOM, random_heat


def choose_pairs(
    targets: NDArray[np.float32], films: int, seed: int, label: int | None = None
) -> list[tuple[int, int]]:
    """Choose films that show a label, spread evenly over the labels.

    Parameters
    ----------
    targets : ndarray of shape (N, L), float32
        1 present; anything else does not count.
    films : int
        Pairs at most.
    seed : int
        Of the choice among a label's films.
    label : int, optional
        This label alone.

    Returns
    -------
    list of (int, int)
        Film and label, the labels by turns, so that the first n are shared out too. A film that shows several labels
        may appear once for each.
    """
    generator = np.random.default_rng(seed)
    waiting = [list(generator.permutation(np.flatnonzero(column == 1))) for column in targets.T]
    columns = range(targets.shape[1]) if label is None else [label]
    pairs: list[tuple[int, int]] = []
    while len(pairs) < films and any(waiting[number] for number in columns):
        pairs += [(int(waiting[number].pop(0)), number) for number in columns if waiting[number]]
    return pairs[:films]


def baseline_heat(
    name: str, seed: int, image_ids: Sequence[str], labels: Sequence[str], grid: tuple[int, int]
) -> FloatArray:
    """Make maps that do not use the film: uniform noise, or a Gaussian around the film's centre.

    Parameters
    ----------
    name : str
        Of the baseline.
    seed : int
        Of the noise.
    image_ids, labels : sequence of str
        Film and label of each of the N maps.
    grid : tuple of int
        (h, w) of the feature grid.

    Returns
    -------
    ndarray of shape (N, h, w), float64
        Raw maps.

    Raises
    ------
    ValueError
        If there is no such baseline.
    """
    rows, cols = grid
    if name == RANDOM:
        drawn = [
            random_heat(seed, label, image_id, 0, *grid) for image_id, label in zip(image_ids, labels, strict=True)
        ]
        return np.stack(drawn).astype(np.float64)
    if name == CENTRE:
        down, right = ((np.arange(side) + 0.5) / side - 0.5 for side in (rows, cols))
        heat = np.exp(-(down[:, None] ** 2 + right**2) / (2 * CENTRE_SIGMA**2))
        return np.repeat(heat[None], len(image_ids), axis=0)
    raise ValueError(f"no baseline '{name}'; expected {RANDOM} or {CENTRE}")


def sanity_table(examined: Sequence[MethodFigures]) -> pd.DataFrame:
    """Return one row per method, `SANITY_COLUMNS`."""
    rows = [{"method": each.method, **each.summary(), "reason": each.reason} for each in examined]
    return pd.DataFrame(rows, columns=list(SANITY_COLUMNS)).astype(SANITY_COLUMNS)


def cascade_table(examined: Sequence[MethodFigures]) -> pd.DataFrame:
    """Return agreement with the original map, one row per method, step and measure, `CASCADE_COLUMNS`."""
    rows = []
    for each in examined:
        if each.cascade is None:
            continue
        measures = {"rank": each.cascade.signed, "rank_abs": each.cascade.absolute, "ssim": each.cascade.ssim}
        for measure, values in measures.items():
            for step, (block, by_film) in enumerate(zip(each.cascade.blocks, values, strict=True), start=1):
                rows.append((each.method, step, block, measure, *_mean_and_count(by_film)))
    return pd.DataFrame(rows, columns=list(CASCADE_COLUMNS)).astype(CASCADE_COLUMNS)


def curve_table(examined: Sequence[MethodFigures]) -> pd.DataFrame:
    """Return mean deletion and insertion curves, one row per method, kind and fraction, `CURVE_COLUMNS`."""
    rows = []
    for each in examined:
        if each.curves is None:
            continue
        for kind, curves in (("deletion", each.curves.deletion), ("insertion", each.curves.insertion)):
            for fraction, by_film in zip(each.curves.fractions, curves.T, strict=True):
                rows.append((each.method, kind, fraction, *_mean_and_count(by_film)))
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS)).astype(CURVE_COLUMNS)


def _mean_and_count(values: FloatArray) -> tuple[float, int]:
    defined = values[np.isfinite(values)]
    return (float(defined.mean()) if defined.size else float("nan")), int(defined.size)
