"""The lung-region generator: a small U-Net that says of every pixel whether it shows lung.

It reads films of any size on one square grid of its own, `SIDE_PX` a side, films centred and in the proportions of the
model grid.
"""

from typing import cast

import torch
from monai.networks.nets.unet import UNet
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from camray.core.networks.normalise import Normalise
from camray.domain.geometry import GridTransform

SIDE_PX = 128
_CHANNELS = (8, 16, 32, 48, 64)


class LungUNet(nn.Module):
    """MONAI's U-Net (Ronneberger et al., MICCAI 2015) on film and local contrast; 92 thousand weights.

    Notes
    -----
    Instance normalisation has no running statistics: training and evaluation mode are the same function.
    """

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise("film_local")
        self.body = UNet(
            spatial_dims=2, in_channels=self.normalise.channels, out_channels=1, channels=_CHANNELS,
            strides=(2,) * (len(_CHANNELS) - 1), num_res_units=0, norm="INSTANCE",
        )  # fmt: skip

    def forward(self, films: Tensor) -> Tensor:
        """Map films [B, 1, SIDE_PX, SIDE_PX], grey 0-1, to logits of the same shape."""
        return cast(Tensor, self.body(self.normalise(films)))


def build_lung_unet(seed: int) -> LungUNet:
    """Build a generator with fresh weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LungUNet()


def lung_view(films: Tensor) -> tuple[Tensor, GridTransform]:
    """Bring films to the generator's grid.

    Parameters
    ----------
    films : Tensor of shape [B, 1, H, W], float
        Model grid.

    Returns
    -------
    Tensor of shape [B, 1, SIDE_PX, SIDE_PX]
        Centred on a square of black, then resized (bilinear, corner origin, without aliasing).
    GridTransform
        Model grid to the generator's grid.
    """
    rows, cols = films.shape[-2:]
    side = max(rows, cols)
    top, left = (side - rows) // 2, (side - cols) // 2
    square = pad(films, (left, side - cols - left, top, side - rows - top))
    scale = SIDE_PX / side
    if side != SIDE_PX:
        square = interpolate(
            square, size=(SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False, antialias=side > SIDE_PX
        )
    return square, GridTransform(scale, scale, left * scale, top * scale)


@torch.no_grad()
def lung_probabilities(network: LungUNet, views: Tensor) -> Tensor:
    """Map views [B, 1, SIDE_PX, SIDE_PX] to probabilities of the same shape, in the weights' own precision."""
    dtype = next(network.parameters()).dtype
    with torch.autocast(views.device.type, enabled=False):
        return torch.sigmoid(network(views.to(dtype)))
