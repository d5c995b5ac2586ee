"""The penalty on evidence outside the chest: by hand on a net of known features, and what it does to a fit."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from camray.core.imaging.resampling import to_model_grid
from camray.core.networks.chest_region import Chest
from camray.core.networks.classifier import build_classifier
from camray.core.phantom.film import render_film
from camray.core.training.augmentation import Augmentation
from camray.core.training.batches import Batch
from camray.core.training.fit_settings import FitSettings
from camray.core.training.outside_penalty import OutsidePenaltyTrainer, chest_finder, outside_evidence
from camray.core.training.trainer import Processes, Trainer, fit
from camray.domain.contract import NetworkSpec
from camray.domain.geometry import GridTransform
from camray.io.film_lungs import read_lung_network

SPEC = NetworkSpec(stride=8, widths=(4, 6, 8, 8), stem_kernel=3)
CPU, ONES = torch.device("cpu"), np.ones(2, np.float32)
PLAN = FitSettings(
    epochs=6,
    steps_per_epoch=1,
    learning_rate=0.02,
    final_learning_rate=1.0,
    weight_decay=0.0,
    warmup_epochs=0.0,
    label_smoothing=0.0,
    ema_decay=0.0,
    clip_norm=0.0,
    patience=0,
    keep_best=False,
    seed=4,
    augmentation=Augmentation(),
    outside_penalty=4.0,
)


class _Grey(nn.Identity):
    """No normalization."""

    colours = 1


class _CellMeans(nn.Module):
    """Features are the mean grey of each cell of 8 px."""

    def forward(self, films: Tensor) -> Tensor:
        return avg_pool2d(films, 8)


def _left_half(films: Tensor) -> Sequence[Chest]:
    """Chests that fill the left third of films of 24 px; the last film has none."""
    mask = np.zeros((16, 24), np.bool_)
    mask[:, :8] = True
    same = GridTransform(1.0, 1.0, 0.0, 0.0)
    return [Chest(mask if number < len(films) - 1 else None, same, (16, 24)) for number in range(len(films))]


def _trainer(model: nn.Module, weight: float) -> Trainer:
    plan = replace(PLAN, outside_penalty=weight)
    return OutsidePenaltyTrainer(model, plan, (ONES, ONES), CPU, Processes(), _left_half)


def test_the_sum_is_over_positive_evidence_outside_of_films_with_a_chest() -> None:
    maps = torch.tensor([[[[8.0, 1.0], [-3.0, 2.0]]], [[[5.0, 5.0], [5.0, 5.0]]], [[[7.0, 7.0], [7.0, 3.0]]]])
    left, but_one = np.array([[True, False], [True, False]]), np.array([[True, True], [True, False]])
    assert [float(each) for each in outside_evidence(maps, [left, None, but_one])] == [6.0, 3.0]  # 1, 2 and 3
    nowhere = np.zeros((2, 2), np.bool_)
    assert [float(each) for each in outside_evidence(maps, [None, nowhere, ~nowhere])] == [0.0, 0.0]


def test_the_loss_of_a_net_by_hand() -> None:
    model = build_classifier(SPEC, 2, seed=1)
    model.normalise, model.backbone = _Grey(), _CellMeans()
    model.classifier = nn.Linear(1, 2)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.tensor([[2.0], [-1.0]]))
    films = torch.zeros(2, 1, 16, 24)
    films[0, 0, :, :8] = 1.0  # inside
    films[0, 0, :8, 8:16] = 0.5  # outside: a map of 1 for the first label, of -0.5 for the second
    films[0, 0, 8:, 16:] = 0.25  # outside: 0.5 and -0.25
    films[1] = 1.0  # no chest
    batch = Batch(torch.zeros(2, 16, 24, dtype=torch.uint8), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    generator = torch.Generator()
    losses = [float(_trainer(model, weight)._loss(films, batch, generator).detach()) for weight in (0.0, 4.0)]
    assert losses[1] - losses[0] == pytest.approx(4.0 * (1.0 + 0.5) / (2 * 4), abs=1e-6)  # two labels, four cells


def _batch() -> Batch:
    films = np.random.default_rng(3).integers(60, 120, (8, 16, 24)).astype(np.uint8)
    films[::2, 4:12, 16:24] = 240  # what tells the label lies outside
    targets = torch.zeros(8, 2)
    targets[::2, 0] = targets[1::2, 1] = 1.0
    return Batch(torch.from_numpy(films), targets)


def _fitted(weight: float, epochs: int = 6) -> Trainer:
    trainer = _trainer(build_classifier(SPEC, 2, seed=4), weight)
    for _ in fit(trainer, lambda epoch: iter([_batch()]), lambda: iter([_batch()]), lambda: 0.0):
        if len(trainer.reports) == epochs:
            break
    return trainer


def _evidence(trainer: Trainer) -> float:
    model, films = trainer.model.eval(), _batch().pixels[:, None].float() / 255
    with torch.no_grad():
        maps = model.cam(model.features(films))
    inside = [chest.inside((maps.shape[-2], maps.shape[-1])) for chest in _left_half(films)]
    total, count = outside_evidence(maps, inside)
    return float(total / count)


def test_a_fit_has_less_evidence_outside_and_keeps_the_names_of_its_weights() -> None:
    free, penalized = _fitted(0.0), _fitted(4.0)
    assert 0 <= _evidence(penalized) < 0.5 * _evidence(free)
    assert set(penalized.final_weights()) == set(build_classifier(SPEC, 2, seed=4).state_dict())


def test_without_weight_it_is_the_plain_fit_and_a_resumed_one_ends_in_the_same_weights() -> None:
    plain = Trainer(build_classifier(SPEC, 2, seed=4), replace(PLAN, outside_penalty=0.0), ONES, ONES, CPU, Processes())
    list(fit(plain, lambda epoch: iter([_batch()]), lambda: iter([_batch()]), lambda: 0.0))
    free = _fitted(0.0).final_weights()
    assert all(torch.equal(value, free[name]) for name, value in plain.final_weights().items())
    stream = io.BytesIO()
    torch.save(_fitted(4.0, epochs=2).state(), stream)
    stream.seek(0)
    resumed = _trainer(build_classifier(SPEC, 2, seed=4), 4.0)
    resumed.restore(torch.load(stream, weights_only=True))
    list(fit(resumed, lambda epoch: iter([_batch()]), lambda: iter([_batch()]), lambda: 0.0))
    whole = _fitted(4.0).final_weights()
    assert all(torch.equal(value, whole[name]) for name, value in resumed.final_weights().items())


def test_chests_are_found_on_films_as_they_are_augmented() -> None:
    film = render_film(31, 0, 192)
    grey, _ = to_model_grid(film.image, 96, 128, "letterbox")
    films = torch.from_numpy(np.stack([grey, grey[:, ::-1].copy(), np.full_like(grey, 0.5)]))[:, None]
    chest, mirrored, blank = chest_finder(read_lung_network(None, CPU))(films)
    inside, turned = chest.inside((12, 16)), mirrored.inside((12, 16))
    assert inside is not None
    assert turned is not None
    assert 0.1 < inside.mean() < 0.6
    assert (inside != turned[:, ::-1]).mean() < 0.1
    assert blank.inside((12, 16)) is None
