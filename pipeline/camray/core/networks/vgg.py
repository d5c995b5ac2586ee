"""VGG16 (Simonyan & Zisserman, ICLR 2015), without and with batch normalisation, whole or as the CAM paper cuts it.

VGG16-GAP (Zhou et al., CVPR 2016, section 3.1) ends after conv5-3, with a 3 x 3 convolution of 1024 units added:
14 x 14 cells at 224 x 224 px. Receptive fields are centred on their cells exactly. Names are torchvision's.
"""

from collections import OrderedDict

from torch import nn

from camray.core.networks.added_layer import ADDED_UNITS, added_layer
from camray.core.networks.initial import he_initialised
from camray.core.networks.strides import DenseMaxPool2d, halving_pool, strides_left_out
from camray.domain.contract import NetworkSpec

_STACKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and convolutions between two pools
_GRID = 7  # side of the map that the fully connected layers read
_UNITS = 4096


def vgg16(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build VGG16 up to conv5-3's ReLU, and for the GAP forms the added convolution.

    Parameters
    ----------
    spec : NetworkSpec
        With stride 16 or 8.
    in_channels : int
        Channels of the input.

    Returns
    -------
    (nn.Module, int)
        The network, [B, C, H, W] to [B, K, H/stride, W/stride], all values >= 0, and K.

    Raises
    ------
    ValueError
        If the requested stride is larger than 16.
    """
    left_out = strides_left_out(spec, 16)
    layers: list[nn.Module] = []
    channels, factor = in_channels, 1
    for number, (width, count) in enumerate(_STACKS):
        if number > 0 and number <= len(_STACKS) - 1 - left_out:
            layers.append(halving_pool(2, centred=False))
        elif number > 0:
            layers.append(DenseMaxPool2d(2, factor, centred=spec.aligned))
            factor = factor * 2 if spec.dilated else factor
        for _ in range(count):
            layers.extend(_convolution(channels, width, factor, spec.backbone.startswith("vgg16_bn")))
            channels = width
    parts: dict[str, nn.Module] = {"features": nn.Sequential(*layers)}
    if spec.backbone.endswith("_gap"):
        parts |= added_layer(channels, factor)
        channels = ADDED_UNITS
    network = nn.Sequential(OrderedDict(parts))
    he_initialised(network)
    return network, channels


def vgg16_layers(labels: int) -> tuple[nn.Module, nn.Sequential]:
    """Build the layers after conv5-3 of the published network.

    Parameters
    ----------
    labels : int
        Number of logits.

    Returns
    -------
    (nn.Module, nn.Sequential)
        [B, 512, h, w] to 512 x 7 x 7 values per film (at 224 px the 7 x 7 average pool changes nothing), and the fully
        connected layers.
    """
    pooled = nn.Sequential(nn.MaxPool2d(2, 2), nn.AdaptiveAvgPool2d(_GRID), nn.Flatten())
    layers = nn.Sequential(
        nn.Linear(512 * _GRID * _GRID, _UNITS),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(_UNITS, _UNITS),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(_UNITS, labels),
    )
    he_initialised(layers)
    return pooled, layers


def _convolution(before: int, after: int, dilation: int, normalised: bool) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation)
    return [conv, nn.BatchNorm2d(after), nn.ReLU()] if normalised else [conv, nn.ReLU()]
