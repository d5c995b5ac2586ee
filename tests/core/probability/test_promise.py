"""Promises: cutoffs by hand, patients, refusals, another prevalence, and 300 resamples with known truth."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from camray.core.localization.reporting_cutoff import choose_cutoff
from camray.core.probability.calibration import log_odds
from camray.core.probability.exact_bounds import highest_share, lowest_share
from camray.core.probability.fit import KnownFilms
from camray.core.probability.logistic import probabilities_of
from camray.core.probability.promise import (
    Candidate,
    Promise,
    PromiseTerms,
    fewest_for_ppv,
    fewest_for_sensitivity,
    with_ppv,
)
from camray.core.probability.promise_fit import fit_promise
from camray.core.probability.promise_words import promise_words

TERMS = PromiseTerms(0.9, 0.5, 0.9)


def fitted(logits: NDArray[np.float64], present: NDArray[np.bool_], terms: PromiseTerms = TERMS) -> Promise:
    films = KnownFilms(logits, present, np.arange(len(logits)))
    return fit_promise("Mass", films, "validation", terms, 0.5)


def test_bounds_by_hand() -> None:
    assert lowest_share(3, 3, 0.05) == pytest.approx(0.05 ** (1 / 3))
    assert lowest_share(0, 9, 0.05) == 0
    assert highest_share(9, 9, 0.05) == 1
    # 1 of 2 misses or fewer: (1 - x) ** 2 + 2 x (1 - x) = 1 - x ** 2 = 0.19 at x = 0.9
    assert highest_share(1, 2, 0.19) == pytest.approx(0.9)
    assert lowest_share(1, 2, 0.19) == pytest.approx(0.1)


def test_the_lower_cutoff_by_hand() -> None:
    # 22 with it: 0.9 ** 22 = 0.098, so none may be missed; 38: 0.9 ** 38 + 38 * 0.1 * 0.9 ** 37 = 0.095, so one may
    for n, missed in ((22, 0), (37, 0), (38, 1)):
        logits = np.concatenate([np.arange(n, dtype=float), np.full(5, -9.0)])
        found = fitted(logits, np.arange(n + 5) < n)
        assert found.lower == probabilities_of(np.array([float(missed)]))[0]
        assert (found.patients, found.present, found.no_sensitivity) == (n + 5, n, "")


def test_too_few_patients_are_no_promise_and_the_reason_says_how_many_would_do() -> None:
    found = fitted(np.arange(24.0), np.arange(24) >= 3)
    assert (found.lower, found.no_sensitivity) == (None, "21 validation patients with it; sensitivity 0.9 needs 22")
    few = fitted(np.arange(4.0), np.arange(4) >= 0)
    assert (few.upper, few.candidates) == (None, ())
    assert few.no_ppv.startswith("4 validation patients; PPV 0.5 needs 4 that are reported")  # one more than are above
    empty = fitted(np.zeros(0), np.zeros(0, bool))
    assert (empty.lower, empty.upper, empty.not_judged) == (None, None, None)
    assert (fewest_for_sensitivity(0.9, 0.95), fewest_for_ppv(0.5, 0.9), fewest_for_ppv(0.5, 0.5)) == (29, 4, 1)


def test_the_upper_cutoff_is_the_lowest_that_keeps_the_ppv() -> None:
    # the 30 highest of 100 show it: the shares 0.1 to 1 leave 9, 19, 29, 39, ... above, at an error of 0.1 / 7
    logits, present = np.arange(100.0) / 9, np.arange(100) >= 70
    found = fitted(logits, present)
    assert [each[1:] for each in found.candidates] == [
        (9, 9),
        (19, 19),
        (29, 29),
        (39, 30),
        (59, 30),
        (79, 30),
        (99, 30),
    ]
    assert found.upper is not None
    assert lowest_share(30, 39, 0.1 / 7) > 0.5 > lowest_share(30, 59, 0.1 / 7)
    assert probabilities_of(logits)[60] < found.upper <= probabilities_of(logits)[61]  # 39 films


def test_a_ppv_that_is_not_shown_is_refused_with_the_best_candidate() -> None:
    rng = np.random.default_rng(0)
    found = fitted(rng.normal(size=200), rng.random(200) < 0.1)
    assert found.upper is None
    assert "expected 0.50" in found.no_ppv
    assert "no promise of PPV 0.5: of " in promise_words(found)


def test_a_patient_with_many_films_counts_once() -> None:
    logits = np.concatenate([np.arange(22.0), np.full(50, -5.0)])
    patients = np.concatenate([np.arange(22), np.full(50, 21)])  # 50 low films of one patient
    films = KnownFilms(logits, np.ones(72, bool), patients)
    found = fit_promise("Mass", films, "validation", TERMS, 0.5)
    assert (found.patients, found.present, found.showing) == (22, 22, 22)
    again = fit_promise("Mass", films.part(np.arange(72)), "validation", TERMS, 0.5)
    assert again == found
    some = replace(films, present=np.arange(72) < 22)  # patient 21: one film of 51 shows it
    found = fit_promise("Mass", some, "validation", TERMS, 0.5)
    assert (found.patients, found.present, found.showing) == (22, 21, 22)


@pytest.mark.parametrize(
    ("lower", "upper", "output", "expected"),
    [
        (None, None, 0.5, (0.5, 0.5)),
        (0.2, 0.7, 0.5, (0.2, 0.7)),
        (0.7, 0.2, 0.5, (0.5, 0.5)),  # no grey zone: the cutoff keeps both
        (0.7, 0.6, 0.5, (0.6, 0.6)),
        (0.4, 0.2, 0.5, (0.4, 0.4)),
        (0.3, 0.3, 0.5, (0.3, 0.3)),
        (0.2, None, 0.5, (0.2, 0.5)),
        (0.7, None, 0.5, (0.5, 0.5)),
        (None, 0.7, 0.5, (0.5, 0.7)),
        (None, 0.2, 0.5, (0.5, 0.5)),
    ],
)
def test_cutoffs_by_what_is_promised(
    lower: float | None, upper: float | None, output: float, expected: tuple[float, float]
) -> None:
    assert Promise("Mass", TERMS, "validation", 9, 3, lower, upper).cutoffs(output) == expected


def test_another_prevalence_asks_for_another_ppv_or_withdraws_it() -> None:
    candidates = (Candidate(0.9, 100, 99), Candidate(0.4, 300, 240))
    promise = with_ppv(Promise("Mass", TERMS, "validation", 1000, 300, 0.1, candidates=candidates, not_judged=0.1))
    assert promise.upper == 0.4
    # at 3 % the odds must be 1 here for every 0.031 there: 0.3 / 0.7 / (0.03 / 0.97) = 14 to 1 and more
    rare = promise.moved_to(0.03)
    assert (rare.upper, rare.lower, rare.not_judged, rare.site_prevalence) == (0.9, 0.1, None, 0.03)
    assert "PPV 0.5 at a prevalence of 0.03" in promise_words(rare)
    rarer = promise.moved_to(0.001)
    assert rarer.upper is None
    assert "(for a prevalence of 0.001)" in rarer.no_ppv
    assert replace(rarer.moved_to(0.3), site_prevalence=None).upper == 0.4  # nothing is lost by a move
    assert Promise("Mass", PromiseTerms(0.9, None, 0.9), "validation", 9, 3).moved_to(0.1).site_prevalence is None


def test_words_state_confidence_patients_and_share() -> None:
    promise = Promise("Mass", TERMS, "validation", 98, 28, 0.2, 0.7, not_judged=0.125, showing=29)
    assert promise_words(promise) == (
        "sensitivity 0.9 and PPV 0.5 promised (confidence 90 %, 98 validation patients, 29 with it); 12.5 % not judged"
    )
    assert promise_words(Promise("Mass", PromiseTerms(None, None, 0.9), "validation", 98, 28)) == ""
    assert promise.between == "between the cutoffs for a sensitivity of 0.9 and a PPV of 0.5"
    assert replace(promise, upper=None).between == "above the cutoff for a sensitivity of 0.9, below that of a report"
    assert replace(promise, lower=None).between == "below the cutoff for a PPV of 0.5, above that of a denial"


@pytest.mark.parametrize("distance", [1.2, 2.2])
def test_promises_are_kept_as_often_as_they_say(distance: float) -> None:
    """300 draws of 100 patients whose logits are normal: mean 0 without the finding, `distance` with it."""
    rng, prevalence, missed, wrong = np.random.default_rng(5), 0.3, 0, 0
    for _ in range(300):
        present = rng.random(100) < prevalence
        logits = rng.normal(np.where(present, distance, 0.0))
        found = fitted(logits, present)
        lower, upper = (
            log_odds(cutoff) for cutoff in found.cutoffs(choose_cutoff(probabilities_of(logits), present).probability)
        )
        missed += found.lower is not None and norm.cdf(lower - distance) > 0.1
        reported = prevalence * norm.sf(upper - distance), (1 - prevalence) * norm.sf(upper)
        wrong += found.upper is not None and reported[0] < 0.5 * sum(reported)
    assert missed <= 0.15 * 300  # 0.1, and three standard errors of 0.017
    assert wrong <= 0.15 * 300
    assert missed > 0  # the bound is not idle
