"""What does not look like a chest film at all."""

import numpy as np
import pytest

from camray.core.imaging.chest_plausibility import chest_plausibility_warning, without_surround
from camray.core.imaging.film_statistics import quantise
from camray.core.phantom.film import render_film


def _doubt(grey: np.ndarray) -> str:
    return chest_plausibility_warning(quantise(grey.astype(np.float32), 8))


def test_noise_and_drawings_are_doubted_whatever_the_size() -> None:
    rng = np.random.default_rng(1)
    for side in (64, 200):
        assert "as in noise" in _doubt(rng.random((side, side)))
    page = np.ones((120, 100))
    page[40:60, 20:80] = 0
    assert "as in a drawing" in _doubt(page)


def test_a_smooth_picture_is_held_against_a_chest() -> None:
    rows, cols = np.mgrid[:128, :128] / 127.0
    chest = 0.2 + 0.6 * rows * np.exp(-(((cols - 0.5) / 0.3) ** 2))
    assert _doubt(chest) == ""
    assert _doubt(chest[:, :64]) == ""  # a half
    assert _doubt(chest[:, 64:]) == ""
    assert "not laid out like a chest" in _doubt(1 - chest)
    assert "not laid out like a chest" in _doubt(1 - rows)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_surround_is_cut_off_whatever_its_grey(bits: int) -> None:
    rows, cols = np.mgrid[:20, :30] / 29.0
    shown = quantise((0.2 + 0.3 * rows + 0.4 * cols).astype(np.float32), bits)  # each of its lines has a slope
    for grey in (0, 2**bits - 1):
        film = np.full((50, 60), grey, shown.dtype)
        film[3:23, 25:55] = shown
        assert np.array_equal(without_surround(film), shown)
    assert np.array_equal(without_surround(shown), shown)


def test_what_would_leave_nothing_is_left_whole() -> None:
    blank = np.full((40, 30), 7, np.uint8)
    assert without_surround(blank) is blank
    blank[20:24, 10:20] = 200
    assert without_surround(blank) is blank


def test_a_chest_in_a_corner_of_its_film_is_a_chest() -> None:
    rows, cols = np.mgrid[:128, :128] / 127.0
    chest = 0.2 + 0.6 * rows * np.exp(-(((cols - 0.5) / 0.3) ** 2))
    for grey in (0.0, 1.0):
        film = np.full((200, 200), grey)
        film[:128, 72:] = chest
        assert _doubt(film) == ""
    assert "not laid out like a chest" in _doubt(np.pad(1 - chest, ((0, 72), (72, 0))))


@pytest.mark.parametrize("index", [18, 86, 108, 124])  # black and white shutters, far off the middle
def test_a_generated_film_within_a_shutter_is_not_doubted(index: int) -> None:
    assert _doubt(render_film(1, index, 160).image) == ""
