"""Cutoffs by Youden's index."""

import numpy as np
import pytest

from camray.core.localization.reporting_cutoff import choose_cutoff, youden_indices


def test_cutoff_by_hand() -> None:
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.8])
    present = np.array([False, False, True, False, True, True])
    # >= 0.6: sensitivity 2/3, specificity 1; >= 0.3: 1 and 2/3; the same J, the higher of two taken
    found = choose_cutoff(probability, present)
    assert found.probability == pytest.approx(0.5)
    assert found.youden == pytest.approx(2 / 3)
    assert found.n == 6


def test_cutoff_edges() -> None:
    separated = choose_cutoff(np.array([0.2, 0.9, 0.1, 0.7]), np.array([False, True, False, True]))
    assert separated.probability == pytest.approx(0.45)
    assert separated.youden == 1.0
    tied = choose_cutoff(np.full(4, 0.3), np.array([True, False, True, False]))
    assert (tied.probability, tied.youden) == (0.3, 0.0)
    for present in (np.ones(3, bool), np.zeros(3, bool), np.zeros(0, bool)):
        none = choose_cutoff(np.linspace(0, 1, len(present)), present)
        assert (none.probability, none.n) == (0.5, 0)
    inverted = choose_cutoff(np.array([0.9, 0.8, 0.1]), np.array([False, False, True]))
    assert 0 <= inverted.probability <= 1


def test_youden_indices_by_hand() -> None:
    # at 0: all called; at 1: both present and one of two absent films called; at 2: one present film called
    thresholds, youden = youden_indices(np.array([0.0, 1.0, 1.0, 2.0]), np.array([False, True, False, True]))
    np.testing.assert_array_equal(thresholds, [0, 1, 2])
    np.testing.assert_allclose(youden, [0, 0.5, 0.5])
