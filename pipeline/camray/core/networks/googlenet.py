"""GoogLeNet (Szegedy et al., CVPR 2015) in torchvision's form, whole or as the CAM paper cuts it.

As in torchvision, batch normalisation replaces local response normalisation, the branch called 5 x 5 in the paper is
3 x 3, and the auxiliary classifiers are not built. GoogLeNet-GAP (Zhou et al., CVPR 2016, section 3.1) ends after
inception4e, with a 3 x 3 convolution of 1024 units added: 14 x 14 cells at 224 x 224 px. The whole network has an
average pool and one linear layer already: 7 x 7 cells at its own stride of 32. The published sampling centres
receptive fields 6.5 px below and right of the cell's centre; with ``aligned`` the last 3 x 3 pool that keeps its stride
is centred on the even positions, which leaves -1.5 px.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from camray.core.networks.added_layer import ADDED_UNITS, added_layer
from camray.core.networks.initial import he_initialised
from camray.core.networks.strides import DenseMaxPool2d, halving_pool, strides_left_out
from camray.domain.contract import NetworkSpec

_BN_EPS = 0.001
# channels: in; 1 x 1; before and after 3 x 3; before and after "5 x 5"; after the pool
_Widths = tuple[int, int, int, int, int, int, int]
_STACKS: tuple[dict[str, _Widths], ...] = (
    {"3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64)},
    {
        "4a": (480, 192, 96, 208, 16, 48, 64),
        "4b": (512, 160, 112, 224, 24, 64, 64),
        "4c": (512, 128, 128, 256, 24, 64, 64),
        "4d": (512, 112, 144, 288, 32, 64, 64),
        "4e": (528, 256, 160, 320, 32, 128, 128),
    },
    {"5a": (832, 256, 160, 320, 32, 128, 128), "5b": (832, 384, 192, 384, 48, 128, 128)},
)


class ConvNormRelu(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=_BN_EPS)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Apply convolution, normalisation and ReLU.

        Parameters
        ----------
        x : Tensor of shape (B, before, H, W), float
            Feature map.

        Returns
        -------
        Tensor of shape (B, after, H/stride, W/stride), float
            All values >= 0.
        """
        activated: Tensor = self.relu(self.bn(self.conv(x)))
        return activated


class Inception(nn.Module):
    """Four branches side by side.

    Parameters
    ----------
    widths : tuple of int
        Channels: in; 1 x 1; before and after the second branch's 3 x 3; before and after the third's; after the pool.
    dilation : int
        Of the 3 x 3 convolutions and the pool.
    """

    def __init__(self, widths: _Widths, dilation: int) -> None:
        super().__init__()
        before, first, reduce2, second, reduce3, third, pooled = widths
        self.branch1 = ConvNormRelu(before, first, 1)
        self.branch2 = nn.Sequential(
            ConvNormRelu(before, reduce2, 1), ConvNormRelu(reduce2, second, 3, dilation=dilation)
        )
        self.branch3 = nn.Sequential(
            ConvNormRelu(before, reduce3, 1), ConvNormRelu(reduce3, third, 3, dilation=dilation)
        )
        pool = nn.MaxPool2d(3, 1, padding=1) if dilation == 1 else DenseMaxPool2d(3, dilation, centred=True)
        self.branch4 = nn.Sequential(pool, ConvNormRelu(before, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Apply all branches and concatenate their channels.

        Parameters
        ----------
        x : Tensor of shape (B, before, H, W), float
            Feature map.

        Returns
        -------
        Tensor of shape (B, sum of the branches, H, W), float
            All values >= 0.
        """
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


def googlenet(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build GoogLeNet up to inception5b, or for ``googlenet_gap`` to inception4e and the added convolution.

    Parameters
    ----------
    spec : NetworkSpec
        With a stride of at most 32, for ``googlenet_gap`` 16.
    in_channels : int
        Channels of the input.

    Returns
    -------
    (nn.Module, int)
        The network, [B, C, H, W] to [B, K, H/stride, W/stride], all values >= 0, and K.

    Raises
    ------
    ValueError
        If the requested stride is larger than the network's own, 32 or 16.
    """
    is_gap = spec.backbone == "googlenet_gap"
    stacks = _STACKS[:2] if is_gap else _STACKS
    kept = 1 + len(stacks) - strides_left_out(spec, 16 if is_gap else 32)  # pools that keep their stride
    centred = min(kept, 3) if spec.aligned else 0  # maxpool4 is 2 x 2, centred on its window anyway
    parts: dict[str, nn.Module] = {
        "conv1": ConvNormRelu(in_channels, 64, 7, stride=2),
        "maxpool1": halving_pool(3, centred=centred == 1),
        "conv2": ConvNormRelu(64, 64, 1),
        "conv3": ConvNormRelu(64, 192, 3),
    }
    factor = 1
    for number, stack in enumerate(stacks, start=2):
        kernel = 2 if number == 4 else 3
        if number <= kept:
            parts[f"maxpool{number}"] = halving_pool(kernel, centred=centred == number)
        else:
            parts[f"maxpool{number}"] = DenseMaxPool2d(kernel, factor, centred=spec.aligned)
            factor = factor * 2 if spec.dilated else factor
        parts |= {f"inception{name}": Inception(widths, factor) for name, widths in stack.items()}
    channels = ADDED_UNITS  # inception5b has as many
    if is_gap:
        parts |= added_layer(832, factor)
    network = nn.Sequential(OrderedDict(parts))
    he_initialised(network)
    return network, channels
