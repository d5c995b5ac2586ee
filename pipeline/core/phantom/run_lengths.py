"""Masks as COCO's compressed run lengths: text that fits into a table."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.phantom.fields import BoolImage

_MAX_CHARACTERS = 8  # five bits each: enough for any run of a mask below 2**39 px


def rle_from_mask(mask: BoolImage) -> str:
    """Encode a mask.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        Native grid.

    Returns
    -------
    str
        Runs of absent and present pixels in turn, down the columns, the first one absent (it may be 0). From the fourth
        on, a number stands as the difference to the number two before. Each takes characters of five bits, least first,
        with a continuation bit of 32 and an offset of 48. Source: ``rleToString`` of the COCO API.

    Examples
    --------
    >>> rle_from_mask(np.array([[False, True], [True, True]]))
    '13'
    """
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start = [0, 0] if flat[0] else [0]
    ends: NDArray[np.int64] = np.concatenate([start, changes, [flat.size]]).astype(np.int64)
    runs: NDArray[np.int64] = ends[1:] - ends[:-1]
    left = runs.copy()
    left[3:] -= runs[1:-2]
    characters = np.zeros((left.size, _MAX_CHARACTERS), np.uint8)
    is_open = np.ones(left.size, np.bool_)
    for place in range(_MAX_CHARACTERS):
        five = left & 31
        left >>= 5
        goes_on = np.where(five & 16, left != -1, left != 0)
        characters[is_open, place] = (five + 32 * goes_on + 48)[is_open]
        is_open &= goes_on
        if not is_open.any():
            break
    return characters[characters > 0].tobytes().decode("ascii")
