"""Area means by hand."""

import numpy as np
import torch

from camray.core.explain.resampling import area_mean


def test_whole_cells_are_plain_means_and_broken_ones_count_by_area() -> None:
    maps = torch.tensor([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]], dtype=torch.float64)
    assert area_mean(maps, (1, 3)).tolist() == [[3.0, 4.0, 5.0]]
    # three columns in two cells of 1.5: (1 + 2/2) / 1.5 and (2/2 + 3) / 1.5
    np.testing.assert_allclose(area_mean(maps[:1], (1, 2)), [[2 / 1.5, 4 / 1.5]], rtol=0, atol=1e-15)
    assert torch.equal(area_mean(maps, (2, 3)), maps)


def test_the_mean_is_kept_and_a_constant_stays() -> None:
    maps = torch.rand(2, 3, 17, 23, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    np.testing.assert_allclose(area_mean(maps, (5, 7)).mean(dim=(2, 3)), maps.mean(dim=(2, 3)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(area_mean(torch.full((1, 17, 23), 0.3), (4, 13)), 0.3, rtol=1e-6, atol=0)
