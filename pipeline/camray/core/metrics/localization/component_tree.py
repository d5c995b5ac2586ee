"""Every connected region at every threshold, from one compiled pass over a map.

A region keeps its shape over a whole interval of thresholds and changes only where a pixel joins it. So the pass adds
pixels from the hottest down, joins regions by union-find, and writes down each region once, with the interval of
thresholds over which it is just that region: the nodes of the component tree (Salembier, Oliveras and Garrido, IEEE
TIP 1998; union-find after Najman and Couprie, IEEE TIP 2006). Its cost grows with the pixels, not with the thresholds.

Thresholds are numbered upwards; a pixel's *level* is the highest threshold at which it is hot, -1 for none.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.localization.pixel_rings import RINGS
from camray.core.metrics.localization.region_growing import best_of_intervals, grown_regions, reached_levels

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
        """Return the regions that exist at a threshold.

        Parameters
        ----------
        threshold : int
            Number of the threshold.

        Returns
        -------
        ndarray of shape (M,), int64
            Region numbers, rising.
        """
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
        return np.asarray(best_of_intervals(self.lowest, self.highest, keys, self.n_thresholds))

    def largest(self) -> NDArray[np.int32]:
        """Return the region with the most pixels at each threshold.

        Returns
        -------
        ndarray of shape (T,), int32
            Of equals the oldest; -1 for none.
        """
        ages = float(self.seed.max() + 1) if len(self.seed) else 1.0
        return self.best(self.area_px - self.seed / ages)


def region_tree(levels: Levels, n_thresholds: int, connectivity: Connectivity = 8) -> RegionTree:
    """Find every connected region at every threshold.

    Parameters
    ----------
    levels : ndarray of shape (H, W), int16
        The highest threshold at which each pixel is hot, -1 for none; see `levels_of`. Sides below 32768.
    n_thresholds : int
        T; levels are below it.
    connectivity : {4, 8}
        Whether pixels join by their sides, or through corners too.

    Returns
    -------
    RegionTree
        Boxes, areas and range of thresholds of every region, px of the map.
    """
    rings = RINGS[int(connectivity == 8)]
    table = grown_regions(np.ascontiguousarray(levels), n_thresholds, rings)
    packed = table[:, 6]
    return RegionTree(
        boxes=table[:, :4],
        area_px=table[:, 4],
        outline_area=table[:, 5] / 2,
        lowest=table[:, 7],
        highest=table[:, 8],
        seed=table[:, 9],
        first_pixel=(packed >> 16) * levels.shape[1] + (packed & 0xFFFF),
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
    return np.asarray(reached_levels(np.ascontiguousarray(heat01), 0.0, 1.0, thresholds))
