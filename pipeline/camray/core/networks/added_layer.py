"""The layer that the CAM paper adds to AlexNet, VGG16 and GoogLeNet (Zhou et al., CVPR 2016, section 3.1)."""

from torch import nn

from camray.core.networks.strides import dilate

ADDED_UNITS = 1024


def added_layer(channels: int, dilation: int = 1) -> dict[str, nn.Module]:
    """Build the 3 x 3 convolution and its ReLU, by name.

    Parameters
    ----------
    channels : int
        Of the layer before.
    dilation : int
        Replaces omitted strides.
    """
    conv = nn.Conv2d(channels, ADDED_UNITS, 3, padding=1)
    dilate(conv, dilation)
    return {"cam_conv": conv, "cam_relu": nn.ReLU()}
