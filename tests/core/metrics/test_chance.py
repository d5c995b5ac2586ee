"""Findings that are told, no better than chance, or of which films are too few to say."""

import numpy as np
import pytest

from camray.core.metrics.chance import Evidence, Verdict, evidence_of
from camray.core.metrics.delong import auroc_interval


def _evidence(probability: np.ndarray, present: np.ndarray, patients: np.ndarray | None = None) -> Evidence:
    numbers = np.arange(len(present)) if patients is None else patients
    return evidence_of(probability.astype(float), present.astype(bool), numbers, 0.95)


@pytest.mark.parametrize(
    ("absent", "present", "shift", "verdict"),
    [
        (200, 60, 0.0, Verdict.CHANCE),
        (200, 60, -1.0, Verdict.CHANCE),
        (200, 60, 1.0, Verdict.TOLD),
        (10, 4, 0.6, Verdict.UNCLEAR),
    ],
)
def test_the_interval_decides(absent: int, present: int, shift: float, verdict: Verdict) -> None:
    shown = np.repeat([False, True], [absent, present])
    probability = 1 / (1 + np.exp(-(np.random.default_rng(0).normal(size=len(shown)) + shift * shown)))
    value, low, high = auroc_interval(probability, shown, np.arange(len(shown)), 0.95)
    expected = Verdict.TOLD if low > 0.5 else Verdict.CHANCE if high < 0.8 else Verdict.UNCLEAR
    words = f"AUROC {value:.2f} ({low:.2f}-{high:.2f}) on {len(shown)} validation films, {present} with it"
    assert expected is verdict
    assert _evidence(probability, shown) == Evidence(verdict, words)


@pytest.mark.parametrize(
    ("present", "absent", "verdict"),
    [
        (1, 38, Verdict.UNCLEAR),
        (1, 40, Verdict.TOLD),
        (2, 6, Verdict.UNCLEAR),
        (2, 8, Verdict.TOLD),
        (3, 6, Verdict.TOLD),
    ],
)
def test_a_perfect_separation_counts_by_its_probability_under_chance(
    present: int, absent: int, verdict: Verdict
) -> None:
    # one of 39, 41, 28, 45 and 84 orders; two-sided, 1 / 40 is the limit
    shown = np.repeat([False, True], [absent, present])
    assert _evidence(np.where(shown, 0.9, 0.1), shown).verdict is verdict


def test_films_of_one_patient_are_one() -> None:
    shown = np.repeat([False, True], 10)
    assert _evidence(np.where(shown, 0.9, 0.1), shown, np.repeat([0, 1], 10)).verdict is Verdict.UNCLEAR


def test_one_class_says_nothing() -> None:
    nothing, all_ = np.zeros(5, bool), np.ones(5, bool)
    values = np.linspace(0, 1, 5)
    assert _evidence(values, nothing) == Evidence(Verdict.UNCLEAR, "no validation film shows it")
    assert _evidence(values, all_) == Evidence(Verdict.UNCLEAR, "no validation film is without it")
