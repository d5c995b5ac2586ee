"""Model grid of a plan: the films' shape, at the resolution that was measured or less."""

import math

from camray.core.planning.facts import DataFacts

LONG_SIDE_PX = 320
SMALLER_SIDES_PX = (288, 256, 224, 192, 160)
LEAST_SIDE_PX = 128
LEAST_SHORT_SIDE_PX = 64
CELL_PX = 16


def long_side(data: DataFacts) -> int:
    """Return the longer side of the model grid, px: 320, or the films' own where they are smaller."""
    own = max(data.rows, data.cols)
    return LONG_SIDE_PX if own == 0 else max(LEAST_SIDE_PX, min(LONG_SIDE_PX, math.ceil(own / CELL_PX) * CELL_PX))


def grid_of(side: int, aspect: float, cell: int = CELL_PX) -> tuple[int, int]:
    """Return (rows, cols) of the films' shape.

    Parameters
    ----------
    side : int
        The longer side, px.
    aspect : float
        Height over width of the films.
    cell : int
        Both sides are multiples of it, px.

    Examples
    --------
    >>> grid_of(320, 2.0), grid_of(320, 0.83), grid_of(320, 1.02)
    ((320, 160), (272, 320), (320, 320))
    """
    rows, cols = (side, side / aspect) if aspect >= 1 else (side * aspect, side)
    return _whole_cells(rows, cell), _whole_cells(cols, cell)


def complete_grid(rows: int | None, cols: int | None, aspect: float, cell: int = CELL_PX) -> tuple[int, int]:
    """Return the grid of which a side is given; the other one is given too, or follows the films' shape."""
    other_rows = _whole_cells((cols or 0) * aspect, cell)
    other_cols = _whole_cells((rows or 0) / aspect, cell)
    return rows or other_rows, cols or other_cols


def _whole_cells(px: float, cell: int) -> int:
    return max(math.ceil(LEAST_SHORT_SIDE_PX / cell) * cell, round(px / cell) * cell)
