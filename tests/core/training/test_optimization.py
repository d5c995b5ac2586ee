"""The optimizer's groups and their learning rates."""

from dataclasses import replace

import pytest
import torch

from camray.core.networks.classifier import build_classifier
from camray.core.training.augmentation import Augmentation
from camray.core.training.fit_settings import FitSettings
from camray.core.training.optimization import build_optimizer, epochs_for, set_learning_rate
from camray.domain.contract import NetworkSpec

PLAN = FitSettings(
    epochs=4,
    steps_per_epoch=5,
    learning_rate=0.01,
    final_learning_rate=0.0,
    weight_decay=0.02,
    warmup_epochs=1.0,
    label_smoothing=0.0,
    ema_decay=0.0,
    clip_norm=0.0,
    patience=0,
    keep_best=False,
    seed=1,
    augmentation=Augmentation(),
    head_rate=10.0,
)


def test_the_head_learns_at_its_multiple_through_warm_up_and_cosine() -> None:
    model = build_classifier(NetworkSpec(widths=(4, 4, 4, 4), pool="lse_learned"), 2, seed=1)
    assert model.sharpness is not None
    optimizer = build_optimizer(model, PLAN, torch.device("cpu"))
    head = {id(p) for p in (*model.classifier.parameters(), *model.sharpness.parameters())}
    for step, rate in ((0, 0.002), (4, 0.01), (12, 0.01 * 0.5 * (1 + 0.10452846))):
        set_learning_rate(optimizer, step, PLAN)
        for group in optimizer.param_groups:
            is_head = {id(p) in head for p in group["params"]}
            assert len(is_head) == 1
            assert group["lr"] == pytest.approx(rate * (10 if is_head.pop() else 1), rel=1e-6)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.02, 0.0}


def test_without_a_multiple_the_groups_are_two() -> None:
    model = build_classifier(NetworkSpec(widths=(4, 4, 4, 4)), 2, seed=1)
    assert len(build_optimizer(model, replace(PLAN, head_rate=1.0), torch.device("cpu")).param_groups) == 2


@pytest.mark.parametrize(("least", "expected"), [(0, 8), (80, 8), (81, 9), (400, 40)])
def test_few_films_get_more_epochs(least: int, expected: int) -> None:
    assert epochs_for(8, least, steps_per_epoch=10) == expected
