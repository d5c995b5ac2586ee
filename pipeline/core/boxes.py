"""From heat maps to boxes: interpolation, connected regions, peaks.

Regions join through corners. Everything that is done for many maps is compiled (numba) and works map by map in a fixed
order, so that a map's regions depend on nothing but that map. Boxes are half-open, px of the grid that the heat is on.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from pipeline.domain.geometry import Box, GridTransform

FloatImage = NDArray[np.float32]
RegionChoice = Literal["hottest", "largest", "evidence"]
REGION_CHOICES: tuple[RegionChoice, ...] = ("hottest", "largest", "evidence")
_X0, _Y0, _X1, _Y1, _AREA, _PEAK, _TOTAL, _SUM_X, _SUM_Y, _COLUMNS = range(10)


@dataclass(frozen=True)
class Regions:
    """Connected hot regions of a stack of maps, R of them, in the order of their maps and of their first pixels.

    Parameters
    ----------
    map_index : ndarray of shape (R,), int64
        Which map of the stack.
    boxes : ndarray of shape (R, 4), float64
        Smallest enclosing (x0, y0, x1, y1), px, half-open.
    area_px : ndarray of shape (R,), float64
        Hot pixels.
    peak, mean : ndarray of shape (R,), float64
        Highest and mean heat inside, in units of the heat.
    evidence : ndarray of shape (R,), float64
        Sum over the region of heat above its threshold.
    centre_xy : ndarray of shape (R, 2), float64
        Mean of the pixel centres.
    """

    map_index: NDArray[np.int64]
    boxes: NDArray[np.float64]
    area_px: NDArray[np.float64]
    peak: NDArray[np.float64]
    mean: NDArray[np.float64]
    evidence: NDArray[np.float64]
    centre_xy: NDArray[np.float64]

    def ranked(self, choice: RegionChoice) -> NDArray[np.int64]:
        """Return region numbers map by map, best first; ties keep the order of their first pixels (row, then col)."""
        key = {"hottest": self.peak, "largest": self.area_px, "evidence": self.evidence}[choice]
        return np.lexsort((np.arange(len(key)), -key, self.map_index))


@dataclass(frozen=True)
class Window:
    """The part of the model grid that a film covers: rows [row0, row1), columns [col0, col1), px."""

    row0: int
    row1: int
    col0: int
    col1: int


def film_window(transform: GridTransform, shape_native: tuple[int, int], shape_model: tuple[int, int]) -> Window:
    """Find the model pixels whose centres lie on the film, so that no margin is left.

    Parameters
    ----------
    transform : GridTransform
        Native to model.
    shape_native, shape_model : tuple of int
        (rows, cols) of either grid.

    Raises
    ------
    ValueError
        If the film misses the model grid.
    """
    x0, y0 = transform.xy_to_model(0.0, 0.0)
    x1, y1 = transform.xy_to_model(float(shape_native[1]), float(shape_native[0]))
    low = [max(0, int(np.ceil(edge - 0.5))) for edge in (y0, x0)]
    high = [min(side, int(np.ceil(edge - 0.5))) for edge, side in zip((y1, x1), shape_model, strict=True)]
    if low[0] >= high[0] or low[1] >= high[1]:
        raise ValueError(f"a film of {shape_native} px at {transform} misses the model grid of {shape_model} px")
    return Window(low[0], high[0], low[1], high[1])


def interpolation_matrix(cells: int, centres: NDArray[np.float64], smooth_cells: float = 0.0) -> NDArray[np.float32]:
    """Build the matrix that samples a row of cells linearly, corner origin, edges held.

    Parameters
    ----------
    cells : int
        Length of the row.
    centres : ndarray of shape (n,), float64
        Where to sample, in cells from the outer corner: the first cell's centre is 0.5.
    smooth_cells : float
        Sigma of a Gaussian applied to the cells first (edges mirrored), in cells.

    Returns
    -------
    ndarray of shape (n, cells), float32
        Rows sum to 1.
    """
    position = np.clip(centres - 0.5, 0.0, cells - 1.0)
    lower = np.minimum(position.astype(np.int64), max(cells - 2, 0))
    part = position - lower
    matrix = np.zeros((len(centres), cells))
    rows = np.arange(len(centres))
    matrix[rows, lower] = 1.0 - part
    matrix[rows, np.minimum(lower + 1, cells - 1)] += part
    if smooth_cells > 0:
        matrix = matrix @ gaussian_filter1d(np.eye(cells), smooth_cells, axis=0, mode="reflect")
    return matrix.astype(np.float32)


def upsampled(
    heat: FloatImage, shape_model: tuple[int, int], window: Window | None = None, smooth: float = 0.0, step_px: int = 1
) -> FloatImage:
    """Interpolate maps bilinearly from the feature grid to (a window of) the model grid, corner origin.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float32
        Raw evidence on the feature grid, which covers the model grid exactly.
    shape_model : tuple of int
        (rows, cols) of the model grid, px.
    window : Window, optional
        What to keep; all by default.
    smooth : float
        Sigma of a Gaussian applied first, in feature cells.
    step_px : int
        Sample about every so many model px (evenly over the window), to be quick where a choice is made.

    Returns
    -------
    ndarray of shape (N, rows of the window / step, cols of the window / step), float32
    """
    kept = window or Window(0, shape_model[0], 0, shape_model[1])
    by_row, by_col = (
        interpolation_matrix(cells, _sample_centres(start, stop, step_px) * cells / side, smooth)
        for cells, side, start, stop in (
            (heat.shape[1], shape_model[0], kept.row0, kept.row1),
            (heat.shape[2], shape_model[1], kept.col0, kept.col1),
        )
    )
    return np.ascontiguousarray(by_row @ heat.astype(np.float32) @ by_col.T, dtype=np.float32)


def _sample_centres(start_px: int, stop_px: int, step_px: int) -> NDArray[np.float64]:
    samples = -(-(stop_px - start_px) // step_px)
    return start_px + (np.arange(samples) + 0.5) * (stop_px - start_px) / samples


def find_regions(heat: FloatImage, heat_threshold: NDArray[np.float32], min_area_px: float = 1.0) -> Regions:
    """Find the connected hot regions of a stack of maps.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Finite.
    heat_threshold : ndarray of shape (N,), float32
        In units of `heat`, one a map; a pixel at or above it is hot. Infinity finds nothing.
    min_area_px : float
        Regions with fewer hot pixels are dropped.
    """
    index, table = _regions_of_stack(np.ascontiguousarray(heat), heat_threshold.astype(np.float32), float(min_area_px))
    area = table[:, _AREA]
    return Regions(
        map_index=index,
        boxes=table[:, : _Y1 + 1],
        area_px=area,
        peak=table[:, _PEAK],
        mean=table[:, _TOTAL] / area,
        evidence=table[:, _TOTAL] - area * heat_threshold[index].astype(np.float64),
        centre_xy=table[:, [_SUM_X, _SUM_Y]] / area[:, None] + 0.5,
    )


def best_boxes(heat: FloatImage, heat_thresholds: NDArray[np.float32], min_area_px: float = 1.0) -> NDArray[np.float64]:
    """Find the one best region's box, for many thresholds a map and each way to choose.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Finite.
    heat_thresholds : ndarray of shape (N, T), float32
        In units of `heat`.
    min_area_px : float
        As for `find_regions`.

    Returns
    -------
    ndarray of shape (N, T, 3, 4), float64
        Boxes in the order of `REGION_CHOICES`; NaN where nothing is hot. Ties: the region whose first pixel
        (row, then column) comes first.
    """
    return np.asarray(
        _best_of_stack(np.ascontiguousarray(heat), heat_thresholds.astype(np.float32), float(min_area_px))
    )


def peaks_xy(heat: FloatImage) -> NDArray[np.float64]:
    """Find each map's highest point.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Finite.

    Returns
    -------
    ndarray of shape (N, 2), float64
        (x, y) in px: the centre of the highest pixel. Ties: the connected plateau that holds the lowest row, then the
        lowest column, stands for all, and its centre is meant (interpolation holds edge values, so a peak in a border
        cell is such a plateau).
    """
    maxima = heat.reshape(len(heat), -1).max(axis=1) if len(heat) else np.empty(0, np.float32)
    plateaus = find_regions(heat, maxima)
    first = np.unique(plateaus.map_index, return_index=True)[1]
    return plateaus.centre_xy[first]


def boxes_from_heat(heat: FloatImage, heat_threshold: float, min_area_px: int) -> list[Box]:
    """Enclose every connected hot region in the smallest upright box.

    Parameters
    ----------
    heat : ndarray of shape (H, W), float32
        Raw evidence for one label, ``heat[row, col]``; not rescaled.
    heat_threshold : float
        In units of `heat`. A pixel at or above it is hot.
    min_area_px : int
        Regions with fewer hot pixels are dropped.

    Returns
    -------
    list of Box
        The heat's own grid, px, half-open; hottest region first.

    Raises
    ------
    ValueError
        If `heat` is not 2-D or contains NaN.

    Notes
    -----
    No hot pixel gives an empty list. Regions join through corners. Source: Zhou et al., CVPR 2016, section 3.2; they
    keep the largest region, we keep all.

    Examples
    --------
    >>> heat = np.zeros((4, 6), np.float32)
    >>> heat[1:3, 2:5] = 0.75
    >>> boxes_from_heat(heat, 0.5, 1)
    [Box(x0=2.0, y0=1.0, x1=5.0, y1=3.0)]
    """
    if heat.ndim != 2 or np.isnan(heat).any():
        raise ValueError(f"expected a 2-D heat map without NaN, got shape {heat.shape}")
    found = find_regions(heat[None].astype(np.float32), np.array([heat_threshold], np.float32), min_area_px)
    return [Box(*map(float, found.boxes[number])) for number in found.ranked("hottest")]


def scaled_about_centre(boxes: NDArray[np.float64], factor: Any) -> NDArray[np.float64]:
    """Scale boxes [..., 4] about their centres by `factor`, a number or an array that broadcasts over the boxes."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * np.asarray(factor)[..., None]
    return np.concatenate([centre - half, centre + half], axis=-1)


