"""MONAI's ResNets, DenseNet and EfficientNet up to their last activation, with MONAI's names in the state dict.

The import of MONAI takes seconds, so that `backbones` imports this module for these networks only.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from monai.networks.nets.densenet import DenseNet
from monai.networks.nets.efficientnet import EfficientNetBN
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

from camray.core.networks.pyramid import Pyramid, centring, last, pyramid_over
from camray.core.networks.strides import DenseAvgPool2d, dilate, odd, strides_left_out, subsampled, without_stride
from camray.domain.contract import NetworkSpec

_RESNETS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "resnet18": ("basic", (2, 2, 2, 2), 1),  # block, blocks per layer, output channels per channel of a block's width
    "resnet50": ("bottleneck", (3, 4, 6, 3), 4),
}
_RESNET_WIDTHS = (64, 128, 256, 512)


class ResNetMap(ResNet):
    """MONAI's ResNet (He et al., CVPR 2016) up to the last block's ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature map.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid.

        Returns
        -------
        Tensor of shape (B, K, H/stride, W/stride), float
            All values >= 0.
        """
        return last(self.stages(x))

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the maps of the four layers.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid.

        Yields
        ------
        Tensor of shape (B, K, H/stride, W/stride), float
            All values >= 0.
        """
        x = self.act(self.bn1(self.conv1(x)))
        if not self.no_max_pool:
            x = self.maxpool(x)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            yield x


class ResNetPyramid(ResNetMap):
    """The same ResNet, up to the sum of a pyramid over its layers."""

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


class DenseNetMap(DenseNet):
    """MONAI's DenseNet (Huang et al., CVPR 2017) up to the ReLU after the last normalisation."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature map.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid.

        Returns
        -------
        Tensor of shape (B, K, H/stride, W/stride), float
            All values >= 0.
        """
        return torch.relu(self.features(x))


class EfficientNetMap(EfficientNetBN):
    """MONAI's EfficientNet (Tan & Le, ICML 2019) up to the last swish: its values are >= -0.28, and not >= 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature map.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid.

        Returns
        -------
        Tensor of shape (B, K, H/stride, W/stride), float
            All values >= -0.28.
        """
        x = self._swish(self._bn0(self._conv_stem(self._conv_stem_padding(x))))
        x = self._conv_head(self._conv_head_padding(self._blocks(x)))
        return cast(Tensor, self._swish(self._bn1(x)))


def resnet(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build a ResNet with fresh weights; parameters and result as of `backbones.build_backbone`."""
    light = spec.backbone == "resnet_light"
    block, blocks, expansion = ("basic", spec.blocks, 1) if light else _RESNETS[spec.backbone]
    widths = spec.widths if light else _RESNET_WIDTHS
    stem_pool = spec.stem_pool or not light
    network = (ResNetPyramid if spec.head == "pyramid" else ResNetMap)(
        block=block,
        layers=list(blocks),
        block_inplanes=list(widths),
        spatial_dims=2,
        n_input_channels=in_channels,
        conv1_t_size=spec.stem_kernel if light else 7,
        conv1_t_stride=2,
        no_max_pool=not stem_pool,
        feed_forward=False,
        bias_downsample=False,
    )
    del network.avgpool, network.fc
    layers = [network.layer2, network.layer3, network.layer4]
    left_out = strides_left_out(spec, 32 if stem_pool else 16, "" if stem_pool else ", or model.stem_pool=true")
    kept, freed = layers[: len(layers) - left_out], layers[len(layers) - left_out :]
    if spec.aligned:
        for layer in centring(kept, spec):
            _sample_odd(layer[0], block)
    _free_resnet_layers(freed, block, spec.dilated)
    for layer in kept:
        downsample = cast(Any, layer[0]).downsample
        downsample[0] = subsampled(downsample[0])
    if isinstance(network, ResNetPyramid):
        network.pyramid = pyramid_over(network, network.stages, spec, in_channels)
        return network, spec.pyramid_channels
    return network, widths[3] * expansion


def _free_resnet_layers(layers: Sequence[nn.Sequential], block: str, dilated: bool) -> None:
    factor = 1
    for layer in layers:
        first = cast(Any, layer[0])
        strided = first.conv1 if block == "basic" else first.conv2
        before, factor = factor, factor * 2 if dilated else factor
        for conv in _square_convs(layer):
            dilate(conv, factor)
        without_stride(strided, before)
        without_stride(first.downsample[0], 1)


def _sample_odd(first: Any, block: str) -> None:
    name = "conv1" if block == "basic" else "conv2"
    setattr(first, name, odd(getattr(first, name)))
    first.downsample[0] = odd(first.downsample[0])


def densenet(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build a DenseNet with fresh weights; parameters and result as of `backbones.build_backbone`."""
    network = DenseNetMap(
        spatial_dims=2,
        in_channels=in_channels,
        out_channels=1,
        init_features=64,
        growth_rate=32,
        block_config=(6, 12, 24, 16),
    )
    channels = cast(nn.Linear, network.class_layers.out).in_features
    del network.class_layers
    factor, left_out = 1, strides_left_out(spec, 32)
    for number in range(4 - left_out, 4):
        transition = getattr(network.features, f"transition{number}")
        transition.pool = DenseAvgPool2d(factor, centred=spec.aligned)
        factor = factor * 2 if spec.dilated else factor
        for conv in _square_convs(getattr(network.features, f"denseblock{number + 1}")):
            dilate(conv, factor)
    return network, channels


def efficientnet(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build an EfficientNet with fresh weights; parameters and result as of `backbones.build_backbone`."""
    network = EfficientNetMap(
        "efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=in_channels, num_classes=1
    )
    network.set_swish(memory_efficient=False)
    channels = network._fc.in_features
    del network._fc, network._avg_pooling, network._dropout
    strided = [block for block in _efficientnet_blocks(network) if block.stride == 2]
    kept = len(strided) - strides_left_out(spec, 32)
    if spec.aligned:  # published sampling is odd throughout; an even one at the last stride centres the cells
        conv = strided[kept - 1]._depthwise_conv
        before = (conv.kernel_size[0] - 1) // 2
        strided[kept - 1]._depthwise_conv_padding = nn.ConstantPad2d((before, before - 1) * 2, 0.0)
    factor = 1
    for block in _efficientnet_blocks(network):
        if block in strided[kept:]:
            _repad(block, factor)
            block._depthwise_conv.stride = (1, 1)
            factor = factor * 2 if spec.dilated else factor
        elif factor > 1:
            _repad(block, factor)
    return network, channels


def _repad(block: Any, dilation: int) -> None:
    conv = block._depthwise_conv
    conv.dilation = (dilation, dilation)
    block._depthwise_conv_padding = nn.ConstantPad2d(dilation * (conv.kernel_size[0] - 1) // 2, 0.0)


def _efficientnet_blocks(network: Any) -> list[Any]:
    return [block for stack in network._blocks for block in stack]


def _square_convs(part: nn.Module) -> Iterator[nn.Conv2d]:
    return (m for m in part.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1))
