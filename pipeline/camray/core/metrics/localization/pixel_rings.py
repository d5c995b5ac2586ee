"""Neighbours of a pixel that join a connected region: a table over all 256 sets of hot neighbours."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))  # (row, column) steps, bit by bit


def _rings() -> NDArray[np.int8]:
    """Tabulate, for each set of hot neighbours, which of them a new pixel joins, and the outline that it adds.

    Returns
    -------
    ndarray of shape (2, 256, 6), int8
        First axis: joined by sides, or through corners too. Second axis: a bit for each step of `NEIGHBOURS`. Last
        axis: how many neighbours to join (at most 4), which ones, and the outline in half squares: a 2 x 2 block with
        three of the region's pixels holds half a square, with four a whole one. Of neighbours that are joined to one
        another already, round the pixel, only the first counts.
    """
    rings = np.zeros((2, 256, 6), np.int8)
    for mask in range(256):
        hot = [bool(mask >> bit & 1) for bit in range(8)]
        left, right, above, below, up_left, up_right, down_left, down_right = hot
        gain = (left + above + up_left >= 2) + (right + above + up_right >= 2)
        gain += (left + below + down_left >= 2) + (right + below + down_right >= 2)
        for corners in (0, 1):
            neighbours, reached = [], set[int]()
            for bit in range(8 if corners else 4):
                if hot[bit] and bit not in reached:
                    neighbours.append(bit)
                    reached |= _around(bit, hot, 2 if corners else 1)
            rings[corners, mask, : len(neighbours) + 1] = [len(neighbours), *neighbours]
            rings[corners, mask, 5] = gain
    return rings


def _around(start: int, hot: Sequence[bool], most: int) -> set[int]:
    """Return the hot neighbours reached from one of them by steps of at most so many sides' length (1 or 2)."""
    reached, ahead = {start}, [start]
    while ahead:
        row, col = NEIGHBOURS[ahead.pop()]
        for bit, (other_row, other_col) in enumerate(NEIGHBOURS):
            down, right = abs(row - other_row), abs(col - other_col)
            if hot[bit] and bit not in reached and max(down, right) == 1 and down + right <= most:
                reached.add(bit)
                ahead.append(bit)
    return reached


RINGS = _rings()
