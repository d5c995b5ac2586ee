"""Heat maps on the model grid: the film's window, interpolation, peaks.

Boxes are half-open, px of the grid that the heat is on.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from camray.core.localization.connected_components import FloatImage, find_regions
from camray.domain.geometry import CropWindow, GridTransform


@dataclass(frozen=True)
class Placement:
    """Position of a film on the model grid."""

    transform: GridTransform
    window: CropWindow


def film_window(transform: GridTransform, shape_native: tuple[int, int], shape_model: tuple[int, int]) -> CropWindow:
    """Find the model pixels whose centres are on the film.

    Parameters
    ----------
    transform : GridTransform
        Native to model.
    shape_native, shape_model : tuple of int
        (rows, cols) of either grid.

    Raises
    ------
    ValueError
        If the film is outside the model grid.
    """
    x0, y0 = transform.xy_to_model(0.0, 0.0)
    x1, y1 = transform.xy_to_model(float(shape_native[1]), float(shape_native[0]))
    low = [max(0, int(np.ceil(edge - 0.5))) for edge in (y0, x0)]
    high = [min(side, int(np.ceil(edge - 0.5))) for edge, side in zip((y1, x1), shape_model, strict=True)]
    if low[0] >= high[0] or low[1] >= high[1]:
        raise ValueError(f"a film of {shape_native} px at {transform} is outside the model grid of {shape_model} px")
    return CropWindow(low[0], high[0], low[1], high[1])


def upsampled(
    heat: FloatImage,
    shape_model: tuple[int, int],
    window: CropWindow | None = None,
    smooth: float = 0.0,
    step_px: int = 1,
) -> FloatImage:
    """Interpolate maps bilinearly from the feature grid to (a window of) the model grid, corner origin.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float32
        Raw evidence on the feature grid, which covers the model grid exactly.
    shape_model : tuple of int
        (rows, cols) of the model grid, px.
    window : CropWindow, optional
        What to keep; all by default.
    smooth : float
        Sigma of a Gaussian applied first (edges mirrored), in feature cells.
    step_px : int
        Sample about every so many model px (evenly over the window), to be quick where a choice is made.

    Returns
    -------
    ndarray of shape (N, rows of the window / step, cols of the window / step), float32
    """
    kept = window or CropWindow(0, shape_model[0], 0, shape_model[1])
    maps = heat.astype(np.float32)
    if smooth > 0:
        maps = gaussian_filter(maps, (0.0, smooth, smooth), mode="reflect")
    rows = _window_samples(kept.row0, kept.row1, step_px, shape_model[0], heat.shape[1])
    cols = _window_samples(kept.col0, kept.col1, step_px, shape_model[1], heat.shape[2])
    return np.asarray(_bilinear(np.ascontiguousarray(maps), *rows, *cols))


_CUBIC = -0.75  # the parameter of OpenCV's and torch's bicubic kernel (Keys, 1981)


def bicubic(heat: FloatImage, shape_model: tuple[int, int], window: CropWindow | None = None) -> FloatImage:
    """Interpolate maps bicubically from the feature grid to (a window of) the model grid, as OpenCV does.

    Parameters
    ----------
    heat, shape_model, window
        As for `upsampled`.

    Returns
    -------
    ndarray of shape (N, rows of the window, cols of the window), float32
        Corner origin; beyond the border the outermost cells are repeated.
    """
    kept = window or CropWindow(0, shape_model[0], 0, shape_model[1])
    rows = _cubic_weights(shape_model[0], heat.shape[1])[kept.row0 : kept.row1]
    cols = _cubic_weights(shape_model[1], heat.shape[2])[kept.col0 : kept.col1]
    return np.asarray(np.einsum("rh,nhw,cw->nrc", rows, heat.astype(np.float64), cols), np.float32)


def _cubic_weights(side_px: int, cells: int) -> NDArray[np.float64]:
    """Return the weight of each cell at each pixel's centre along one axis, [side, cells]."""
    position = (np.arange(side_px) + 0.5) * cells / side_px - 0.5
    before, a = np.floor(position).astype(np.int64), _CUBIC
    weights = np.zeros((side_px, cells))
    for offset in (-1, 0, 1, 2):
        distance = np.abs(position - before - offset)
        near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
        far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
        cell = np.clip(before + offset, 0, cells - 1)
        np.add.at(weights, (np.arange(side_px), cell), np.where(distance <= 1, near, far))
    return weights


