import numpy as np
import pytest
from scipy.special import expit

from camray.core.probability.logistic import probabilities_of


def test_probabilities_are_the_logistic_function_and_never_overflow() -> None:
    logits = np.concatenate([np.linspace(-30, 30, 61), [-1e4, 1e4]])
    found = probabilities_of(logits)
    np.testing.assert_allclose(found, expit(logits), rtol=0, atol=1e-15)
    assert (found[-2], found[-1]) == (0.0, 1.0)


def test_stored_logits_of_half_precision_are_computed_in_double() -> None:
    stored = np.array([[0.5, -3.25]], np.float16)
    assert probabilities_of(stored).dtype == np.float64
    assert probabilities_of(stored)[0, 0] == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-15)
