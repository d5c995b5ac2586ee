import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from camray.core.metrics.auroc import RankedFilms, roc_points, weighted_auroc


def weighted_average_precision(weights: np.ndarray, logits: np.ndarray, present: np.ndarray) -> np.ndarray:
    return RankedFilms(logits, present, np.arange(len(logits))).areas(weights)[:, 1]


def test_auroc_by_hand() -> None:
    # positives 0.9, 0.4; negatives 0.4, 0.1: pairs won 1, 1, a tie counts half, 1 -> 3.5 of 4
    logits, present = np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])
    assert weighted_auroc(np.ones((1, 4)), logits, present)[0] == 3.5 / 4


def test_average_precision_by_hand() -> None:
    # ranks: + - +: recall 1/2 at precision 1, recall 1 at precision 2/3
    logits, present = np.array([3.0, 2.0, 1.0]), np.array([True, False, True])
    assert weighted_average_precision(np.ones((1, 3)), logits, present)[0] == pytest.approx(0.5 + 0.5 * 2 / 3)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), films=st.integers(2, 40), levels=st.integers(1, 12))
def test_whole_number_weights_equal_repeated_films_in_scikit_learn(seed: int, films: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    logits, present = rng.integers(0, levels, films).astype(float), rng.random(films) < 0.5
    weights = rng.integers(0, 4, (5, films)).astype(float)
    auroc, precision = weighted_auroc(weights, logits, present), weighted_average_precision(weights, logits, present)
    for row, counts in enumerate(weights.astype(int)):
        repeated = np.repeat(present, counts)
        if repeated.all() or not repeated.any():
            assert np.isnan(auroc[row])
            assert np.isnan(precision[row])
            continue
        assert auroc[row] == pytest.approx(roc_auc_score(repeated, np.repeat(logits, counts)), abs=1e-12)
        expected = average_precision_score(repeated, np.repeat(logits, counts))
        assert precision[row] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("present", [np.zeros(3, bool), np.ones(3, bool), np.zeros(0, bool)])
def test_a_single_class_is_undefined_without_a_warning(present: np.ndarray) -> None:
    logits, weights = np.arange(len(present), dtype=float), np.ones((2, len(present)))
    assert np.isnan(weighted_auroc(weights, logits, present)).all()
    assert np.isnan(weighted_average_precision(weights, logits, present)).all()
    assert roc_points(logits, present)[0].size == 0


def test_roc_points_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    logits, present = rng.integers(0, 6, 50).astype(float), rng.random(50) < 0.4
    false_positive, true_positive, _ = roc_curve(present, logits, drop_intermediate=False)
    ours = roc_points(logits, present)
    np.testing.assert_allclose(ours[0], false_positive)
    np.testing.assert_allclose(ours[1], true_positive)
