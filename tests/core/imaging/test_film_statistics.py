"""Statistics of a film: levels worked by hand, margins left out."""

import numpy as np
import pytest

from camray.core.imaging.film_statistics import film_area, image_statistics, quantise
from camray.core.imaging.resampling import plan_grid
from camray.domain.geometry import GridTransform


def test_grey_levels_are_rounded_and_clipped() -> None:
    grey = np.array([[-0.1, 0.0, 0.5, 1.0, 1.5]], np.float32)
    assert quantise(grey, 8).tolist() == [[0, 0, 128, 255, 255]]
    assert quantise(grey, 16).tolist() == [[0, 0, 32768, 65535, 65535]]
    assert quantise(grey, 16).dtype == np.uint16


@pytest.mark.parametrize("bits", [8, 16])
def test_statistics_of_a_half_black_half_white_film(bits: int) -> None:
    stored = np.zeros((16, 24), np.uint8 if bits == 8 else np.uint16)
    stored[:, 12:] = 2**bits - 1
    seen = image_statistics(stored)
    assert seen.histogram[0] == seen.histogram[31] == 0.5
    assert seen.histogram.sum() == 1
    assert seen.thumbnail.reshape(8, 8).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 8
    assert (seen.mean, seen.deviation, seen.low, seen.high) == (0.5, 0.5, 0.0, 1.0)


def test_thumbnail_rows_run_down() -> None:
    stored = np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 30, 8, axis=1)
    assert np.allclose(image_statistics(stored).thumbnail.reshape(8, 8)[:, 3] * 255, np.arange(8) * 30)


def test_a_film_smaller_than_the_thumbnail_repeats_pixels() -> None:
    stored = np.array([[0, 255]], np.uint8)
    assert image_statistics(stored).thumbnail.reshape(8, 8)[5].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_letterbox_margin_is_left_out() -> None:
    grid = plan_grid((100, 50), (64, 96), "letterbox")  # 32 columns of film, 32 of margin at each side
    assert film_area((64, 96), (100, 50), grid) == (slice(0, 64), slice(32, 64))
    grid = plan_grid((50, 100), (96, 64), "letterbox", row_spacing=0.3, col_spacing=0.2)  # 48 rows: 24 of margin
    assert film_area((96, 64), (50, 100), grid) == (slice(24, 72), slice(0, 64))
    grid = plan_grid((100, 50), (96, 64), "letterbox", row_spacing=0.3, col_spacing=0.2)  # 32 columns: 16 of margin
    assert film_area((96, 64), (100, 50), grid) == (slice(0, 96), slice(16, 48))


def test_a_cropped_film_covers_the_whole_grid() -> None:
    grid = plan_grid((100, 50), (64, 96), "crop")
    assert film_area((64, 96), (100, 50), grid) == (slice(0, 64), slice(0, 96))


def test_a_sliver_of_film_still_has_an_area() -> None:
    rows, cols = film_area((8, 8), (1000, 1), GridTransform(0.008, 0.008, 3.996, 0.0))
    assert (rows, cols.stop - cols.start) == (slice(0, 8), 1)


def test_tiles_tell_means_and_texture_apart() -> None:
    stored = np.zeros((24, 36), np.uint8)
    stored[0, 1] = 255  # one of the six px of the first tile
    tiles = image_statistics(stored).tiles.reshape(2, 12, 12)
    assert tiles[0, 0, 0] == pytest.approx(1 / 6)
    assert tiles[1, 0, 0] == pytest.approx(np.sqrt(1 / 6 * 5 / 6))
    assert tiles.reshape(2, -1)[:, 1:].sum() == 0
