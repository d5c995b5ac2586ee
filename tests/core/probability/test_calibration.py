import numpy as np
import pytest

from camray.core.probability.calibration import LabelCalibration, calibrated_probabilities, log_odds

LOGITS = np.array([-2.0, 0.0, np.log(3)])


def test_a_shift_undoes_a_positive_weight() -> None:
    # a weight of 3 makes the best logit of a probability of 1/4 log 3 + log 1/3 = 0
    undone = LabelCalibration("a", "shift", shift=-np.log(3)).probabilities(LOGITS)
    np.testing.assert_allclose(undone[1:], [0.25, 0.5])


def test_a_weight_raises_the_best_logit_by_its_logarithm() -> None:
    # of four films that look alike one has the finding: weighted by w, its cost is least at log(w / 3)
    logits = np.linspace(-4, 4, 8001)
    for weight in (1.0, 3.0, 10.0):
        cost = weight * np.logaddexp(0, -logits) + 3 * np.logaddexp(0, logits)
        best = logits[np.argmin(cost)]
        assert best == pytest.approx(np.log(weight / 3), abs=1e-3)
        corrected = LabelCalibration("a", "shift", shift=-np.log(weight)).probabilities(np.array(best))
        assert corrected == pytest.approx(0.25, abs=1e-3)


def test_a_logistic_map_is_a_temperature_and_a_shift() -> None:
    # log 3 / 2 + log(sqrt 3) = log 3
    found = LabelCalibration("a", "logistic", slope=0.5, shift=np.log(3) / 2).probabilities(LOGITS)
    np.testing.assert_allclose(found[2], 0.75)
    np.testing.assert_allclose(found[1], np.sqrt(3) / (1 + np.sqrt(3)))


def test_an_isotonic_map_joins_its_knots_and_holds_the_outermost() -> None:
    knots = ((0.0, -np.log(3)), (2.0, np.log(3)))
    found = LabelCalibration("a", "isotonic", knots=knots).probabilities(np.array([-9.0, 0.0, 1.0, 2.0, 9.0, np.inf]))
    np.testing.assert_allclose(found, [0.25, 0.25, 0.5, 0.75, 0.75, 0.75])


def test_another_prevalence_moves_the_log_odds() -> None:
    fitted = LabelCalibration("a", "shift", prevalence=0.5)
    moved = fitted.moved_to(0.1)
    # odds of 3 at a prevalence of 1/2 are a likelihood ratio of 3: 3 x 1/9 at a prevalence of 1/10
    np.testing.assert_allclose(moved.probabilities(LOGITS[2:]), [0.25])
    np.testing.assert_allclose(fitted.moved_to(0.5).probabilities(LOGITS), fitted.probabilities(LOGITS))
    assert moved.prevalence == 0.5


def test_without_a_calibration_there_is_no_probability() -> None:
    none = LabelCalibration("a", reason="too few films")
    assert np.isnan(none.probabilities(LOGITS)).all()
    assert none.moved_to(0.1) is none


def test_each_label_has_its_own_map() -> None:
    maps = [LabelCalibration("a", "shift", shift=np.log(3)), LabelCalibration("b")]
    found = calibrated_probabilities(np.zeros((2, 2), np.float32), maps)
    np.testing.assert_allclose(found[:, 0], 0.75)
    assert np.isnan(found[:, 1]).all()
    assert calibrated_probabilities(np.zeros((2, 0)), []).shape == (2, 0)


def test_log_odds_by_hand() -> None:
    assert log_odds(0.5) == 0
    assert log_odds(0.1) == pytest.approx(-np.log(9))
