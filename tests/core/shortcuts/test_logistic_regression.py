"""Logistic regression: its optimum, against scikit-learn's, and where columns say nothing."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from camray.core.shortcuts.logistic_regression import fit_logistic


@pytest.mark.parametrize(("films", "columns", "shift"), [(60, 3, 0.0), (200, 40, 100.0), (30, 50, -3.0)])
def test_the_optimum_is_that_of_scikit_learn(films: int, columns: int, shift: float) -> None:
    rng = np.random.default_rng(films)
    features = (rng.normal(size=(films, columns)) * np.logspace(-2, 3, columns) + shift).astype(np.float32)
    target = features[:, 0] + rng.normal(0, 0.01, films) > shift
    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    expected = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(scaled, target).decision_function(scaled)
    np.testing.assert_allclose(fit_logistic(features, target).logits(features), expected, atol=1e-6)


def test_columns_that_do_not_vary_leave_the_share_of_films() -> None:
    target = np.arange(8) < 2
    found = fit_logistic(np.full((8, 3), 0.1, np.float32), target)
    np.testing.assert_array_equal(found.weights, 0.0)
    np.testing.assert_allclose(found.logits(np.ones((1, 3))), np.log(2 / 6))


def test_separable_films_have_a_finite_answer() -> None:
    features = np.repeat(np.array([[-1.0], [1.0]]), 20, axis=0)
    found = fit_logistic(features, features[:, 0] > 0)
    assert 2 < found.weights[0] < 6
    assert abs(found.offset) < 1e-9
