"""Maps from one grid to another; corner origin throughout.

A feature grid covers its film exactly: cell (r, c) of h x w covers rows [r H/h, (r+1) H/h) of H.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from camray.domain.geometry import cell_overlaps


def resampled(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bring maps [B, L, h', w'] to `grid` by bilinear interpolation (area-weighted where they shrink)."""
    if tuple(maps.shape[-2:]) == grid:
        return maps
    return F.interpolate(maps, size=grid, mode="bilinear", align_corners=False, antialias=True)


def area_mean(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average maps [..., H, W] over the cells of a coarser grid, exactly: a pixel counts by its area in the cell.

    Parameters
    ----------
    maps : Tensor of shape (..., H, W)
        On the input grid.
    grid : tuple of int
        (h, w); H and W need not be multiples.

    Returns
    -------
    Tensor of shape (..., h, w)
        ``mean(area_mean(maps)) == mean(maps)``; a constant stays constant.
    """
    rows = _shares(maps.shape[-2], grid[0], maps)
    cols = _shares(maps.shape[-1], grid[1], maps)
    return rows @ maps @ cols.transpose(0, 1)


def _shares(pixels: int, cells: int, like: Tensor) -> Tensor:
    """Return [cells, pixels]: which part of a cell a pixel makes up; rows add up to one."""
    edges = np.arange(cells + 1) * (pixels / cells)
    shares = cell_overlaps(edges[:-1], edges[1:], pixels) * (cells / pixels)
    return torch.from_numpy(shares).to(dtype=like.dtype, device=like.device)
