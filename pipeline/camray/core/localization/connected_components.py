"""Connected hot regions of many heat maps at once, compiled.

Regions join through corners. Maps are processed one by one in a fixed order, so a map's regions depend on that map
alone. Boxes are half-open, px of the grid that the heat is on.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
        """Rank the regions of each map.

        Parameters
        ----------
        choice : str
            ``hottest``, ``largest`` or ``evidence``: the value that decides.

        Returns
        -------
        ndarray of shape (R,), int64
            Region numbers map by map, best first; ties keep the order of their first pixels (row, then column).
        """
        key = {"hottest": self.peak, "largest": self.area_px, "evidence": self.evidence}[choice]
        return np.lexsort((np.arange(len(key)), -key, self.map_index))


def find_regions(heat: FloatImage, heat_threshold: NDArray[np.float32], min_area_px: float = 1.0) -> Regions:
    """Find the connected hot regions of a stack of maps.

    Parameters
    ----------
    heat : ndarray of shape (N, H, W), float32
        Finite.
    heat_threshold : ndarray of shape (N,), float32
        In units of `heat`, one per map; a pixel at or above it is hot. With infinity no region is found.
    min_area_px : float
        Regions with fewer hot pixels are dropped.

    Returns
    -------
    Regions
        R regions on the grid of `heat`, px, in order of their maps.
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
    """Find the one best region's box, for many thresholds per map and each way to choose.

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


@njit(cache=True, inline="always")
def _root(parent: Any, run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@njit(cache=True)
def _label(heat: Any, threshold: Any, parent: Any, table: Any) -> int:
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
def _regions_of_stack(heat: Any, thresholds: Any, min_area: float) -> Any:
    maps, rows, cols = heat.shape
    most = rows * ((cols + 1) // 2)
    parent, runs = np.empty(most, np.int64), np.empty((most, _COLUMNS))
    index, table, count = np.empty(64, np.int64), np.empty((64, _COLUMNS)), 0
    for n in range(maps):
        for run in range(_label(heat[n], thresholds[n], parent, runs)):
            if parent[run] == run and runs[run, _AREA] >= min_area:
                if count == len(index):
                    index = np.concatenate((index, np.empty(count, np.int64)))
                    table = np.concatenate((table, np.empty((count, _COLUMNS))))
                index[count] = n
                for column in range(_COLUMNS):
                    table[count, column] = runs[run, column]
                count += 1
    return index[:count].copy(), table[:count].copy()


@njit(cache=True)
def _best_of_stack(heat: Any, thresholds: Any, min_area: float) -> Any:
    maps, rows, cols = heat.shape
    most = rows * ((cols + 1) // 2)
    parent, runs = np.empty(most, np.int64), np.empty((most, _COLUMNS))
    best = np.full((maps, thresholds.shape[1], 3, 4), np.nan)
    keys = np.empty(3)
    for n in range(maps):
        for t in range(thresholds.shape[1]):
            best_keys = np.full(3, -np.inf)
            for run in range(_label(heat[n], thresholds[n, t], parent, runs)):
                if parent[run] == run and runs[run, _AREA] >= min_area:
                    keys[0], keys[1] = runs[run, _PEAK], runs[run, _AREA]
                    keys[2] = runs[run, _TOTAL] - runs[run, _AREA] * thresholds[n, t]
                    for k in range(3):
                        if keys[k] > best_keys[k]:
                            best_keys[k] = keys[k]
                            for corner in range(4):
                                best[n, t, k, corner] = runs[run, corner]
    return best
