"""Averaging over flips and input sizes: corner origin, base grid."""

import numpy as np
import pytest
import torch

from camray.core.explain.methods import methods_named
from camray.core.explain.resampling import resampled
from camray.core.explain.test_time_averaging import explain, feature_grid
from camray.domain.contract import NetworkSpec

BOTH = methods_named(("cam", "gradcam"))


class Cells(torch.nn.Module):
    """Features are means over cells of 4 px, weighted by a ramp over the columns; one channel, weight 2, bias 1."""

    spec = NetworkSpec(pool="gap")

    def __init__(self, ramp: bool = False) -> None:
        super().__init__()
        self.ramp = ramp
        self.seen: list[tuple[int, int]] = []

    def features(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((x.shape[-2], x.shape[-1]))
        cells = torch.nn.functional.avg_pool2d(x, 4)
        return cells * torch.arange(1, cells.shape[-1] + 1) if self.ramp else cells

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return self.cam(features).mean(dim=(2, 3)) + 1.0

    def cam(self, features: torch.Tensor) -> torch.Tensor:
        return 2 * features


def test_flip_averages_the_map_with_its_unmirrored_twin() -> None:
    film = torch.zeros(1, 1, 12, 8)
    film[..., :4, 4:] = 1.0  # the cell in row 0, column 1
    plain = explain(Cells(ramp=True), film, BOTH, (3, 2)).heat["cam"][0, 0]
    assert plain.tolist() == [[0.0, 4.0], [0.0, 0.0], [0.0, 0.0]]
    both = explain(Cells(ramp=True), film, BOTH, (3, 2), flip=True)
    assert both.heat["cam"][0, 0].tolist() == [[0.0, 3.0], [0.0, 0.0], [0.0, 0.0]]  # mirrored, it is in column 0: 2
    assert both.logits.tolist() == [[1.5]]  # mean of 1 + 4/6 and 1 + 2/6
    torch.testing.assert_close(both.heat["cam"].mean() + 1.0, both.logits[0, 0])


def test_scales_are_whole_cells_and_maps_are_on_the_base_grid() -> None:
    network, film = Cells(), torch.rand(2, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    grid = feature_grid(network, film)
    assert grid == (4, 6)
    found = explain(network, film, BOTH, grid, scales=(1.0, 1.3, 0.5))
    assert network.seen[1:] == [(16, 24), (20, 32), (8, 12)]
    assert found.heat["cam"].shape == (2, 1, 4, 6)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_bright_cell_stays_where_it_is_at_another_scale(scale: float) -> None:
    film = torch.zeros(1, 1, 48, 64)
    film[..., 24:32, 40:48] = 1.0  # cells of 4 px: rows 6-7, columns 10-11, even numbers and far from the border
    heat = explain(Cells(), film, BOTH, (12, 16), scales=(scale,)).heat["cam"][0, 0].double()
    rows, cols = torch.meshgrid(torch.arange(12) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    centre = [float((heat * axis).sum() / heat.sum()) for axis in (rows, cols)]
    np.testing.assert_allclose(centre, [7.0, 11.0], atol=1e-3)
    np.testing.assert_allclose(heat.sum(), 2.0 * 4, rtol=1e-3)


def test_gradcam_of_an_average_is_the_rectified_average() -> None:
    network, film = Cells(), torch.randn(3, 1, 16, 24, generator=torch.Generator().manual_seed(4))
    found = explain(network, film, BOTH, (4, 6), flip=True, scales=(1.0, 2.0))
    assert found.heat["cam"].min() < 0
    np.testing.assert_allclose(found.heat["gradcam"], found.heat["cam"].clamp_min(0) / 24, rtol=1e-6, atol=0)


def test_a_constant_map_stays_constant() -> None:
    for grid in ((3, 5), (7, 2), (14, 14)):
        assert torch.allclose(resampled(torch.full((1, 1, 7, 7), 0.3), grid), torch.tensor(0.3))
