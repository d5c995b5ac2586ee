"""Weights that make labels independent of groups, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from camray.core.cohort.group_balance import balance_weights, group_codes

NAN = float("nan")


def _films() -> pd.DataFrame:
    ages = [10.0, 35.0, 39.0, 81.0, 99.0, NAN]
    return pd.DataFrame({"view": [*"aabba", None], "sex": list("FMFMFM"), "site": "", "maker": "", "age_years": ages})


def test_films_that_agree_in_all_columns_are_one_group() -> None:
    codes = group_codes(_films(), ["view"])
    assert codes.tolist() == [1, 1, 2, 2, 1, 0]  # missing is a value
    assert len(set(group_codes(_films(), ["view", "sex"]))) == 5
    assert len(set(group_codes(_films(), ["site"]))) == 1


def test_ages_are_compared_in_bands() -> None:
    first, second, third, old, older, missing = group_codes(_films(), ["age"])
    assert second == third
    assert old == older
    assert len({first, second, old, missing}) == 4


def test_the_weighted_label_is_independent_of_the_group() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 4, 400)
    targets = (rng.random((400, 2)) < 0.15 + 0.2 * groups[:, None]).astype(np.float32)
    targets[:50, 1] = NAN
    weights = balance_weights(groups, targets, cap=100)
    assert (weights[:50, 1] == 0).all()
    for label in range(2):
        is_present = targets[:, label] == 1
        shares = [
            weights[is_present & (groups == group), label].sum() / weights[groups == group, label].sum()
            for group in range(4)
        ]
        np.testing.assert_allclose(shares, np.nanmean(targets[:, label]), rtol=1e-5)
        assert weights[:, label].sum() == pytest.approx((~np.isnan(targets[:, label])).sum(), rel=1e-5)


def test_a_group_of_one_value_is_left_out_and_does_not_move_the_others() -> None:
    groups = np.array([0, 0, 0, 1, 1])
    targets = np.array([[1], [0], [0], [1], [1]], np.float32)
    weights = balance_weights(groups, targets, cap=10)[:, 0]
    assert weights.tolist() == [1, 1, 1, 0, 0]


def test_a_label_that_no_group_can_balance_keeps_its_weight() -> None:
    weights = balance_weights(np.array([0, 1]), np.array([[1, NAN], [0, NAN]], np.float32), cap=10)
    assert weights.tolist() == [[1, 1], [1, 1]]
    assert balance_weights(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), cap=10).shape == (0, 2)


def test_weights_are_capped() -> None:
    groups = np.repeat([0, 1], 100)
    targets = np.zeros((200, 1), np.float32)
    targets[:99] = targets[100] = 1
    weights = balance_weights(groups, targets, cap=3)
    assert weights.max() == 3
    assert balance_weights(groups, targets, cap=100).max() == pytest.approx(100 * 100 / 200)
