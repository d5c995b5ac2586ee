"""The report's curves, by hand."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from camray.core.metrics.curves import precision_recall_points, reliability


def test_precision_and_recall_by_hand_with_a_tie() -> None:
    recall, precision = precision_recall_points(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, False, True, False]))
    assert recall.tolist() == [0.5, 1, 1]
    assert precision == pytest.approx([1, 2 / 3, 0.5])
    assert precision_recall_points(np.ones(2), np.ones(2, bool))[0].size == 0


def test_precision_and_recall_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    present, logits = rng.random(80) < 0.3, rng.integers(0, 12, 80).astype(float)
    recall, precision = precision_recall_points(logits, present)
    theirs_precision, theirs_recall, _ = precision_recall_curve(present, logits)
    assert recall == pytest.approx(theirs_recall[-2::-1])
    assert precision == pytest.approx(theirs_precision[-2::-1])


def test_honest_probabilities_have_no_gap() -> None:
    probability = np.repeat([0.25, 0.75], 4)
    present = np.array([True, False, False, False, True, True, True, False])
    found = reliability(probability, present)
    assert found is not None
    assert found.promised == pytest.approx([0.25, 0.75])
    assert found.observed == pytest.approx([0.25, 0.75])
    assert found.films.tolist() == [4, 4]
    turned = reliability(1 - probability, present)
    assert turned is not None
    assert turned.observed == pytest.approx([0.75, 0.25])
    assert reliability(np.zeros(0), np.zeros(0, bool)) is None
