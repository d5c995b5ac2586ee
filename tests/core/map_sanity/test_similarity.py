"""Agreement of maps, by hand and against SciPy."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from camray.core.map_sanity.similarity import is_constant, rank_correlations, relative_changes, structural_similarities


def _maps(count: int, seed: int = 0, side: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, side, side))


def test_ranks_worked_by_hand() -> None:
    one = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    swapped = np.array([[[10.0, 30.0], [20.0, 40.0]]])  # ranks 1 3 2 4: 1 - 6 * 2 / (4 * 15)
    tied = np.array([[[1.0, 2.0], [2.0, 3.0]]])  # ranks 1, 2.5, 2.5, 4
    np.testing.assert_allclose(rank_correlations(one, swapped), [0.8], rtol=1e-12)
    np.testing.assert_allclose(rank_correlations(one, -swapped), [-0.8], rtol=1e-12)
    np.testing.assert_allclose(rank_correlations(one, tied), [4.5 / np.sqrt(5 * 4.5)], rtol=1e-12)


def test_ranks_equal_scipys_and_ignore_any_rising_function() -> None:
    one, other = _maps(4), np.round(_maps(4, 1), 1)  # rounding makes ties
    found = rank_correlations(one, other)
    np.testing.assert_allclose(
        found, [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one, other, strict=True)], rtol=1e-12
    )
    np.testing.assert_allclose(rank_correlations(np.exp(one), other), found, rtol=1e-12)
    np.testing.assert_allclose(rank_correlations(one, one), 1.0, rtol=1e-12)


def test_what_orders_nothing_correlates_with_nothing() -> None:
    one = _maps(4)
    other = one.copy()
    other[0], other[1, 0, 0], other[2, 0, 0] = 3.0, np.nan, np.inf
    assert is_constant(other).tolist() == [True, True, True, False]
    found = rank_correlations(one, other)
    assert np.isnan(found).tolist() == [True, True, True, False]
    assert np.isnan(rank_correlations(other, one)).tolist() == [True, True, True, False]
    assert np.isnan(structural_similarities(one, other)).tolist() == [True, True, True, False]
    assert np.isnan(relative_changes(one, other)).tolist() == [False, True, True, False]


def test_similarity_is_one_of_a_map_with_itself_rescaled_and_small_of_noise() -> None:
    one, other = _maps(3, side=20), _maps(3, 1, side=20)
    np.testing.assert_allclose(structural_similarities(one, -7 * one), 1.0, rtol=1e-9)  # absolute values, 0-1
    assert (np.abs(structural_similarities(one, other)) < 0.2).all()
    assert np.isnan(structural_similarities(one[:, :2], other[:, :2])).all()  # no window fits
    assert np.isfinite(structural_similarities(one[:, :4], other[:, :4])).all()


def test_relative_change_by_hand() -> None:
    heat = np.array([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    moved = heat + np.array([[[0.0, 0.5], [0.0, 0.0]]])
    found = relative_changes(heat, moved)
    assert found[0] == pytest.approx(0.1)  # 0.5 / 5
    assert np.isnan(found[1])  # a map of nothing has no size to compare with
