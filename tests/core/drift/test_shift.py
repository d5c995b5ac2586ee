import numpy as np
import pytest
from scipy.stats import ks_2samp

from camray.core.drift import shift as module
from camray.core.drift.features import Feature
from camray.core.drift.reference import Reference, reference_of
from camray.core.drift.shift import measure_shift, psi


def _feature(values: np.ndarray) -> Feature:
    return Feature("appearance/grey_mean", "mean grey", values)


def test_psi_by_hand() -> None:
    counts, before = np.array([9, 1]), np.array([49, 49])
    p, q = np.array([9.5, 1.5]) / 11, np.array([0.5, 0.5])
    by_hand = (p[0] - q[0]) * np.log(p[0] / q[0]) + (p[1] - q[1]) * np.log(p[1] / q[1])
    assert psi(counts, before) == pytest.approx(by_hand)
    assert psi(before, counts) == pytest.approx(by_hand)  # symmetric
    assert psi(before, before) == 0.0


def test_an_empty_bin_has_a_finite_index() -> None:
    assert np.isfinite(psi(np.array([20, 0]), np.array([0, 20])))


def test_chance_is_subtracted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DIVISIONS", 1000)
    monkeypatch.setattr(module, "RESAMPLES", 200)
    rng = np.random.default_rng(2)
    reference = reference_of(_feature(rng.normal(size=400)))
    shifts = [measure_shift(reference, reference.count(_feature(rng.normal(size=50))), seed) for seed in range(40)]
    assert np.mean([shift.plain_psi for shift in shifts]) > 0.15  # 9 bins of freedom in 50 films
    assert np.mean([shift.psi for shift in shifts]) < 0.06
    assert np.mean([shift.p <= 0.05 for shift in shifts]) <= 0.125  # at most 5 of 40; p is not below its level
    assert np.mean([shift.psi_low <= 0.02 <= shift.psi_high for shift in shifts]) > 0.8


def test_a_shift_of_a_standard_deviation_is_found_with_its_size() -> None:
    rng = np.random.default_rng(3)
    reference = reference_of(_feature(rng.normal(size=4000)))
    shift = measure_shift(reference, reference.count(_feature(rng.normal(1.0, 1.0, size=4000))), 1)
    assert shift.p < 0.001
    assert shift.psi == pytest.approx(0.9, abs=0.1)  # the index of two normal distributions is 1; ten bins see less
    assert shift.psi_low < shift.psi < shift.psi_high
    assert shift.ks == pytest.approx(0.383, abs=0.03)  # 2 Phi(1/2) - 1
    assert shift.ks_low < shift.ks < shift.ks_high


def test_the_distance_is_that_of_kolmogorov_and_smirnov_up_to_the_cells() -> None:
    rng = np.random.default_rng(4)
    before, now = rng.normal(size=500), rng.normal(0.3, 1.2, size=300)
    reference = reference_of(_feature(before))
    shift = measure_shift(reference, reference.count(_feature(now)), 1)
    exact = ks_2samp(before, now).statistic
    assert exact - 0.02 <= shift.ks <= exact


def test_values_without_order_have_no_distance() -> None:
    reference = Reference("header/view", "view", ("PA", "AP"), (), (0, 1, 2), (90, 10, 0))
    quiet = measure_shift(reference, np.array([45, 5, 0]), 1)
    assert np.isnan(quiet.ks)
    assert quiet.psi == 0.0
    assert quiet.p > 0.5
    loud = measure_shift(reference, np.array([5, 5, 40]), 1)
    assert loud.p < 0.001
    assert loud.psi > 1


def test_equal_inputs_give_equal_results() -> None:
    reference = Reference("header/view", "view", ("PA", "AP"), (), (0, 1, 2), (90, 10, 0))
    first, second = (measure_shift(reference, np.array([30, 9, 1]), 5) for _ in range(2))
    assert str(first) == str(second)