def interpolated(heat: FloatImage, rows: NDArray[np.floating], cols: NDArray[np.floating]) -> FloatImage:
    """Interpolate maps bilinearly at the crossings of given rows and columns.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float32
        Maps on the feature grid.
    rows, cols : ndarray of shape (R,) and (C,), floating
        Where to sample, in cells of the feature grid, corner origin; beyond the outermost cell centres their values are
        held.

    Returns
    -------
    ndarray of shape (N, R, C), float32
    """
    maps = np.ascontiguousarray(heat.astype(np.float32))
    return np.asarray(_bilinear(maps, *_neighbours(rows, heat.shape[1]), *_neighbours(cols, heat.shape[2])))


@lru_cache(maxsize=256)  # most films of a run have the same window
def _window_samples(
    start_px: int, stop_px: int, step_px: int, side_px: int, cells: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the neighbouring cells of the samples along one axis of a window, see `_neighbours`."""
    samples = -(-(stop_px - start_px) // step_px)
    centres_px = start_px + (np.arange(samples) + 0.5) * (stop_px - start_px) / samples
    return _neighbours(centres_px * cells / side_px, cells)


def _neighbours(at_cells: NDArray[np.floating], cells: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return, for each sample, the cell whose centre is before it, and its distance from there in cells, 0-1."""
    position = np.clip(at_cells - 0.5, 0.0, cells - 1.0)
    before = np.minimum(position.astype(np.int64), max(cells - 2, 0))
    return before, (position - before).astype(np.float32)


@njit(cache=True)
def _bilinear(heat: Any, row: Any, row_part: Any, col: Any, col_part: Any) -> Any:
    """Interpolate as ``a + part * (b - a)``: equal cells give equal pixels to the last bit."""
    maps, height, width = heat.shape
    result = np.empty((maps, len(row), len(col)), np.float32)
    line, step = np.empty(width, np.float32), np.zeros(width, np.float32)
    for n in range(maps):
        for r in range(len(row)):
            above, below = row[r], min(row[r] + 1, height - 1)
            for k in range(width):
                line[k] = heat[n, above, k] + row_part[r] * (heat[n, below, k] - heat[n, above, k])
            for k in range(width - 1):
                step[k] = line[k + 1] - line[k]
            out = result[n, r]
            for c in range(len(col)):
                before = np.uint64(col[c])  # never negative: spares a check in the innermost loop
                out[c] = line[before] + col_part[c] * step[before]
    return result


def peaks_xy(heat: FloatImage) -> NDArray[np.float64]:
    """Find each map's highest point.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Finite.

    Returns
    -------
    ndarray of shape (N, 2), float64
        (x, y) in px: the centre of the highest pixel. Ties: the connected plateau with the lowest row, then the lowest
        column, represents all, and its centre is returned (interpolation holds edge values, so a peak in a border cell
        is such a plateau).
    """
    maxima = heat.reshape(len(heat), -1).max(axis=1) if len(heat) else np.empty(0, np.float32)
    plateaus = find_regions(heat, maxima)
    first = np.unique(plateaus.map_index, return_index=True)[1]
    return plateaus.centre_xy[first]


def peak_xy(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    """Find the highest point of one map, as `peaks_xy` does; faster where a single pixel is highest.

    Parameters
    ----------
    heat : ndarray of shape (H, W), float32
        Finite.

    Returns
    -------
    ndarray of shape (2,), float64
        (x, y) on the map's grid, px, corner origin.
    """
    row, col, equals = _highest(heat)
    return np.array([col + 0.5, row + 0.5]) if equals == 1 else peaks_xy(heat[None])[0]


@njit(cache=True)
def _highest(heat: Any) -> Any:
    """Return the first of the highest pixels, and how many there are."""
    highest, equals, row, col = heat.max(), 0, 0, 0
    for r in range(heat.shape[0]):
        for c in range(heat.shape[1]):
            if heat[r, c] == highest:
                if equals == 0:
                    row, col = r, c
                equals += 1
    return row, col, equals


def scaled_about_centre(boxes: NDArray[np.float64], factor: Any) -> NDArray[np.float64]:
    """Scale boxes around their centres.

    Parameters
    ----------
    boxes : ndarray of shape (..., 4), float64
        (x0, y0, x1, y1), px.
    factor : float or ndarray
        Broadcasts over the boxes.

    Returns
    -------
    ndarray of shape (..., 4), float64
        On the same grid, px.
    """
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * np.asarray(factor)[..., None]
    return np.concatenate([centre - half, centre + half], axis=-1)
