"""Test-time averages: maps and logits of a batch over its mirror images and over input scales.

Every map is resampled to the *base* feature grid, the one of the model's own input size (or to the films' own grid,
where a method requires it). Resampling keeps the corner origin (``align_corners=False``): cells do not move.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from camray.core.explain.method import Method
from camray.core.explain.resampling import resampled
from camray.core.explain.seam import SeamNetwork, forward
from camray.domain.contract import NetworkSpec


@dataclass(frozen=True)
class MapsAndLogits:
    """Averages over all views.

    Parameters
    ----------
    logits : Tensor of shape (B, L), float
        All labels' logits.
    heat : dict of str to Tensor of shape (B, L, h, w), float
        By method name, raw maps on the base feature grid, or on the input grid for methods that require it.
    """

    logits: Tensor
    heat: dict[str, Tensor]


def feature_grid(network: SeamNetwork, films: Tensor) -> tuple[int, int]:
    """Return the feature grid of films of this size.

    Parameters
    ----------
    network : SeamNetwork
        Run on the first film.
    films : Tensor of shape (B, C, H, W), float
        Model grid.

    Returns
    -------
    (int, int)
        Rows and columns.
    """
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
) -> MapsAndLogits:
    """Explain all labels of a batch, one forward pass for each of its views.

    Parameters
    ----------
    network : SeamNetwork
        In evaluation mode; not altered.
    films : Tensor of shape (B, C, H, W), float
        Model grid.
    methods : sequence of Method
        Methods to compute.
    grid : tuple of int
        Base feature grid (h, w), see `feature_grid`.
    flip : bool
        Also explain the films mirrored left-right, and mirror those maps back.
    scales : sequence of float
        Input sizes, relative to the films' own; 1.0 need not be among them.

    Returns
    -------
    MapsAndLogits
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
            target_grid = (films.shape[-2], films.shape[-1]) if method.on_pixels else grid
            heat = resampled(method.signed(network, passed), target_grid)
            signed[method.name].append(heat.flip(-1) if is_mirrored else heat)
    return MapsAndLogits(
        logits=torch.stack(logits).mean(dim=0),
        heat={method.name: method.finish(torch.stack(signed[method.name]).mean(dim=0)) for method in methods},
    )


def _views(
    films: Tensor, spec: NetworkSpec, grid: tuple[int, int], flip: bool, scales: Sequence[float]
) -> Iterator[tuple[Tensor, bool]]:
    """Yield each view and whether it is mirrored."""
    for scale in scales:
        size = [_scaled(side, cells, spec, scale) for side, cells in zip(map(int, films.shape[-2:]), grid, strict=True)]
        view = resampled(films, (size[0], size[1]))
        yield view, False
        if flip:
            yield view.flip(-1), True


def _scaled(side_px: int, cells: int, spec: NetworkSpec, scale: float) -> int:
    """Scale a side to a multiple of the pixels that one cell spans."""
    step = spec.stride if spec.cells(side_px) == cells else side_px // cells
    return max(1, round(side_px / step * scale)) * step
