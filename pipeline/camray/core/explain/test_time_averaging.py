"""Maps and logits of a batch of films, averaged over a left-right flip and over input scales if asked.

Every map lands on the *base* feature grid, the one that belongs to the model's own input size (or on the films' own,
where a method says so). All resampling keeps
the corner origin (``align_corners=False``), so that a cell stays where it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from camray.core.explain.cam import SeamNetwork, forward
from camray.core.explain.methods import Method
from camray.core.explain.resampling import resampled
from camray.domain.contract import NetworkSpec


@dataclass(frozen=True)
class Explained:
    """Logits [B, L] and, by method name, raw maps [B, L, h, w]."""

    logits: Tensor
    heat: dict[str, Tensor]


def feature_grid(network: SeamNetwork, films: Tensor) -> tuple[int, int]:
    """Return (rows, cols) of the feature grid of films of this size."""
    with torch.no_grad():
        rows, cols = network.features(films[:1]).shape[-2:]
    return int(rows), int(cols)


def explain(
    network: SeamNetwork,
    films: Tensor,
    methods: Sequence[Method],
    grid: tuple[int, int],
    *,
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
) -> Explained:
    """Explain all labels of a batch, one forward pass for each view of it.

    Parameters
    ----------
    network : SeamNetwork
        In evaluation mode; left as found.
    films : Tensor of shape (B, C, H, W)
        On the model grid.
    methods : sequence of Method
        What to compute.
    grid : tuple of int
        Base feature grid (h, w), see `feature_grid`.
    flip : bool
        Also look at the films mirrored left-right, and mirror the maps back.
    scales : sequence of float
        Input sizes to look at, relative to the films' own; 1.0 need not be among them.

    Returns
    -------
    Explained
        Means over all views: of the logits, and of the signed maps before each method's `finish`, so that
        ``Grad-CAM == ReLU(CAM) / (h w)`` also holds for the averages. With flips alone, ``mean(CAM) + bias == logit``
        holds too after an average pool.
    """
    logits: list[Tensor] = []
    signed: dict[str, list[Tensor]] = {method.name: [] for method in methods}
    for view, is_mirrored in _views(films, network.spec, grid, flip, scales):
        passed = forward(network, view)
        logits.append(passed.logits)
        for method in methods:
            onto = (films.shape[-2], films.shape[-1]) if method.on_pixels else grid
            heat = resampled(method.signed(network, passed), onto)
            signed[method.name].append(heat.flip(-1) if is_mirrored else heat)
    return Explained(
        logits=torch.stack(logits).mean(dim=0),
        heat={method.name: method.finish(torch.stack(signed[method.name]).mean(dim=0)) for method in methods},
    )


def _views(
    films: Tensor, spec: NetworkSpec, grid: tuple[int, int], flip: bool, scales: Sequence[float]
) -> Iterator[tuple[Tensor, bool]]:
    for scale in scales:
        size = [_scaled(side, cells, spec, scale) for side, cells in zip(films.shape[-2:], grid, strict=True)]
        view = resampled(films, (size[0], size[1]))
        yield view, False
        if flip:
            yield view.flip(-1), True


def _scaled(side_px: int, cells: int, spec: NetworkSpec, scale: float) -> int:
    """Scale a side so that the same sampling goes on fitting it."""
    step = spec.stride if spec.cells(side_px) == cells else side_px // cells
    return max(1, round(side_px / step * scale)) * step
