"""Equalization of grey levels: every film gets the same, even distribution."""

import numpy as np
from numpy.typing import NDArray

_LEVELS = 2**16 - 1  # finer than any stored film, coarser than rounding errors of the resampling
PAINTED_GREY = 0.5  # the median of an equalized film


def equalized(grey: NDArray[np.float32], is_used: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace each grey level by the fraction of the film that is darker, half of its own pixels included.

    Any increasing change of the grey levels, such as another exposure, window or gamma, thereby leaves no trace.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        Grey 0-1, any grid; rounded to 16 bits.
    is_used : ndarray of shape (H, W), bool
        Pixels that count and that are changed; all others keep their value.

    Returns
    -------
    ndarray of shape (H, W), float32
        Mean 0.5 over the used pixels. Pixels of one grey level stay equal.

    Examples
    --------
    >>> grey = np.array([[0.2, 0.2, 0.9, 0.4], [0.0, 0.0, 0.0, 0.0]], np.float32)
    >>> equalized(grey, grey > 0)
    array([[0.25 , 0.25 , 0.875, 0.625],
           [0.   , 0.   , 0.   , 0.   ]], dtype=float32)
    """
    result = grey.copy()
    levels = np.rint(np.clip(grey[is_used], 0.0, 1.0) * np.float32(_LEVELS)).astype(np.int64)
    if levels.size:
        counts = np.bincount(levels, minlength=_LEVELS + 1)
        middle = (np.cumsum(counts) - counts / 2) / levels.size
        result[is_used] = middle[levels].astype(np.float32)
    return result
