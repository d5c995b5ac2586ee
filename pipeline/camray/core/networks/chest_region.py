"""The chest on films of the model grid, from the lung segmenter."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from camray.core.lungs.chest import MARGIN, bounded_by, cells_inside, chest_mask
from camray.core.lungs.detection import find_lungs
from camray.core.lungs.regions import BoolImage
from camray.core.networks.lung_unet import SIDE_PX, LungUNet, lung_probabilities, lung_view
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
        if self.mask is None:
            return plain
        cells = (int(heat.shape[-2]), int(heat.shape[-1]))
        inside = cells_inside(self.mask, self.to_mask, self.shape_model, cells)
        return torch.from_numpy(bounded_by(plain.numpy(), inside))


def find_chests(network: LungUNet, films: Tensor, windows: Sequence[CropWindow], margin: float = MARGIN) -> list[Chest]:
    """Find the chest on each film.

    Parameters
    ----------
    network : LungUNet
        On the films' device.
    films : Tensor of shape (B, 1, H, W), float
        Model grid, grey 0-1, air dark.
    windows : sequence of CropWindow
        The part of the model grid that each film covers, px.
    margin : float
        As of `chest_mask`.

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
        on_view = _on_view(window, to_view)
        mask = chest_mask(find_lungs(grey, probability, on_view), on_view, margin)
        chests.append(Chest(mask, to_view, shape_model))
    return chests


def _on_view(window: CropWindow, to_view: GridTransform) -> CropWindow:
    """Return a window of the model grid on the segmenter's grid, at least one pixel."""
    left, top = to_view.xy_to_model(float(window.col0), float(window.row0))
    right, bottom = to_view.xy_to_model(float(window.col1), float(window.row1))
    row0, col0 = min(max(0, round(top)), SIDE_PX - 1), min(max(0, round(left)), SIDE_PX - 1)
    return CropWindow(row0, max(min(SIDE_PX, round(bottom)), row0 + 1), col0, max(min(SIDE_PX, round(right)), col0 + 1))
