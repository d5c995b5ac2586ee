"""Forward and backward passes that explanation methods share; each leaves the network exactly as it found it.

No module hook stays behind, no flag is changed for longer than the pass, no ``grad`` field is filled.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from camray.core.explain.cam import ForwardPass, SeamNetwork
from camray.domain.errors import CheckpointError

Scorer = Callable[[Tensor], Tensor]
"""Films [B, C, H, W] to logits, or any other scalars, [B, L]; each film's on its own row. A module is one."""

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Activation and gradient [B, K, h, w] and score [B] of one target to its map [B, h, w]."""


@contextmanager
def evaluating(network: object) -> Iterator[None]:
    """Put every module of a network into evaluation mode, and those that were training back afterwards."""
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    were_training = [module for module in modules if module.training]
    for module in were_training:
        module.training = False
    try:
        yield
    finally:
        for module in were_training:
            module.training = True


def scorer_of(network: SeamNetwork) -> Scorer:
    """Return a network cut at its seam as one function from films to logits."""
    return lambda films: network.head(network.features(films))


def input_gradients(score: Scorer, films: Tensor) -> tuple[Tensor, Tensor]:
    """Differentiate every logit by the input.

    Parameters
    ----------
    score : Scorer
        Run once, in evaluation mode.
    films : Tensor of shape (B, C, H, W)
        Float.

    Returns
    -------
    logits : Tensor of shape (B, L)
    gradients : Tensor of shape (B, L, C, H, W)
        ``d logit_l / d x``, detached.

    Raises
    ------
    CheckpointError
        If `score` does not give [B, L] that depend on the films.
    """
    leaf = films.detach().clone().requires_grad_(True)
    with evaluating(score), torch.enable_grad():
        logits = checked_scores(score(leaf), len(films))
        gradients = torch.stack([gradient for (gradient,) in gradients_by_target(logits, [leaf])], dim=1)
    return logits.detach(), gradients


def gradients_by_target(scores: Tensor, inputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Yield each target's gradients [B, ...] by all inputs, one backward pass a target; the last one frees the graph.

    Raises
    ------
    CheckpointError
        If the scores do not depend on an input.

    Notes
    -----
    A film's score depends on that film alone, hence the gradient of the batch's sum is every film's own.
    """
    count = scores.shape[1]
    for target in range(count):
        found = torch.autograd.grad(
            scores[:, target].sum(), list(inputs), retain_graph=target + 1 < count, allow_unused=True
        )
        if any(gradient is None for gradient in found):
            raise CheckpointError("the scores do not depend on every map that is to explain them; choose other layers")
        yield found


def checked_scores(scores: Tensor, films: int) -> Tensor:
    """Return scores that are [B, L] and have a graph.

    Raises
    ------
    CheckpointError
        If they are not.
    """
    if scores.dim() != 2 or scores.shape[0] != films or scores.shape[1] == 0:
        raise CheckpointError(f"scores of shape {tuple(scores.shape)}; expected [{films}, L] with L >= 1")
    if not scores.requires_grad:
        raise CheckpointError("the scores do not depend on what they are to be explained by; nothing to differentiate")
    return scores


def seam_maps(network: SeamNetwork, passed: ForwardPass, rule: Rule) -> Tensor:
    """Apply a rule at the seam, through the head alone.

    Returns
    -------
    Tensor of shape (B, L, h, w)
        Gradients are held for one label at a time.
    """
    leaf = passed.features.detach().requires_grad_(True)
    with evaluating(network), torch.enable_grad():
        logits = checked_scores(network.head(leaf), len(leaf))
        maps = [
            rule(leaf.detach(), gradient, logits[:, label].detach())
            for label, (gradient,) in enumerate(gradients_by_target(logits, [leaf]))
        ]
    return torch.stack(maps, dim=1)


def layer_maps(
    network: nn.Module, films: Tensor, layers: Sequence[str], rule: Rule, targets: Scorer | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Apply a rule at named layers of any network, from one forward pass.

    Parameters
    ----------
    network : Module
        Run in evaluation mode, left as found.
    films : Tensor of shape (B, C, H, W)
    layers : sequence of str
        Names as in ``network.named_modules()``; each must return one map [B, K, h, w], once in a pass. What counts is
        what the layer returns, whatever an in-place operation behind it does.
    rule : Rule
    targets : callable, optional
        Network output to scalars [B, T]; the output itself where it is [B, L].

    Returns
    -------
    scores : Tensor of shape (B, T)
    maps : dict of str to Tensor of shape (B, T, h, w)
        By layer, each on its own grid.

    Raises
    ------
    CheckpointError
        If a layer does not exist, runs never or twice, returns no map, or the targets do not depend on it.
    """
    taken: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    with evaluating(network), torch.enable_grad():
        with _kept(network, taken):
            output = network(films.detach().clone().requires_grad_(True))
        activations = _one_map_each(taken)
        scores = checked_scores(output if targets is None else targets(output), len(films))
        found: dict[str, list[Tensor]] = {layer: [] for layer in layers}
        for target, gradients in enumerate(gradients_by_target(scores, list(activations.values()))):
            for layer, gradient in zip(activations, gradients, strict=True):
                found[layer].append(rule(activations[layer].detach(), gradient, scores[:, target].detach()))
    return scores.detach(), {layer: torch.stack(maps, dim=1) for layer, maps in found.items()}


@contextmanager
def _kept(network: nn.Module, taken: Mapping[str, list[Tensor]]) -> Iterator[None]:
    """Keep what the layers return while the block runs."""
    modules = dict(network.named_modules())
    unknown = [layer for layer in taken if not layer or layer not in modules]
    if unknown or not taken:
        asked = " or ".join(f"'{layer}'" for layer in unknown) or "named"
        near = [name for layer in unknown for name in get_close_matches(layer, modules, n=4, cutoff=0.0) if name]
        hint = f"; there are for instance {', '.join(near)}" if near else ""
        raise CheckpointError(f"no layer {asked} in {type(network).__name__}{hint}; see named_modules() for the others")
    handles = [modules[layer].register_forward_hook(_taker(kept)) for layer, kept in taken.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _taker(kept: list[Tensor]) -> Callable[..., Any]:
    def take(_module: nn.Module, _inputs: object, output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        kept.append(output)
        return output.clone()  # what follows may write into its input

    return take


def _one_map_each(taken: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    for layer, kept in taken.items():
        if len(kept) != 1 or kept[0].dim() != 4 or not kept[0].requires_grad:
            shapes = [tuple(each.shape) for each in kept]
            raise CheckpointError(f"layer '{layer}' gave {shapes}; expected one map [B, K, h, w] in a pass")
    return {layer: kept[0] for layer, kept in taken.items()}
