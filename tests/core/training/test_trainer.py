"""The fit: it learns, repeats itself, resumes to the same bytes, stops where it should."""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from camray.core.networks.classifier import build_classifier
from camray.core.training.augmentation import Augmentation
from camray.core.training.batches import Batch, epoch_order
from camray.core.training.fit_settings import FitSettings
from camray.core.training.optimization import learning_rate_factor
from camray.core.training.trainer import Processes, Trainer, fit
from camray.core.training.validation import label_aurocs
from camray.domain.contract import NetworkSpec
from camray.domain.errors import PipelineError

SPEC = NetworkSpec(stride=8, widths=(4, 6, 8, 8), stem_kernel=3, dropout=0.1)
PLAN = FitSettings(
    epochs=3,
    steps_per_epoch=2,
    learning_rate=0.01,
    final_learning_rate=0.1,
    weight_decay=0.01,
    warmup_epochs=1.0,
    label_smoothing=0.0,
    ema_decay=0.9,
    clip_norm=1.0,
    patience=0,
    keep_best=False,
    seed=4,
    augmentation=Augmentation(flip=0.5, rotate_deg=5, noise=0.02),
)
FILMS = 8


def _data() -> tuple[torch.Tensor, torch.Tensor]:
    """Films of noise; label 0 is a bright square on the left, label 1 one on the right."""
    generator = np.random.default_rng(3)
    pixels = generator.integers(80, 120, (FILMS, 48, 32)).astype(np.uint8)
    targets = np.zeros((FILMS, 2), np.float32)
    for film in range(FILMS):
        if film % 2:
            pixels[film, 12:20, 4:12], targets[film, 0] = 230, 1
        if film // 2 % 2:
            pixels[film, 8:24, 18:28], targets[film, 1] = 20, 1
    return torch.from_numpy(pixels), torch.from_numpy(targets)


def _batches(size: int) -> tuple[Callable[[int], Iterator[Batch]], Callable[[], Iterator[Batch]]]:
    pixels, targets = _data()

    def train(epoch: int) -> Iterator[Batch]:
        for positions in epoch_order(FILMS, size, PLAN.seed, epoch):
            yield Batch(pixels[positions], targets[positions])

    return train, lambda: iter([Batch(pixels, targets)])


def _trainer(plan: FitSettings = PLAN) -> Trainer:
    ones = np.ones(2, np.float32)
    return Trainer(build_classifier(SPEC, 2, seed=4), plan, ones, ones, torch.device("cpu"), Processes())


def _bytes(trainer: Trainer) -> bytes:
    return b"".join(value.numpy().tobytes() for _, value in sorted(trainer.final_weights().items()))


def _run(trainer: Trainer, size: int = 4) -> Trainer:
    list(fit(trainer, *_batches(size), lambda: 0.0))
    return trainer


def test_it_overfits_eight_films() -> None:
    plan = replace(
        PLAN, epochs=40, steps_per_epoch=1, learning_rate=0.05, augmentation=Augmentation(), ema_decay=0, weight_decay=0
    )
    trainer = _trainer(plan)
    trainer.model.dropout.p = 0.0
    reports = list(fit(trainer, *_batches(8), lambda: 0.0))
    assert reports[-1].loss < 0.05
    assert reports[-1].mean_auroc == 1.0
    assert [report.epoch for report in reports] == list(range(1, 41))


def test_same_seed_same_bytes_and_another_seed_other_bytes() -> None:
    first, second = _run(_trainer()), _run(_trainer())
    assert _bytes(first) == _bytes(second)
    assert [r.loss for r in first.reports] == [r.loss for r in second.reports]
    assert _bytes(_run(_trainer(replace(PLAN, seed=5)))) != _bytes(first)


@pytest.mark.parametrize("done", [1, 2, 3])
@pytest.mark.parametrize("keep_best", [False, True])
def test_a_resumed_fit_ends_in_the_same_bytes(done: int, keep_best: bool) -> None:
    plan = replace(PLAN, keep_best=keep_best)
    undisturbed = _run(_trainer(plan))
    broken_off = _trainer(plan)
    running = fit(broken_off, *_batches(4), lambda: 0.0)
    for _ in range(done):
        next(running)
    stream = io.BytesIO()
    torch.save(broken_off.state(), stream)
    stream.seek(0)
    resumed = _trainer(plan)
    resumed.restore(torch.load(stream, weights_only=True))
    torch.manual_seed(99)  # whatever happened to the global generator in between
    _run(resumed)
    assert _bytes(resumed) == _bytes(undisturbed)
    assert resumed.reports == undisturbed.reports


