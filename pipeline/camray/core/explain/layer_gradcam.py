"""Grad-CAM at any layer of any network: one forward and one batched backward pass for all labels.

``a_k = mean over the grid of d target / d A_k`` and ``Grad-CAM = ReLU(sum_k a_k A_k)`` (Selvaraju et al., ICCV 2017,
eqs. 1 and 2), with A the output of the named layer *as that layer returns it*: an in-place ReLU behind the layer
changes neither A nor the answer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from camray.core.explain.autograd import evaluating
from camray.domain.errors import CheckpointError

Targets = Callable[[Tensor], Tensor]
_MAX_GRADIENT_ELEMENTS = 2**26


def gradcam(network: nn.Module, films: Tensor, layer: str, targets: Targets | None = None) -> tuple[Tensor, Tensor]:
    """Explain every target of a batch at one layer.

    Parameters
    ----------
    network : Module
        Any; run in evaluation mode and left exactly as found: hooks, ``requires_grad`` flags, ``grad`` fields,
        training flags of every module, in-place flags.
    films : Tensor of shape (B, C, H, W)
        Network input.
    layer : str
        Name as in ``network.named_modules()``; its output must be one map [B, K, h, w], made once per pass.
    targets : callable, optional
        Network output to scalars [B, T], each film's on its own row; the output itself where it is [B, L].

    Returns
    -------
    targets : Tensor of shape (B, T)
        Detached.
    heat : Tensor of shape (B, T, h, w)
        Grad-CAM, not rescaled, never negative.

    Raises
    ------
    CheckpointError
        If the layer does not exist, runs never or twice, does not return a map, or the targets do not depend on it.
    """
    found = dict(network.named_modules()).get(layer)
    if found is None or not layer:
        raise CheckpointError(f"no layer '{layer}' in {type(network).__name__}; see named_modules() for the names")
    taken = _Taken()
    with evaluating(network), _hooked(found, taken), torch.enable_grad():
        output = network(films.detach())
        scalars = output if targets is None else targets(output)
    if len(taken.maps) != 1 or taken.maps[0].dim() != 4:
        shapes = [tuple(each.shape) for each in taken.maps]
        raise CheckpointError(f"layer '{layer}' gave {shapes}; expected one map [B, K, h, w] in a pass")
    if scalars.dim() != 2 or scalars.shape[0] != films.shape[0]:
        raise CheckpointError(f"targets of shape {tuple(scalars.shape)}; expected [{films.shape[0]}, T]")
    if not scalars.requires_grad:
        raise CheckpointError(f"the targets do not depend on layer '{layer}'; choose a layer on the way to them")
    activation = taken.maps[0]
    weights = _mean_gradients(scalars, activation, layer)
    heat = torch.einsum("btk,bkhw->bthw", weights, activation.detach()).clamp_min(0)
    return scalars.detach(), heat


@dataclass
class _Taken:
    """Maps that a hook saw."""

    maps: list[Tensor] = field(default_factory=list)


@contextmanager
def _hooked(layer: nn.Module, taken: _Taken) -> Iterator[None]:
    def take(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_(True)
        taken.maps.append(leaf)
        return leaf.clone()  # what follows may write into its input

    handle = layer.register_forward_hook(take)
    try:
        yield
    finally:
        handle.remove()


def _mean_gradients(scalars: Tensor, activation: Tensor, layer: str) -> Tensor:
    """Return gradients of every target averaged over the grid, [B, T, K]."""
    count = scalars.shape[1]
    group = max(1, min(count, _MAX_GRADIENT_ELEMENTS // activation.numel()))
    one_hot = torch.eye(count, dtype=scalars.dtype, device=scalars.device)
    means = []
    for start in range(0, count, group):
        wanted = one_hot[start : start + group, None, :].expand(-1, scalars.shape[0], -1)
        (gradient,) = torch.autograd.grad(
            scalars, activation, wanted, is_grads_batched=True, retain_graph=True, allow_unused=True
        )
        if gradient is None:
            raise CheckpointError(f"the targets do not depend on layer '{layer}'; choose a layer on the way to them")
        means.append(gradient.mean(dim=(-2, -1)))
    return torch.cat(means).transpose(0, 1)
