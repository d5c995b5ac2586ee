"""Every connected region at every threshold, from one compiled pass over a map.

A region keeps its shape over a whole interval of thresholds and changes only where a pixel joins it. So the pass adds
pixels from the hottest down, joins regions by union-find, and writes down each region once, with the interval of
thresholds over which it is just that region: the nodes of the component tree (Salembier, Oliveras and Garrido, IEEE
TIP 1998; union-find after Najman and Couprie, IEEE TIP 2006). Its cost grows with the pixels, not with the thresholds.

Thresholds are numbered upwards; a pixel's *level* is the highest threshold at which it is hot, -1 for none.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

Connectivity = Literal[4, 8]
Levels = NDArray[np.int16]


@dataclass(frozen=True)
class RegionTree:
    """All regions of one map at all T thresholds, M of them.

    Parameters
    ----------
    boxes : ndarray of shape (M, 4), int32
        Smallest enclosing (x0, y0, x1, y1), px of the map, half-open.
    area_px : ndarray of shape (M,), int32
        Hot pixels.
    outline_area : ndarray of shape (M,), float64
        Area of the polygon through the centres of the region's outermost pixels, less that of its holes, px squared:
        each 2 x 2 block counts 1 with four of the region's pixels, 1/2 with three.
    lowest, highest : ndarray of shape (M,), int32
        First and last threshold at which the region is just this one; 0 to T - 1.
    seed : ndarray of shape (M,), int32
        When the region's oldest part got hot: regions that exist side by side have different ones, smaller is older.
    first_pixel : ndarray of shape (M,), int32
        ``row * W + col`` of the region's first pixel in reading order.
    n_thresholds : int
        T.
    """

    boxes: NDArray[np.int32]
    area_px: NDArray[np.int32]
    outline_area: NDArray[np.float64]
    lowest: NDArray[np.int32]
    highest: NDArray[np.int32]
    seed: NDArray[np.int32]
    first_pixel: NDArray[np.int32]
    n_thresholds: int

    def at(self, threshold: int) -> NDArray[np.int64]:
        """Return the numbers of the regions that exist at a threshold."""
        return np.flatnonzero((self.lowest <= threshold) & (threshold <= self.highest))

    def best(self, keys: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return, for each threshold, the region with the highest key.

        Parameters
        ----------
        keys : ndarray of shape (M,), float64
            One a region; finite. Of equal ones any is taken.

        Returns
        -------
        ndarray of shape (T,), int32
            Region number; -1 where no region exists.
        """
        return np.asarray(_best_of_intervals(self.lowest, self.highest, keys, self.n_thresholds))

    def largest(self) -> NDArray[np.int32]:
        """Return the region with the most pixels at each threshold, [T]; of equals the oldest, -1 for none."""
        ages = float(self.seed.max() + 1) if len(self.seed) else 1.0
        return self.best(self.area_px - self.seed / ages)


