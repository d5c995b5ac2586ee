"""Normalisation of grey values and colours before the first convolution."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from camray.domain.contract import NORMALISATIONS

FIXED_MEAN, FIXED_STD = 0.5, 0.25
FILM_FLOOR, LOCAL_FLOOR = 0.05, 0.03  # added to the deviation: blank parts stay finite
LOCAL_CELL_PX, LOCAL_WINDOW_CELLS = 4, 7
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """Normalise films; no weights, no state.

    Parameters
    ----------
    kind : str
        ``fixed``: ``(x - 0.5) / 0.25``. ``film``: minus the film's mean, by its standard deviation + 0.05. ``local``:
        minus the local mean, by the local standard deviation + 0.03, over 28 x 28 px (local contrast normalisation,
        Jarrett et al., ICCV 2009; the means are taken on a grid of 4 px cells and interpolated, for they are smooth).
        ``film_local``: both, as two channels. ``photo``: scaled to -1 to 1 and repeated in three channels, as the
        published EfficientNet-Lite expects photographs.
    """

    colours = 1  # input channels

    def __init__(self, kind: str) -> None:
        super().__init__()
        if kind not in NORMALISATIONS:
            raise ValueError(f"no normalisation '{kind}'; expected one of {', '.join(NORMALISATIONS)}")
        self.kind = kind

    @property
    def channels(self) -> int:
        """Output channels."""
        return {"film_local": 2, "photo": 3}.get(self.kind, 1)

    def forward(self, grey: Tensor) -> Tensor:
        """Normalise films.

        Parameters
        ----------
        grey : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid; for ``local`` with H and W multiples of 4.

        Returns
        -------
        Tensor of shape (B, channels, H, W), float
            One channel per kind; three equal ones for ``photo``.
        """
        if self.kind == "fixed":
            return (grey - FIXED_MEAN) / FIXED_STD
        if self.kind == "photo":
            return (2 * grey - 1).expand(-1, 3, -1, -1)
        if self.kind == "film":
            return _by_film(grey)
        if self.kind == "local":
            return _by_neighbourhood(grey)
        return torch.cat([_by_film(grey), _by_neighbourhood(grey)], dim=1)

    def extra_repr(self) -> str:
        """Return the kind for the printed form of the network."""
        return self.kind


class ImageNetNormalise(nn.Module):
    """Normalise colour images, channel by channel, as checkpoints trained on ImageNet expect; no weights.

    Parameters
    ----------
    mean, std : tuple of float
        Red, green, blue, on the scale 0-1; torchvision's by default.
    """

    colours = channels = 3

    def __init__(
        self, mean: tuple[float, float, float] = IMAGENET_MEAN, std: tuple[float, float, float] = IMAGENET_STD
    ) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, rgb: Tensor) -> Tensor:
        """Normalise images: ``(x - mean) / std``.

        Parameters
        ----------
        rgb : Tensor of shape (B, 3, H, W), float
            Red, green, blue, 0-1.

        Returns
        -------
        Tensor of shape (B, 3, H, W), float
            Of mean about 0 and deviation about 1.
        """
        mean, std = rgb.new_tensor(self.mean), rgb.new_tensor(self.std)
        return (rgb - mean[:, None, None]) / std[:, None, None]

    def extra_repr(self) -> str:
        """Return mean and deviation for the printed form of the network."""
        return f"mean={self.mean}, std={self.std}"


def _by_film(grey: Tensor) -> Tensor:
    variance, mean = torch.var_mean(grey, dim=(2, 3), keepdim=True, correction=0)
    return (grey - mean) / (_root(variance) + FILM_FLOOR)


def _by_neighbourhood(grey: Tensor) -> Tensor:
    centred = grey - _smooth(grey)
    return centred / (_root(_smooth(centred.square())) + LOCAL_FLOOR)


def _root(variance: Tensor) -> Tensor:
    # without variance the gradient is zero, and not infinite: maps from the input's gradient stay finite
    return variance.clamp_min(1e-10).sqrt()


def _smooth(grey: Tensor) -> Tensor:
    cells = avg_pool2d(grey, LOCAL_CELL_PX)  # sides are multiples of the stride, hence of 4
    side, reach = LOCAL_WINDOW_CELLS, LOCAL_WINDOW_CELLS // 2
    cells = avg_pool2d(pad(cells, (reach, reach, 0, 0), mode="replicate"), (1, side), stride=1)
    cells = avg_pool2d(pad(cells, (0, 0, reach, reach), mode="replicate"), (side, 1), stride=1)
    return interpolate(cells, size=grey.shape[2:], mode="bilinear", align_corners=False)
