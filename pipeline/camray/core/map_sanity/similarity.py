"""Agreement of two heat maps: rank correlation, structural similarity, relative change. NaN where undefined."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

FloatArray = NDArray[np.float64]
_SSIM_WINDOW = 7
_SMALLEST_WINDOW = 3


def is_constant(heat: FloatArray) -> NDArray[np.bool_]:
    """Return which maps rank no cell above another: constant, or not finite.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float64
        Raw maps.

    Returns
    -------
    ndarray of shape (N,), bool
        True for maps without an order.
    """
    flat = heat.reshape(len(heat), -1)
    finite = np.isfinite(flat).all(axis=1)
    spread = np.ptp(np.where(np.isfinite(flat), flat, 0.0), axis=1)
    return np.asarray(~finite | (spread == 0))


def rank_correlations(first: FloatArray, second: FloatArray) -> FloatArray:
    """Correlate the ranks of cells, map by map (Spearman 1904).

    Parameters
    ----------
    first, second : ndarray of shape (N, h, w), float64

    Returns
    -------
    ndarray of shape (N,), float64
        Pearson's correlation of the ranks, equal values sharing their mean rank; in [-1, 1]. NaN where either map is
        constant or not finite.
    """
    correlations = np.full(len(first), np.nan)
    for number in np.flatnonzero(~(is_constant(first) | is_constant(second))):
        ranks = [rankdata(maps[number]).ravel() for maps in (first, second)]
        ranks = [each - each.mean() for each in ranks]
        correlations[number] = ranks[0] @ ranks[1] / np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    return np.asarray(np.clip(correlations, -1.0, 1.0))


def structural_similarities(first: FloatArray, second: FloatArray) -> FloatArray:
    """Compare maps as pictures (SSIM, Wang et al., IEEE TIP 2004), map by map.

    Each map's absolute values are brought to 0-1 by its own minimum and maximum, as Adebayo et al. draw them. Window of
    7 x 7 cells, or the largest odd one that fits.

    Parameters
    ----------
    first, second : ndarray of shape (N, h, w), float64
        Raw maps on one grid.

    Returns
    -------
    ndarray of shape (N,), float64
        In [-1, 1]. NaN where either map's absolute values are constant, or the grid is under 3 cells.
    """
    first, second = np.abs(first), np.abs(second)
    similarities = np.full(len(first), np.nan)
    side = min(_SSIM_WINDOW, *first.shape[1:])
    window = side if side % 2 else side - 1
    if window < _SMALLEST_WINDOW:
        return similarities
    for number in np.flatnonzero(~(is_constant(first) | is_constant(second))):
        pictures = [_heat01(maps[number]) for maps in (first, second)]
        similarities[number] = structural_similarity(*pictures, win_size=window, data_range=1.0)  # type: ignore[no-untyped-call]
    return similarities


def relative_changes(heat: FloatArray, changed: FloatArray) -> FloatArray:
    """Compute ``||changed - heat|| / ||heat||`` (Frobenius), map by map.

    Parameters
    ----------
    heat, changed : ndarray of shape (N, h, w), float64
        Raw maps on one grid.

    Returns
    -------
    ndarray of shape (N,), float64
        NaN where the map is zero, or either is not finite.
    """
    flat, moved = heat.reshape(len(heat), -1), changed.reshape(len(heat), -1)
    length = np.linalg.norm(flat, axis=1)
    defined = np.isfinite(flat).all(axis=1) & np.isfinite(moved).all(axis=1) & (length > 0)
    changes = np.full(len(heat), np.nan)
    changes[defined] = np.linalg.norm(moved[defined] - flat[defined], axis=1) / length[defined]
    return changes


def _heat01(heat: FloatArray) -> FloatArray:
    return np.asarray((heat - heat.min()) / np.ptp(heat))