def test_the_global_generator_stays_where_it_was() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    _run(_trainer())
    assert torch.equal(torch.get_rng_state(), before)


def test_averaged_weights_by_hand() -> None:
    trainer = _trainer(replace(PLAN, epochs=1))
    name = "classifier.weight"
    start = trainer.model.state_dict()[name].clone()
    seen = []
    train, validation = _batches(4)
    original = trainer._optimizer.step

    def step(*args: object, **kwargs: object) -> object:
        found = original(*args, **kwargs)  # type: ignore[arg-type]
        seen.append(trainer.model.state_dict()[name].clone())
        return found

    trainer._optimizer.step = step  # type: ignore[method-assign, assignment]
    list(fit(trainer, train, validation, lambda: 0.0))
    first = start.lerp(seen[0], 1 - 1 / 10)  # decay min(0.9, 1/10), then min(0.9, 2/11)
    assert torch.allclose(trainer.final_weights()[name], first.lerp(seen[1], 1 - 2 / 11), atol=1e-7)


def test_norms_and_biases_do_not_decay() -> None:
    trainer = _trainer()
    decaying, free = trainer._optimizer.param_groups
    assert decaying["weight_decay"] == 0.01
    assert free["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in decaying["params"])
    assert len(decaying["params"]) + len(free["params"]) == len(list(trainer.model.parameters()))


def test_learning_rate_warms_up_and_ends_at_the_final_fraction() -> None:
    plan = replace(PLAN, epochs=3, steps_per_epoch=2, warmup_epochs=1.0, final_learning_rate=0.1)
    factors = [learning_rate_factor(step, plan) for step in range(7)]
    assert factors[:2] == [0.5, 1.0]
    assert factors[2] == 1.0
    assert factors[4] == pytest.approx(0.55)  # half way down
    assert factors[6] == pytest.approx(0.1)
    assert learning_rate_factor(0, replace(plan, warmup_epochs=0.0)) == 1.0


def test_patience_stops_and_the_best_epoch_is_kept() -> None:
    trainer = _trainer(replace(PLAN, epochs=9, patience=2, keep_best=True, learning_rate=1e-9, ema_decay=0.0))
    reports = list(fit(trainer, *_batches(4), lambda: 0.0))
    best = max(range(len(reports)), key=lambda i: reports[i].mean_auroc) + 1
    assert len(reports) == best + 2


def test_best_without_any_auroc_is_an_error_that_says_what_to_do() -> None:
    trainer = _trainer(replace(PLAN, epochs=1, keep_best=True))
    train, _ = _batches(4)
    list(fit(trainer, train, lambda: iter([]), lambda: 0.0))
    assert math.isnan(trainer.reports[0].mean_auroc)
    with pytest.raises(PipelineError, match="set it to 'last'"):
        trainer.final_weights()


def test_divergence_is_an_error_that_says_what_to_do() -> None:
    trainer = _trainer(replace(PLAN, learning_rate=1e30, warmup_epochs=0.0, clip_norm=0.0))
    with pytest.raises(PipelineError, match=r"lower train\.learning_rate"):
        _run(trainer)


def test_aurocs_leave_out_unknowns_and_labels_of_one_kind() -> None:
    nan = float("nan")
    logits = np.array([[0.1, 5.0, 0.0], [0.9, 1.0, 0.0], [0.5, 2.0, 0.0], [-3.0, 3.0, 1.0]])
    targets = np.array([[0, 1, nan], [1, 1, nan], [0, 1, 0], [nan, 1, 1]], np.float32)
    found = label_aurocs(logits, targets)
    assert found[0] == 1.0
    assert math.isnan(found[1])
    assert found[2] == 1.0
    tied = label_aurocs(np.zeros((4, 1)), np.array([[0], [1], [0], [1]], np.float32))
    assert tied == (0.5,)
    assert label_aurocs(np.array([[40.0], [50.0]]), np.array([[0], [1]], np.float32)) == (1.0,)  # no saturation


def test_rate_counts_films_by_the_clock() -> None:
    ticks = iter([0.0, 2.0])
    trainer = _trainer(replace(PLAN, epochs=1))
    (report,) = fit(trainer, *_batches(4), lambda: next(ticks))
    assert report.images_per_second == 4.0
