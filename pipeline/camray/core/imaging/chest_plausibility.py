"""Warnings about images that do not look like chest films: noise, drawings, pages, most photographs."""

import numpy as np
from numpy.typing import NDArray

from camray.core.imaging.film_statistics import THUMBNAIL_SIDE, StoredPixels, tile_means

MIN_NEIGHBOUR_CORRELATION = 0.8  # real films, 64 to 256 px a side: 0.92 and more; noise: 0 to 0.5
MAX_ONE_GREY_SHARE = 0.75  # real films: 0.25
MIN_GREY_LEVELS = 16  # real films: 200
MIN_CHEST_CORRELATION = 0.3  # lower for none of 300 generated films and for 4 of 839 real ones
FLAT_DEVIATION = 0.03  # standard deviation of the greys, 0-1, of a row or column of shutter or margin
_MIN_NOISE_SIDE = 48  # px; on smaller grids neighbouring pixels are too far apart on the film
# mean of 300 generated films without their surround, each of mean 0 and length 1; 8 x 8 tiles, left half: at this
# resolution a chest is its own mirror image
_CHEST = np.array(
    [
        [-0.165, -0.145, -0.109, -0.051],
        [-0.096, -0.088, -0.087, -0.003],
        [-0.059, -0.058, -0.045, 0.051],
        [-0.068, -0.043, 0.003, 0.102],
        [-0.081, -0.029, 0.047, 0.140],
        [-0.084, -0.002, 0.089, 0.166],
        [-0.076, 0.037, 0.131, 0.185],
        [-0.068, 0.057, 0.151, 0.196],
    ]
)


def chest_plausibility_warning(stored: StoredPixels) -> str:
    """Explain why an image does not look like a chest film; an empty text if it may be one.

    Fast and lenient. The warning is shown to the user and excludes no film.

    Parameters
    ----------
    stored : ndarray of shape (H, W), uint8 or uint16
        Model grid without margin.

    Returns
    -------
    str
        A short reason, or an empty text.

    Notes
    -----
    Noise: correlation of pixels with their right or lower neighbours. Drawings: few grey levels, or most pixels of the
    same level. Else: Pearson correlation of 8 x 8 tiles with a mean chest and with its two halves, the largest of the
    three; nearly uniform rows and columns at the edges (a shutter) are removed first. An image that is bright at its
    lower middle, such as a hand, raises no warning.
    """
    shares = np.bincount(stored.ravel()) / stored.size
    levels = int((shares > 0).sum())
    if shares.max() > MAX_ONE_GREY_SHARE or levels < MIN_GREY_LEVELS:
        return f"{shares.max():.0%} of the pixels have one grey level ({levels} in all), as in a drawing or a page"
    grey = stored.astype(np.float64)
    lowest = min(_correlation(grey[:, 1:], grey[:, :-1]), _correlation(grey[1:], grey[:-1]))
    if min(stored.shape) >= _MIN_NOISE_SIDE and lowest < MIN_NEIGHBOUR_CORRELATION:
        return f"neighbouring pixels differ too much (correlation {lowest:.2f}), as in noise"
    correlation = _chest_correlation(stored)
    return f"not laid out like a chest (correlation {correlation:.2f})" if correlation < MIN_CHEST_CORRELATION else ""


def _chest_correlation(stored: StoredPixels) -> float:
    """Correlate the thumbnail with a mean chest and with its halves; the largest of the three."""
    thumbnail = tile_means(without_surround(stored), THUMBNAIL_SIDE)
    chest, left_half = np.hstack([_CHEST, _CHEST[:, ::-1]]), np.repeat(_CHEST, 2, axis=1)
    return max(_correlation(thumbnail, pattern) for pattern in (chest, left_half, left_half[:, ::-1]))


def without_surround(stored: StoredPixels) -> StoredPixels:
    """Cut nearly uniform rows and columns off the edges of a film.

    Parameters
    ----------
    stored : ndarray of shape (H, W), uint8 or uint16
        Model grid without margin.

    Returns
    -------
    ndarray of shape (h, w), uint8 or uint16
        A view; all of `stored` where fewer than 8 rows or columns would remain.
    """
    flat = FLAT_DEVIATION * (2 ** (stored.dtype.itemsize * 8) - 1)
    rest = stored
    while True:
        before = rest.shape
        for _ in range(2):  # rows, then columns
            varied = np.flatnonzero(rest.std(axis=1) > flat)
            if len(varied) < THUMBNAIL_SIDE:
                return stored
            rest = rest[varied[0] : varied[-1] + 1].T
        if rest.shape == before:
            return rest


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0
