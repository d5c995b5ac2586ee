"""Augmentation: identity, direction, and what each film gets."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import affine_grid, grid_sample

from camray.core.imaging.affine_sampling import inverse_affine, sampling_grid
from camray.core.training.augmentation import Augmentation, augment

EVERYTHING = Augmentation(
    flip=0.5,
    rotate_deg=10,
    translate=0.1,
    scale=0.2,
    aspect=0.1,
    gamma=0.3,
    contrast=0.2,
    brightness=0.1,
    noise=0.02,
    erase=0.5,
)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _films(count: int = 4, rows: int = 32, cols: int = 24) -> torch.Tensor:
    return torch.rand(count, 1, rows, cols, generator=_generator(99))


def _blob(rows: int, cols: int, row: int, col: int) -> torch.Tensor:
    films = torch.zeros(1, 1, rows, cols)
    films[0, 0, row - 1 : row + 2, col - 1 : col + 2] = 1.0
    return films


def _centre_xy(films: torch.Tensor) -> tuple[float, float]:
    mass = films[0, 0].double()
    x = (mass.sum(0) * (torch.arange(mass.shape[1]) + 0.5)).sum() / mass.sum()
    y = (mass.sum(1) * (torch.arange(mass.shape[0]) + 0.5)).sum() / mass.sum()
    return x.item(), y.item()


def _warp(films: torch.Tensor, angle: float = 0, scale_x: float = 1, scale_y: float = 1, x: float = 0, y: float = 0):
    theta = inverse_affine(*(torch.tensor([float(v)]) for v in (angle, scale_x, scale_y, x, y)), films)
    return grid_sample(films, sampling_grid(theta, films.shape[2], films.shape[3]), align_corners=False)


def test_zero_ranges_are_the_identity() -> None:
    films = _films()
    assert torch.equal(augment(films, Augmentation(), _generator()), films)


def test_vanishing_geometry_is_the_identity_to_rounding() -> None:
    films = _films()
    found = augment(films, Augmentation(rotate_deg=1e-9), _generator())
    assert torch.allclose(found, films, atol=1e-5)


def test_a_sure_flip_mirrors_the_columns_with_and_without_resampling() -> None:
    films = _films()
    assert torch.equal(augment(films, Augmentation(flip=1.0), _generator()), films.flip(3))
    resampled = augment(films, Augmentation(flip=1.0, rotate_deg=1e-9), _generator())
    assert torch.allclose(resampled, films.flip(3), atol=1e-5)


def test_content_moves_right_and_down() -> None:
    # a quarter of 40 columns and 20 rows: 10 px right, 5 px down
    assert _centre_xy(_warp(_blob(20, 40, 8, 12), x=0.5, y=0.5)) == pytest.approx((22.5, 13.5), abs=1e-3)


def test_content_turns_clockwise_in_pixels_on_a_film_that_is_not_square() -> None:
    # centre (20, 30); the blob lies 10 px to its right; a quarter turn takes it 10 px below
    assert _centre_xy(_warp(_blob(60, 40, 30, 30), angle=math.pi / 2)) == pytest.approx((19.5, 40.5), abs=1e-3)


def test_content_is_magnified_about_the_centre() -> None:
    # 10.5 px right of and 0.5 px below the centre; twice as wide
    assert _centre_xy(_warp(_blob(50, 60, 25, 40), scale_x=2.0)) == pytest.approx((51.0, 25.5), abs=1e-3)


def test_order_is_magnify_turn_move() -> None:
    moved = _warp(_blob(100, 80, 50, 50), angle=math.pi / 2, scale_x=2.0, x=0.0, y=-0.25)
    assert _centre_xy(moved) == pytest.approx((39.5, 58.5), abs=1e-3)  # 10.5 right, 21 right, 21 down, 12.5 up


def test_gamma_contrast_and_brightness_keep_their_ranges() -> None:
    films = torch.full((400, 1, 2, 2), 0.25)
    gamma = augment(films, Augmentation(gamma=math.log(2)), _generator())[:, 0, 0, 0]
    assert gamma.min() >= 0.25**2 - 1e-6
    assert gamma.max() <= 0.5 + 1e-6
    assert gamma.max() - gamma.min() > 0.4
    contrast = augment(films, Augmentation(contrast=0.4), _generator())[:, 0, 0, 0]
    assert 0.15 - 1e-6 <= contrast.min() < contrast.max() <= 0.35 + 1e-6
    brightness = augment(films, Augmentation(brightness=0.1), _generator())[:, 0, 0, 0]
    assert 0.15 - 1e-6 <= brightness.min() < brightness.max() <= 0.35 + 1e-6


def test_noise_has_a_spread_of_its_own_on_each_film_and_no_bias() -> None:
    found = augment(torch.full((200, 1, 32, 24), 0.5), Augmentation(noise=0.1), _generator())
    spread = found.std(dim=(1, 2, 3))
    assert spread.max() < 0.11
    assert spread.min() < 0.01
    assert found.mean().item() == pytest.approx(0.5, abs=1e-3)


def test_erasing_sets_one_rectangle_to_the_films_mean() -> None:
    films = _films(50, 60, 40)
    found = augment(films, Augmentation(erase=1.0), _generator())
    for before, after in zip(films[:, 0], found[:, 0], strict=True):
        changed = (before != after).numpy()
        rows, cols = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert changed[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].mean() > 0.99  # a value may equal the mean
        assert 0.05 * 60 <= len(rows) <= 0.35 * 60
        assert 0.10 * 40 <= len(cols) <= 0.55 * 40
        assert torch.allclose(after[torch.from_numpy(changed)], before.mean(), atol=1e-6)
    assert torch.equal(augment(films, Augmentation(erase=1e-12), _generator()), films)


def test_a_stretch_widens_what_it_flattens() -> None:
    """Aspect a: the width grows by exp(a) and the height shrinks by exp(-a); their product stays."""
    blob = _blob(60, 80, 30, 40)
    blob[0, 0, 22:38, 32:48] = 1.0
    stretched = augment(blob.repeat(40, 1, 1, 1), Augmentation(aspect=0.5), _generator())
    widths, heights = stretched[:, 0].amax(dim=1).sum(dim=1) / 16, stretched[:, 0].amax(dim=2).sum(dim=1) / 16
    assert widths.max() > 1.4
    assert widths.min() < 0.7
    np.testing.assert_allclose(widths * heights, 1.0, atol=0.1)


def test_same_generator_same_bytes_and_films_differ() -> None:
    films = _films(1).repeat(4, 1, 1, 1)
    first, second = (augment(films, EVERYTHING, _generator(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(augment(films, EVERYTHING, _generator(6)), first)
    assert all(not torch.equal(first[0], other) for other in first[1:])


def test_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    augment(_films(), EVERYTHING, _generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_grid_is_torchs_own() -> None:
    theta = torch.randn(3, 2, 3, dtype=torch.float64, generator=_generator())
    expected = affine_grid(theta, [3, 1, 7, 10], align_corners=False)
    assert torch.allclose(sampling_grid(theta, 7, 10), expected, atol=1e-12)
