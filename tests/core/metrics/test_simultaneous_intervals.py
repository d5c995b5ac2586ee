"""Intervals that hold together: known distributions, and standard errors worked by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from camray.core.metrics.simultaneous_intervals import least_auroc_error, least_share_error, simultaneous_intervals

NAN = float("nan")
MANY = 10**6  # patients: Student's quantile is the normal one


def test_the_factor_is_that_of_the_largest_of_independent_normal_numbers() -> None:
    draws = np.random.default_rng(1).normal(0, 0.01, (20_000, 10))
    low, high = simultaneous_intervals(np.zeros(10), draws, np.zeros(10), np.full(10, MANY), 0.95)
    sidak = norm.isf((1 - 0.95 ** (1 / 10)) / 2)
    assert high == pytest.approx(np.full(10, sidak * 0.01), rel=0.03)
    assert low == pytest.approx(-high)


def test_a_difference_counted_twice_costs_nothing() -> None:
    draws = np.random.default_rng(2).normal(0, 0.01, (20_000, 1))
    pair = np.hstack([draws, -draws])
    _, alone = simultaneous_intervals(np.zeros(1), draws, np.zeros(1), np.array([MANY]), 0.95)
    _, both = simultaneous_intervals(np.zeros(2), pair, np.zeros(2), np.full(2, MANY), 0.95)
    assert both == pytest.approx(np.repeat(alone, 2))


def test_few_patients_widen_their_own_interval_alone() -> None:
    draws = np.random.default_rng(3).normal(0, 0.01, (5_000, 2))
    _, high = simultaneous_intervals(np.zeros(2), draws, np.zeros(2), np.array([10, MANY]), 0.95)
    assert high[0] / high[1] == pytest.approx(2.685 / 2.236, rel=0.05)  # Student's, 9 degrees; normal, same tail


def test_without_spread_the_least_error_stands_in() -> None:
    low, high = simultaneous_intervals(
        np.array([-0.3]), np.full((50, 1), -0.3), np.array([0.1]), np.array([MANY]), 0.95
    )
    assert (low[0], high[0]) == pytest.approx((-0.3 - 0.196, -0.3 + 0.196), abs=1e-3)


def test_undefined_differences_and_no_resamples_have_no_interval() -> None:
    draws = np.array([[NAN, 0.1], [NAN, -0.1], [NAN, NAN], [NAN, 0.0]])
    low, high = simultaneous_intervals(np.array([NAN, 0.0]), draws, np.zeros(2), np.full(2, 20), 0.95)
    assert np.isnan([low[0], high[0]]).all()
    assert low[1] < 0 < high[1]
    assert np.isnan(simultaneous_intervals(np.zeros(2), draws[:0], np.zeros(2), np.full(2, 20), 0.95)).all()


def test_intervals_stay_within_the_range_of_a_difference() -> None:
    draws = np.random.default_rng(4).normal(0.9, 0.3, (500, 1))
    low, high = simultaneous_intervals(np.array([0.9]), draws, np.zeros(1), np.array([10]), 0.95)
    assert high[0] == 1
    assert low[0] > -1


def test_least_errors_by_hand() -> None:
    assert least_share_error(0.0, 8) == pytest.approx((0.1 * 0.9 / 10) ** 0.5)
    assert least_share_error(1.0, 8) == pytest.approx(least_share_error(0.0, 8))
    area = (1.0 * 8 + 1) / 10  # of 8 patients with the finding and 12 without
    variance = (area * (1 - area) + 7 * (area / (2 - area) - area**2) + 11 * (2 * area**2 / (1 + area) - area**2)) / 96
    assert least_auroc_error(1.0, 8, 12) == pytest.approx(variance**0.5)
