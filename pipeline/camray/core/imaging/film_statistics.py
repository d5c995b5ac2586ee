"""What can be told of a film at a glance: grey levels, a thumbnail, and the stored form of its model grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.domain.geometry import GridTransform

HISTOGRAM_BINS, THUMBNAIL_SIDE, TILE_SIDE = 32, 8, 12
LEAST_NEIGHBOUR_CORRELATION = 0.8  # real films, 64 to 256 px a side: 0.92 and more; noise: 0 to 0.5
MOST_OF_ONE_GREY = 0.75  # real films: 0.25
LEAST_GREYS = 16  # real films: 200
LEAST_LIKENESS = 0.3  # of 300 generated films none falls below, of 839 real ones 4
FLAT = 0.03  # standard deviation of the greys, 0-1, along a line that shows shutter or margin and no film
_LEAST_SIDE = 48  # of a grid on which neighbours are still neighbours
# mean of 300 generated films without their surround, each of mean 0 and length 1; 8 x 8 tiles, left half: a chest is
# its own mirror image as far as this goes
_CHEST = np.array([
    [-0.165, -0.145, -0.109, -0.051], [-0.096, -0.088, -0.087, -0.003], [-0.059, -0.058, -0.045, 0.051],
    [-0.068, -0.043, 0.003, 0.102], [-0.081, -0.029, 0.047, 0.140], [-0.084, -0.002, 0.089, 0.166],
    [-0.076, 0.037, 0.131, 0.185], [-0.068, 0.057, 0.151, 0.196],
])  # fmt: skip
QUANTILES = (0.01, 0.5, 0.99)
Stored = NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True, eq=False)
class Glance:
    """A film at a glance; grey levels in 0-1, the letterbox margin left out.

    Parameters
    ----------
    histogram : ndarray of shape (32,), float32
        Fractions of the px.
    thumbnail : ndarray of shape (64,), float32
        Means of 8 x 8 tiles, row by row.
    tiles : ndarray of shape (288,), float32
        Means, then standard deviations, of 12 x 12 tiles, row by row: fine enough to tell the border and the corners
        from what lies between them.
    mean, deviation, low, median, high : float
        Of the grey levels; low and high are the 1st and 99th percentile, each the smallest level that so many px do not
        exceed.
    """

    histogram: NDArray[np.float32]
    thumbnail: NDArray[np.float32]
    tiles: NDArray[np.float32]
    mean: float
    deviation: float
    low: float
    median: float
    high: float


def quantise(pixels: NDArray[np.float32], bits: int) -> Stored:
    """Store grey levels as integers: 0-1 becomes 0 to ``2**bits - 1``, rounded, halves to even.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        0-1; values outside are clipped.
    bits : int
        8 or 16.
    """
    top = np.float32(2**bits - 1)
    levels: NDArray[np.float32] = np.rint(np.clip(pixels, 0, 1) * top)
    return np.asarray(levels, dtype=np.uint8 if bits == 8 else np.uint16)


def film_area(shape_rc: tuple[int, int], native_rc: tuple[int, int], grid: GridTransform) -> tuple[slice, slice]:
    """Return the rows and columns of the model grid that lie wholly on the film; at least one of each.

    Parameters
    ----------
    shape_rc, native_rc : (int, int)
        Model and native grid, px.
    grid : GridTransform
        Native to model.
    """
    return (
        _inner(shape_rc[0], grid.offset_y, native_rc[0] * grid.scale_y),
        _inner(shape_rc[1], grid.offset_x, native_rc[1] * grid.scale_x),
    )


def _inner(size: int, offset: float, length: float) -> slice:
    first = min(max(int(np.ceil(offset - 1e-6)), 0), size - 1)
    last = max(min(int(np.floor(offset + length + 1e-6)), size), first + 1)
    return slice(first, last)


def glance(stored: Stored) -> Glance:
    """Look at the film's part of a stored model grid.

    Parameters
    ----------
    stored : ndarray of shape (H, W), uint8 or uint16
        Without margin; at least one px.
    """
    bits = stored.dtype.itemsize * 8
    counts = np.bincount(stored.ravel(), minlength=2**bits)
    share = counts / stored.size
    level = np.arange(2**bits) / (2**bits - 1)
    mean = float(share @ level)
    low, median, high = (float(level[place]) for place in np.searchsorted(np.cumsum(share), QUANTILES))
    return Glance(
        share.reshape(HISTOGRAM_BINS, -1).sum(axis=1).astype(np.float32),
        (_tile_means(stored, THUMBNAIL_SIDE) / (2**bits - 1)).ravel().astype(np.float32),
        _tiles(stored, 2**bits - 1),
        mean,
        float(np.sqrt(share @ (level - mean) ** 2)),
        low,
        median,
        high,
    )


def doubt_of(stored: Stored) -> str:
    """Say why a picture does not look like a chest film at all; nothing if it may be one.

    Cheap and lenient: it finds noise, drawings, pages and most photographs, and never decides by itself.

    Parameters
    ----------
    stored : ndarray of shape (H, W), uint8 or uint16
        Model grid without margin.

    Returns
    -------
    str
        A few words, or an empty text.

    Notes
    -----
    Noise: correlation of px with their right or lower neighbours. Drawings: few greys, or most px of one. Else:
    Pearson correlation of 8 x 8 tiles with a mean chest and with its two halves, the largest of the three; the film
    first loses its surround, the nearly even lines at its edges: a shutter's black or white says nothing of layout.
    What is bright at its lower middle, as a hand is, passes.
    """
    share = np.bincount(stored.ravel()) / stored.size
    if share.max() > MOST_OF_ONE_GREY or int((share > 0).sum()) < LEAST_GREYS:
        return f"{share.max():.0%} of it are one grey level of {int((share > 0).sum())}, as in a drawing or a page"
    grey = stored.astype(np.float64)
    likest = min(_correlation(grey[:, 1:], grey[:, :-1]), _correlation(grey[1:], grey[:-1]))
    if min(stored.shape) >= _LEAST_SIDE and likest < LEAST_NEIGHBOUR_CORRELATION:
        return f"neighbouring px have little to do with each other (correlation {likest:.2f}), as in noise"
    thumbnail = _tile_means(without_surround(stored), THUMBNAIL_SIDE)
    chest, left = np.hstack([_CHEST, _CHEST[:, ::-1]]), np.repeat(_CHEST, 2, axis=1)
    likeness = max(_correlation(thumbnail, one) for one in (chest, left, left[:, ::-1]))
    return f"it is not laid out like a chest (correlation {likeness:.2f})" if likeness < LEAST_LIKENESS else ""


def without_surround(stored: Stored) -> Stored:
    """Cut nearly even rows and columns off the edges of a film, until each edge shows something.

    Parameters
    ----------
    stored : ndarray of shape (H, W), uint8 or uint16
        Model grid without margin.

    Returns
    -------
    ndarray of shape (h, w)
        A view; all of `stored` where fewer than 8 rows or columns would be left.
    """
    flat = FLAT * (2 ** (stored.dtype.itemsize * 8) - 1)
    left = stored
    while True:
        before = left.shape
        for _ in range(2):  # rows, then columns
            shown = np.flatnonzero(left.std(axis=1) > flat)
            if len(shown) < THUMBNAIL_SIDE:
                return stored
            left = left[shown[0] : shown[-1] + 1].T
        if left.shape == before:
            return left


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0


def _tiles(stored: Stored, top: int) -> NDArray[np.float32]:
    grey = stored / np.float64(top)
    means = _tile_means(grey, TILE_SIDE)
    deviations = np.sqrt(np.maximum(_tile_means(grey**2, TILE_SIDE) - means**2, 0.0))
    return np.concatenate([means.ravel(), deviations.ravel()]).astype(np.float32)


def _tile_means(values: Stored | NDArray[np.float64], side: int) -> NDArray[np.float64]:
    means: NDArray[np.float64] = values  # type: ignore[assignment]  # summed in float64 from the first axis on
    for axis in (0, 1):
        size = values.shape[axis]
        first = np.floor(np.arange(side) * size / side).astype(np.int64)
        length = np.maximum(np.diff(first, append=size), 1).reshape((-1, 1) if axis == 0 else (1, -1))
        means = np.add.reduceat(means, first, axis=axis, dtype=np.float64) / length  # tiles without a px take the next
    return means
