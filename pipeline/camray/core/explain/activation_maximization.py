"""Class visualization: the picture that a label's logit likes best, by gradient ascent."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from camray.core.explain.autograd import Scorer, checked_scores, evaluating


@dataclass(frozen=True)
class Ascent:
    """How to climb.

    Parameters
    ----------
    steps : int
        Of gradient ascent.
    rate : float
        Step size, on the raw gradient; with `unit` the length of a step.
    unit : bool
        Every step's gradient is brought to length 1 (root mean square over the picture), so that `rate` is in grey
        values whatever the scale of the logits.
    l2 : float
        lambda of ``lambda ||I||^2``.
    total_variation : float
        Weight of the sum of squared differences of neighbouring pixels.
    jitter : int
        Each step sees the picture shifted by up to so many px, rows and columns, around the border.
    blur_px : float
        Standard deviation of a Gaussian applied every `blur_every` steps; 0 for none.
    blur_every : int
    lowest, highest : float
        Grey values are cut to these after every step; infinite for no limits.
    seed : int
        Of the jitter.

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


def visualise(score: Scorer, start: Tensor, labels: int, ascent: Ascent) -> Tensor:
    """Draw every label's picture.

    ``argmax_I S_l(I) - lambda ||I||^2`` (Simonyan et al. 2013, eq. 1), S the logit and not the probability; jitter,
    total variation and blur as in Mordvintsev et al. 2015, Mahendran & Vedaldi, CVPR 2015 and Yosinski et al. 2015.

    Parameters
    ----------
    score : Scorer
        Films to logits [B, labels]; run in evaluation mode, left as found.
    start : Tensor of shape (C, H, W)
        Where every label starts.
    labels : int
        How many the scorer gives.
    ascent : Ascent

    Returns
    -------
    Tensor of shape (labels, C, H, W)
        All labels are drawn side by side; each sees the same shifts, so that a picture does not depend on the others.
    """
    pictures = start.detach().expand(labels, *start.shape).clone()
    generator = torch.Generator().manual_seed(ascent.seed)
    with evaluating(score):
        for step in range(ascent.steps):
            rows, cols = _shift(ascent, generator)
            gradient = _slope(score, pictures.roll((rows, cols), dims=(2, 3)), ascent).roll((-rows, -cols), dims=(2, 3))
            if ascent.unit:
                length = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
                gradient = torch.where(length > 0, gradient / torch.where(length > 0, length, 1), 0)
            pictures = pictures + ascent.rate * gradient
            if ascent.blur_px > 0 and (step + 1) % ascent.blur_every == 0:
                pictures = blurred(pictures, ascent.blur_px)
            pictures = pictures.clamp(ascent.lowest, ascent.highest)
    return pictures


def total_variation(pictures: Tensor) -> Tensor:
    """Return the sum of squared differences of neighbouring pixels, [B, C, H, W] to [B] (beta = 2)."""
    down, right = pictures.diff(dim=2), pictures.diff(dim=3)
    return down.square().sum(dim=(1, 2, 3)) + right.square().sum(dim=(1, 2, 3))


def blurred(pictures: Tensor, sigma_px: float) -> Tensor:
    """Blur [B, C, H, W] by a Gaussian cut off at three sigma; the border pixel is repeated."""
    reach = max(1, round(3 * sigma_px))
    offset = torch.arange(-reach, reach + 1, dtype=pictures.dtype, device=pictures.device)
    kernel = torch.exp(-0.5 * (offset / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    flat = pictures.flatten(0, 1)[:, None]
    flat = F.conv2d(F.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel[None, None, :, None])
    flat = F.conv2d(F.pad(flat, (reach, reach, 0, 0), mode="replicate"), kernel[None, None, None, :])
    return flat.reshape(pictures.shape)


def _shift(ascent: Ascent, generator: torch.Generator) -> tuple[int, int]:
    drawn = torch.randint(-ascent.jitter, ascent.jitter + 1, (2,), generator=generator).tolist()
    return int(drawn[0]), int(drawn[1])


def _slope(score: Scorer, pictures: Tensor, ascent: Ascent) -> Tensor:
    """Return the gradient of every label's aim by its own picture."""
    leaf = pictures.detach().requires_grad_(True)
    with torch.enable_grad():
        own = checked_scores(score(leaf), len(leaf)).diagonal()
        if len(own) != len(leaf):
            raise ValueError(f"the scorer gives fewer labels than the {len(leaf)} that are to be drawn")
        aim = own - ascent.l2 * leaf.square().sum(dim=(1, 2, 3)) - ascent.total_variation * total_variation(leaf)
    (gradient,) = torch.autograd.grad(aim.sum(), leaf)
    return gradient
