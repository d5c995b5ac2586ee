from dataclasses import replace

import pytest

from camray.core.metrics.next_steps import TrainingFacts, next_steps
from camray.core.metrics.summary import BaselineComparison, Estimate, HeadlineRow

NOTHING = BaselineComparison(None, None)
GOOD_TRAINING = TrainingFacts(True, "efficientnet_lite0", 400, {"Mass": 50}, 1, ())


def row(label: str, ours: float, baseline: float) -> HeadlineRow:
    numbers = [
        Estimate(value, value, value, 9, method, "validation") for value, method in ((ours, "cam"), (baseline, "b"))
    ]
    return HeadlineRow("test", label, None, BaselineComparison(*numbers), NOTHING)


def test_nothing_is_said_where_all_findings_are_above_their_baselines() -> None:
    facts = TrainingFacts(False, "efficientnet_lite0", 1, {}, 0, ("age",))
    assert next_steps([row("Mass", 0.6, 0.5), row("mean", 0.4, 0.5)], facts) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"has_pretrained_weights": False}, "model.backbone=efficientnet_lite0"),
        ({"steps": 299}, "299 steps are few; set train.min_steps=400"),
        ({"warnings": ("age 0.7: try x", "b", "c")}, "without the lungs (age 0.7: try x; b)"),
        ({"positives": {"Mass": 49}}, "(Mass 49)"),
        ({"boxed_validation_films": 0}, "camray review"),
        ({}, "camray compare"),
    ],
)
def test_each_lack_has_its_step(change: dict[str, object], text: str) -> None:
    steps = next_steps([row("Mass", 0.5, 0.5)], replace(GOOD_TRAINING, **change))  # type: ignore[arg-type]
    assert len(steps) == 2
    assert steps[0].startswith("Mass: ")
    assert text in steps[1]


def test_many_findings_are_counted() -> None:
    rows = [row(f"L{k}", 0.1, 0.5) for k in range(6)]
    facts = replace(GOOD_TRAINING, positives={f"L{k}": 50 for k in range(6)})
    assert next_steps(rows, facts)[0].startswith("L0, L1, L2, L3 and 2 more: ")
