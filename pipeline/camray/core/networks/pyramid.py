"""Feature pyramids: maps of several strides through 1 x 1 convolutions, resized to the finest grid, and added up.

The sum is the map at the seam: the pool and the linear layer read it like any other, so that all labels' maps come from
one forward pass and ``mean(CAM) + bias == logit`` after an average pool (Preechakul et al., iScience 2022, pool a
pyramid last in the same way).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, relu

from camray.domain.contract import NetworkSpec

Stages = Callable[[Tensor], Iterator[Tensor]]
"""Normalised films [B, C, H, W] to the backbone's maps, from fine to coarse."""

Layer = TypeVar("Layer")


class Pyramid(nn.Module):
    """One 1 x 1 convolution per stride, and the sum of their maps on the finest grid.

    Parameters
    ----------
    channels : mapping of int to int
        By stride, px of the model grid: channels of the backbone's map.
    out : int
        Channels of the sum.
    """

    def __init__(self, channels: Mapping[int, int], out: int) -> None:
        super().__init__()
        self.convs = nn.ModuleDict({str(stride): nn.Conv2d(channels[stride], out, 1) for stride in sorted(channels)})
        for conv in self.convs.values():
            weight, bias = conv.parameters()
            nn.init.normal_(weight, std=(2 / (weight.shape[1] * len(channels))) ** 0.5)  # the sum has He's variance
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, stages: Stages) -> Tensor:
        """Run the backbone and add up its maps.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid; H and W multiples of the finest stride.
        stages : Stages
            The backbone.

        Returns
        -------
        Tensor of shape (B, out, H/finest, W/finest), float
            After a ReLU: all values >= 0.

        Notes
        -----
        Sides that are no multiple of the coarsest stride are continued to the next one by their last row or column, and
        the sum is cut to the film: cell (r, c) of stride s covers rows [r s, (r+1) s) of the film at every stride.
        Maps are resized by the ratio of the strides, bilinearly with the corner origin (``align_corners=False``).
        """
        finest, coarsest = min(self._strides()), max(self._strides())
        rows, cols = map(int, x.shape[2:])
        lacking = (0, -cols % coarsest, 0, -rows % coarsest)
        maps = by_stride(pad(x, lacking, mode="replicate") if any(lacking) else x, stages)
        parts = (_enlarged(self.convs[str(s)](maps[s]), s // finest) for s in self._strides())
        total = torch.stack(list(parts)).sum(dim=0)
        return relu(total[:, :, : rows // finest, : cols // finest])

    def _strides(self) -> list[int]:
        return [int(stride) for stride in self.convs]


def by_stride(x: Tensor, stages: Stages) -> dict[int, Tensor]:
    """Return the backbone's last map of each stride.

    Parameters
    ----------
    x : Tensor of shape (B, C, H, W), float
        Normalised, model grid; H a multiple of all strides.
    stages : Stages
        The backbone.

    Returns
    -------
    dict of int to Tensor of shape (B, K, H/stride, W/stride)
        By stride, px of the model grid.
    """
    return {int(x.shape[2]) // int(each.shape[2]): each for each in stages(x)}  # int: tensors in an export


def pyramid_over(network: nn.Module, stages: Stages, spec: NetworkSpec, in_channels: int) -> Pyramid:
    """Build a pyramid with fresh weights over a backbone.

    Parameters
    ----------
    network : Module
        The backbone, in training mode.
    stages : Stages
        Its maps.
    spec : NetworkSpec
        Strides and channels of the pyramid.
    in_channels : int
        Channels of the backbone's input.

    Returns
    -------
    Pyramid
        Its weights are from torch's global generator.
    """
    network.eval()  # a blank film shows the channels, and must not count in the running statistics
    with torch.no_grad():
        side = spec.last_stride
        maps = by_stride(torch.zeros(1, in_channels, side, side), stages)
    network.train()
    return Pyramid({stride: maps[stride].shape[1] for stride in spec.pyramid_strides}, spec.pyramid_channels)


def centring(strided: Sequence[Layer], spec: NetworkSpec) -> Sequence[Layer]:
    """Return the strided layers that sample other positions than published, so that cells look at their centres.

    Parameters
    ----------
    strided : sequence
        The backbone's strided layers, the last one at the stride of the last map.
    spec : NetworkSpec
        Its stride, and its last one.

    Returns
    -------
    sequence
        The layer of the finest map at the seam, which centres its cells. From there on every second one: coarser maps
        of a pyramid are then off by half of a finest cell, alternately to either side, where they would add up.

    Examples
    --------
    >>> centring(["at 4", "at 8", "at 16"], NetworkSpec(stride=16))
    ['at 16']
    >>> centring(["at 8", "at 16", "at 32"], NetworkSpec(stride=8, head="pyramid"))
    ['at 8', 'at 32']
    """
    levels = (spec.last_stride // spec.stride).bit_length()
    return strided[-levels::2]


def last(maps: Iterable[Tensor]) -> Tensor:
    """Return the last of a backbone's maps; the others are freed as it runs.

    Parameters
    ----------
    maps : iterable of Tensor of shape (B, K, h, w)
        One or more.

    Returns
    -------
    Tensor of shape (B, K, h, w)
        The last one.
    """
    for each in maps:
        final = each
    return final


def _enlarged(part: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return part
    return interpolate(part, scale_factor=float(factor), mode="bilinear", align_corners=False)
