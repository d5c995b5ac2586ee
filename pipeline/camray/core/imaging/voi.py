"""The one VOI transform that a film is shown with, as an object that tells a viewer to show it alike."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.core.imaging.grayscale import PERCENTILES
from camray.domain.films import GreyScale, LookupTable, VoiWindow


def shown_voi(stored: NDArray[np.integer[Any]], grey: GreyScale) -> VoiWindow | LookupTable:
    """Return what `camray.core.imaging.grayscale.to_unit_scale` shows a film with.

    Parameters
    ----------
    stored : ndarray of shape (H, W), any integer dtype
        Stored values, native grid.
    grey : GreyScale
        From the film's header.

    Returns
    -------
    VoiWindow or LookupTable
        In units of the modality transform's output. The first VOI LUT, else the first valid window, else a window from
        the film's 0.5 to its 99.5 percentile, padding left out.
    """
    if grey.voi_luts:
        return grey.voi_luts[0]
    for window in grey.windows:
        if window.is_valid:
            return window
    values = stored.ravel().astype(np.int64)
    if grey.padding is not None:
        first, last = sorted(grey.padding)
        kept = values[(values < first) | (values > last)]
        values = kept if kept.size else values
    shown: NDArray[np.float64]
    if grey.modality_lut is not None:
        lut = grey.modality_lut
        shown = lut.entries[np.clip(values - lut.first_mapped, 0, lut.entries.size - 1)].astype(np.float64)
    else:
        shown = np.asarray(values * grey.slope + grey.intercept, np.float64)
    low, high = np.percentile(shown, PERCENTILES, method="inverted_cdf")
    if high <= low:
        low, high = float(shown.min()), float(shown.max())
    width = max(float(high - low), 1.0)
    return VoiWindow(float(low + high) / 2, width, "LINEAR_EXACT")
