"""A network's blocks from the logits down, and copies of it with ever more blocks randomised (Adebayo et al. 2018)."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)
MOST_BLOCKS = 8
_FEWEST_BLOCKS = 4  # a network of fewer parts is cut further, whatever that gives
_MEMBERS = "members"


@dataclass(frozen=True)
class Block:
    """Parts of a network that are randomised together.

    Parameters
    ----------
    name : str
        For people; the first part's name, without what all have in common.
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
        Every leaf with parameters stands in exactly one. The largest part is cut into its children until there would be
        more than `most`; a normalisation goes with the layer before it; smallest neighbours are joined if there are
        too many even so. The last layer stays alone.

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
    groups = _joined(_with_norms(_cut(leaves, most), network), most)
    return tuple(Block(_title(group), tuple(group)) for group in reversed(groups))


def cascade(network: Network, blocks: Sequence[Block], seed: int) -> Iterator[tuple[Block, Network]]:
    """Yield the network with the first block randomised, then the first two, and so on to all of them.

    Parameters
    ----------
    network : Module
        Not altered: one copy of it is. What is yielded is that copy each time; use it before asking for the next.
    blocks : sequence of Block
        See `blocks_of`.
    seed : int
        Of the weights; torch's global generator is left alone.

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
    1. Whatever a layer learnt is gone; the size of the signal stays in range, so that maps do not vanish.
    """
    altered = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    modules = dict(altered.named_modules())
    for block in blocks:
        for name in block.modules:
            _randomise(modules[name], generator)
        yield block, altered


@torch.no_grad()
def _randomise(module: nn.Module, generator: torch.Generator) -> None:
    if _is_norm(module):
        for name, value in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            value.fill_(1.0 if name in {"weight", "running_var"} else 0.0)
        return
    for parameter in module.parameters(recurse=False):
        if parameter.dim() < 2:
            parameter.zero_()
            continue
        std = math.sqrt(2 / parameter[0].numel())
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * std
        parameter.copy_(drawn.to(parameter))


def _owns_parameters(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm)


def _cut(leaves: list[str], most: int) -> list[list[str]]:
    groups = [leaves]
    while True:
        cuttable = [number for number, group in enumerate(groups) if len(group) > 1]
        if not cuttable:
            return groups
        largest = max(cuttable, key=lambda number: len(groups[number]))
        parts = _children(groups[largest])
        if len(groups) + len(parts) - 1 > most + 2 and len(groups) >= _FEWEST_BLOCKS:  # norms are joined afterwards
            return groups
        groups[largest : largest + 1] = parts


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
        sizes = [len(one) + len(other) for one, other in pairwise(groups[:-1])]  # the last layer stays alone
        at = sizes.index(min(sizes))
        groups = [*groups[:at], groups[at] + groups[at + 1], *groups[at + 2 :]]
    return groups


def _title(group: list[str]) -> str:
    """Name a group by what its leaves have in common, or by its first leaf to its last."""
    paths = [name.split(".") for name in group]
    if len(paths) == 1:
        return ".".join(paths[0])
    common = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    shared = ".".join(common)
    return shared if len(common) > 1 else f"{group[0]} to {group[-1]}"
