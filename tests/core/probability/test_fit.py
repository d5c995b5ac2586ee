import numpy as np
import pytest
from numpy.typing import NDArray

from camray.core.probability.calibration import LabelCalibration
from camray.core.probability.fit import FOLDS, KnownFilms, fit_calibration, fitted, left_out_loss
from camray.core.probability.logistic import probabilities_of

NONE = LabelCalibration("a")


def films(
    logits: NDArray[np.float64], present: NDArray[np.bool_], patients: NDArray[np.int64] | None = None
) -> KnownFilms:
    return KnownFilms(logits, present, np.arange(len(logits)) if patients is None else patients)


def drawn(n: int, slope: float, shift: float, seed: int = 3) -> KnownFilms:
    """Films whose probability is the logistic of slope x logit + shift."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, n)
    return films(logits, rng.random(n) < probabilities_of(slope * logits + shift))


def test_a_shift_by_hand() -> None:
    # alike films, 2 of 8 with the finding: Platt's targets are 3/4 and 1/8, their mean 9/32
    alike = films(np.full(8, 5.0), np.arange(8) < 2)
    found = fitted("shift", NONE, alike)
    assert found.shift == pytest.approx(np.log(9 / 23) - 5, abs=1e-5)
    assert found.slope == 1


def test_a_line_by_hand() -> None:
    # two logits, 2 of 8 and 6 of 8 with the finding: targets 9/10 and 1/10 of 8 patients each, means 0.3 and 0.7
    logits = np.repeat([-1.0, 3.0], 8)
    present = np.concatenate([np.arange(8) < 2, np.arange(8) < 6])
    found = fitted("logistic", NONE, films(logits, present))
    assert found.slope == pytest.approx(2 * np.log(7 / 3) / 4, abs=1e-5)  # from -log(7/3) to log(7/3) over 4
    np.testing.assert_allclose(found.probabilities(np.array([-1.0, 1.0, 3.0])), [0.3, 0.5, 0.7], atol=1e-5)


def test_an_isotonic_map_by_hand() -> None:
    # 0 then 1 are in the wrong order and become one step; targets are 4 patients with (5/6) and 2 without (1/4)
    logits = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    present = np.array([False, True, False, True, True, True])
    found = fitted("isotonic", NONE, films(logits, present))
    low, middle, high = 1 / 4, (5 / 6 + 1 / 4) / 2, 5 / 6
    np.testing.assert_allclose([x for x, _ in found.knots], [0.0, 1.5, 4.0])
    np.testing.assert_allclose(
        found.probabilities(np.array([-1.0, 1.5, 4.0, 9.0])), [low, middle, high, high], atol=1e-6
    )
    tied = fitted("isotonic", NONE, films(np.zeros(4), np.array([True, False, False, False])))
    assert len(tied.knots) == 1  # targets 2/3 and 1/5 three times
    np.testing.assert_allclose(tied.probabilities(np.array([7.0])), [(2 / 3 + 3 / 5) / 4], atol=1e-6)


def test_a_patient_with_many_films_counts_once() -> None:
    logits, present = np.array([0.0, 1.0, 2.0, 2.5]), np.array([True, False, True, False])
    once = films(logits, present)
    repeated = films(np.append(logits, [2.5] * 9), np.append(present, [False] * 9), np.append(np.arange(4), [3] * 9))
    assert fitted("shift", NONE, repeated).shift == pytest.approx(fitted("shift", NONE, once).shift, abs=1e-5)


@pytest.mark.parametrize(("slope", "shift"), [(1.0, -2.3), (0.5, -1.0)])
def test_the_fit_finds_what_the_films_were_drawn_with(slope: float, shift: float) -> None:
    found = fit_calibration("a", drawn(900, slope, shift), "validation")
    assert found.kind == ("shift" if slope == 1 else "logistic")
    grid = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(found.probabilities(grid), probabilities_of(slope * grid + shift), atol=0.06)
    known = drawn(900, slope, shift)
    assert (found.n, found.positives, found.patients) == (900, known.present.sum(), 900)
    assert found.prevalence == pytest.approx(known.present.mean())
    assert found.split == "validation"
    assert "left-out patients" in found.criterion


def test_many_patients_may_have_a_map_that_is_no_line() -> None:
    rng = np.random.default_rng(5)
    logits = rng.uniform(-3, 3, 1500)
    stepped = films(logits, rng.random(1500) < np.where(np.abs(logits) < 2, 0.5, np.where(logits < 0, 0.02, 0.98)))
    found = fit_calibration("a", stepped, "validation")
    assert found.kind == "isotonic"
    values = found.probabilities(np.linspace(-4, 4, 200))
    assert (np.diff(values) >= 0).all()
    np.testing.assert_allclose(found.probabilities(np.array([-2.7, 0.0, 2.7])), [0.02, 0.5, 0.98], atol=0.08)
    assert fit_calibration("a", stepped.part(np.arange(1500) < 999), "validation").kind != "isotonic"


def test_too_few_patients_have_no_calibration_and_a_reason() -> None:
    logits, present = np.linspace(-1, 1, 40), np.arange(40) >= 31
    found = fit_calibration("a", films(logits, present), "validation")
    assert (found.kind, found.n, found.positives) == ("none", 40, 9)
    assert found.reason == "9 validation patients with the finding and 31 without; a probability needs 10 of each"
    # ten films of nine patients are not enough, and neither are no films at all
    nine = films(logits, np.arange(40) >= 30, np.minimum(np.arange(40), 38))
    assert fit_calibration("a", nine, "validation").kind == "none"
    assert fit_calibration("a", films(np.zeros(0), np.zeros(0, bool)), "validation").kind == "none"
    assert fit_calibration("a", films(logits, np.arange(40) >= 30), "validation").kind != "none"


def test_perfect_separation_gives_no_certainty() -> None:
    found = fit_calibration("a", films(np.linspace(-5, 5, 40), np.arange(40) >= 20), "validation")
    low, high = found.probabilities(np.array([-5.0, 5.0]))
    assert 0 < low < 0.05
    assert 0.95 < high < 1


def test_a_logit_that_tells_nothing_keeps_a_rising_map() -> None:
    upside_down = films(np.linspace(5, -5, 40), np.arange(40) >= 20)
    found = fit_calibration("a", upside_down, "validation")
    assert found.kind == "logistic"
    assert found.slope == pytest.approx(0.05)


def test_the_loss_is_that_of_patients_who_were_left_out() -> None:
    # all logits alike: the shift of the other folds gives their mean target, whatever the left-out films are
    alike = films(np.zeros(20), np.arange(20) < 10)
    target = (9 / 10 + 1 / 10) / 2  # 8 patients of each class in the other folds
    assert left_out_loss("shift", alike) == pytest.approx(-np.log(target), abs=1e-6)
    # films of one patient are never on both sides: ten patients with two films each make five folds of two
    pairs = films(np.zeros(20), np.repeat(np.arange(10) < 5, 2), np.repeat(np.arange(10), 2))
    assert FOLDS == 5
    assert left_out_loss("shift", pairs) == pytest.approx(np.log(2), abs=1e-6)


def test_the_digest_is_that_of_the_films() -> None:
    known = drawn(40, 1.0, 0.0)
    other = films(known.logits, ~known.present)
    assert known.digest() == drawn(40, 1.0, 0.0).digest()
    assert known.digest() != other.digest()