def region_tree(levels: Levels, n_thresholds: int, connectivity: Connectivity = 8) -> RegionTree:
    """Find every connected region at every threshold.

    Parameters
    ----------
    levels : ndarray of shape (H, W), int16
        The highest threshold at which each pixel is hot, -1 for none; see `levels_of`.
    n_thresholds : int
        T; levels are below it.
    connectivity : {4, 8}
        Whether pixels join by their sides, or through corners too.
    """
    table, lowest, highest, seed = _grow(np.ascontiguousarray(levels), n_thresholds, connectivity == 8)
    padded, cols = table[:, 6], levels.shape[1]
    return RegionTree(
        boxes=table[:, :4],
        area_px=table[:, 4],
        outline_area=table[:, 5] / 2,
        lowest=lowest,
        highest=highest,
        seed=seed,
        first_pixel=(padded // (cols + 2) - 1) * cols + padded % (cols + 2) - 1,
        n_thresholds=n_thresholds,
    )


def levels_of(heat01: NDArray[np.float64], thresholds: NDArray[np.float64]) -> Levels:
    """Find the highest threshold that each pixel reaches (is at or above).

    Parameters
    ----------
    heat01 : ndarray of shape (H, W), float64
        Finite. Any scale that the thresholds are given in; fastest where they are about evenly spaced.
    thresholds : ndarray of shape (T,), float64
        Strictly ascending; at most 32767.

    Returns
    -------
    ndarray of shape (H, W), int16
        -1 where a pixel reaches none.
    """
    return np.asarray(_levels_of(np.ascontiguousarray(heat01), thresholds))


@njit(cache=True)
def _levels_of(heat: Any, thresholds: Any) -> Any:  # pragma: no cover (compiled)
    rows, cols = heat.shape
    last = len(thresholds) - 1
    levels = np.empty((rows, cols), np.int16)
    start = thresholds[0]
    steps = last / (thresholds[last] - start) if last > 0 else 0.0
    for r in range(rows):
        for c in range(cols):
            value = heat[r, c]
            guess = min(max((value - start) * steps, -1.0), float(last))
            level = int(guess)
            while level < last and value >= thresholds[level + 1]:
                level += 1
            while level >= 0 and value < thresholds[level]:
                level -= 1
            levels[r, c] = level
    return levels


@njit(cache=True)
def _pixels_by_level(levels: Any, n_levels: int) -> Any:  # pragma: no cover (compiled)
    """Sort pixels by level (counting sort): their numbers on the padded grid, and where each level begins."""
    rows, cols = levels.shape
    first = np.zeros(n_levels + 1, np.int64)
    for r in range(rows):
        for c in range(cols):
            if levels[r, c] >= 0:
                first[levels[r, c] + 1] += 1
    first = np.cumsum(first)
    place, ordered = first[:-1].copy(), np.empty(first[-1], np.int32)
    for r in range(rows):
        for c in range(cols):
            if levels[r, c] >= 0:
                ordered[place[levels[r, c]]] = (r + 1) * (cols + 2) + c + 1
                place[levels[r, c]] += 1
    return first, ordered


@njit(cache=True, inline="always")
def _root_of(parent: Any, pixel: int) -> int:  # pragma: no cover (compiled)
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@njit(cache=True, inline="always")
def _join(
    parent: Any, table: Any, node: Any, lowest: Any, level: int, first: int, second: int
) -> int:  # pragma: no cover (compiled)
    """Join two regions, given by their roots, into the bigger one's; of equals into the first's. The other one ends."""
    if table[first, 4] < table[second, 4]:
        first, second = second, first
    parent[second] = first
    if node[second] >= 0:
        lowest[node[second]] = level + 1
    table[first, 0] = min(table[first, 0], table[second, 0])
    table[first, 1] = min(table[first, 1], table[second, 1])
    table[first, 2] = max(table[first, 2], table[second, 2])
    table[first, 3] = max(table[first, 3], table[second, 3])
    table[first, 4] += table[second, 4]
    table[first, 5] += table[second, 5]
    table[first, 6] = min(table[first, 6], table[second, 6])
    return first


@njit(cache=True)
def _add_pixel(
    parent: Any, table: Any, node: Any, lowest: Any, level: int, pixel: int, cols: int, corners: bool
) -> int:  # pragma: no cover (compiled)
    """Let a pixel of the padded grid become hot; return its region's root, which is itself if it founds one."""
    left, right = parent[pixel - 1] >= 0, parent[pixel + 1] >= 0
    above, below = parent[pixel - cols] >= 0, parent[pixel + cols] >= 0
    up_left, up_right = parent[pixel - cols - 1] >= 0, parent[pixel - cols + 1] >= 0
    down_left, down_right = parent[pixel + cols - 1] >= 0, parent[pixel + cols + 1] >= 0
    near = (
        (left, -1), (right, 1), (above, -cols), (below, cols),
        # a hot pixel beside both has joined the corner already
        (corners and up_left and not (left or above), -cols - 1),
        (corners and up_right and not (right or above), -cols + 1),
        (corners and down_left and not (left or below), cols - 1),
        (corners and down_right and not (right or below), cols + 1),
    )  # fmt: skip
    root = -1
    for hot, step in near:
        if hot:
            other = _root_of(parent, pixel + step)
            if root == -1:
                root = other
            elif root != other:
                root = _join(parent, table, node, lowest, level, root, other)
    # a 2 x 2 block with three of the region's pixels holds half a square of the outline, with four a whole one
    gain = (left + above + up_left >= 2) + (right + above + up_right >= 2)
    gain += (left + below + down_left >= 2) + (right + below + down_right >= 2)
    r, c = pixel // cols - 1, pixel % cols - 1
    if root == -1:
        root = pixel
        table[root, 0], table[root, 1], table[root, 2], table[root, 3] = c, r, c + 1, r + 1
        table[root, 4], table[root, 5], table[root, 6] = 1, gain, pixel
    else:
        table[root, 0], table[root, 1] = min(table[root, 0], c), min(table[root, 1], r)
        table[root, 2], table[root, 3] = max(table[root, 2], c + 1), max(table[root, 3], r + 1)
        table[root, 4] += 1
        table[root, 5] += gain
        table[root, 6] = min(table[root, 6], pixel)
    parent[pixel] = root
    return root


@njit(cache=True)
def _grow(levels: Any, n_levels: int, corners: bool) -> Any:  # pragma: no cover (compiled)
    """Add pixels from the hottest level down and write a node for every region that a level changed."""
    rows, cols = levels.shape[0] + 2, levels.shape[1] + 2
    first, ordered = _pixels_by_level(levels, n_levels)
    parent, table = np.full(rows * cols, -1, np.int32), np.empty((rows * cols, 7), np.int32)
    age, node = np.empty(rows * cols, np.int32), np.full(rows * cols, -1, np.int32)
    nodes, lowest = np.empty((len(ordered), 7), np.int32), np.zeros(len(ordered), np.int32)
    highest, seed = np.empty(len(ordered), np.int32), np.empty(len(ordered), np.int32)
    founded = found = 0
    for level in range(n_levels - 1, -1, -1):
        for place in range(first[level], first[level + 1]):
            pixel = ordered[place]
            if _add_pixel(parent, table, node, lowest, level, pixel, cols, corners) == pixel:
                age[pixel] = founded
                founded += 1
        start = found
        for place in range(first[level], first[level + 1]):
            root = _root_of(parent, ordered[place])
            if node[root] < start:  # not written down at this level yet
                if node[root] >= 0:
                    lowest[node[root]] = level + 1
                node[root] = found
                for column in range(7):
                    nodes[found, column] = table[root, column]
                highest[found], seed[found] = level, age[root]
                found += 1
    return nodes[:found].copy(), lowest[:found].copy(), highest[:found].copy(), seed[:found].copy()


@njit(cache=True)
def _best_of_intervals(lowest: Any, highest: Any, keys: Any, n_levels: int) -> Any:  # pragma: no cover (compiled)
    """Find the interval with the highest key over each level.

    An interval is covered by two, maybe overlapping, stretches whose length is a power of two; at the end each stretch
    hands its best on to its halves. So the cost does not grow with the intervals' lengths.
    """
    powers = 1
    while (1 << powers) <= n_levels:
        powers += 1
    best = np.full((powers, n_levels), -1, np.int32)
    for number in range(len(keys)):
        power = 0
        while (2 << power) <= highest[number] - lowest[number] + 1:
            power += 1
        for place in (np.int64(lowest[number]), np.int64(highest[number]) + 1 - (1 << power)):
            if best[power, place] < 0 or keys[best[power, place]] < keys[number]:
                best[power, place] = number
    for power in range(powers - 1, 0, -1):
        half = 1 << (power - 1)
        for start in range(n_levels - 2 * half + 1):
            number = best[power, start]
            if number >= 0:
                for part in (start, start + half):
                    if best[power - 1, part] < 0 or keys[best[power - 1, part]] < keys[number]:
                        best[power - 1, part] = number
    return best[0]
