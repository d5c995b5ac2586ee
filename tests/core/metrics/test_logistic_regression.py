"""Logistic regression: the gradient at its optimum, and columns that do not vary."""

import numpy as np
import pytest
from scipy.special import expit

from camray.core.metrics.logistic_regression import fit_logistic


@pytest.mark.parametrize(("films", "columns", "shift"), [(60, 3, 0.0), (200, 40, 100.0), (30, 50, -3.0)])
def test_the_penalised_likelihood_is_flat_at_the_answer(films: int, columns: int, shift: float) -> None:
    rng = np.random.default_rng(films)
    features = (rng.normal(size=(films, columns)) * np.logspace(-2, 3, columns) + shift).astype(np.float32)
    target = features[:, 0] + rng.normal(0, 0.01, films) > shift
    fitted = fit_logistic(features, target)
    wide = features.astype(np.float64)
    residual = expit(fitted.logits(features)) - target
    standardised = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    np.testing.assert_allclose(standardised.T @ residual + fitted.weights * wide.std(axis=0), 0, atol=1e-6)
    assert residual.sum() == pytest.approx(0, abs=1e-6)


def test_columns_that_do_not_vary_leave_the_share_of_films() -> None:
    target = np.arange(8) < 2
    found = fit_logistic(np.full((8, 3), 0.1, np.float32), target)
    np.testing.assert_array_equal(found.weights, 0.0)
    np.testing.assert_allclose(found.logits(np.ones((1, 3))), np.log(2 / 6), atol=1e-9)


def test_separable_films_have_a_finite_answer() -> None:
    features = np.repeat(np.array([[-1.0], [1.0]]), 20, axis=0)
    found = fit_logistic(features, features[:, 0] > 0)
    assert 2 < found.weights[0] < 6
    assert found.offset == pytest.approx(0, abs=1e-9)


def test_counts_and_penalty_by_hand() -> None:
    """Rows at -1 and 1, the share of the present 1/4 and 3/4 by counts: the loss is flat at w where 8 (3/4 - p) = C w.

    Standardised columns are the columns themselves. Four rows of 3, 1, 1 and 3: with logit w at 1, the gradient is
    8 p - 6 + C w; p = 2/3 at w = ln 2, hence C = (6 - 16/3) / ln 2.
    """
    features = np.array([[-1.0], [-1.0], [1.0], [1.0]])
    target, counts = np.array([False, True, False, True]), np.array([3.0, 1.0, 1.0, 3.0])
    found = fit_logistic(features, target, counts, penalty=(6 - 16 / 3) / np.log(2))
    assert found.weights[0] == pytest.approx(np.log(2))
    assert found.offset == pytest.approx(0, abs=1e-9)


def test_a_row_that_counts_twice_is_two_rows_where_no_column_varies() -> None:
    found = fit_logistic(np.ones((2, 1)), np.array([True, False]), np.array([3.0, 1.0]))
    assert found.offset == pytest.approx(np.log(3))