@njit(cache=True, inline="always")
def _root(parent: Any, run: int) -> int:  # pragma: no cover (compiled)
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@njit(cache=True)
def _label(heat: Any, threshold: Any, parent: Any, table: Any) -> int:  # pragma: no cover (compiled)
    """Cut one map into runs of hot pixels along rows and join runs that touch; return how many runs there are.

    Afterwards ``parent[run] == run`` marks a region's first run, whose row of `table` holds the region's figures.
    """
    rows, cols = heat.shape
    count, above, above_end = 0, 0, 0
    for r in range(rows):
        row_start, c = count, 0
        while c < cols:
            if heat[r, c] < threshold:
                c += 1
                continue
            start, total, peak, sum_x = c, 0.0, heat[r, c], 0.0
            while c < cols and heat[r, c] >= threshold:
                total += heat[r, c]
                peak = max(peak, heat[r, c])
                sum_x += c
                c += 1
            run = table[count]
            run[_X0], run[_Y0], run[_X1], run[_Y1] = start, r, c, r + 1
            run[_AREA], run[_PEAK], run[_TOTAL] = c - start, peak, total
            run[_SUM_X], run[_SUM_Y] = sum_x, r * (c - start)
            parent[count] = count
            while above < above_end and table[above, _X1] < start:
                above += 1
            other = above
            while other < above_end and table[other, _X0] <= c:
                first, second = _root(parent, other), _root(parent, count)
                parent[max(first, second)] = min(first, second)
                other += 1
            count += 1
        above, above_end = row_start, count
    for run_number in range(count):
        root = _root(parent, run_number)
        if root != run_number:
            into, run = table[root], table[run_number]
            into[_X0], into[_Y0] = min(into[_X0], run[_X0]), min(into[_Y0], run[_Y0])
            into[_X1], into[_Y1] = max(into[_X1], run[_X1]), max(into[_Y1], run[_Y1])
            into[_PEAK] = max(into[_PEAK], run[_PEAK])
            for column in (_AREA, _TOTAL, _SUM_X, _SUM_Y):
                into[column] += run[column]
    return count


