"""Maps on the input grid from the gradient of a logit by the input; raw, on the scale of the logits per grey value."""

import torch
from torch import Tensor

from pipeline.core.maps.passes import Scorer, evaluating, input_gradients
from pipeline.domain.errors import CheckpointError


def absolute(gradients: Tensor) -> Tensor:
    """Saliency (Simonyan et al. 2013, section 3.1): ``max_c |dS/dx_c|``, [B, L, C, H, W] to [B, L, H, W]."""
    return gradients.abs().amax(dim=2)


def squared(gradients: Tensor) -> Tensor:
    """Sensitivity (Zurada et al. 1994; Gevrey et al. 2003): ``sum_c (dS/dx_c)^2``, to [B, L, H, W]."""
    return gradients.square().sum(dim=2)


def input_times_gradient(score: Scorer, films: Tensor) -> Tensor:
    """Return ``sum_c x_c dS/dx_c`` (Shrikumar et al. 2016), [B, L, H, W], signed.

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
    films : Tensor of shape (B, C, H, W)
    samples : int
        n.
    noise : float
        sigma by the film's own range (max - min), as in the paper.
    seed : int
        Of the noise. Every film sees the same draws, scaled to its range, so that a batch equals films one by one.

    Returns
    -------
    Tensor of shape (B, L, C, H, W)
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
    total: Tensor | None = None
    for _ in range(samples):
        drawn = torch.randn(films.shape[1:], generator=generator, dtype=torch.float64).to(films)
        gradients = input_gradients(score, films + sigma * drawn)[1]
        total = gradients if total is None else total + gradients
    if total is None:
        raise ValueError("no sample was drawn")
    return total / samples


def integrated_gradients(
    score: Scorer,
    films: Tensor,
    baseline: Tensor | None = None,
    *,
    steps: int = 9,
    most_steps: int = 2187,
    tolerance: float = 1e-3,
) -> Tensor:
    """Integrate the gradient along the straight line from a baseline (Sundararajan et al., ICML 2017, eq. 1).

    ``IG_i = (x_i - x'_i) integral_0^1 dS/dx_i (x' + a (x - x')) da``, by the midpoint rule.

    Parameters
    ----------
    score : Scorer
    films : Tensor of shape (B, C, H, W)
    baseline : Tensor broadcastable to `films`, optional
        x'; black where it is None.
    steps : int
        To start with. Three times as many are taken until a film's maps are complete; a third of the points are reused.
        This is settled film by film, so that a batch equals films one by one.
    most_steps : int
        When to give up.
    tolerance : float
        Completeness: ``|sum IG - (S(x) - S(x'))| <= tolerance * max(1, |S(x) - S(x')|)`` for every label.

    Returns
    -------
    Tensor of shape (B, L, H, W)
        Signed, summed over channels.

    Raises
    ------
    CheckpointError
        If a film's maps do not add up within `most_steps`.
    """
    start = torch.zeros_like(films) if baseline is None else baseline.to(films).expand_as(films)
    with evaluating(score), torch.no_grad():
        differences = score(films) - score(start)
    way = films - start
    pending, count = torch.arange(len(films), device=films.device), steps
    sums = _gradient_sum(score, start, way, [(2 * step + 1) / (2 * count) for step in range(count)])
    found = torch.zeros_like(sums[:, :, 0])
    while True:
        maps = (sums / count * way[pending][:, None]).sum(dim=2)
        wanted = differences[pending]
        is_short = ((maps.sum(dim=(2, 3)) - wanted).abs() > tolerance * wanted.abs().clamp_min(1)).any(dim=1)
        found[pending[~is_short]] = maps[~is_short]
        pending, sums = pending[is_short], sums[is_short]
        if not len(pending):
            return found
        if count * 3 > most_steps:
            raise CheckpointError(
                f"integrated gradients of {len(pending)} films do not add up to {tolerance} after {count} steps; "
                "allow more steps, or choose a baseline nearer to the films"
            )
        count *= 3  # midpoints of the coarser rule are every third midpoint, from the second on
        new = [(2 * step + 1) / (2 * count) for step in range(count) if step % 3 != 1]
        sums = sums + _gradient_sum(score, start[pending], way[pending], new)


def _gradient_sum(score: Scorer, start: Tensor, way: Tensor, parts: list[float]) -> Tensor:
    """Add up gradients [B, L, C, H, W] at these parts of the way."""
    total = input_gradients(score, start + parts[0] * way)[1]
    for part in parts[1:]:
        total += input_gradients(score, start + part * way)[1]
    return total
