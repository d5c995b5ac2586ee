"""DeLong by hand, against scikit-learn and the plain formula, and its coverage in simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from camray.core.metrics.delong import auroc_covariance, auroc_difference, auroc_interval

ALONE = np.arange(1000)


def _plain(scores: np.ndarray, present: np.ndarray) -> tuple[float, float]:
    """AUROC and DeLong's variance from all pairs: the slow way."""
    positive, negative = scores[present], scores[~present]
    wins = (positive[:, None] > negative).astype(float) + 0.5 * (positive[:, None] == negative)
    of_positive, of_negative = wins.mean(axis=1), wins.mean(axis=0)
    return wins.mean(), of_positive.var(ddof=1) / len(positive) + of_negative.var(ddof=1) / len(negative)


def test_by_hand() -> None:
    # positives 3, 1; negatives 2, 0: wins (2 of 2, 1 of 2) and (1 of 2, 2 of 2)
    auroc, covariance = auroc_covariance(
        np.array([[3.0, 1.0, 2.0, 0.0]]), np.array([True, True, False, False]), ALONE[:4]
    )
    assert auroc[0] == 0.75
    assert covariance[0, 0] == pytest.approx(0.125 / 2 + 0.125 / 2 + 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(2, 12), st.integers(0, 10_000))
def test_it_equals_the_plain_formula_with_ties(positives: int, negatives: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, positives + negatives).astype(float)
    present = np.arange(positives + negatives) < positives
    mixed = rng.permutation(positives + negatives)
    auroc, covariance = auroc_covariance(scores[None, mixed], present[mixed], ALONE[: len(scores)])
    value, variance = _plain(scores, present)
    assert auroc[0] == pytest.approx(value)
    assert auroc[0] == pytest.approx(roc_auc_score(present, scores))
    assert covariance[0, 0] == pytest.approx(variance)


