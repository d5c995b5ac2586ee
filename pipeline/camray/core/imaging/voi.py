"""VOI window for exported objects: with it, a viewer shows the film as `grayscale.py` displays it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.core.imaging.grayscale import stretched_range
from camray.domain.films import GreyScale, LookupTable, VoiWindow


def display_voi(stored: NDArray[np.integer[Any]], grey: GreyScale) -> VoiWindow | LookupTable:
    """Return the VOI transform that `camray.core.imaging.grayscale.to_unit_scale` displays a film with.

    Parameters
    ----------
    stored : ndarray of shape (H, W), any integer dtype
        Stored values, native grid.
    grey : GreyScale
        From the film's header.

    Returns
    -------
    VoiWindow or LookupTable
        In units of the modality transform's output. The header's first VOI LUT, else its first valid window; a window
        over the film's percentiles where there is none, or where it would show the whole film in one grey.
    """
    stretched = stretched_range(stored, grey)
    if stretched is None:
        return grey.voi_luts[0] if grey.voi_luts else next(window for window in grey.windows if window.is_valid)
    low, high = stretched
    if high <= low:  # a film of one level is dark throughout
        return VoiWindow(low + 0.5, 1.0, "LINEAR_EXACT")
    return VoiWindow((low + high) / 2, high - low, "LINEAR_EXACT")
