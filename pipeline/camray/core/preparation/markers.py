"""Burnt-in text and markers: small, very bright structures outside the lungs."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, grey_opening

BRIGHT, CONTRAST = 0.85, 0.25  # grey of a marker, and its difference from what surrounds it
_STROKE = 0.06  # widest stroke or plate, fraction of the film's shorter side
_HALO = 0.006  # blurred edge of letters, fraction of the shorter side


def without_markers(pixels: NDArray[np.float32], hull: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Paint burnt-in text and markers over with what surrounds them.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Grey 0-1, native grid.
    hull : ndarray of shape (H, W), bool
        Hull of the lungs, native grid: nothing inside is a marker.

    Returns
    -------
    ndarray of shape (H, W), float32
        Markers are pixels of at least `BRIGHT`, of structures narrower than 6 % of the shorter side that are brighter
        by `CONTRAST` than what surrounds them (white top-hat), with their blurred edges. They get the grey of the
        film's opening, hence of their darker neighbourhood. All other pixels stay.

    Notes
    -----
    One grey for all markers, as the film's median, would leave a patch on a dark corner that says as much as the text.
    """
    side = min(pixels.shape)
    width = max(3, round(_STROKE * side)) | 1
    background = grey_opening(pixels, size=(width, width))
    marker = (pixels >= BRIGHT) & (pixels - background >= CONTRAST) & ~hull
    if not marker.any():
        return pixels
    marker = binary_dilation(marker, iterations=max(1, round(_HALO * side))) & ~hull
    return np.where(marker, background, pixels).astype(np.float32)
