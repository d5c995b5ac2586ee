"""AlexNet as published in torchvision's form, whole or as the CAM paper cuts it.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014): no local response normalisation,
no groups. AlexNet-GAP (Zhou et al., CVPR 2016, section 3.1) ends after conv5, with a 3 x 3 convolution of 1024 units
added.

Grid
    At 224 x 224 px the map has 13 x 13 cells, and H/16 - 1 in general: none of its pools reaches beyond the border. The
    receptive field of cell k is centred at 16 k + 15.5 px. Stretched over the film, as in the paper and for all our
    maps, cell k's centre is at (k + 1/2) 224/13: 6.9 px too near the border in the first cell, exact in the
    middle, 7.9 px in the last. At stride 8 the map covers the film without remainder, its centres at most half a
    pixel off (``aligned``), or has H/8 - 1 cells centred at 8 k + 7.5 px (the published sampling).
"""

from collections import OrderedDict

from torch import nn

from camray.core.networks.added_layer import ADDED_UNITS, added_layer
from camray.core.networks.initial import he_initialised
from camray.core.networks.strides import dilate, strides_left_out
from camray.domain.contract import NetworkSpec

_GRID = 6  # side of the map that the fully connected layers read
_UNITS = 4096


def alexnet(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build AlexNet up to conv5's ReLU, and for ``alexnet_gap`` the added convolution.

    Parameters
    ----------
    spec : NetworkSpec
        With stride 16 or 8.
    in_channels : int
        Channels of the input.

    Returns
    -------
    (nn.Module, int)
        The network, [B, C, H, W] to [B, K, h, w], all values >= 0, and K.

    Raises
    ------
    ValueError
        If the requested stride is larger than 16.
    """
    is_fine = strides_left_out(spec, 16) == 1
    features = nn.Sequential(
        nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1 if is_fine and spec.aligned else 0),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 1, padding=1) if is_fine else nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )
    parts: dict[str, nn.Module] = {"features": features}
    channels = 256
    if spec.backbone == "alexnet_gap":
        parts |= added_layer(channels)
        channels = ADDED_UNITS
    network = nn.Sequential(OrderedDict(parts))
    if is_fine and spec.dilated:
        for conv in (features[6], features[8], features[10], network.get_submodule("cam_conv")):
            dilate(conv, 2)  # type: ignore[arg-type]
    he_initialised(network)
    return network, channels


def alexnet_layers(labels: int) -> tuple[nn.Module, nn.Sequential]:
    """Build the layers after conv5 of the published network.

    Parameters
    ----------
    labels : int
        Number of logits.

    Returns
    -------
    (nn.Module, nn.Sequential)
        [B, 256, h, w] to 256 x 6 x 6 values per film (at 224 px the 6 x 6 average pool changes nothing), and the fully
        connected layers.
    """
    pooled = nn.Sequential(nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(_GRID), nn.Flatten())
    layers = nn.Sequential(
        nn.Dropout(),
        nn.Linear(256 * _GRID * _GRID, _UNITS),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(_UNITS, _UNITS),
        nn.ReLU(),
        nn.Linear(_UNITS, labels),
    )
    he_initialised(layers)
    return pooled, layers
