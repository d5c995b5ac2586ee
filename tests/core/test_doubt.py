"""What does not look like a chest film at all."""

import numpy as np

from pipeline.core.film_features import doubt_of, glance, quantise


def _doubt(grey: np.ndarray) -> str:
    stored = quantise(grey.astype(np.float32), 8)
    return doubt_of(stored, glance(stored))


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
