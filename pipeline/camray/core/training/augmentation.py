"""Augmentation of whole batches on the device: one resampling per batch, with parameters per film."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from camray.core.imaging.affine_sampling import inverse_affine, sampling_grid

_ERASED_ROWS, _ERASED_COLS = (0.1, 0.3), (0.15, 0.5)  # sides of an erased rectangle, fraction of the film's


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; zero switches one off, and all zeros are the identity.

    Parameters
    ----------
    flip : float
        Probability of a left-right flip.
    rotate_deg : float
        Rotation by -r to r degrees around the centre.
    translate : float
        Shift by -t to t of each side.
    scale : float
        Magnification by exp(-s) to exp(s).
    aspect : float
        Change of the aspect ratio: width times exp(a), height times exp(-a), a uniform in -aspect to aspect.
    gamma : float
        Grey values to the power exp(-g) to exp(g).
    contrast : float
        Factor of 1 - c to 1 + c around 0.5.
    brightness : float
        Addition of -b to b.
    noise : float
        Gaussian noise; each film's standard deviation is uniform in 0 to this.
    erase : float
        Probability that a rectangle is set to the film's mean.
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
    """Change every film of a batch at random, such that its labels stay true.

    Parameters
    ----------
    films : Tensor of shape (B, 1, H, W), float
        Grey 0-1, model grid.
    ranges : Augmentation
        Of the changes.
    generator : torch.Generator
        On the films' device.

    Returns
    -------
    Tensor of shape (B, 1, H, W), float
        Not clipped after contrast, brightness and noise, so that nothing saturates. Pixels from outside are 0.
    """
    random = _RandomNumbers(len(films), generator, films.device)
    films = _geometry(films, ranges, random)
    if ranges.gamma:
        films = films.clamp_min(1e-4).log_().mul_(torch.exp(random.symmetric(ranges.gamma))).exp_()
    if ranges.contrast or ranges.brightness:
        films = (films - 0.5) * (1 + random.symmetric(ranges.contrast)) + 0.5 + random.symmetric(ranges.brightness)
    if ranges.noise:
        spread = random.uniform(0.0, ranges.noise)
        noise = torch.randn(films.shape, generator=generator, device=films.device, dtype=films.dtype)
        films = noise.mul_(spread).add_(films)
    return _erase(films, ranges.erase, random) if ranges.erase else films


def moved(images: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """Move images exactly as `augment` moves the films of the same batch; their values stay.

    Parameters
    ----------
    images : Tensor of shape (B, C, h, w), float
        On any grid that covers the model grid in the same proportions, for instance the feature grid.
    ranges : Augmentation
        As given to `augment`.
    generator : torch.Generator
        In the state in which `augment` was given its own.

    Returns
    -------
    Tensor of shape (B, C, h, w), float
        Interpolated bilinearly; what comes from outside is 0.
    """
    return _geometry(images, ranges, _RandomNumbers(len(images), generator, images.device))


@dataclass(frozen=True)
class _RandomNumbers:
    films: int
    generator: torch.Generator
    device: torch.device

    def uniform(self, low: float, high: float) -> Tensor:
        """Draw one number per film, [B, 1, 1, 1]."""
        uniform01 = torch.rand((self.films, 1, 1, 1), generator=self.generator, device=self.device)
        return uniform01 * (high - low) + low

    def symmetric(self, limit: float) -> Tensor:
        return self.uniform(-limit, limit)


def _geometry(films: Tensor, ranges: Augmentation, random: _RandomNumbers) -> Tensor:
    flipped = random.uniform(0.0, 1.0).flatten() < ranges.flip
    if not (ranges.rotate_deg or ranges.translate or ranges.scale or ranges.aspect):
        return torch.where(flipped[:, None, None, None], films.flip(3), films) if ranges.flip else films
    angle = random.symmetric(math.radians(ranges.rotate_deg)).flatten()
    scale, aspect = random.symmetric(ranges.scale).flatten(), random.symmetric(ranges.aspect).flatten()
    move_x, move_y = (2 * random.symmetric(ranges.translate).flatten() for _ in range(2))  # half sides
    theta = inverse_affine(angle, torch.exp(scale + aspect), torch.exp(scale - aspect), move_x, move_y, films)
    theta[:, 0] = torch.where(flipped[:, None], -theta[:, 0], theta[:, 0])  # flipped first: reads the mirrored column
    grid = sampling_grid(theta.to(films.dtype), films.shape[2], films.shape[3])
    return grid_sample(films, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _erase(films: Tensor, probability: float, random: _RandomNumbers) -> Tensor:
    rows, cols = films.shape[2:]
    is_erased = random.uniform(0.0, 1.0) < probability
    height, width = random.uniform(*_ERASED_ROWS), random.uniform(*_ERASED_COLS)
    top, left = random.uniform(0.0, 1.0) * (1 - height), random.uniform(0.0, 1.0) * (1 - width)
    y = ((torch.arange(rows, device=films.device) + 0.5) / rows)[None, None, :, None]
    x = ((torch.arange(cols, device=films.device) + 0.5) / cols)[None, None, None, :]
    inside = is_erased & (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    return torch.where(inside, films.mean(dim=(2, 3), keepdim=True), films)
