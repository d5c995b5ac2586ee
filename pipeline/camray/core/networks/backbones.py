"""Backbones up to their last activation, with a feature stride of 8, 16 or 32 px.

ResNets, DenseNet and EfficientNet are in `monai_backbones`, the others in `alexnet`, `vgg`, `googlenet`, `nin`,
`efficientnet_lite` and `token_encoder`. In-place activations are switched off, so that no tensor changes after it was
returned.
"""

from torch import nn

from camray.core.networks.alexnet import alexnet
from camray.core.networks.efficientnet_lite import efficientnet_lite
from camray.core.networks.googlenet import googlenet
from camray.core.networks.nin import nin
from camray.core.networks.token_encoder import token_encoder
from camray.core.networks.vgg import vgg16
from camray.domain.contract import TOKEN_STRIDES, NetworkSpec


def build_backbone(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build a backbone with fresh weights from torch's global generator.

    Parameters
    ----------
    spec : NetworkSpec
        Backbone, stride and sampling.
    in_channels : int
        Channels of the input.

    Returns
    -------
    (nn.Module, int)
        The network, and the channels of its map.

    Raises
    ------
    ValueError
        If the backbone does not support this stride.
    """
    if spec.backbone.startswith("alexnet"):
        network, channels = alexnet(spec, in_channels)
    elif spec.backbone.startswith("vgg16"):
        network, channels = vgg16(spec, in_channels)
    elif spec.backbone.startswith("googlenet"):
        network, channels = googlenet(spec, in_channels)
    elif spec.backbone.startswith("efficientnet_lite"):
        network, channels = efficientnet_lite(spec, in_channels)
    elif spec.backbone in TOKEN_STRIDES:
        network, channels = token_encoder(spec, in_channels)
    elif spec.backbone == "nin":
        network, channels = nin(spec, in_channels)
    else:
        network, channels = _from_monai(spec, in_channels)
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = spec.norm_momentum
    return network, channels


def _from_monai(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    from camray.core.networks.monai_backbones import densenet, efficientnet, resnet  # takes seconds

    if spec.backbone == "densenet121":
        return densenet(spec, in_channels)
    if spec.backbone == "efficientnet_b0":
        return efficientnet(spec, in_channels)
    return resnet(spec, in_channels)
