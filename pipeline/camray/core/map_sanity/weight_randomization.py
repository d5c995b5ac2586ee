"""Cascading weight randomization, from the logits down (Adebayo et al., NeurIPS 2018)."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from camray.core.metrics.localization.baselines import keyed_generator

Network = TypeVar("Network", bound=nn.Module)
MOST_BLOCKS = 10
_ENOUGH_BLOCKS = 6  # a network of so many parts is not cut further
_FEWEST_BLOCKS = 4  # one of fewer is, whatever that gives
_MEMBERS = "members"


@dataclass(frozen=True)
class Block:
    """Parts of a network that are randomised together.

    Parameters
    ----------
    name : str
        For people: what its parts have in common, or the first part's name to the last one's.
    modules : tuple of str
        As in ``named_modules()``: leaves that own parameters.
    """

    name: str
    modules: tuple[str, ...]


def blocks_of(network: nn.Module, most: int = MOST_BLOCKS) -> tuple[Block, ...]:
    """Group a network's layers, the head first and the stem last.

    Parameters
    ----------
    network : Module
        Its parts registered in the order in which they run, as ours are; members of an ensemble are cut alike and
        randomised together.
    most : int
        Blocks at most, >= 2.

    Returns
    -------
    tuple of Block
        Every leaf with parameters is in exactly one. The largest part is cut into its children until there are six
        or would be more than `most`; a normalisation goes with the layer before it; smallest neighbours are joined if
        there are too many even so. The last layer stays alone.

    Raises
    ------
    ValueError
        If the network has no parameters, or `most` is under 2.
    """
    if most < 2:
        raise ValueError(f"at most {most} blocks; expected two or more")
    members = getattr(network, _MEMBERS, None)
    if isinstance(members, nn.ModuleList):
        return tuple(
            Block(block.name, tuple(f"{_MEMBERS}.{i}.{name}" for i in range(len(members)) for name in block.modules))
            for block in blocks_of(members[0], most)
        )
    leaves = [name for name, module in network.named_modules() if _owns_parameters(module)]
    if not leaves:
        raise ValueError(f"{type(network).__name__} has no parameters; there is nothing to randomise")
    groups = _joined(_cut(leaves, network, most), most)
    return tuple(Block(_title(group, leaves), tuple(group)) for group in reversed(groups))


def cascade(network: Network, blocks: Sequence[Block], seed: int) -> Iterator[tuple[Block, Network]]:
    """Yield the network with the first block randomised, then the first two, and so on to all of them.

    Parameters
    ----------
    network : Module
        Not altered: one copy of it is. What is yielded is that copy each time; use it before asking for the next.
    blocks : sequence of Block
        See `blocks_of`.
    seed : int
        Of the weights, which depend on it and the layer's name alone: not the ones that a fit of this seed began with.

    Yields
    ------
    Block
        The one randomised last.
    Module
        In the network's own training mode.

    Notes
    -----
    Cascading randomisation, Adebayo et al., NeurIPS 2018, section 4.1. Weights are re-drawn from ``N(0, 2 / fan_in)``
    (He et al., ICCV 2015), biases set to 0, normalisations to their start: factor 1, shift 0, running mean 0, variance
    1. The learned weights are lost, but the size of the signal stays in range, so that maps do not vanish.
    """
    altered = copy.deepcopy(network)
    modules = dict(altered.named_modules())
    for block in blocks:
        for name in block.modules:
            _randomise(modules[name], keyed_generator(seed, "cascade", name))
        yield block, altered


@torch.no_grad()
def _randomise(module: nn.Module, generator: np.random.Generator) -> None:
    if _is_norm(module):
        for name, value in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            value.fill_(1.0 if name in {"weight", "running_var"} else 0.0)
        return
    for parameter in module.parameters(recurse=False):
        if parameter.dim() < 2:
            parameter.zero_()
            continue
        std = math.sqrt(2 / parameter[0].numel())
        drawn = generator.standard_normal(tuple(parameter.shape)) * std
        parameter.copy_(torch.from_numpy(drawn).to(parameter))


def _owns_parameters(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm)


def _cut(leaves: list[str], network: nn.Module, most: int) -> list[list[str]]:
    groups = [part for part in (leaves[:-1], leaves[-1:]) if part]
    while len(groups) < _ENOUGH_BLOCKS:
        largest = max(range(len(groups)), key=lambda number: len(groups[number]))
        if len(groups[largest]) == 1:
            break
        parts = [*groups[:largest], *_children(groups[largest]), *groups[largest + 1 :]]
        parts = _with_norms(parts, network)
        if len(parts) == len(groups) or (len(parts) > most and len(groups) >= _FEWEST_BLOCKS):
            break
        groups = parts
    return groups


def _children(group: list[str]) -> list[list[str]]:
    """Cut where the names of a group first differ."""
    paths = [name.split(".") for name in group]
    depth = 0
    while len({tuple(path[: depth + 1]) for path in paths}) == 1:
        depth += 1
    children: dict[tuple[str, ...], list[str]] = {}
    for name, path in zip(group, paths, strict=True):
        children.setdefault(tuple(path[: depth + 1]), []).append(name)
    return list(children.values())


def _with_norms(groups: list[list[str]], network: nn.Module) -> list[list[str]]:
    modules = dict(network.named_modules())
    joined: list[list[str]] = []
    for group in groups:
        if joined and all(_is_norm(modules[name]) for name in group):
            joined[-1] = joined[-1] + group
        else:
            joined.append(group)
    return joined


def _joined(groups: list[list[str]], most: int) -> list[list[str]]:
    while len(groups) > most:
        sizes = [len(first) + len(second) for first, second in pairwise(groups[:-1])]  # the last layer stays alone
        at = sizes.index(min(sizes))
        groups = [*groups[:at], groups[at] + groups[at + 1], *groups[at + 2 :]]
    return groups


def _title(group: list[str], leaves: list[str]) -> str:
    """Name a group by what its leaves, and no others, have in common; else by where it starts and ends."""
    if len(group) == 1:
        return group[0]
    first, last = group[0].split("."), group[-1].split(".")
    depth = 0
    while all(name.split(".")[: depth + 1] == first[: depth + 1] for name in group):
        depth += 1
    common = first[:depth]
    if common and sum(name.split(".")[:depth] == common for name in leaves) == len(group):
        return ".".join(common)
    return ".".join(first[: depth + 1]) + " to " + last[depth]
