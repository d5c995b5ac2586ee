"""A pretext task without labels: finding opacities that were pasted into the training films.

A network with few labelled films needs hundreds of steps before image-level labels alone show it where to look. Soft,
textured opacities pasted at known positions give every feature cell a target first. No reader's box and no label is
used; the positions are random.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, interpolate

CELL_PX = 4  # opacities are smooth: they are drawn on a grid this much coarser
LESIONS, BLOBS = 2, 5
_NONE, _ONE = 0.25, 0.75  # below the first no opacity, below the second one, else two
_DARK, _BRIGHT = 0.06, 0.6  # grey values, cell means, of permitted positions: lungs rather than bone or margin
_TOP, _BOTTOM = 0.06, 0.72  # rows of permitted positions, fraction of the film
_RADIUS_CELLS = (1.5, 8.0)
_AMPLITUDE = (0.08, 0.5)
_SPOTTY, _CAVITY = 0.35, 0.2  # probabilities
_INSIDE = 0.4  # of the envelope: threshold of the target


def paste_opacities(films: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste up to two opacities into each film: clouds or clusters of spots, some with a cavity.

    Parameters
    ----------
    films : Tensor of shape (B, 1, H, W), float
        Grey 0-1, H and W at least `CELL_PX`; rows and columns beyond a multiple of it do not choose positions.
    generator : torch.Generator
        On the films' device.

    Returns
    -------
    (Tensor of shape (B, 1, H, W), Tensor of shape (B, 1, H, W))
        The films, grey 0-1, and the envelope of the opacities, 0-1. A film without an opacity is unchanged except for
        clipping to 0-1.
    """
    films = films.clamp(0.0, 1.0)
    size = list(films.shape[2:])
    envelope = interpolate(_envelope(films, generator), size=size, mode="bilinear", align_corners=False)
    bands = torch.zeros_like(films)
    for factor in (2, 4, 8, 16):
        coarse = [max(1, side // factor) for side in size]
        noise = torch.randn((len(films), 1, *coarse), generator=generator, device=films.device)
        weight = _uniform(len(films), 0.0, 1.0, generator, films.device)
        bands = bands + weight * interpolate(noise, size=size, mode="bilinear", align_corners=False)
    spotty = _uniform(len(films), 0.0, 1.0, generator, films.device) < _SPOTTY
    texture = torch.where(spotty, torch.sigmoid((bands - 0.6) * 6) * 1.5, (1 + 0.9 * bands).clamp(0.0, 3.0))
    low, high = (math.log(limit) for limit in _AMPLITUDE)
    amplitude = torch.exp(_uniform(len(films), low, high, generator, films.device))
    room = (1.1 - films).clamp(0.0, 1.0) * 1.4 * (films > _DARK / 2)  # bright tissue has little room to brighten
    return (films + envelope * texture * amplitude * room).clamp(0.0, 1.0), envelope


def cell_targets(envelope: Tensor, rows: int, cols: int) -> Tensor:
    """Compute how much of each feature cell is covered by an opacity.

    Parameters
    ----------
    envelope : Tensor of shape (B, 1, H, W)
        From `paste_opacities`.
    rows, cols : int
        Feature cells.

    Returns
    -------
    Tensor of shape (B, 1, rows, cols), float
        Mean of the covered fraction and of whether anything is covered: 0 without opacity, 1 for a fully covered cell.
    """
    inside = (envelope > _INSIDE).to(envelope.dtype)
    return 0.5 * adaptive_max_pool2d(inside, (rows, cols)) + 0.5 * adaptive_avg_pool2d(inside, (rows, cols))


def _uniform(films: int, low: float, high: float, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.rand((films, 1, 1, 1), generator=generator, device=device) * (high - low) + low


def _envelope(films: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the envelopes on the coarse grid, [B, 1, H/4, W/4] in 0-1."""
    cells = avg_pool2d(films, CELL_PX)
    batch, _, rows, cols = cells.shape
    device = films.device

    def draw(*shape: int) -> Tensor:
        return torch.rand((batch, *shape), generator=generator, device=device)

    y = torch.arange(rows, device=device)[:, None] + 0.5
    x = torch.arange(cols, device=device)[None, :] + 0.5
    is_permitted = (cells[:, 0] > _DARK) & (cells[:, 0] < _BRIGHT) & (y > _TOP * rows) & (y < _BOTTOM * rows)
    weight = is_permitted.flatten(1).float() + 1e-6  # a film without a permitted position gets any
    position = torch.multinomial(weight, LESIONS, replacement=True, generator=generator)  # [B, lesions]
    centre_y, centre_x = (position // cols + 0.5)[..., None], (position % cols + 0.5)[..., None]
    radius = draw(LESIONS, 1) * (_RADIUS_CELLS[1] - _RADIUS_CELLS[0]) + _RADIUS_CELLS[0]
    blobs = _blobs((centre_y, centre_x), radius, (y, x), generator)
    n_blobs = torch.floor(draw(LESIONS, 1) * BLOBS) + 1  # one to five
    used = torch.arange(BLOBS, device=device) < n_blobs
    lesions = (blobs * used[..., None, None]).amax(dim=2)  # [B, lesions, rows, cols]
    hollow = (draw(LESIONS, 1) < _CAVITY) & (radius > 3.0)
    distance = ((y - centre_y[..., None]) ** 2 + (x - centre_x[..., None]) ** 2) / (0.4 * radius[..., None]) ** 2
    lesions = lesions - 0.9 * torch.exp(-0.5 * distance[..., :, :]) * hollow[..., None]
    count = draw(1)
    is_present = torch.cat([count >= _NONE, count >= _ONE], dim=1)
    return (lesions.clamp(0.0, 1.0) * is_present[..., None, None]).amax(dim=1, keepdim=True)


def _blobs(
    centre: tuple[Tensor, Tensor], radius: Tensor, axes: tuple[Tensor, Tensor], generator: torch.Generator
) -> Tensor:
    """Draw rotated Gaussians around the lesions' centres, [B, lesions, blobs, rows, cols]."""
    numbers = (len(radius), LESIONS, BLOBS)

    def draw() -> Tensor:
        return torch.rand(numbers, generator=generator, device=radius.device)

    angle = draw() * math.pi
    wide, high = (radius * (0.35 + 0.55 * draw()) for _ in range(2))
    shift_y, shift_x = (
        0.7 * radius * torch.randn(numbers, generator=generator, device=radius.device) for _ in range(2)
    )
    shape = (*numbers, 1, 1)
    down = axes[0] - (centre[0] + shift_y).reshape(shape)
    right = axes[1] - (centre[1] + shift_x).reshape(shape)
    cos, sin = torch.cos(angle).reshape(shape), torch.sin(angle).reshape(shape)
    along = (down * cos + right * sin) / high.reshape(shape)
    across = (right * cos - down * sin) / wide.reshape(shape)
    return torch.exp(-0.5 * (along**2 + across**2))
