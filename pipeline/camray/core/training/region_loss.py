"""Training with regions of some findings: their maps shall be hotter inside a region than anywhere far from it.

A map's zero means nothing by itself (`camray.core.localization.background`), so that the loss compares cells of one map
and leaves its level to the entropy of the labels: it is the same for every pool, and does not change what a network is.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from camray.core.training.augmentation import moved
from camray.core.training.batches import Batch
from camray.core.training.map_trainer import MapTrainer

_LEAST_IN_VIEW = 0.5  # of a region's cells: of a film moved further than that, a region does not count
_TOUCHED = 1e-3  # share of a cell from which it belongs to the widened region


def region_cells(regions: Tensor, cells: tuple[int, int], factor: float = 1.0) -> Tensor:
    """Compute which share of each cell a region covers.

    Parameters
    ----------
    regions : Tensor of shape (B, L, 4), float
        (x0, y0, x1, y1) as fractions of the grid's sides; NaN where there is none.
    cells : tuple of int
        Rows and columns of the feature grid.
    factor : float
        On the sides of the regions, around their centres.

    Returns
    -------
    Tensor of shape (B, L, h, w), float
        0 to 1; all 0 where there is no region.

    Examples
    --------
    >>> region_cells(torch.tensor([[[0.0, 0.0, 0.75, 1.0]]]), (1, 2)).flatten()
    tensor([1.0000, 0.5000])
    """
    centre = (regions[..., :2] + regions[..., 2:]) / 2
    half = (regions[..., 2:] - regions[..., :2]) / 2 * factor
    along = []
    for axis, count in ((1, cells[0]), (0, cells[1])):
        low, high = (((centre + sign * half)[..., axis, None]) * count for sign in (-1, 1))
        start = torch.arange(count, device=regions.device, dtype=regions.dtype)
        along.append((torch.minimum(high, start + 1) - torch.maximum(low, start)).clamp(0.0, 1.0).nan_to_num(0.0))
    return along[0][..., :, None] * along[1][..., None, :]


def region_loss(maps: Tensor, inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Sum, over all regions, how little their cells stand out.

    Parameters
    ----------
    maps : Tensor of shape (B, L, h, w), float
        Raw class activation maps.
    inside : Tensor of shape (B, L, h, w), float
        Share of each cell inside the label's region; all 0 where there is none, or it does not count.
    outside : Tensor of shape (B, L, h, w), bool
        Cells that must not be hot; cells of neither kind are ignored.

    Returns
    -------
    (Tensor, Tensor)
        Scalars: the sum over regions of the mean of ``softplus(outer cell - mean inside)`` over the outer cells, and
        the number of regions. Any constant added to a map changes nothing.

    Examples
    --------
    >>> maps, inside = torch.tensor([[[[5.0, 1.0, 5.0]]]]), torch.tensor([[[[1.0, 0.0, 0.0]]]])
    >>> total, count = region_loss(maps, inside, torch.tensor([[[[False, False, True]]]]))
    >>> round(float(total.exp()), 4), float(count)
    (2.0, 1.0)
    """
    weight, cells = inside.sum(dim=(2, 3)), outside.sum(dim=(2, 3))
    counts = (weight > 0) & (cells > 0)
    within = (maps * inside).sum(dim=(2, 3)) / weight.clamp_min(1e-6)
    each = (softplus(maps - within[:, :, None, None]) * outside).sum(dim=(2, 3)) / cells.clamp_min(1)
    return (each * counts).sum(), counts.sum().to(maps.dtype)


class RegionTrainer(MapTrainer):
    """A trainer that adds `FitSettings.region_weight` times the mean `region_loss` of a batch's regions to the loss.

    Regions move with their films. The parameters are those of `Trainer`; batches have regions (`Batch.regions`).
    """

    _before: Tensor | None = None

    @property
    def _map_weight(self) -> float:
        """Weight of the regions."""
        return self.settings.region_weight

    def _step(self, batch: Batch, step: int, generator: torch.Generator) -> Tensor:
        self._before = generator.get_state()
        return super()._step(batch, step, generator)

    def _map_sums(self, films: Tensor, maps: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sum the loss of the regions, moved as the films were."""
        if batch.regions is None or self._before is None:
            raise ValueError("a batch without regions; expected NaN where a film has none")
        cells, regions = (int(maps.shape[-2]), int(maps.shape[-1])), batch.regions.to(self.device)
        still = region_cells(regions, cells)
        inside, widened = (
            moved(each, self.settings.augmentation, self._generator())
            for each in (still, region_cells(regions, cells, self.settings.region_ring))
        )
        in_view = inside.sum(dim=(2, 3), keepdim=True) >= _LEAST_IN_VIEW * still.sum(dim=(2, 3), keepdim=True)
        return region_loss(maps, inside * in_view, widened < _TOUCHED)

    def _generator(self) -> torch.Generator:
        """Return a generator in the state that the films' augmentation began with."""
        generator = torch.Generator(self.device)
        if self._before is not None:
            generator.set_state(self._before)
        return generator
