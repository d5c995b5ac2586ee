"""The chest on films of the model grid, from the lung segmenter."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from camray.core.lungs.chest import bounded_by, cells_inside, chest_mask
from camray.core.lungs.detection import find_lungs
from camray.core.lungs.regions import BoolImage
from camray.core.networks.lung_unet import LungUNet, lung_probabilities, lung_view, window_of
from camray.domain.geometry import CropWindow, GridTransform


@dataclass(frozen=True)
class Chest:
    """The chest of one film.

    Parameters
    ----------
    mask : ndarray of shape (SIDE_PX, SIDE_PX), bool, or None
        Segmenter's grid; None where no lung was found, which bounds nothing.
    to_mask : GridTransform
        Model grid to the segmenter's grid.
    shape_model : tuple of int
        (rows, cols) of the model grid, px.
    """

    mask: BoolImage | None
    to_mask: GridTransform
    shape_model: tuple[int, int]

    def bound(self, heat: Tensor) -> Tensor:
        """Lower the heat outside the chest to each map's lowest.

        Parameters
        ----------
        heat : Tensor of shape (L, h, w), float
            Raw maps of the film; they cover the model grid exactly.

        Returns
        -------
        Tensor of shape (L, h, w), float32, on the CPU
        """
        plain = heat.detach().float().cpu()
        inside = self.inside((int(heat.shape[-2]), int(heat.shape[-1])))
        return plain if inside is None else torch.from_numpy(bounded_by(plain.numpy(), inside))

    def inside(self, cells: tuple[int, int]) -> BoolImage | None:
        """Tell which cells of a map have their centre inside the chest.

        Parameters
        ----------
        cells : tuple of int
            (h, w) of the map, which covers the model grid exactly.

        Returns
        -------
        ndarray of shape (h, w), bool, or None
            None where no lung was found.
        """
        return None if self.mask is None else cells_inside(self.mask, self.to_mask, self.shape_model, cells)


def find_chests(network: LungUNet, films: Tensor, windows: Sequence[CropWindow]) -> list[Chest]:
    """Find the chest on each film.

    Parameters
    ----------
    network : LungUNet
        On the films' device.
    films : Tensor of shape (B, 1, H, W), float
        Model grid, grey 0-1, air dark.
    windows : sequence of CropWindow
        The part of the model grid that each film covers, px.

    Returns
    -------
    list of Chest
        One a film, in their order.
    """
    shape_model = (int(films.shape[-2]), int(films.shape[-1]))
    views, to_view = lung_view(films)
    likely = lung_probabilities(network, views)[:, 0].float().cpu().numpy()
    greys = views[:, 0].float().cpu().numpy()
    chests = []
    for grey, probability, window in zip(greys, likely, windows, strict=True):
        left, top = to_view.xy_to_model(float(window.col0), float(window.row0))
        from_window = GridTransform(to_view.scale_x, to_view.scale_y, left, top)
        on_view = window_of(from_window, window.rows, window.cols)
        mask = chest_mask(find_lungs(grey, probability, on_view), on_view)
        chests.append(Chest(mask, to_view, shape_model))
    return chests


def held_inside(chests: Sequence[Chest], heat: Tensor) -> Tensor:
    """Lower the heat outside each film's chest to each map's lowest.

    Parameters
    ----------
    chests : sequence of Chest
        Of B films.
    heat : Tensor of shape (B, L, h, w), float
        Their raw maps.

    Returns
    -------
    Tensor of shape (B, L, h, w), float32, on the CPU
    """
    return torch.stack([chest.bound(film) for chest, film in zip(chests, heat, strict=True)])
