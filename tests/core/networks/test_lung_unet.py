"""The segmenter's view of a film that is not square."""

import pytest
import torch

from camray.core.networks.lung_unet import SIDE_PX, lung_view
from camray.domain.geometry import Box


@pytest.mark.parametrize(("rows", "cols"), [(64, 96), (96, 64), (256, 192)])
def test_the_view_is_where_its_transform_says(rows: int, cols: int) -> None:
    film = torch.zeros(1, 1, rows, cols, dtype=torch.float64)
    square = Box(cols / 2, rows / 4, cols / 2 + 16, rows / 4 + 8)
    film[..., int(square.y0) : int(square.y1), int(square.x0) : int(square.x1)] = 1.0
    view, to_view = lung_view(film)
    assert view.shape == (1, 1, SIDE_PX, SIDE_PX)
    expected = to_view.box_to_model(square)
    down, across = view[0, 0].sum(dim=1), view[0, 0].sum(dim=0)
    middle = torch.arange(SIDE_PX) + 0.5
    centre = float((across * middle).sum() / across.sum()), float((down * middle).sum() / down.sum())
    assert centre == pytest.approx(expected.centre_xy, abs=0.05)
    assert float(view.sum()) == pytest.approx(expected.area, rel=0.02)


def test_the_film_is_centred_on_the_view() -> None:
    view, to_view = lung_view(torch.ones(1, 1, 64, 96))
    assert to_view.box_to_model(Box(0, 0, 96, 64)).centre_xy == pytest.approx((SIDE_PX / 2, SIDE_PX / 2))
    assert float(view[0, 0, 0].max()) == 0.0  # margins above and below, not beside
    assert float(view[0, 0, SIDE_PX // 2].min()) == 1.0
