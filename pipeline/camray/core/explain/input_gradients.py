"""Saliency, SmoothGrad and gradient times input: maps on the input grid from the gradient of a logit by the input.

All maps are raw, on the scale of the logits per grey value.
"""

import torch
from torch import Tensor

from camray.core.explain.autograd import Scorer, input_gradients


def absolute(gradients: Tensor) -> Tensor:
    """Compute saliency (Simonyan et al. 2013, section 3.1): ``max_c |dS/dx_c|``.

    Parameters
    ----------
    gradients : Tensor of shape (B, L, C, H, W), float
        dS/dx, input grid.

    Returns
    -------
    Tensor of shape (B, L, H, W), float
        Never negative.
    """
    return gradients.abs().amax(dim=2)


def squared(gradients: Tensor) -> Tensor:
    """Compute sensitivity (Zurada et al. 1994; Gevrey et al. 2003): ``sum_c (dS/dx_c)^2``.

    Parameters
    ----------
    gradients : Tensor of shape (B, L, C, H, W), float
        dS/dx, input grid.

    Returns
    -------
    Tensor of shape (B, L, H, W), float
        Never negative.
    """
    return gradients.square().sum(dim=2)


def input_times_gradient(score: Scorer, films: Tensor) -> Tensor:
    """Compute ``sum_c x_c dS/dx_c`` (Shrikumar et al. 2016).

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W), float
        x, input grid.

    Returns
    -------
    Tensor of shape (B, L, H, W), float
        Signed.

    Notes
    -----
    For a network without biases, made of linear layers, ReLUs and pools, the sum over the film is the logit (Euler).
    """
    return (input_gradients(score, films)[1] * films[:, None]).sum(dim=2)


def smoothgrad(score: Scorer, films: Tensor, *, samples: int, noise: float, seed: int) -> Tensor:
    """Average the gradient over noisy copies (Smilkov et al. 2017): ``1/n sum dS/dx (x + N(0, sigma^2))``.

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W), float
        x, input grid.
    samples : int
        n, at least 1.
    noise : float
        sigma as a fraction of the film's own range (max - min), as in the paper.
    seed : int
        Of the noise. Every film gets the same draws, scaled to its range, so that a batch equals films one by one.

    Returns
    -------
    Tensor of shape (B, L, C, H, W), float
        Signed; see `absolute` and `squared`.

    Raises
    ------
    ValueError
        If there is no sample, or the noise is negative.
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"{samples} samples with noise {noise}; expected one or more, and noise >= 0")
    generator = torch.Generator().manual_seed(seed)
    sigma = noise * (films.amax(dim=(1, 2, 3), keepdim=True) - films.amin(dim=(1, 2, 3), keepdim=True))

    def noisy_gradients() -> Tensor:
        draws = torch.randn(films.shape[1:], generator=generator, dtype=torch.float64).to(films)
        return input_gradients(score, films + sigma * draws)[1]

    total = noisy_gradients()
    for _ in range(samples - 1):
        total = total + noisy_gradients()
    return total / samples
