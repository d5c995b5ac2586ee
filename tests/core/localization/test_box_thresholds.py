"""What is reported by a run's cutoffs."""

from dataclasses import replace

import numpy as np
import pytest

from camray.core.localization.box_thresholds import ReportCutoff, Thresholds
from camray.core.probability.promise import Candidate, Promise, PromiseTerms

STORED = Thresholds((), (ReportCutoff("Mass", 0.5, None, "", 0), ReportCutoff("Cyst", 0.5, None, "", 0, "too few")))


@pytest.mark.parametrize(
    ("label", "report", "expected"),
    [
        ("Mass", "judged", [False, True, True]),
        ("Mass", "all", [True, True, True]),
        ("Cyst", "judged", [False, False, False]),
        ("Cyst", "cutoff", [False, True, True]),
        ("Cyst", "all", [True, True, True]),
    ],
)
def test_a_finding_is_reported_from_its_cutoff_on(label: str, report: str, expected: list[bool]) -> None:
    assert STORED.reported(label, np.array([-0.1, 0.0, 3.0]), report).tolist() == expected


def test_between_the_cutoffs_of_a_promise_a_finding_is_not_judged() -> None:
    promise = Promise("Mass", PromiseTerms(0.9, 0.5, 0.9), "validation", 98, 28, lower=0.25, upper=0.75)
    stored = replace(STORED, promises=(promise, replace(promise, label="Cyst")))
    logits = np.log([0.24 / 0.76, 0.26 / 0.74, 0.74 / 0.26, 0.76 / 0.24])
    assert stored.reported("Mass", logits, "judged").tolist() == [False, False, False, True]
    between = "between the cutoffs for a sensitivity of 0.9 and a PPV of 0.5"
    assert stored.why_not_judged("Mass", logits, "judged").tolist() == ["", between, between, ""]
    assert stored.reported("Mass", logits, "cutoff").tolist() == [False, False, True, True]  # at 0.5
    assert not any(stored.why_not_judged("Mass", logits, "cutoff"))
    assert stored.why_not_judged("Cyst", logits, "judged").tolist() == ["too few"] * 4
    assert STORED.why_not_judged("Mass", logits, "judged").tolist() == [""] * 4
    assert stored.logit_cutoff("Mass", "judged") == pytest.approx(np.log(3))
    assert stored.logit_cutoff("Mass", "cutoff") == 0


def test_a_promise_that_is_withdrawn_at_a_site_leaves_the_one_cutoff() -> None:
    promise = Promise(
        "Mass", PromiseTerms(None, 0.5, 0.9), "validation", 98, 28, upper=0.75, candidates=(Candidate(0.75, 20, 17),)
    )
    moved = replace(STORED, promises=(promise,)).moved_to({"Mass": 0.001})
    assert moved.cutoff_pair("Mass", "judged") == (0.5, 0.5)
    assert "for a prevalence of 0.001" in moved.promises[0].no_ppv
