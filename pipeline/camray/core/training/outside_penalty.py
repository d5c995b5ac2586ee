"""Training that penalizes evidence outside the chest: the positive class activation there adds to the loss."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import relu

from camray.core.lungs.regions import BoolImage
from camray.core.networks.chest_region import Chest, find_chests
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.lung_unet import LungUNet
from camray.core.networks.sdfn import lit_box
from camray.core.training.batches import Batch
from camray.core.training.fit_settings import FitSettings
from camray.core.training.map_trainer import MapTrainer
from camray.core.training.trainer import Processes
from camray.domain.geometry import CropWindow

FindChests = Callable[[Tensor], Sequence[Chest]]  # films [B, 1, H, W], grey 0-1, to one a film


def outside_evidence(maps: Tensor, inside: Sequence[BoolImage | None]) -> tuple[Tensor, Tensor]:
    """Sum the positive evidence outside the chests.

    Parameters
    ----------
    maps : Tensor of shape (B, L, h, w), float
        Raw class activation maps.
    inside : sequence of ndarray of shape (h, w), bool, or None
        Cells inside each film's chest; None where no lung was found: such a film does not count.

    Returns
    -------
    (Tensor, Tensor)
        Scalars: the sum of ``max(map, 0)`` over all labels and all cells outside, of all films that count, and how
        many values those are. The penalty is their quotient.

    Examples
    --------
    >>> maps = torch.tensor([[[[3.0, 1.0, -5.0]]], [[[9.0, 9.0, 9.0]]]])
    >>> total, count = outside_evidence(maps, [np.array([[True, False, False]]), None])
    >>> float(total), float(count)
    (1.0, 2.0)
    """
    cells = (int(maps.shape[-2]), int(maps.shape[-1]))
    outside = [np.zeros(cells, np.bool_) if each is None or not each.any() else ~each for each in inside]
    counted = torch.from_numpy(np.stack(outside)).to(maps.device)[:, None]
    return (relu(maps) * counted).sum(), (counted.sum() * maps.shape[1]).to(maps.dtype)


class OutsidePenaltyTrainer(MapTrainer):
    """A trainer that adds `FitSettings.outside_penalty` times the mean `outside_evidence` to the loss.

    Parameters
    ----------
    model : PooledClassifier
        With class activation maps.
    settings : FitSettings
        With the weight of the penalty.
    weights : pair of ndarray of shape (L,), float32
        Positive and label weights, as for `Trainer`.
    device, processes
        As for `Trainer`.
    find : callable
        Finds the chests on augmented films, so that regions move with the films; see `chest_finder`.
    """

    def __init__(
        self,
        model: PooledClassifier,
        settings: FitSettings,
        weights: tuple[NDArray[np.float32], NDArray[np.float32]],
        device: torch.device,
        processes: Processes,
        find: FindChests,
    ) -> None:
        self._find = find
        super().__init__(model, settings, *weights, device, processes)

    @property
    def _map_weight(self) -> float:
        """Weight of the penalty."""
        return self.settings.outside_penalty

    def _map_sums(self, films: Tensor, maps: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sum the evidence outside the chests."""
        cells = (int(maps.shape[-2]), int(maps.shape[-1]))
        inside = [chest.inside(cells) for chest in self._find(films.detach().clamp(0.0, 1.0))]
        return outside_evidence(maps, inside)


def chest_finder(lungs: LungUNet) -> FindChests:
    """Return a function that finds the chests of films by a lung segmenter.

    Parameters
    ----------
    lungs : LungUNet
        On the films' device.

    Returns
    -------
    callable
        The part of the model grid that a film covers is what is not black.
    """

    def find(films: Tensor) -> Sequence[Chest]:
        boxes = [lit_box(film) for film in films[:, 0].cpu()]
        windows = [CropWindow(*(round(side) for side in (box.y0, box.y1, box.x0, box.x1))) for box in boxes]
        return find_chests(lungs, films, windows)

    return find
