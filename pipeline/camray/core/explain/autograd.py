"""Gradient passes that explanation methods share: by the input, at the seam and at named layers.

Every function leaves the network as it was: hooks are removed, training flags restored, no ``grad`` field filled.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from camray.core.explain.seam import ForwardPass, SeamNetwork
from camray.domain.errors import CheckpointError

Scorer = Callable[[Tensor], Tensor]
"""Films [B, C, H, W] to logits, or any other scalars, [B, L]; each film's on its own row. A module is one."""

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Activation and gradient [B, K, h, w] and score [B] of one target to its map [B, h, w]."""


@contextmanager
def evaluating(network: object) -> Iterator[None]:
    """Switch every module of a network to evaluation mode for the block, and restore the modes afterwards.

    Parameters
    ----------
    network : object
        A module; anything else is left alone.
    """
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
    """Return a network cut at its seam as one function from films to logits.

    Parameters
    ----------
    network : SeamNetwork
        Not copied.

    Returns
    -------
    callable
        Films [B, C, H, W] to logits [B, L].
    """
    return lambda films: network.head(network.features(films))


def input_gradients(score: Scorer, films: Tensor) -> tuple[Tensor, Tensor]:
    """Differentiate every logit by the input.

    Parameters
    ----------
    score : Scorer
        Run once, in evaluation mode.
    films : Tensor of shape (B, C, H, W), float
        Input grid.

    Returns
    -------
    logits : Tensor of shape (B, L)
        Detached.
    gradients : Tensor of shape (B, L, C, H, W)
        ``d logit_l / d x``, detached.

    Raises
    ------
    CheckpointError
        If `score` does not return [B, L], or its result does not depend on the films.
    """
    leaf = films.detach().clone().requires_grad_(True)
    with evaluating(score), torch.enable_grad():
        logits = checked_scores(score(leaf), len(films))
        gradients = torch.stack([gradient for (gradient,) in gradients_by_target(logits, [leaf])], dim=1)
    return logits.detach(), gradients


def gradients_by_target(scores: Tensor, inputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Differentiate each target by all inputs, one backward pass per target; the last one frees the graph.

    Parameters
    ----------
    scores : Tensor of shape (B, T), float
        With a graph; each film's on its own row.
    inputs : sequence of Tensor of shape (B, ...)
        What the scores depend on.

    Yields
    ------
    tuple of Tensor of shape (B, ...)
        Of one target: its gradient by each input.

    Raises
    ------
    CheckpointError
        If the scores do not depend on an input.

    Notes
    -----
    A film's score depends on that film alone, hence the gradient of the batch's sum is each film's own gradient.
    """
    count = scores.shape[1]
    for target in range(count):
        gradients = torch.autograd.grad(
            scores[:, target].sum(), list(inputs), retain_graph=target + 1 < count, allow_unused=True
        )
        if any(gradient is None for gradient in gradients):
            raise CheckpointError("the scores do not depend on every map that is to explain them; choose other layers")
        yield gradients


def checked_scores(scores: Tensor, n_films: int) -> Tensor:
    """Check that scores can be differentiated.

    Parameters
    ----------
    scores : Tensor
        Output of a scorer.
    n_films : int
        Films that it was given, B.

    Returns
    -------
    Tensor of shape (B, L)
        The same object.

    Raises
    ------
    CheckpointError
        If the shape is another, or there is no graph.
    """
    if scores.dim() != 2 or scores.shape[0] != n_films or scores.shape[1] == 0:
        raise CheckpointError(f"scores of shape {tuple(scores.shape)}; expected [{n_films}, L] with L >= 1")
    if not scores.requires_grad:
        raise CheckpointError("the scores do not depend on the network's input or layer; nothing to differentiate")
    return scores


def seam_maps(network: SeamNetwork, passed: ForwardPass, rule: Rule) -> Tensor:
    """Apply a rule at the seam, by backward passes through the head alone.

    Parameters
    ----------
    network : SeamNetwork
        Its head is run in evaluation mode.
    passed : ForwardPass
        Features of shape (B, K, h, w).
    rule : Rule
        Activation, gradient and score of one label to its map.

    Returns
    -------
    Tensor of shape (B, L, h, w)
        On the feature grid. The gradients of one label at a time are in memory.
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
        Run in evaluation mode; not altered.
    films : Tensor of shape (B, C, H, W), float
        Input grid.
    layers : sequence of str
        Names as in ``network.named_modules()``; each must return one map [B, K, h, w], once per pass. The map is the
        one that the layer returns, even if an in-place operation follows it.
    rule : Rule
        Activation, gradient and score of one target to its map.
    targets : callable, optional
        Network output to scalars [B, T]; the output itself where it is [B, L].

    Returns
    -------
    scores : Tensor of shape (B, T)
        Detached.
    maps : dict of str to Tensor of shape (B, T, h, w)
        By layer, each on its own grid.

    Raises
    ------
    CheckpointError
        If a layer does not exist, does not run exactly once, returns no map, or the targets do not depend on it.
    """
    outputs: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    with evaluating(network), torch.enable_grad():
        with _recording(network, outputs):
            output = network(films.detach().clone().requires_grad_(True))
        activations = _one_map_each(outputs)
        scores = checked_scores(output if targets is None else targets(output), len(films))
        maps: dict[str, list[Tensor]] = {layer: [] for layer in layers}
        for target, gradients in enumerate(gradients_by_target(scores, list(activations.values()))):
            for layer, gradient in zip(activations, gradients, strict=True):
                maps[layer].append(rule(activations[layer].detach(), gradient, scores[:, target].detach()))
    return scores.detach(), {layer: torch.stack(by_target, dim=1) for layer, by_target in maps.items()}


@contextmanager
def _recording(network: nn.Module, outputs: Mapping[str, list[Tensor]]) -> Iterator[None]:
    """Record what the layers return while the block runs."""
    modules = dict(network.named_modules())
    unknown = [layer for layer in outputs if not layer or layer not in modules]
    if unknown or not outputs:
        names = " or ".join(f"'{layer}'" for layer in unknown) or "named"
        near = [name for layer in unknown for name in get_close_matches(layer, modules, n=4, cutoff=0.0) if name]
        hint = f"; there are for instance {', '.join(near)}" if near else ""
        raise CheckpointError(f"no layer {names} in {type(network).__name__}{hint}; see named_modules() for the others")
    handles = [modules[layer].register_forward_hook(_recorder(record)) for layer, record in outputs.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _recorder(record: list[Tensor]) -> Callable[..., Any]:
    def hook(_module: nn.Module, _inputs: object, output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        record.append(output)
        return output.clone()  # the next operation may write into its input

    return hook


def _one_map_each(outputs: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    for layer, record in outputs.items():
        if len(record) != 1 or record[0].dim() != 4 or not record[0].requires_grad:
            shapes = [tuple(output.shape) for output in record]
            raise CheckpointError(f"layer '{layer}' gave {shapes}; expected one map [B, K, h, w] per pass")
    return {layer: record[0] for layer, record in outputs.items()}
