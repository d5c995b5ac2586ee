"""Kappa, Wilson and box overlap, by hand and against other implementations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from camray.core.metrics.agreement import best_overlaps, box_agreement, cohen_kappa, fleiss_kappa, wilson_interval
from camray.domain.geometry import Box

pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60)


def test_cohen_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o = 0.7, p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert cohen_kappa(first, second) == pytest.approx(0.4)


@given(pairs)
def test_cohen_is_scikit_learns_and_symmetric(answers: list[tuple[int, int]]) -> None:
    first, second = (np.array(column, dtype=np.int64) for column in zip(*answers, strict=True))
    found = cohen_kappa(first, second)
    assert found == pytest.approx(cohen_kappa(second, first), nan_ok=True)
    if len(set(first) | set(second)) > 1:
        assert found == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    else:
        assert math.isnan(found)


def test_cohen_weights_are_repetitions() -> None:
    first, second, times = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 1]), np.array([3, 1, 4, 2])
    repeated = cohen_kappa(np.repeat(first, times), np.repeat(second, times))
    assert cohen_kappa(first, second, times.astype(np.float64)) == pytest.approx(repeated)


def test_cohen_without_subjects_is_undefined() -> None:
    nothing = np.array([], dtype=np.int64)
    assert math.isnan(cohen_kappa(nothing, nothing))


# Fleiss (1971) as worked in the textbook example of 10 subjects, 14 raters and 5 categories: kappa 0.210
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def test_fleiss_by_the_textbook() -> None:
    assert fleiss_kappa(FLEISS) == pytest.approx(0.20993, abs=1e-5)


def test_fleiss_by_its_definition_over_pairs() -> None:
    agreeing = [
        np.mean([a == b for i, a in enumerate(answers) for j, b in enumerate(answers) if i != j])
        for answers in (np.repeat(np.arange(5), row) for row in FLEISS)
    ]
    shares = FLEISS.sum(axis=0) / FLEISS.sum()
    expected = (shares**2).sum()
    assert fleiss_kappa(FLEISS) == pytest.approx((np.mean(agreeing) - expected) / (1 - expected))


def test_fleiss_leaves_out_lone_raters() -> None:
    counts = np.array([[2, 0], [0, 2], [1, 1]])
    assert fleiss_kappa(np.vstack([counts, [[1, 0], [0, 0]]])) == pytest.approx(fleiss_kappa(counts))
    # by hand: P = (1 + 1 + 0) / 3, p = (1/2, 1/2), kappa = (2/3 - 1/2) / (1/2)
    assert fleiss_kappa(counts) == pytest.approx(1 / 3)
    assert math.isnan(fleiss_kappa(np.array([[1, 0]])))
    assert math.isnan(fleiss_kappa(np.array([[2, 0], [3, 0]])))


def test_weighted_kappa_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    first, second, weights = *rng.integers(0, 3, (2, 60)), rng.integers(0, 4, 60).astype(float)
    expected = cohen_kappa_score(first, second, sample_weight=weights)
    assert cohen_kappa(first, second, weights) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_is_scipys_to_the_last_digits(confidence: float) -> None:
    for trials in (1, 2, 7, 46, 154, 880):
        for hits in {0, 1, trials // 3, trials - 1, trials}:
            expected = binomtest(hits, trials).proportion_ci(confidence, method="wilson")
            assert wilson_interval(hits, trials, confidence) == pytest.approx((expected.low, expected.high), abs=1e-14)


def test_wilson_by_hand() -> None:
    # 8 of 10, z = 1.959964: centre (0.8 + 0.19207) / 1.38415, half 1.959964 * sqrt(0.016 + 0.009604) / 1.38415
    low, high = wilson_interval(8, 10, 0.95)
    assert low == pytest.approx(0.49016, abs=1e-4)
    assert high == pytest.approx(0.94332, abs=1e-4)
    assert wilson_interval(0, 10, 0.95) == pytest.approx((0.0, 0.27753), abs=1e-4)
    assert wilson_interval(10, 10, 0.95)[1] == 1.0
    assert all(math.isnan(side) for side in wilson_interval(0, 0, 0.95))


def test_boxes_are_paired_one_to_one() -> None:
    left, right = Box(0, 0, 2, 2), Box(1, 0, 3, 2)  # IoU 1/3
    assert box_agreement([left], [left]) == 1.0
    assert box_agreement([left, right], [left]) == pytest.approx(0.5)  # the second has no partner
    assert box_agreement([left, right], [right, left]) == 1.0
    assert box_agreement([left], []) == 0.0
    assert math.isnan(box_agreement([], []))
    # greedy pairing would take the two that overlap most (2/3) and leave 0; the best sum is what counts
    first, second = [Box(0, 0, 10, 1), Box(6, 0, 12, 1)], [Box(2, 0, 12, 1), Box(0, 0, 6, 1)]
    assert box_agreement(first, second) == pytest.approx((0.6 + 0.6) / 2)


def test_best_overlaps_may_share_a_box() -> None:
    box = Box(0, 0, 2, 2)
    assert best_overlaps([box, Box(1, 0, 3, 2), Box(5, 5, 6, 6)], [box]) == pytest.approx([1.0, 1 / 3, 0.0])
    assert best_overlaps([box], []) == [0.0]
