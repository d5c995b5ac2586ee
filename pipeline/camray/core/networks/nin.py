"""Network in network (Lin, Chen & Yan, ICLR 2014), the form for ImageNet.

Its last 1 x 1 convolution computes one map per label, which the paper averages. A linear layer commutes with averages,
so that this layer is our classifying layer and the map before it, of 1024 channels, is the one that the pool reads. Two
things differ from the published form: no ReLU follows the label maps (logits may be negative), and the first
convolution reads 4 px beyond the border, so that the map covers the film without remainder: 7 x 7 cells at 224 x 224 px
and its own stride of 32, 14 x 14 at 16. With ``aligned`` receptive fields are centred 2.5 px above and left of their
cells' centres, without it up to 13.5 px below and right.
"""

from collections import OrderedDict

from torch import nn

from camray.core.networks.initial import he_initialised
from camray.core.networks.strides import DenseMaxPool2d, halving_pool, strides_left_out
from camray.domain.contract import NetworkSpec

_WIDTHS = (96, 256, 384, 1024)
_KERNELS = (11, 5, 3, 3)
_DROPOUT = 0.5


def nin(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build the network up to the ReLU before the label maps.

    Parameters
    ----------
    spec : NetworkSpec
        With a stride of at most 32.
    in_channels : int
        Channels of the input.

    Returns
    -------
    (nn.Module, int)
        The network, [B, C, H, W] to [B, 1024, H/stride, W/stride], all values >= 0, and 1024.
    """
    kept = 3 - strides_left_out(spec, 32)
    parts: dict[str, nn.Module] = {}
    channels, factor = in_channels, 1
    for number, (width, kernel) in enumerate(zip(_WIDTHS, _KERNELS, strict=True)):
        if 0 < number <= kept:
            parts[f"pool{number}"] = halving_pool(3, centred=spec.aligned and number == kept)
        elif number:
            parts[f"pool{number}"] = DenseMaxPool2d(3, factor, centred=spec.aligned)
            factor = factor * 2 if spec.dilated else factor
        if number == 3:
            parts["drop"] = nn.Dropout(_DROPOUT)
        stride, padding = (1, factor * (kernel // 2)) if number else (4, 4)
        parts[f"conv{number + 1}"] = nn.Conv2d(channels, width, kernel, stride, padding, dilation=factor)
        parts[f"relu{number + 1}"] = nn.ReLU()
        for cccp in range(2 * number + 1, 2 * number + (2 if number == 3 else 3)):
            parts[f"cccp{cccp}"] = nn.Conv2d(width, width, 1)
            parts[f"cccp_relu{cccp}"] = nn.ReLU()
        channels = width
    network = nn.Sequential(OrderedDict(parts))
    he_initialised(network)
    return network, channels
