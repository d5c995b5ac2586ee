"""Positions of patch tokens: learned embeddings on other grids, and rotary angles."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

_LONGEST_WAVE = 10_000.0  # of rotary positions


def resized_positions(embedding: Tensor, rows: int, cols: int) -> Tensor:
    """Resize a position embedding to another grid.

    Parameters
    ----------
    embedding : Tensor of shape (1, 1 + n * n, C), float
        The class token's, then those of a square grid, row by row.
    rows, cols : int
        The other grid.

    Returns
    -------
    Tensor of shape (1, 1 + rows * cols, C), float
        Bicubic, corner origin; `embedding` itself on its own grid.
    """
    side = round(int(embedding.shape[1] - 1) ** 0.5)  # int: a tensor while the network is exported
    if (rows, cols) == (side, side):
        return embedding
    grid = embedding[:, 1:].transpose(1, 2).reshape(1, -1, side, side)
    grid = interpolate(grid, size=(rows, cols), mode="bicubic", align_corners=False)
    return torch.cat([embedding[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


def rotary_angles(channels: int, side: int, rows: int, cols: int) -> Tensor:
    """Compute the angles of rotary positions (Su et al. 2021; in two dimensions, Fang et al. 2024).

    Parameters
    ----------
    channels : int
        Of a head, a multiple of 4.
    side : int
        Side of the square grid that the network was trained on, to which positions are scaled.
    rows, cols : int
        Grid of the patches.

    Returns
    -------
    Tensor of shape (rows * cols, channels/2), float32
        Radians: first those of the row, then those of the column, each at falling frequencies.
    """
    bands = channels // 4
    frequencies = _LONGEST_WAVE ** -(torch.arange(bands) / bands)
    down, across = (torch.arange(count) / count * side for count in (rows, cols))
    by_row = (down[:, None, None] * frequencies).expand(rows, cols, bands)
    by_col = (across[None, :, None] * frequencies).expand(rows, cols, bands)
    return torch.cat([by_row, by_col], dim=2).flatten(0, 1)


def rotated(values: Tensor, angles: Tensor) -> Tensor:
    """Rotate neighbouring pairs of channels by the angles of their token; the class token stays.

    Parameters
    ----------
    values : Tensor of shape (B, heads, 1 + N, d), float
        Queries or keys, class token first.
    angles : Tensor of shape (N, d/2), float
        Radians.

    Returns
    -------
    Tensor of shape (B, heads, 1 + N, d), float
        Channels 2 i and 2 i + 1 turned by angle i.
    """
    first, second = values[:, :, 1:, ::2], values[:, :, 1:, 1::2]
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-1).flatten(-2)
    return torch.cat([values[:, :, :1], turned], dim=2)
