"""Protocol `chexlocalize`: segmentation from heat maps, Saporta et al., Nature Machine Intelligence 2022.

- A map is first interpolated to the film's own pixels (bilinear, corner origin), then rescaled to 0-1 there.
- Its mask is the pixels *above* a threshold: Otsu's on 8 bits (``fixed``: it uses no annotation), or the one of
  0.2, 0.3, ... 0.8 that gives the label the highest mean IoU on validation films, true positives only.
- With a probability cutoff a film below it has an empty mask (rows ``..._cutoff``): Otsu's masks, and the cutoff of 0,
  0.1, ... 0.8 that gives the label the highest ``miou_all`` on validation films.
- ``miou_true_positive``: mean IoU over the films whose annotated and predicted masks both hold something; ``miou_all``:
  over the films where either does, so that a mask on a film without the label is a 0, and a missing one too;
  ``miou_annotated`` (camray's own): over the films that are annotated with something.
- ``hit_rate``: the map's highest pixel (the first in reading order) is in the annotated mask.
- ``pixel_sensitivity``, ``pixel_precision`` and ``pixel_specificity``: over the pixels of all films together, those
  known not to show the label included.
- ``..._percent_below_human``: how far below a human benchmark a number is, in percent of the benchmark; over labels,
  how far the mean is below the mean benchmark. The benchmark is a given number: intervals hold the method's spread
  alone, where the original resamples the human readers too.

The original resamples films (``score.resample=film``); here patients are drawn by default, 1000 times. Its outline
drawing is no thresholding and is left out: masks are pixels. A map that is flat is an empty mask.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from camray.core.localization.heat_maps import interpolated
from camray.core.metrics.bootstrap import mean_of_defined
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.domain.geometry import GridTransform
from camray.domain.run_lengths import coco_text, counts_of_mask

TUNED_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
TUNED_CUTOFFS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
OTSU = len(TUNED_THRESHOLDS)  # last column of the counts
_COLUMNS = (*TUNED_THRESHOLDS, None)


def native_heat01(
    heat: NDArray[np.floating], transform: GridTransform, shape_native: tuple[int, int], shape_model: tuple[int, int]
) -> NDArray[np.float32]:
    """Interpolate a map to its film's pixels, then rescale it to 0-1.

    Parameters
    ----------
    heat : ndarray of shape (h, w), floating
        Raw map on the feature grid, which covers the model grid exactly.
    transform : GridTransform
        Native to model.
    shape_native, shape_model : tuple of int
        (rows, cols).

    Returns
    -------
    ndarray of shape (rows, cols), float32
        All 0 for a flat map.
    """
    to_cells = transform.then(heat.shape[1] / shape_model[1], heat.shape[0] / shape_model[0])
    rows = (np.arange(shape_native[0]) + 0.5) * to_cells.scale_y + to_cells.offset_y
    cols = (np.arange(shape_native[1]) + 0.5) * to_cells.scale_x + to_cells.offset_x
    native = interpolated(heat[None].astype(np.float32), rows, cols)[0]
    low, high = native.min(), native.max()
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return np.zeros(shape_native, np.float32)
    return np.asarray((native - low) / (high - low))


def predicted_mask(heat01: NDArray[np.float32], threshold: float | None) -> NDArray[np.bool_]:
    """Threshold a map, by Otsu's threshold of the 8-bit map if none is given.

    Parameters
    ----------
    heat01 : ndarray of shape (rows, cols), float32
        0-1, native grid.
    threshold : float or None
        Pixels above it are in the mask.

    Returns
    -------
    ndarray of shape (rows, cols), bool
        Empty for a flat map without a given threshold.
    """
    if threshold is not None:
        return np.asarray(heat01 > threshold)
    picture = (heat01 * 255).astype(np.uint8)
    if picture.min() == picture.max():
        return np.zeros(picture.shape, bool)
    return np.asarray(picture > int(threshold_otsu(picture)))  # type: ignore[no-untyped-call]


def published_mask(mask: NDArray[np.bool_]) -> dict[str, object]:
    """Encode a mask as in the published JSON.

    Parameters
    ----------
    mask : ndarray of shape (rows, cols), bool
        Native grid.

    Returns
    -------
    dict
        ``size`` [rows, cols], and ``counts``: COCO's compressed run lengths.
    """
    return {"size": [int(side) for side in mask.shape], "counts": coco_text(counts_of_mask(mask))}


def published_name(image_id: str) -> str:
    """Name a film as the published JSON does: ``patient_study_view`` of a path, and any other name as it is."""
    return "_".join(image_id.split("/")[-3:])


@dataclass(frozen=True)
class MaskCounts:
    """N films of one label and method, at the tuned thresholds and Otsu's (K columns).

    Parameters
    ----------
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    annotated : ndarray of shape (N,), float64
        Pixels of the annotated mask; 0 for a film without the label.
    pixels : ndarray of shape (N,), float64
        Of the film.
    both, predicted : ndarray of shape (N, K), float64
        Pixels of both masks, and of the predicted one.
    hit : ndarray of shape (N,), bool
        Whether the highest pixel is in the annotated mask.
    probability : ndarray of shape (N,), float64
        The classifier's.
    """

    patients: IntArray
    annotated: FloatArray
    pixels: FloatArray
    both: FloatArray
    predicted: FloatArray
    hit: NDArray[np.bool_]
    probability: FloatArray

    def iou(self, column: int) -> FloatArray:
        """Compute each film's IoU.

        Parameters
        ----------
        column : int
            Number of the threshold.

        Returns
        -------
        ndarray of shape (N,), float64
            0-1; NaN where both masks are empty.
        """
        union = self.annotated + self.predicted[:, column] - self.both[:, column]
        return np.asarray(np.divide(self.both[:, column], union, out=np.full(len(union), np.nan), where=union > 0))

    def cut(self, cutoff: float) -> "MaskCounts":
        """Empty the predicted masks of films below a probability."""
        called = (self.probability >= cutoff)[:, None]
        return replace(self, both=self.both * called, predicted=self.predicted * called)


def count_film(heat01: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> tuple[FloatArray, FloatArray, bool]:
    """Count one film's pixels in both masks and in the predicted one, and whether its peak is a hit.

    Parameters
    ----------
    heat01 : ndarray of shape (rows, cols), float32
        0-1, native grid.
    mask : ndarray of shape (rows, cols), bool, or None
        The annotated one; None for a film without the label.

    Returns
    -------
    (ndarray of shape (K,), ndarray of shape (K,), bool)
        Pixels of both masks and of the predicted one at each of K thresholds; whether the peak is in the annotated one.
    """
    masks = [predicted_mask(heat01, threshold) for threshold in _COLUMNS]
    predicted = np.array([each.sum() for each in masks], np.float64)
    if mask is None:
        return np.zeros(len(masks)), predicted, False
    both = np.array([(each & mask).sum() for each in masks], np.float64)
    peak = np.unravel_index(int(np.argmax(heat01)), heat01.shape)
    return both, predicted, bool(mask[peak]) and bool(heat01.any())


def tuned_column(counts: MaskCounts) -> int | None:
    """Choose the threshold with the highest mean IoU over true positives; the lowest of equals, None without any."""
    values = []
    for column in range(len(TUNED_THRESHOLDS)):
        counted = (counts.annotated > 0) & (counts.predicted[:, column] > 0)
        values.append(float(mean_of_defined(np.where(counted, counts.iou(column), np.nan))))
    return int(np.nanargmax(values)) if np.isfinite(values).any() else None


def tuned_cutoff(counts: MaskCounts) -> float | None:
    """Choose the probability cutoff of Otsu's masks with the highest ``miou_all``; the lowest of equals, None without.

    Without an annotated film there is nothing to gain, and no choice.
    """
    if not (counts.annotated > 0).any():
        return None
    values = [float(mean_of_defined(counts.cut(cutoff).iou(OTSU))) for cutoff in TUNED_CUTOFFS]
    return TUNED_CUTOFFS[int(np.nanargmax(values))]