def _by_patient(scores: np.ndarray, present: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Obuchowski's covariance [M, M] summed patient by patient: the slow way."""
    m, n, names = int(present.sum()), int((~present).sum()), sorted(set(patients.tolist()))
    above = np.zeros((len(scores), len(patients)))  # each film's share of pairs won, less the AUROC
    for k, score in enumerate(scores):
        wins = (score[present][:, None] > score[~present]) + 0.5 * (score[present][:, None] == score[~present])
        above[k, present], above[k, ~present] = wins.mean(axis=1) - wins.mean(), wins.mean(axis=0) - wins.mean()
    kinds = {"present": present, "absent": ~present}
    sums = {
        kind: np.array([above[:, is_kind & (patients == p)].sum(axis=1) for p in names])
        for kind, is_kind in kinds.items()
    }
    of_kind = {kind: len(set(patients[is_kind].tolist())) for kind, is_kind in kinds.items()}
    total = np.zeros((len(scores), len(scores)))
    for first, second in zip(sums["present"], sums["absent"], strict=True):
        total += np.outer(first, first) * of_kind["present"] / (of_kind["present"] - 1) / m**2
        total += np.outer(second, second) * of_kind["absent"] / (of_kind["absent"] - 1) / n**2
        total += (np.outer(first, second) + np.outer(second, first)) * len(names) / (len(names) - 1) / (m * n)
    return total


def test_patients_with_films_of_both_kinds_by_hand() -> None:
    # patient 0 has positive 3 and negative 2, patient 1 positive 1 and negative 0; deviations from 0.75: positives
    # +1/4, -1/4, negatives -1/4, +1/4. Variances 2 * (1/16 + 1/16) / 4 = 1/16 each; covariance 2 * (-1/16 - 1/16) / 4
    # = -1/16, which counts twice: the errors of the two kinds cancel
    present = np.array([True, True, False, False])
    scores, patients = np.array([[3.0, 1.0, 2.0, 0.0]]), np.array([0, 1, 0, 1])
    assert auroc_covariance(scores, present, patients)[1][0, 0] == pytest.approx(0.0, abs=1e-15)
    crossed = auroc_covariance(scores, present, np.array([0, 1, 1, 0]))[1][0, 0]  # they add up: 1/16 + 1/16 + 2/16
    assert crossed == pytest.approx(0.25)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_the_covariance_of_two_scores_equals_the_sum_over_patients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    patients, present = rng.integers(0, 9, 30), rng.random(30) < 0.4
    scores = rng.integers(0, 8, (2, 30)) + 2.0 * present
    if min(len(set(patients[present].tolist())), len(set(patients[~present].tolist()))) < 2:
        return
    found = auroc_covariance(scores, present, patients)[1]
    np.testing.assert_allclose(found, _by_patient(scores, present, patients), atol=1e-14)


def test_a_films_twin_of_the_same_patient_adds_no_certainty() -> None:
    rng = np.random.default_rng(1)
    present = np.arange(60) < 25
    scores = rng.normal(size=60) + present
    once = auroc_covariance(scores[None], present, ALONE[:60])[1][0, 0]
    twice = auroc_covariance(np.tile(scores, 2)[None], np.tile(present, 2), np.tile(ALONE[:60], 2))[1][0, 0]
    apart = auroc_covariance(np.tile(scores, 2)[None], np.tile(present, 2), ALONE[:120])[1][0, 0]
    assert twice == pytest.approx(once)
    assert apart < 0.6 * once


def test_equal_orders_do_not_differ() -> None:
    rng = np.random.default_rng(2)
    present = np.arange(40) < 15
    scores = rng.normal(size=40) + present
    found = auroc_difference(scores, np.exp(scores), present, ALONE[:40], 0.95)
    assert (found.difference, found.p, found.low, found.high) == (0, 1, 0, 0)


def test_a_clearly_better_score_is_told() -> None:
    rng = np.random.default_rng(3)
    present = np.arange(200) < 80
    good, bad = rng.normal(size=200) + 3 * present, rng.normal(size=200)
    found = auroc_difference(bad, good, present, ALONE[:200], 0.95)
    assert found.p < 1e-6
    assert found.low > 0
    back = auroc_difference(good, bad, present, ALONE[:200], 0.95)
    assert (back.difference, back.p) == (-found.difference, found.p)


@pytest.mark.parametrize("present", [[True, True, True], [False, False, False]])
def test_one_class_has_no_auroc(present: list[bool]) -> None:
    value = auroc_interval(np.array([1.0, 2.0, 3.0]), np.array(present), ALONE[:3], 0.95)
    assert np.isnan(value).all()


def test_one_patient_a_class_has_no_variance_and_a_perfect_score_no_interval() -> None:
    present = np.array([True, True, False, False])
    scores = np.array([3.0, 4.0, 1.0, 2.0])
    assert auroc_interval(scores, present, np.array([0, 0, 1, 2]), 0.95)[0] == 1
    assert np.isnan(auroc_interval(scores, present, np.array([0, 0, 1, 2]), 0.95)[1])
    value, low, high = auroc_interval(scores, present, ALONE[:4], 0.95)
    assert value == 1
    assert np.isnan([low, high]).all()


def test_a_difference_without_variance_is_no_proof() -> None:
    """One number for all films against a perfect order: 0.5 and 1 from four films, and nothing to weigh them by."""
    present = np.array([True, True, False, False])
    found = auroc_difference(np.zeros(4), np.array([3.0, 4.0, 1.0, 2.0]), present, ALONE[:4], 0.95)
    assert (found.first, found.second, found.difference) == (0.5, 1.0, 0.5)
    assert np.isnan([found.p, found.low, found.high]).all()


def test_intervals_and_tests_hold_what_they_promise() -> None:
    rng = np.random.default_rng(4)
    truth = 0.76024994  # normal scores one deviation apart: Phi(1 / sqrt(2))
    held, rejected, rounds = 0, 0, 400
    for _ in range(rounds):
        present = np.arange(120) < 45
        common = rng.normal(size=120)
        first, second = (common + rng.normal(size=120) + np.sqrt(2) * present for _ in range(2))
        _, low, high = auroc_interval(first, present, ALONE[:120], 0.9)
        held += low <= 0.5 + (truth - 0.5) <= high
        rejected += auroc_difference(first, second, present, ALONE[:120], 0.95).p < 0.1
    assert 0.86 < held / rounds < 0.94
    assert 0.06 < rejected / rounds < 0.14
