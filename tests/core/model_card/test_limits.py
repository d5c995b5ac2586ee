"""Limits that a model card reads off the scores."""

import math

from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import BaselineComparison, Estimate, HeadlineRow
from camray.core.model_card.limits import limits_of

NOTHING = BaselineComparison(None, None)


def _number(value: float, low: float, high: float, method: str = "cam") -> Estimate:
    return Estimate(value, low, high, 40, method, "validation")


def _row(label: str, auroc: Estimate | None, hit: BaselineComparison = NOTHING, **more: Estimate) -> HeadlineRow:
    return HeadlineRow("test", label, auroc, hit, NOTHING, **more)


def test_an_interval_that_includes_chance_is_a_limit_and_one_above_is_none() -> None:
    rows = [
        _row("Mass", _number(0.6, 0.5, 0.7)),
        _row("Cyst", _number(0.6, 0.51, 0.7)),
        _row("Scar", _number(0.3, 0.2, 0.4)),
        _row(MEAN_LABEL, _number(0.5, 0.4, 0.6)),
    ]
    found = limits_of(rows, ["Mass", "Cyst", "Scar"])
    assert found[:-1] == [
        "Mass (test): AUROC 0.60 (0.50–0.70): not shown to be better than chance.",
        "Scar (test): AUROC 0.30 (0.20–0.40): not shown to be better than chance.",
    ]
    assert found[-1].startswith("Films unlike those of the training")


def test_boxes_that_are_not_above_a_trivial_baseline_are_a_limit() -> None:
    ours, auroc = _number(0.4, 0.3, 0.5), _number(0.9, 0.8, 1.0)
    worse = BaselineComparison(ours, _number(0.4, 0.4, 0.4, "baseline:class_mean_box"))
    better = BaselineComparison(ours, _number(0.39, 0.3, 0.4, "baseline:class_mean_box"))
    assert limits_of([_row("Mass", auroc, worse)], ["Mass"])[0] == (
        "Mass (test): hit rate 0.40 (0.30–0.50), not above 0.40 of a trivial baseline (class-mean box)."
    )
    assert len(limits_of([_row("Mass", auroc, better)], ["Mass"])) == 1


def test_findings_without_a_score_and_those_that_a_trivial_feature_tells_are_named() -> None:
    nothing = _number(math.nan, math.nan, math.nan)
    probe = _number(0.9, math.nan, math.nan, "baseline:probe:view")
    rows = [_row("Mass", nothing), _row("Cyst", _number(0.9, 0.8, 1.0), auroc_probe=probe)]
    assert limits_of(rows, ["Mass", "Cyst", "Scar"])[:-1] == [
        "Cyst (test): AUROC 0.90 (0.80–1.00): not above that of a trivial feature (view, 0.90).",
        "Without an AUROC (not scored, or films of one class): Mass, Scar.",
    ]
