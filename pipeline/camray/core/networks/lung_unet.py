"""The lung segmenter: a small U-Net that classifies every pixel as lung or not.

It reads films of any size on a square grid of its own with `SIDE_PX` pixels per side, films centred and in the
proportions of the model grid.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from camray.core.networks.normalise import Normalise
from camray.domain.geometry import CropWindow, GridTransform

SIDE_PX = 128
_CHANNELS = (8, 16, 32, 48, 64)


class LungUNet(nn.Module):
    """MONAI's U-Net (Ronneberger et al., MICCAI 2015) on film and local contrast; 92 thousand weights.

    Notes
    -----
    Instance normalisation has no running statistics: training and evaluation mode are the same function.
    """

    def __init__(self) -> None:
        from monai.networks.nets.unet import UNet  # takes seconds, and not every process needs it

        super().__init__()
        self.normalise = Normalise("film_local")
        self.body = UNet(
            spatial_dims=2,
            in_channels=self.normalise.channels,
            out_channels=1,
            channels=_CHANNELS,
            strides=(2,) * (len(_CHANNELS) - 1),
            num_res_units=0,
            norm="INSTANCE",
        )

    def forward(self, films: Tensor) -> Tensor:
        """Segment films.

        Parameters
        ----------
        films : Tensor of shape (B, 1, SIDE_PX, SIDE_PX), float
            Grey 0-1, the segmenter's grid.

        Returns
        -------
        Tensor of shape (B, 1, SIDE_PX, SIDE_PX), float
            Logits of lung.
        """
        return cast(Tensor, self.body(self.normalise(films)))


def build_lung_unet(seed: int) -> LungUNet:
    """Build a segmenter with fresh weights; torch's global generator is not changed.

    Parameters
    ----------
    seed : int
        Of the weights.

    Returns
    -------
    LungUNet
        In training mode, which is the same function.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LungUNet()


def lung_view(films: Tensor) -> tuple[Tensor, GridTransform]:
    """Resample films to the segmenter's grid.

    Parameters
    ----------
    films : Tensor of shape (B, 1, H, W), float
        Model grid.

    Returns
    -------
    Tensor of shape (B, 1, SIDE_PX, SIDE_PX)
        Centred on a square of black, then resized (bilinear, corner origin, without aliasing).
    GridTransform
        Model grid to the segmenter's grid.
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


def window_of(to_grid: GridTransform, rows: int, cols: int) -> CropWindow:
    """Return the whole pixels of the lungs' grid that are on a film, or a window, of `rows` x `cols` px.

    Parameters
    ----------
    to_grid : GridTransform
        The film's own grid (origin at its first pixel's corner) to the segmenter's.
    rows, cols : int
        Size of the film, px of its own grid.

    Returns
    -------
    CropWindow
        Segmenter's grid, px.
    """
    x0, y0 = to_grid.xy_to_model(0.0, 0.0)
    x1, y1 = to_grid.xy_to_model(float(cols), float(rows))
    first = [max(0, round(low)) for low in (y0, x0)]
    last = [min(SIDE_PX, round(high)) for high in (y1, x1)]
    return CropWindow(first[0], max(last[0], first[0] + 1), first[1], max(last[1], first[1] + 1))


@torch.no_grad()
def lung_probabilities(network: LungUNet, views: Tensor) -> Tensor:
    """Compute the probability of lung for every pixel.

    Parameters
    ----------
    network : LungUNet
        Its weights' precision is used.
    views : Tensor of shape (B, 1, SIDE_PX, SIDE_PX), float
        Grey 0-1, from `lung_view`.

    Returns
    -------
    Tensor of shape (B, 1, SIDE_PX, SIDE_PX), float
        0-1.
    """
    dtype = next(network.parameters()).dtype
    with torch.autocast(views.device.type, enabled=False):
        return torch.sigmoid(network(views.to(dtype)))
