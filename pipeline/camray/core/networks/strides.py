"""Finer feature maps from the same weights: dilation instead of stride, and sampling at the cell's centre.

A layer of stride 2 followed by convolutions equals the same layer at stride 1, followed by the convolutions with twice
the dilation and read at every second position (the "algorithme a trous": Holschneider et al. 1989; Chen et al., ICLR
2015). So a network of total stride 32 has a map of stride 16 or 8 with the same weights, and with the published
sampling its coarse map is every second or fourth cell of the fine one, borders included.
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad

from camray.domain.contract import NetworkSpec

Conv = TypeVar("Conv", bound=nn.Conv2d)
# oneDNN (in torch 2.13) corrupts the heap in the backward pass of a strided 1 x 1 convolution of channels-last maps
# with 2 to 15 input channels on two threads or more; a block of AVX-512 is 16 channels
ONEDNN_SAFE_CHANNELS = 16


class SubsampledConv2d(nn.Conv2d):
    """A strided 1 x 1 convolution that samples its input first, and then convolves without stride: the same values."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a map.

        Parameters
        ----------
        input : Tensor of shape (B, in, H, W), float
            Feature map.

        Returns
        -------
        Tensor of shape (B, out, ceil(H/stride), ceil(W/stride)), float
            Sampled at the even positions.
        """
        return _strided_conv(self, input)


class OddConv2d(nn.Conv2d):
    """A strided convolution that samples the odd positions: at stride 2 output i is centred on input 2 i + 1.

    Notes
    -----
    Sampling the even positions throughout, as published networks do, centres feature cell i of stride s on pixel s i,
    and not on the middle of the cell: maps lie almost half a cell too far down and right. Odd samples at the *last*
    stride alone leave a shift of half a pixel. Weights, names and shapes are those of the convolution it replaces.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a map with even sides.

        Parameters
        ----------
        input : Tensor of shape (B, in, H, W), float
            Feature map.

        Returns
        -------
        Tensor of shape (B, out, H/stride, W/stride), float
            Sampled at the odd positions.
        """
        before = [d * (k - 1) // 2 - 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        sides = (before[1], before[1] + 1, before[0], before[0] + 1)  # negative: the first row and column are not read
        return _strided_conv(self, pad(input, sides))


def _strided_conv(conv: nn.Conv2d, padded: Tensor) -> Tensor:
    """Convolve a map that is already padded; see `ONEDNN_SAFE_CHANNELS`."""
    stride = conv.stride
    if is_unsafe(conv):
        padded, stride = padded[:, :, :: stride[0], :: stride[1]], (1, 1)
    return conv2d(padded, conv.weight, conv.bias, stride, 0, conv.dilation, conv.groups)


class DenseAvgPool2d(nn.Module):
    """A 2 x 2 average pool of stride 2 without its stride.

    Parameters
    ----------
    dilation : int
        Distance of the averaged positions; 1 or even.
    centred : bool
        The average is taken about the output position: two taps at half the distance, or 1/4, 1/2, 1/4 at distance 1.
        False starts it at the output position, so that every second output equals the strided pool's.
    """

    def __init__(self, dilation: int, centred: bool) -> None:
        super().__init__()
        if dilation != 1 and dilation % 2:
            raise ValueError(f"dilation is {dilation}; expected 1 or an even number")
        self.dilation, self.centred = dilation, centred

    def forward(self, input: Tensor) -> Tensor:
        """Average; outside the border the last position is repeated.

        Parameters
        ----------
        input : Tensor of shape (B, K, h, w), float
            Feature map.

        Returns
        -------
        Tensor of shape (B, K, h, w), float
            Averages.
        """
        d = self.dilation
        if self.centred and d == 1:
            padded = pad(input, (1, 1, 1, 1), mode="replicate")
            rows = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
            return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 16
        lead = d // 2 if self.centred else 0
        padded = pad(input, (lead, d - lead, lead, d - lead), mode="replicate")
        rows = padded[:, :, :-d] + padded[:, :, d:]
        return (rows[..., :-d] + rows[..., d:]) / 4

    def extra_repr(self) -> str:
        """Return the parameters for the printed form of the network."""
        return f"dilation={self.dilation}, centred={self.centred}"


class DenseMaxPool2d(nn.Module):
    """A max pool of stride 2 without its stride.

    Parameters
    ----------
    kernel : int
        Side of the window, 2 or 3.
    dilation : int
        Distance of the compared positions.
    centred : bool
        The window is centred on the output position; 2 x 2 at distance 1, which has no centre, becomes 3 x 3. False
        starts it at the output position, so that every second output equals the strided pool's.
    """

    def __init__(self, kernel: int, dilation: int, centred: bool) -> None:
        super().__init__()
        uneven = centred and dilation * (kernel - 1) % 2 == 1
        self.kernel, self.dilation, self.centred = (3 if uneven else kernel), dilation, centred

    def forward(self, input: Tensor) -> Tensor:
        """Take the maximum; positions outside the border are ignored.

        Parameters
        ----------
        input : Tensor of shape (B, K, h, w), float
            Feature map.

        Returns
        -------
        Tensor of shape (B, K, h, w), float
            Maxima.
        """
        reach = self.dilation * (self.kernel - 1)
        lead = reach // 2 if self.centred else 0
        padded = pad(input, (lead, reach - lead, lead, reach - lead), value=-torch.inf)
        return max_pool2d(padded, self.kernel, stride=1, dilation=self.dilation)

    def extra_repr(self) -> str:
        """Return the parameters for the printed form of the network."""
        return f"{self.kernel}, dilation={self.dilation}, centred={self.centred}"


def halving_pool(kernel: int, centred: bool) -> nn.MaxPool2d:
    """Return a max pool of stride 2 whose windows start at the even positions, or (3 x 3) are centred on them.

    Parameters
    ----------
    kernel : int
        Side of the window.
    centred : bool
        For a side of 3.

    Returns
    -------
    MaxPool2d
        Halves even sides exactly; windows are cut off at the border.
    """
    return nn.MaxPool2d(kernel, 2, padding=1) if centred else nn.MaxPool2d(kernel, 2, ceil_mode=True)


def strides_left_out(spec: NetworkSpec, natural: int, remedy: str = "") -> int:
    """Count the layers that lose their stride of 2 to reach the requested stride.

    Parameters
    ----------
    spec : NetworkSpec
        With the requested stride.
    natural : int
        The network's own stride.
    remedy : str
        Another remedy for a stride that is too large, for the message.

    Returns
    -------
    int
        0 for the network's own stride.

    Raises
    ------
    ValueError
        If the requested stride is larger than the network's.

    Examples
    --------
    >>> strides_left_out(NetworkSpec(stride=8), natural=32)
    2
    """
    if spec.last_stride > natural:
        change = "leave it out of model.pyramid_strides" if spec.head == "pyramid" else f"set model.stride={natural}"
        raise ValueError(
            f"{spec.backbone} has stride {natural}; the requested stride is {spec.last_stride}; {change}{remedy}"
        )
    return (natural // spec.last_stride).bit_length() - 1


def without_stride(conv: nn.Conv2d, dilation: int) -> None:
    """Remove a convolution's stride and set its dilation, in place; odd kernels keep the map's size.

    Parameters
    ----------
    conv : Conv2d
        Changed in place.
    dilation : int
        At least 1.
    """
    conv.stride = (1, 1)
    dilate(conv, dilation)


def dilate(conv: nn.Conv2d, dilation: int) -> None:
    """Set a convolution's dilation in place; odd kernels keep the map's size.

    Parameters
    ----------
    conv : Conv2d
        Changed in place.
    dilation : int
        At least 1.
    """
    conv.dilation = (dilation, dilation)
    conv.padding = tuple(dilation * (k - 1) // 2 for k in conv.kernel_size)


def is_unsafe(conv: nn.Conv2d) -> bool:
    """Whether a convolution's backward pass may corrupt memory; see `ONEDNN_SAFE_CHANNELS`."""
    is_strided_point = max(conv.kernel_size) == 1 and max(conv.stride) > 1
    return is_strided_point and conv.in_channels < ONEDNN_SAFE_CHANNELS


def subsampled(conv: nn.Conv2d) -> nn.Conv2d:
    """Return a twin of the convolution with the same weights whose backward pass is safe; itself if it is safe.

    Parameters
    ----------
    conv : Conv2d
        Shares its weights with the result.

    Returns
    -------
    Conv2d
        Of the same shape and values.
    """
    return _twin(SubsampledConv2d, conv) if is_unsafe(conv) and not isinstance(conv, OddConv2d) else conv


def odd(conv: nn.Conv2d) -> OddConv2d:
    """Return the convolution with the same weights that samples the odd positions.

    Parameters
    ----------
    conv : Conv2d
        Shares its weights with the result.

    Returns
    -------
    OddConv2d
        Of the same shape.
    """
    return _twin(OddConv2d, conv)


def _twin(kind: type[Conv], conv: nn.Conv2d) -> Conv:
    """Return a convolution of another class that shares the weights of this one."""
    sizes: dict[str, Any] = {name: getattr(conv, name) for name in ("kernel_size", "stride", "padding", "dilation")}
    twin = kind(conv.in_channels, conv.out_channels, groups=conv.groups, bias=conv.bias is not None, **sizes)
    twin.weight, twin.bias = conv.weight, conv.bias
    return twin
