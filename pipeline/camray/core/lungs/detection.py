"""Detection of the right and the left lung on a film, from a network's probabilities or from thresholds."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.morphology import convex_hull_image

from camray.core.lungs.regions import (
    BoolImage,
    FloatImage,
    assign_sides,
    closed,
    inside_window,
    is_plausible,
    lung_parts,
)
from camray.core.lungs.thresholding import MIN_RANGE, lungs_by_threshold
from camray.domain.geometry import Box, CropWindow, box_from_mask
from camray.domain.zones import LungSource, Side

_PROBABILITY_SIGMA_PX = 1.0  # transposed convolutions leave a fine grid in the probabilities


@dataclass(frozen=True, eq=False)
class DetectedLungs:
    """The lungs detected on a film.

    Parameters
    ----------
    masks : dict of Side to ndarray of shape (H, W), bool
        Segmenter's grid; a side that was not detected has no entry.
    source : LungSource
        How they were detected.
    """

    masks: dict[Side, BoolImage]
    source: LungSource

    def box(self) -> Box | None:
        """Enclose all lungs.

        Returns
        -------
        Box or None
            Segmenter's grid, px; None if no lung was detected.
        """
        union = self.union()
        return None if union is None else box_from_mask(union)

    def union(self) -> BoolImage | None:
        """Return all lungs in one mask.

        Returns
        -------
        ndarray of shape (H, W), bool, or None
            Segmenter's grid; None if no lung was detected.
        """
        return np.logical_or.reduce(list(self.masks.values())) if self.masks else None

    def hull(self) -> BoolImage | None:
        """Return the convex hull of all lungs, with all that lies between them.

        Returns
        -------
        ndarray of shape (H, W), bool, or None
            Segmenter's grid; None if no lung was detected.
        """
        union = self.union()
        return None if union is None else np.asarray(convex_hull_image(union), np.bool_)  # type: ignore[no-untyped-call]


def find_lungs(
    grey: FloatImage, probability: FloatImage | None, window: CropWindow, side: Side | None = None
) -> DetectedLungs:
    """Detect the right and the left lung on a film.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        The film on the segmenter's grid, 0-1, air dark.
    probability : ndarray of shape (H, W), float32, or None
        The segmenter's probability of lung, 0-1, same grid; None to use thresholds only.
    window : CropWindow
        The film's part of the grid.
    side : Side, optional
        The only side that the film shows according to its header.

    Returns
    -------
    DetectedLungs
        From the segmenter if its regions are plausible, else from thresholds if theirs are, else none. None on a film
        without contrast, of which the segmenter's regions would be its habit.
    """
    if np.ptp(grey[window.slices]) < MIN_RANGE:
        return DetectedLungs({}, LungSource.NONE)
    if probability is not None:
        likely = gaussian_filter(probability, _PROBABILITY_SIGMA_PX, mode="nearest") >= 0.5
        parts = [closed(part) for part in lung_parts(inside_window(likely, window), window)]
        if is_plausible(parts, window):
            return DetectedLungs(assign_sides(parts, window, side), LungSource.NETWORK)
    parts = lungs_by_threshold(grey, window)
    if not parts:
        return DetectedLungs({}, LungSource.NONE)
    return DetectedLungs(assign_sides(parts, window, side), LungSource.CLASSICAL)
