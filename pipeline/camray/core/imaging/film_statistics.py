"""Grey level statistics, thumbnail and integer storage of a film on the model grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.domain.geometry import GridTransform

HISTOGRAM_BINS, THUMBNAIL_SIDE, TILE_SIDE = 32, 8, 12
QUANTILES = (0.01, 0.5, 0.99)
StoredPixels = NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """Statistics of a film's grey levels in 0-1, letterbox margin excluded.

    Parameters
    ----------
    histogram : ndarray of shape (32,), float32
        Fraction of the pixels in each bin.
    thumbnail : ndarray of shape (64,), float32
        Means of 8 x 8 tiles, row by row.
    tiles : ndarray of shape (288,), float32
        Means, then standard deviations, of 12 x 12 tiles, row by row: fine enough to separate border and corners from
        the inside.
    mean, deviation, low, median, high : float
        Of the grey levels; `low` and `high` are the 1st and 99th percentile, each the smallest level that this share
        of the pixels does not exceed.
    """

    histogram: NDArray[np.float32]
    thumbnail: NDArray[np.float32]
    tiles: NDArray[np.float32]
    mean: float
    deviation: float
    low: float
    median: float
    high: float


def quantise(pixels: NDArray[np.float32], bits: int) -> StoredPixels:
    """Store grey levels as integers: 0-1 becomes 0 to ``2**bits - 1``, rounded, halves to even.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Grey 0-1; values outside are clipped.
    bits : int
        8 or 16.

    Returns
    -------
    ndarray of shape (H, W), uint8 or uint16
        Stored grey levels on the same grid.

    Examples
    --------
    >>> quantise(np.array([[-0.1, 0.5, 1.0]], np.float32), 8)
    array([[  0, 128, 255]], dtype=uint8)
    """
    top = np.float32(2**bits - 1)
    levels: NDArray[np.float32] = np.rint(np.clip(pixels, 0, 1) * top)
    return np.asarray(levels, dtype=np.uint8 if bits == 8 else np.uint16)


def film_area(shape_rc: tuple[int, int], native_rc: tuple[int, int], grid: GridTransform) -> tuple[slice, slice]:
    """Return the rows and columns of the model grid that are wholly inside the film; at least one of each.

    Parameters
    ----------
    shape_rc, native_rc : (int, int)
        Rows and columns of the model and the native grid, px.
    grid : GridTransform
        Native to model.

    Returns
    -------
    (slice, slice)
        Rows and columns on the model grid.

    Examples
    --------
    >>> film_area((64, 96), (100, 100), GridTransform(0.64, 0.64, offset_x=16.0))
    (slice(0, 64, None), slice(16, 80, None))
    """
    return (
        _inner(shape_rc[0], grid.offset_y, native_rc[0] * grid.scale_y),
        _inner(shape_rc[1], grid.offset_x, native_rc[1] * grid.scale_x),
    )


def _inner(size: int, offset: float, length: float) -> slice:
    first = min(max(int(np.ceil(offset - 1e-6)), 0), size - 1)
    last = max(min(int(np.floor(offset + length + 1e-6)), size), first + 1)
    return slice(first, last)


def image_statistics(stored: StoredPixels) -> ImageStatistics:
    """Compute the statistics of a film on the model grid.

    Parameters
    ----------
    stored : ndarray of shape (H, W), uint8 or uint16
        Model grid without margin (see `film_area`); at least one pixel.

    Returns
    -------
    ImageStatistics
        Of grey levels in 0-1.
    """
    top = 2 ** (stored.dtype.itemsize * 8) - 1
    fractions = np.bincount(stored.ravel(), minlength=top + 1) / stored.size
    levels = np.arange(top + 1) / top
    mean = float(fractions @ levels)
    low, median, high = (float(levels[index]) for index in np.searchsorted(np.cumsum(fractions), QUANTILES))
    return ImageStatistics(
        histogram=fractions.reshape(HISTOGRAM_BINS, -1).sum(axis=1).astype(np.float32),
        thumbnail=(tile_means(stored, THUMBNAIL_SIDE) / top).ravel().astype(np.float32),
        tiles=_tile_statistics(stored, top),
        mean=mean,
        deviation=float(np.sqrt(fractions @ (levels - mean) ** 2)),
        low=low,
        median=median,
        high=high,
    )


def tile_means(values: StoredPixels | NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Average an image over `side` x `side` tiles.

    Parameters
    ----------
    values : ndarray of shape (H, W), uint8, uint16 or float64
        Any grid.
    side : int
        Tiles per axis. Tile i starts at pixel ``floor(i H / side)``; a tile without a pixel takes the next one.

    Returns
    -------
    ndarray of shape (side, side), float64
        Means, in units of `values`.

    Examples
    --------
    >>> tile_means(np.arange(8.0).reshape(2, 4), 2)
    array([[0.5, 2.5],
           [4.5, 6.5]])
    """
    means: NDArray[np.float64] = values  # type: ignore[assignment]  # summed in float64 from the first axis on
    for axis in (0, 1):
        size = values.shape[axis]
        first = np.floor(np.arange(side) * size / side).astype(np.int64)
        length = np.maximum(np.diff(first, append=size), 1).reshape((-1, 1) if axis == 0 else (1, -1))
        means = np.add.reduceat(means, first, axis=axis, dtype=np.float64) / length
    return means


def _tile_statistics(stored: StoredPixels, top: int) -> NDArray[np.float32]:
    grey = stored / np.float64(top)
    means = tile_means(grey, TILE_SIDE)
    deviations = np.sqrt(np.maximum(tile_means(grey**2, TILE_SIDE) - means**2, 0.0))
    return np.concatenate([means.ravel(), deviations.ravel()]).astype(np.float32)
