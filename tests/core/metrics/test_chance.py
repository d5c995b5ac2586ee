"""Findings that are not judged, since their AUROC may be that of chance."""

import numpy as np
import pytest

from camray.core.metrics.chance import why_not_judged
from camray.core.metrics.delong import auroc_interval


def _why(probability: np.ndarray, present: np.ndarray, patients: np.ndarray | None = None) -> str:
    numbers = np.arange(len(present)) if patients is None else patients
    return why_not_judged(probability.astype(float), present.astype(bool), numbers, 0.95)


def test_the_interval_decides() -> None:
    rng = np.random.default_rng(0)
    present = np.repeat([False, True], [30, 12])
    noise = rng.normal(size=42)
    words = []
    for shift in (0.0, 0.4, 2.0):
        probability = 1 / (1 + np.exp(-(noise + shift * present)))
        value, low, high = auroc_interval(probability, present, np.arange(42), 0.95)
        words.append(_why(probability, present))
        assert bool(words[-1]) == (low <= 0.5)
        if words[-1]:
            assert f"AUROC {value:.2f} ({low:.2f}-{high:.2f}) on 42 validation films, 12 with it" in words[-1]
    assert words[0]
    assert not words[2]


def test_an_inverted_network_is_not_judged() -> None:
    present = np.repeat([False, True], 20)
    assert "may be chance" in _why(np.where(present, 0.2, 0.8) + np.linspace(0, 0.7, 40), present)


@pytest.mark.parametrize(
    ("present", "absent", "is_judged"), [(1, 38, False), (1, 40, True), (2, 6, False), (2, 8, True), (3, 6, True)]
)
def test_a_perfect_separation_counts_by_its_probability_under_chance(
    present: int, absent: int, is_judged: bool
) -> None:
    # one of 39, 41, 28, 45 and 84 orders; two-sided, 1 / 40 is the limit
    shown = np.repeat([False, True], [absent, present])
    assert (_why(np.where(shown, 0.9, 0.1), shown) == "") is is_judged


def test_films_of_one_patient_are_one() -> None:
    shown = np.repeat([False, True], 10)
    of_two = np.repeat([0, 1], 10)
    assert "too few patients" in _why(np.where(shown, 0.9, 0.1), shown, of_two)


def test_one_class_is_told() -> None:
    nothing, all_ = np.zeros(5, bool), np.ones(5, bool)
    assert _why(np.linspace(0, 1, 5), nothing) == "no validation film shows it"
    assert _why(np.linspace(0, 1, 5), all_) == "no validation film is without it"
