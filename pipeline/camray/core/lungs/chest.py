"""The chest on a film: the hull of the lungs with a margin, and the cells of a heat map inside it."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from camray.core.lungs.detection import DetectedLungs
from camray.core.lungs.regions import BoolImage
from camray.domain.geometry import CropWindow, GridTransform

MARGIN = 0.03  # of the film's longer side: pleura and diaphragm are outside the lungs' outline


def chest_mask(lungs: DetectedLungs, window: CropWindow, margin: float = MARGIN) -> BoolImage | None:
    """Return the convex hull of all lungs, widened by a margin.

    Parameters
    ----------
    lungs : DetectedLungs
        Masks on the segmenter's grid.
    window : CropWindow
        The film's part of that grid.
    margin : float
        Fraction of the window's longer side.

    Returns
    -------
    ndarray of shape (H, W), bool, or None
        Segmenter's grid. It takes in heart and mediastinum where both lungs are seen. None where no lung is.
    """
    hull = lungs.hull()
    if hull is None:
        return None
    reach_px = margin * max(window.rows, window.cols)
    return np.asarray(distance_transform_edt(~hull) <= reach_px, np.bool_)


def cells_inside(
    mask: BoolImage, to_mask: GridTransform, shape_model: tuple[int, int], cells: tuple[int, int]
) -> BoolImage:
    """Return which cells of a map have their centre in a mask.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        Any grid; outside it is False.
    to_mask : GridTransform
        Model grid to the mask's grid.
    shape_model : tuple of int
        (rows, cols) of the model grid, px.
    cells : tuple of int
        (h, w) of the map, which covers the model grid exactly.

    Returns
    -------
    ndarray of shape (h, w), bool

    Examples
    --------
    >>> mask = np.array([[True, False], [True, False]])
    >>> cells_inside(mask, GridTransform(0.5, 0.5, 0.0, 0.0), (4, 4), (1, 2)).tolist()
    [[True, False]]
    """
    centres = [(np.arange(n) + 0.5) * side / n for n, side in zip(cells, shape_model, strict=True)]
    row = np.floor(centres[0] * to_mask.scale_y + to_mask.offset_y).astype(np.int64)
    col = np.floor(centres[1] * to_mask.scale_x + to_mask.offset_x).astype(np.int64)
    on_mask = ((row >= 0) & (row < mask.shape[0]))[:, None] & ((col >= 0) & (col < mask.shape[1]))[None]
    inside = mask[np.clip(row, 0, mask.shape[0] - 1)[:, None], np.clip(col, 0, mask.shape[1] - 1)[None]]
    return np.asarray(inside & on_mask, np.bool_)


def bounded_by(heat: NDArray[np.float32], inside: BoolImage) -> NDArray[np.float32]:
    """Lower what is outside a region to a map's lowest heat.

    Parameters
    ----------
    heat : ndarray of shape (L, h, w), float32
        A film's raw maps.
    inside : ndarray of shape (h, w), bool
        On the same grid.

    Returns
    -------
    ndarray of shape (L, h, w), float32
        No cell outside is above one inside. As given where no cell is inside: such a region is no chest.
    """
    if not inside.any():
        return heat
    lowest = heat.min(axis=(1, 2), keepdims=True)
    return np.where(inside, heat, lowest).astype(np.float32)