@njit(cache=True)
def _regions_of_stack(heat: Any, thresholds: Any, min_area: float) -> Any:  # pragma: no cover (compiled)
    maps, rows, cols = heat.shape
    most = rows * ((cols + 1) // 2)
    parent, runs = np.empty(most, np.int64), np.empty((most, _COLUMNS))
    index, table, found = np.empty(64, np.int64), np.empty((64, _COLUMNS)), 0
    for n in range(maps):
        for run in range(_label(heat[n], thresholds[n], parent, runs)):
            if parent[run] == run and runs[run, _AREA] >= min_area:
                if found == len(index):
                    index = np.concatenate((index, np.empty(found, np.int64)))
                    table = np.concatenate((table, np.empty((found, _COLUMNS))))
                index[found] = n
                table[found] = runs[run]
                found += 1
    return index[:found].copy(), table[:found].copy()


@njit(cache=True)
def _best_of_stack(heat: Any, thresholds: Any, min_area: float) -> Any:  # pragma: no cover (compiled)
    maps, rows, cols = heat.shape
    most = rows * ((cols + 1) // 2)
    parent, runs = np.empty(most, np.int64), np.empty((most, _COLUMNS))
    best = np.full((maps, thresholds.shape[1], 3, 4), np.nan)
    keys, best_keys = np.empty(3), np.empty(3)
    for n in range(maps):
        for t in range(thresholds.shape[1]):
            best_keys[:] = -np.inf
            for run in range(_label(heat[n], thresholds[n, t], parent, runs)):
                if parent[run] == run and runs[run, _AREA] >= min_area:
                    keys[0], keys[1] = runs[run, _PEAK], runs[run, _AREA]
                    keys[2] = runs[run, _TOTAL] - runs[run, _AREA] * thresholds[n, t]
                    for k in range(3):
                        if keys[k] > best_keys[k]:
                            best_keys[k] = keys[k]
                            best[n, t, k] = runs[run, : _Y1 + 1]
    return best
