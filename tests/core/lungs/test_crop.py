"""The crop around the lungs: whole pixels, an exact inverse, evidence kept."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camray.core.lungs.crop import cells_to_film, crop_box, crop_films
from camray.domain.geometry import Box, GridTransform


def crop_transform(box: Box, rows: int, cols: int) -> GridTransform:
    """Map the model grid to a crop of `rows` x `cols` px that shows the box, stretched to fill it."""
    scale_x, scale_y = cols / (box.x1 - box.x0), rows / (box.y1 - box.y0)
    return GridTransform(scale_x, scale_y, -box.x0 * scale_x, -box.y0 * scale_y)


def test_the_box_is_widened_to_whole_pixels_inside_the_grid() -> None:
    assert crop_box(Box(10.5, 20.0, 50.5, 60.0), 64, 100, 0.1) == Box(6.0, 16.0, 55.0, 64.0)
    assert crop_box(Box(0.2, 0.0, 99.9, 63.0), 64, 100, 0.1) == Box(0.0, 0.0, 100.0, 64.0)
    assert crop_box(None, 64, 100, 0.1) == Box(0.0, 0.0, 100.0, 64.0)


def test_a_narrow_box_is_widened_to_a_quarter_of_the_grid_and_stays_inside() -> None:
    assert crop_box(Box(98.0, 30.0, 100.0, 34.0), 64, 100, 0.0) == Box(75.0, 24.0, 100.0, 40.0)
    assert crop_box(Box(0.0, 0.0, 2.0, 64.0), 64, 100, 0.0) == Box(0.0, 0.0, 25.0, 64.0)


def test_a_crop_reads_where_its_transform_says() -> None:
    rows, cols = torch.meshgrid(torch.arange(32.0) + 0.5, torch.arange(48.0) + 0.5, indexing="ij")
    films = torch.stack([cols, rows])[:, None].double()  # each pixel holds its own x, or y
    box = Box(8.0, 4.0, 32.0, 28.0)
    x, y = crop_films(films, torch.tensor([box.as_tuple()] * 2, dtype=torch.float64), 24, 16)[:, 0]
    transform = crop_transform(box, 24, 16)
    for row, col in ((0, 0), (5, 9), (23, 15)):
        assert (float(x[row, col]), float(y[row, col])) == pytest.approx(transform.xy_to_native(col + 0.5, row + 0.5))


def test_the_whole_box_gives_the_film_itself() -> None:
    films = torch.rand(1, 1, 16, 24, dtype=torch.float64)
    whole = torch.tensor([[0.0, 0.0, 24.0, 16.0]], dtype=torch.float64)
    torch.testing.assert_close(crop_films(films, whole, 16, 24), films, rtol=1e-12, atol=1e-12)
    cells = torch.rand(1, 5, 4, 6, dtype=torch.float64)
    for keep in ("mean", "value"):
        torch.testing.assert_close(cells_to_film(cells, whole, 16, 24, (4, 6), keep), cells, rtol=1e-12, atol=1e-12)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(8, 28), st.integers(8, 28), st.integers(1, 9))
def test_laying_back_keeps_the_mean_or_the_values(left: int, top: int, width: int, height: int, side: int) -> None:
    generator = torch.Generator().manual_seed(left + 31 * top)
    cells = torch.rand(1, 2, 5, 7, generator=generator, dtype=torch.float64)
    box = torch.tensor([[left, top, left + width, top + height]], dtype=torch.float64)
    mean = cells_to_film(cells, box, 48, 64, (side, 6), "mean")
    torch.testing.assert_close(mean.mean(dim=(2, 3)), cells.mean(dim=(2, 3)))
    value = cells_to_film(cells, box, 48, 64, (side, 6), "value")
    torch.testing.assert_close(value, mean * (width * height / (48 * 64)))
    assert float(value.max()) <= float(cells.max()) + 1e-12


def test_value_in_a_covered_cell_is_the_mean_of_what_covers_it() -> None:
    cells = torch.arange(4.0, dtype=torch.float64).reshape(1, 1, 2, 2)
    box = torch.tensor([[20.0, 8.0, 30.0, 16.0]], dtype=torch.float64)  # one film cell of 8 x 10 px: row 1, column 2
    value = cells_to_film(cells, box, 32, 60, (4, 6), "value")
    assert float(value[0, 0, 1, 2]) == 1.5
    assert float(value.sum()) == 1.5
