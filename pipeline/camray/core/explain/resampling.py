"""Resampling of maps between grids, with the corner origin.

A feature grid covers its film exactly: cell (r, c) of h x w covers rows [r H/h, (r+1) H/h) of H.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from camray.domain.geometry import cell_overlaps


def resampled(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Interpolate maps bilinearly onto another grid.

    Parameters
    ----------
    maps : Tensor of shape (B, L, h', w'), float
        On any grid.
    grid : tuple of int
        (h, w) of the new grid.

    Returns
    -------
    Tensor of shape (B, L, h, w), float
        Corner origin (``align_corners=False``), area-weighted along an axis that shrinks. `maps` itself if it is on
        `grid` already.
    """
    if tuple(map(int, maps.shape[-2:])) == grid:
        return maps
    # ONNX knows no such resampling; between fixed grids it is two matrix products
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        down, across = (_weights(int(side), count) for side, count in zip(maps.shape[-2:], grid, strict=True))
        return down.to(maps) @ maps @ across.to(maps).T
    return _interpolated(maps, grid)


def _interpolated(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size=grid, mode="bilinear", align_corners=False, antialias=True)


def _weights(side: int, count: int) -> Tensor:
    """Return what each of `count` new positions takes of `side` positions, [count, side]; a constant in a trace."""
    return torch.from_numpy(_interpolated(torch.eye(side)[None, None], (count, side)).numpy()[0, 0])


def area_mean(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average maps over the cells of a coarser grid, each pixel weighted by its area in the cell.

    Parameters
    ----------
    maps : Tensor of shape (..., H, W), float
        On the input grid.
    grid : tuple of int
        (h, w); H and W need not be multiples.

    Returns
    -------
    Tensor of shape (..., h, w), float
        ``mean(area_mean(maps)) == mean(maps)``; a constant stays constant.

    Examples
    --------
    >>> area_mean(torch.tensor([[0.0, 3.0, 6.0]]), (1, 2))
    tensor([[1., 5.]])
    """
    rows = _area_fractions(maps.shape[-2], grid[0], maps)
    cols = _area_fractions(maps.shape[-1], grid[1], maps)
    return rows @ maps @ cols.transpose(0, 1)


def _area_fractions(pixels: int, cells: int, like: Tensor) -> Tensor:
    """Return [cells, pixels]: the fraction of each cell that each pixel covers; rows add up to one."""
    edges = np.arange(cells + 1) * (pixels / cells)
    fractions = cell_overlaps(edges[:-1], edges[1:], pixels) * (cells / pixels)
    return torch.from_numpy(fractions).to(dtype=like.dtype, device=like.device)
