"""Augmentation of whole batches on the device: one resampling a batch, each film with its own parameters."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from camray.core.imaging.affine_sampling import inverse_affine, sampling_grid

_ERASED_ROWS, _ERASED_COLS = (0.1, 0.3), (0.15, 0.5)  # sides of an erased rectangle, fraction of the film's


@dataclass(frozen=True)
class Augmentation:
    """Ranges; zero switches a part off, and everything zero is the identity.

    Parameters
    ----------
    flip : float
        Probability of a left-right flip.
    rotate_deg : float
        Turned by -r to r degrees about the centre.
    translate : float
        Moved by -t to t of each side.
    scale : float
        Magnified by exp(-s) to exp(s).
    aspect : float
        Sides stretched against each other: width by exp(a), height by exp(-a), a uniform in -aspect to aspect.
    gamma : float
        Grey values to the power exp(-g) to exp(g).
    contrast : float
        Multiplied about 0.5 by 1 - c to 1 + c.
    brightness : float
        Raised by -b to b.
    noise : float
        Gaussian noise; each film's standard deviation is uniform in 0 to this.
    erase : float
        Probability that one rectangle is set to the film's mean.
    """

    flip: float = 0.0
    rotate_deg: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    aspect: float = 0.0
    gamma: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0
    erase: float = 0.0


def augment(films: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """Change every film of a batch at random, labels kept.

    Parameters
    ----------
    films : Tensor of shape [B, 1, H, W], float
        Grey 0-1.
    ranges : Augmentation
    generator : torch.Generator
        On the films' device.

    Returns
    -------
    Tensor of shape [B, 1, H, W]
        Not clipped after contrast, brightness and noise, so that nothing saturates. What comes in from outside is 0.
    """
    draw = _Draw(len(films), generator, films.device)
    films = _geometry(films, ranges, draw)
    if ranges.gamma:
        films = films.clamp_min(1e-4).log_().mul_(torch.exp(draw.symmetric(ranges.gamma))).exp_()
    if ranges.contrast or ranges.brightness:
        films = (films - 0.5) * (1 + draw.symmetric(ranges.contrast)) + 0.5 + draw.symmetric(ranges.brightness)
    if ranges.noise:
        spread = draw.uniform(0.0, ranges.noise)
        noise = torch.randn(films.shape, generator=generator, device=films.device, dtype=films.dtype)
        films = noise.mul_(spread).add_(films)
    return _erase(films, ranges.erase, draw) if ranges.erase else films


@dataclass(frozen=True)
class _Draw:
    films: int
    generator: torch.Generator
    device: torch.device

    def uniform(self, low: float, high: float) -> Tensor:
        """One number a film, [B, 1, 1, 1]."""
        drawn = torch.rand((self.films, 1, 1, 1), generator=self.generator, device=self.device)
        return drawn * (high - low) + low

    def symmetric(self, limit: float) -> Tensor:
        return self.uniform(-limit, limit)


def _geometry(films: Tensor, ranges: Augmentation, draw: _Draw) -> Tensor:
    flipped = draw.uniform(0.0, 1.0).flatten() < ranges.flip
    if not (ranges.rotate_deg or ranges.translate or ranges.scale or ranges.aspect):
        return torch.where(flipped[:, None, None, None], films.flip(3), films) if ranges.flip else films
    angle = draw.symmetric(math.radians(ranges.rotate_deg)).flatten()
    scale, aspect = draw.symmetric(ranges.scale).flatten(), draw.symmetric(ranges.aspect).flatten()
    move_x, move_y = (2 * draw.symmetric(ranges.translate).flatten() for _ in range(2))  # half sides
    theta = inverse_affine(angle, torch.exp(scale + aspect), torch.exp(scale - aspect), move_x, move_y, films)
    theta[:, 0] = torch.where(flipped[:, None], -theta[:, 0], theta[:, 0])  # flipped first: reads the mirrored column
    grid = sampling_grid(theta.to(films.dtype), films.shape[2], films.shape[3])
    return grid_sample(films, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _erase(films: Tensor, probability: float, draw: _Draw) -> Tensor:
    rows, cols = films.shape[2:]
    chosen = draw.uniform(0.0, 1.0) < probability
    height, width = draw.uniform(*_ERASED_ROWS), draw.uniform(*_ERASED_COLS)
    top, left = draw.uniform(0.0, 1.0) * (1 - height), draw.uniform(0.0, 1.0) * (1 - width)
    y = ((torch.arange(rows, device=films.device) + 0.5) / rows)[None, None, :, None]
    x = ((torch.arange(cols, device=films.device) + 0.5) / cols)[None, None, None, :]
    inside = chosen & (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    return torch.where(inside, films.mean(dim=(2, 3), keepdim=True), films)
