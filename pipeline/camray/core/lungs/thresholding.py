"""Lungs from grey value thresholds, without training."""

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu
from skimage.morphology import isotropic_opening

from camray.core.lungs.regions import (
    MIN_LUNG_AREA,
    BoolImage,
    FloatImage,
    border_fraction,
    closed,
    connected_regions,
    inside_window,
    is_plausible,
    lung_parts,
)
from camray.domain.geometry import CropWindow

_MAX_BORDER = 0.12  # a dark region with more of its outline on the film's edge is the air around the patient
MIN_RANGE = 1e-3  # of a film's grey values; below it the film has no contrast
_MIN_REMAINING_RANGE = 0.2  # fraction of that range, in the rest of the film when the air is removed
_ROUNDS = 3  # of removing air and thresholding again
_MIN_ASPECT_OF_TWO = 0.7  # columns over rows from which a film may show two lungs
_SMOOTHING_SIGMA_PX = 1.5
_SURROUNDINGS_SIGMA_PX = 16.0
_OFFSETS = (0.0, 0.04, 0.08, 0.12, 0.16, 0.2)  # below Otsu's threshold, fraction of the grey values' range


def lungs_by_threshold(grey: FloatImage, window: CropWindow) -> list[BoolImage]:
    """Find dark regions inside the patient that have the shape of one or two lungs.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        Segmenter's grid, 0-1, air dark.
    window : CropWindow
        The film's part of the grid.

    Returns
    -------
    list of ndarray of shape (H, W), bool
        Plausible regions, largest first; empty if there are none.

    Notes
    -----
    The film is smoothed and thresholded at Otsu's threshold, then at lower ones: where the lungs are connected to the
    air around the patient, a lower threshold separates them. Dark regions along the film's edge are that air, or a
    shutter; they are removed, and the rest is thresholded again, for they shift the threshold. Each region is closed by
    a disk, which bridges ribs and vessels. Two lungs at any threshold are preferred to one. On a film wide enough for
    two they are then searched in the film minus its surroundings (a Gaussian's), where uneven exposure hides them.
    """
    part = window.slices
    smooth = gaussian_filter(grey[part], _SMOOTHING_SIGMA_PX, mode="nearest")
    parts = _at_falling_thresholds(smooth, window, grey.shape)
    if len(parts) == 2 or window.cols < _MIN_ASPECT_OF_TWO * window.rows:
        return parts
    local = smooth - gaussian_filter(smooth, _SURROUNDINGS_SIGMA_PX, mode="nearest")
    local_parts = _at_falling_thresholds(local, window, grey.shape)
    return local_parts if len(local_parts) == 2 or not parts else parts


def _at_falling_thresholds(values: FloatImage, window: CropWindow, shape: tuple[int, ...]) -> list[BoolImage]:
    """Threshold the film's part of the grid until it shows two lungs, or else one."""
    value_range, inside = float(np.ptp(values)), np.ones(values.shape, np.bool_)
    single: list[BoolImage] = []
    for _ in range(_ROUNDS):
        if not inside.any() or np.ptp(values[inside]) < max(MIN_RANGE, _MIN_REMAINING_RANGE * value_range):
            break
        otsu = float(threshold_otsu(values[inside]))  # type: ignore[no-untyped-call]
        for offset in _OFFSETS:
            parts = _dark_parts(inside & (values < otsu - offset * value_range), window, shape)
            if len(parts) == 2 and is_plausible(parts, window):
                return parts
            single = single or (parts if is_plausible(parts, window) else [])
        for region in connected_regions(inside & (values < otsu), 1):
            if border_fraction(region | ~inside) >= _MAX_BORDER and border_fraction(region) > 0:
                inside &= ~region
    return single


def _dark_parts(dark: BoolImage, window: CropWindow, shape: tuple[int, ...]) -> list[BoolImage]:
    """Keep the dark regions away from the film's edge, on the whole grid, cleaned and closed."""
    opened = isotropic_opening(dark, 2)  # type: ignore[no-untyped-call]
    mask = np.zeros(shape, np.bool_)
    for region in connected_regions(opened, MIN_LUNG_AREA * window.area / 4):
        if border_fraction(region) < _MAX_BORDER:
            mask[window.slices] |= region
    return [inside_window(closed(part), window) for part in lung_parts(mask, window)]
