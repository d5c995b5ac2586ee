"""EfficientNet-Lite 0 to 2: EfficientNet (Tan & Le, ICML 2019) without squeeze-and-excitation, with ReLU6.

The Lite variants were published in 2020 for phones: stem, first and last stage, and head have one size at every scale.
Names and shapes in the state dict are EfficientNet-PyTorch's.
"""

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from camray.core.networks.pyramid import Pyramid, centring, last, pyramid_over
from camray.core.networks.strides import strides_left_out
from camray.domain.contract import NetworkSpec

# per stage: kernel, stride, expansion, channels and blocks of EfficientNet-B0
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_SCALES = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite1": (1.0, 1.1), "efficientnet_lite2": (1.1, 1.2)}
_STEM, _HEAD = 32, 1280  # channels
_EPSILON = 1e-3
_NATURAL_STRIDE = 32


class PaddedConv2d(nn.Conv2d):
    """A square convolution with TensorFlow's padding of even sides, which differs before and after.

    Parameters
    ----------
    channels, out : int
        Channels of the input and the output.
    kernel, stride : int
        Side and stride.
    groups : int
        As for `torch.nn.Conv2d`.

    Notes
    -----
    At stride 2 the odd positions are sampled, as published; `samples_even` samples the even ones instead.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, groups=groups, bias=False)
        self.samples_even = False

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a map.

        Parameters
        ----------
        input : Tensor of shape (B, in, H, W), float
            Sides are multiples of the stride.

        Returns
        -------
        Tensor of shape (B, out, H/stride, W/stride), float
            Feature map.
        """
        reach = self.dilation[0] * (self.kernel_size[0] - 1)
        strided = self.stride[0] > 1
        before = reach // 2 - 1 if strided and not self.samples_even else reach // 2
        after = reach - 1 - before if strided else reach - before
        return super().forward(pad(input, (before, after, before, after)))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and linear projection, with a shortcut where the shape stays.

    Parameters
    ----------
    channels, out : int
        Channels of the input and the output.
    kernel, stride, expansion : int
        Side and stride of the depthwise convolution, and factor of the expansion; 1 has none.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expands, self.has_shortcut = expansion > 1, stride == 1 and channels == out
        if self.expands:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, _EPSILON)
        self._depthwise_conv = PaddedConv2d(wide, wide, kernel, stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, _EPSILON)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block.

        Parameters
        ----------
        x : Tensor of shape (B, channels, H, W), float
            Feature map.

        Returns
        -------
        Tensor of shape (B, out, H/stride, W/stride), float
            Of either sign: there is no activation after the projection.
        """
        wide = relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        wide = relu6(self._bn1(self._depthwise_conv(wide)))
        narrow = cast(Tensor, self._bn2(self._project_conv(wide)))
        return x + narrow if self.has_shortcut else narrow


class EfficientNetLiteMap(nn.Module):
    """EfficientNet-Lite up to the ReLU6 of its head, or up to an earlier block.

    Parameters
    ----------
    blocks : list of InvertedResidual
        In order.
    in_channels : int
        Channels of the input.
    head_from : int
        Channels that the head reads; 0 leaves the head out.
    """

    def __init__(self, blocks: list[InvertedResidual], in_channels: int, head_from: int) -> None:
        super().__init__()
        self._conv_stem = PaddedConv2d(in_channels, _STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(_STEM, _EPSILON)
        self._blocks = nn.ModuleList(blocks)
        self.has_head = head_from > 0
        if self.has_head:
            self._conv_head = nn.Conv2d(head_from, _HEAD, 1, bias=False)
            self._bn1 = nn.BatchNorm2d(_HEAD, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature map.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid.

        Returns
        -------
        Tensor of shape (B, K, H/stride, W/stride), float
            0 to 6 after the head; of either sign where the network ends at a block.
        """
        return last(self.stages(x))

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the maps of the blocks, and the head's.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid.

        Yields
        ------
        Tensor of shape (B, K, H/stride, W/stride), float
            0 to 6 after the head; of either sign after a block.
        """
        x = relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
            yield x
        if self.has_head:
            yield relu6(self._bn1(self._conv_head(x)))


class EfficientNetLitePyramid(EfficientNetLiteMap):
    """The same EfficientNet-Lite, up to the sum of a pyramid over its blocks."""

    pyramid: Pyramid

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature map.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid.

        Returns
        -------
        Tensor of shape (B, K, H/finest, W/finest), float
            All values >= 0.
        """
        return cast(Tensor, self.pyramid(x, self.stages))


def efficientnet_lite(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build an EfficientNet-Lite with fresh weights.

    Parameters
    ----------
    spec : NetworkSpec
        With ``dilated``, dilation replaces the strides that a finer map omits; without, the network ends at the last
        block of the requested stride, so that the others are neither computed nor trained.
    in_channels : int
        Channels of the input.

    Returns
    -------
    (nn.Module, int)
        The network, and the channels of its map: 1280, those of its last block, or those of its pyramid.
    """
    left_out = strides_left_out(spec, _NATURAL_STRIDE)
    is_cut = left_out > 0 and not spec.dilated
    blocks = list(_blocks(spec.backbone, spec.last_stride if is_cut else _NATURAL_STRIDE))
    channels = blocks[-1]._project_conv.out_channels
    kind = EfficientNetLitePyramid if spec.head == "pyramid" else EfficientNetLiteMap
    network = kind(blocks, in_channels, 0 if is_cut else channels)
    _initialise(network)
    strided = [block._depthwise_conv for block in blocks if block._depthwise_conv.stride[0] == 2]
    kept = len(strided) if is_cut else len(strided) - left_out
    if spec.aligned:  # published sampling is odd throughout; an even one at the last stride centres the cells
        for conv in centring(strided[:kept], spec):
            conv.samples_even = True
    factor = 1
    for block in blocks:
        conv = block._depthwise_conv
        conv.dilation = (factor, factor)
        if any(conv is each for each in strided[kept:]):
            conv.stride, factor = (1, 1), factor * 2
    if isinstance(network, EfficientNetLitePyramid):
        network.pyramid = pyramid_over(network, network.stages, spec, in_channels)
        return network, spec.pyramid_channels
    return network, channels if is_cut else _HEAD


def _blocks(backbone: str, up_to_stride: int) -> Iterator[InvertedResidual]:
    """Yield the blocks whose maps have at most this stride."""
    width, depth = _SCALES[backbone]
    channels, reached = _STEM, 2
    for number, (kernel, stride, expansion, base, repeats) in enumerate(_STAGES):
        reached *= stride
        if reached > up_to_stride:
            return
        is_end = number in {0, len(_STAGES) - 1}
        out = _rounded(base * width)
        for repeat in range(repeats if is_end else math.ceil(repeats * depth)):
            yield InvertedResidual(channels, out, kernel, stride if repeat == 0 else 1, expansion)
            channels = out


def _rounded(width: float) -> int:
    """Round to a multiple of 8 that is not more than a tenth below the width."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


@torch.no_grad()
def _initialise(network: nn.Module) -> None:
    """Set convolutions to the published start: normal values of variance 2 / (outputs per weight)."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2.0 / fan_out))
