"""The crop around the lungs: film to crop by resampling, and feature cells of the crop back to the film."""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from camray.core.imaging.affine_sampling import sampling_grid
from camray.domain.geometry import Box, cell_overlaps

MIN_SIDE = 0.25  # of a crop, fraction of the model grid's


def crop_box(lungs: Box | None, rows: int, cols: int, margin: float) -> Box:
    """Widen the lungs' box by a margin to whole pixels of the model grid.

    Parameters
    ----------
    lungs : Box or None
        Model grid, px; None gives the whole grid.
    rows, cols : int
        Model grid, px.
    margin : float
        Added on each side, fraction of the box's width and height.

    Returns
    -------
    Box
        Within the grid, at least a quarter of its sides; corners are whole numbers.

    Examples
    --------
    >>> crop_box(Box(10.5, 20.0, 50.5, 60.0), rows=64, cols=100, margin=0.1)
    Box(x0=6.0, y0=16.0, x1=55.0, y1=64.0)
    """
    if lungs is None:
        return Box(0.0, 0.0, float(cols), float(rows))
    x0, x1 = _widened(lungs.x0, lungs.x1, cols, margin)
    y0, y1 = _widened(lungs.y0, lungs.y1, rows, margin)
    return Box(x0, y0, x1, y1)


def _widened(low: float, high: float, side: int, margin: float) -> tuple[float, float]:
    """Widen a span to whole pixels inside [0, side), `MIN_SIDE` of it at least."""
    reach = margin * (high - low)
    first, last = max(0, math.floor(low - reach)), min(side, math.ceil(high + reach))
    least = math.ceil(side * MIN_SIDE)
    if last - first < least:
        first = min(max(0, (first + last - least) // 2), side - least)
        last = first + least
    return float(first), float(last)


def crop_films(films: Tensor, boxes: Tensor, rows: int, cols: int) -> Tensor:
    """Cut every film at its own box and resize it; differentiable by the films.

    Parameters
    ----------
    films : Tensor of shape (B, C, H, W), float
        Model grid.
    boxes : Tensor of shape (B, 4), float64
        (x0, y0, x1, y1) on the films' grid, px, half-open.
    rows, cols : int
        Of the crop, px.

    Returns
    -------
    Tensor of shape (B, C, rows, cols), float
        Bilinear, corner origin: pixel i of the crop reads at ``x0 + (i + 1/2) (x1 - x0) / cols``.
    """
    height, width = films.shape[-2:]
    x0, y0, x1, y1 = boxes.unbind(dim=1)
    zero = torch.zeros_like(x0)
    across = torch.stack([(x1 - x0) / width, zero, (x0 + x1) / width - 1], dim=1)
    down = torch.stack([zero, (y1 - y0) / height, (y0 + y1) / height - 1], dim=1)
    grid = sampling_grid(torch.stack([across, down], dim=1).to(films.dtype), rows, cols)
    return grid_sample(films, grid, mode="bilinear", padding_mode="border", align_corners=False)


def cells_to_film(cells: Tensor, boxes: Tensor, rows: int, cols: int, grid: tuple[int, int], keep: str) -> Tensor:
    """Resample the crop's feature cells to the film's feature grid, by exact areas.

    Parameters
    ----------
    cells : Tensor of shape (B, K, h, w), float
        On the crop's feature grid.
    boxes : Tensor of shape (B, 4), float64
        Each crop on the model grid, (x0, y0, x1, y1), px, half-open.
    rows, cols : int
        Model grid, px.
    grid : (int, int)
        Rows and columns of the film's feature grid.
    keep : str
        ``mean``: the mean over the film's grid equals the mean over the crop's, so that a crop of a fraction s of the
        film has its values multiplied by 1/s; for average pools. ``value``: each film cell gets the mean of the crop
        cells that cover it, times the fraction of it that they cover; for pools that respond to high values.

    Returns
    -------
    Tensor of shape (B, K, *grid), float
        Zero outside the crop. Linear in `cells`.
    """
    down = _cell_weights(boxes[:, 1] / rows, boxes[:, 3] / rows, grid[0], cells.shape[2], keep)
    across = _cell_weights(boxes[:, 0] / cols, boxes[:, 2] / cols, grid[1], cells.shape[3], keep)
    return torch.einsum("bih,bkhw,bjw->bkij", down.to(cells.dtype), cells, across.to(cells.dtype))


def _cell_weights(low: Tensor, high: Tensor, film_cells: int, crop_cells: int, keep: str) -> Tensor:
    """Weight of every crop cell in every film cell of one axis, [B, film_cells, crop_cells]; ends in 0-1 of the film.

    With ``value`` the weights of a fully covered film cell add up to 1; with ``mean`` those of a crop cell add up to
    ``film_cells / crop_cells``.
    """
    steps = torch.arange(crop_cells + 1, dtype=torch.float64, device=low.device) / crop_cells
    edges = ((low[:, None] + (high - low)[:, None] * steps) * film_cells).cpu().numpy()
    shared = torch.from_numpy(cell_overlaps(edges[:, :-1], edges[:, 1:], film_cells)).to(low.device)
    shared = shared.transpose(1, 2).contiguous()  # memory order decides the last bit of the sums
    return shared / (high - low)[:, None, None] if keep == "mean" else shared
