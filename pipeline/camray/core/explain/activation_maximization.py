"""Class visualization: images that maximize a label's logit, by gradient ascent."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from camray.core.explain.autograd import Scorer, checked_scores, evaluating


@dataclass(frozen=True)
class AscentSettings:
    """Step size, penalties and limits of the gradient ascent.

    Parameters
    ----------
    steps : int
        Number of steps.
    rate : float
        Step size, on the raw gradient; with `unit` the length of a step.
    unit : bool
        Rescale every gradient to length 1 (root mean square over the image), so that `rate` is in grey values whatever
        the scale of the logits.
    l2 : float
        lambda of ``lambda ||I||^2``.
    total_variation : float
        Weight of the sum of squared differences of neighbouring pixels.
    jitter : int
        Largest random shift of the image per step, px, rows and columns, wrapped around the border.
    blur_px : float
        Standard deviation of a Gaussian applied every `blur_every` steps, px; 0 for none.
    blur_every : int
        Steps between two blurs.
    lowest, highest : float
        Grey values are clipped to these after every step; infinite for no limits.
    seed : int
        Seed of the jitter.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    steps: int = 128
    rate: float = 0.02
    unit: bool = True
    l2: float = 0.0
    total_variation: float = 0.0
    jitter: int = 0
    blur_px: float = 0.0
    blur_every: int = 4
    lowest: float = 0.0
    highest: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        weights = (self.rate, self.l2, self.total_variation, self.jitter, self.blur_px)
        if self.steps < 1 or self.blur_every < 1 or min(weights) < 0 or not self.lowest < self.highest:
            raise ValueError(f"{self}: expected steps, blur_every >= 1, nothing negative and lowest < highest")


def maximize_activations(score: Scorer, start: Tensor, labels: int, settings: AscentSettings) -> Tensor:
    """Compute an image for every label that maximizes its logit.

    ``argmax_I S_l(I) - lambda ||I||^2`` (Simonyan et al. 2013, eq. 1), S the logit and not the probability; jitter,
    total variation and blur as in Mordvintsev et al. 2015, Mahendran & Vedaldi, CVPR 2015 and Yosinski et al. 2015.

    Parameters
    ----------
    score : Scorer
        Images to logits [B, labels]; run in evaluation mode, not altered.
    start : Tensor of shape (C, H, W), float
        Initial image of every label.
    labels : int
        Number of the scorer's labels.
    settings : AscentSettings
        Of the ascent.

    Returns
    -------
    Tensor of shape (labels, C, H, W), float
        All labels are computed in one batch with the same shifts, so that an image does not depend on the others.
    """
    images = start.detach().expand(labels, *start.shape).clone()
    generator = torch.Generator().manual_seed(settings.seed)
    with evaluating(score):
        for step in range(settings.steps):
            rows, cols = _shift(settings, generator)
            shifted = images.roll((rows, cols), dims=(2, 3))
            gradient = _gradient(score, shifted, settings).roll((-rows, -cols), dims=(2, 3))
            if settings.unit:
                length = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
                gradient = torch.where(length > 0, gradient / torch.where(length > 0, length, 1), 0)
            images = images + settings.rate * gradient
            if settings.blur_px > 0 and (step + 1) % settings.blur_every == 0:
                images = blurred(images, settings.blur_px)
            images = images.clamp(settings.lowest, settings.highest)
    return images


def total_variation(images: Tensor) -> Tensor:
    """Sum the squared differences of neighbouring pixels (Mahendran & Vedaldi, CVPR 2015, beta = 2).

    Parameters
    ----------
    images : Tensor of shape (B, C, H, W), float
        Any grid.

    Returns
    -------
    Tensor of shape (B,), float
        Over rows, columns and channels.

    Examples
    --------
    >>> total_variation(torch.tensor([[[[0.0, 1.0], [3.0, 3.0]]]]))
    tensor([14.])
    """
    down, right = images.diff(dim=2), images.diff(dim=3)
    return down.square().sum(dim=(1, 2, 3)) + right.square().sum(dim=(1, 2, 3))


def blurred(images: Tensor, sigma_px: float) -> Tensor:
    """Blur images by a Gaussian that is cut off at three sigma.

    Parameters
    ----------
    images : Tensor of shape (B, C, H, W), float
        The border pixel is repeated outside.
    sigma_px : float
        Standard deviation, px.

    Returns
    -------
    Tensor of shape (B, C, H, W), float
        The mean of a constant image is kept.
    """
    reach = max(1, round(3 * sigma_px))
    offset = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (offset / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    flat = images.flatten(0, 1)[:, None]
    flat = F.conv2d(F.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel[None, None, :, None])
    flat = F.conv2d(F.pad(flat, (reach, reach, 0, 0), mode="replicate"), kernel[None, None, None, :])
    return flat.reshape(images.shape)


def _shift(settings: AscentSettings, generator: torch.Generator) -> tuple[int, int]:
    rows, cols = torch.randint(-settings.jitter, settings.jitter + 1, (2,), generator=generator).tolist()
    return int(rows), int(cols)


def _gradient(score: Scorer, images: Tensor, settings: AscentSettings) -> Tensor:
    """Return the gradient of every label's penalized logit by its own image."""
    leaf = images.detach().requires_grad_(True)
    with torch.enable_grad():
        own = checked_scores(score(leaf), len(leaf)).diagonal()
        if len(own) != len(leaf):
            raise ValueError(f"the scorer has fewer labels than the {len(leaf)} images")
        penalty = settings.l2 * leaf.square().sum(dim=(1, 2, 3))
        objective = own - penalty - settings.total_variation * total_variation(leaf)
    (gradient,) = torch.autograd.grad(objective.sum(), leaf)
    return gradient
