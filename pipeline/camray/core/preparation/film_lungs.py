"""Lungs of one film of any size, and their convex hull, on its native grid."""

import numpy as np
import torch
from numpy.typing import NDArray

from camray.core.imaging.resampling import to_model_grid
from camray.core.lungs.detection import DetectedLungs, find_lungs
from camray.core.networks.lung_unet import SIDE_PX, LungUNet, lung_probabilities, window_of
from camray.core.preparation.prepared_film import NativeLungs
from camray.domain.geometry import GridTransform
from camray.domain.zones import Side


def lungs_of_film(
    pixels: NDArray[np.float32],
    spacing: tuple[float | None, float | None],
    network: LungUNet,
    side: Side | None = None,
) -> tuple[DetectedLungs, GridTransform, NDArray[np.float32]]:
    """Find the lungs of one film.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Grey 0-1, native grid.
    spacing : (float or None, float or None)
        Row and column spacing; only their ratio matters.
    network : LungUNet
        The segmenter, on the CPU.
    side : Side, optional
        The only side that the film shows according to its header.

    Returns
    -------
    DetectedLungs
        On the segmenter's grid.
    GridTransform
        Native to the segmenter's grid.
    ndarray of shape (128, 128), float32
        The film on the segmenter's grid.
    """
    grey, to_grid = to_model_grid(pixels, SIDE_PX, SIDE_PX, "letterbox", *spacing)
    likely = lung_probabilities(network, torch.from_numpy(grey)[None, None])[0, 0].float().numpy()
    rows, cols = pixels.shape
    return find_lungs(grey, likely, window_of(to_grid, rows, cols), side), to_grid, grey


def native_lungs(
    pixels: NDArray[np.float32], spacing: tuple[float | None, float | None], network: LungUNet
) -> NativeLungs | None:
    """Find the lungs of one film, and their hull.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Grey 0-1, native grid.
    spacing : (float or None, float or None)
        Row and column spacing; only their ratio matters.
    network : LungUNet
        The segmenter, on the CPU.

    Returns
    -------
    NativeLungs or None
        None where no lungs were found.
    """
    lungs, to_grid, _ = lungs_of_film(pixels, spacing, network)
    mask, hull = lungs.union(), lungs.hull()
    if mask is None or hull is None:
        return None
    rows, cols = (
        np.clip(((np.arange(size) + 0.5) * scale + offset).astype(np.int64), 0, SIDE_PX - 1)
        for size, scale, offset in zip(
            pixels.shape, (to_grid.scale_y, to_grid.scale_x), (to_grid.offset_y, to_grid.offset_x), strict=True
        )
    )
    return NativeLungs(*(np.asarray(each[np.ix_(rows, cols)], np.bool_) for each in (mask, hull)))
