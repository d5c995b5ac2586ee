"""Training with regions: the loss by hand, regions that move with their films, and what they do to a fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from camray.core.networks.classifier import build_classifier
from camray.core.training.augmentation import Augmentation, augment
from camray.core.training.batches import Batch
from camray.core.training.region_loss import RegionTrainer, region_cells, region_loss
from camray.core.training.trainer import Processes, Trainer, fit
from tests.core.training.test_outside_penalty import CPU, ONES, PLAN, SPEC, _CellMeans, _Grey

NAN = float("nan")
NONE = [NAN] * 4


def _batch(box: tuple[float, ...] = (NAN,) * 4) -> Batch:
    """Films of 16 x 24 px, 2 x 3 cells; two patterns tell the first label, and the region is about one of them."""
    pixels = np.random.default_rng(3).integers(60, 120, (8, 16, 24)).astype(np.uint8)
    pixels[::2, :8, :8:2] = 250  # columns, in the first cell
    pixels[::2, 8::2, 16:] = 250  # rows, in the last one
    targets, regions = torch.zeros(8, 2), torch.full((8, 2, 4), NAN)
    targets[::2, 0] = targets[1::2, 1] = 1.0
    regions[::2, 0] = torch.tensor(box)
    return Batch(torch.from_numpy(pixels), targets, regions=regions)


def _trainer(weight: float, **changes: object) -> RegionTrainer:
    plan = replace(PLAN, region_weight=weight, **changes)  # type: ignore[arg-type]
    return RegionTrainer(build_classifier(SPEC, 2, seed=4), plan, ONES, ONES, CPU, Processes())


def test_cells_are_covered_as_the_box_says_and_widened_about_its_centre() -> None:
    regions = torch.tensor([[[0.25, 0.0, 0.75, 0.25], NONE]])
    covered = region_cells(regions, (2, 4))
    assert torch.allclose(covered[0, 0], torch.tensor([[0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    assert float(covered[0, 1].sum()) == 0.0
    widened = region_cells(regions, (2, 4), factor=2.0)  # 0 to 1 across, -0.125 to 0.375 down
    assert torch.allclose(widened[0, 0, 0], torch.full((4,), 0.75))


def test_the_loss_by_hand_ignores_the_ring_labels_without_a_region_and_constants() -> None:
    maps = torch.tensor([[[[2.0, 0.0, 1.0, -1.0]], [[9.0, 9.0, -9.0, 0.0]]]])
    inside = torch.tensor([[[[1.0, 0.5, 0.0, 0.0]], [[0.0] * 4]]])
    outside = torch.tensor([[[[False, False, True, True]], [[True] * 4]]])
    total, count = region_loss(maps, inside, outside)
    mean = 2.0 / 1.5
    by_hand = (softplus(torch.tensor(1.0 - mean)) + softplus(torch.tensor(-1.0 - mean))) / 2
    assert float(total) == pytest.approx(float(by_hand))
    assert float(count) == 1.0
    assert float(region_loss(maps + 7.0, inside, outside)[0]) == pytest.approx(float(total), rel=1e-5)


def test_the_loss_of_a_net_by_hand() -> None:
    losses = []
    for weight in (0.0, 4.0):
        trainer = _trainer(weight, region_ring=1.0)
        trainer.model.normalise, trainer.model.backbone = _Grey(), _CellMeans()
        trainer.model.classifier = nn.Linear(1, 2)
        with torch.no_grad():
            trainer.model.classifier.weight.copy_(torch.tensor([[2.0], [-1.0]]))
            trainer.model.classifier.bias.zero_()
        films = torch.zeros(2, 1, 16, 24)
        films[0, 0, :8, :8] = 1.0  # the region's cell: a map of 2 for the first label
        films[0, 0, 8:, 16:] = 0.5  # another one: 1
        regions = torch.tensor([[[0.0, 0.0, 1 / 3, 0.5], NONE], [NONE, NONE]])
        batch = Batch(torch.zeros(2, 16, 24, dtype=torch.uint8), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), None, regions)
        generator = torch.Generator()
        trainer._before = generator.get_state()
        losses.append(float(trainer._loss(films, batch, generator).detach()))
    four, one = softplus(torch.tensor(0.0 - 2.0)), softplus(torch.tensor(1.0 - 2.0))
    assert losses[1] - losses[0] == pytest.approx(4.0 * float((4 * four + one) / 5), abs=1e-5)


def test_regions_move_with_their_films() -> None:
    ranges = Augmentation(flip=0.5, rotate_deg=10.0, translate=0.1, scale=0.2, aspect=0.1, noise=0.001)
    trainer = _trainer(1.0, augmentation=ranges)
    films, regions = torch.zeros(6, 1, 64, 96), torch.tensor([[[0.25, 0.25, 0.5, 0.75], NONE]]).repeat(6, 1, 1)
    films[:, :, 16:48, 24:48] = 1.0
    generator = torch.Generator().manual_seed(5)
    trainer._before = generator.get_state()
    seen = augment(films, ranges, generator)
    maps = seen.repeat(1, 2, 1, 1) * 40 - 20  # as hot as the film is bright, at its resolution
    total, count = trainer._map_sums(seen, maps, Batch(torch.zeros(6), torch.zeros(6), None, regions))
    assert float(count) == 6
    assert float(total / count) < 1e-3  # wherever it is bright is in the region, or in the ring
    unmoved = trainer._map_sums(
        seen, films.repeat(1, 2, 1, 1) * 40 - 20, Batch(torch.zeros(6), torch.zeros(6), None, regions)
    )
    assert float(unmoved[0] / unmoved[1]) > 0.1


def _fitted(trainer: Trainer, batch: Batch) -> Trainer:
    list(fit(trainer, lambda epoch: iter([batch]), lambda: iter([batch]), lambda: 0.0))
    return trainer


def _fitted_maps(box: tuple[float, ...]) -> Tensor:
    """Fit a net of one convolution, check that its maps add up, and return those of the first label's films."""
    trainer = _trainer(4.0, epochs=40)
    torch.manual_seed(1)
    trainer.model.normalise, trainer.model.classifier = _Grey(), nn.Linear(4, 2)
    trainer.model.backbone = nn.Sequential(nn.Conv2d(1, 4, 8, stride=8), nn.ReLU())
    rebuilt = RegionTrainer(trainer.model, trainer.settings, ONES, ONES, CPU, Processes())
    model, films = _fitted(rebuilt, _batch(box)).model.eval(), _batch().pixels[:, None].float() / 255
    with torch.no_grad():
        features = model.features(films)
        maps, logits = model.cam(features), model.head(features)
    assert torch.allclose(maps.mean(dim=(2, 3)) + model.classifier.bias, logits, atol=1e-5)
    return maps[::2, 0]


def test_a_fit_is_hotter_inside_the_regions_and_its_maps_still_add_up_to_the_logits() -> None:
    first, last = _fitted_maps((0.0, 0.0, 1 / 3, 0.5)), _fitted_maps((2 / 3, 0.5, 1.0, 1.0))
    assert float((first[:, 0, 0] - first[:, 1, 2]).min()) > 0.1
    assert float((last[:, 1, 2] - last[:, 0, 0]).min()) > 0.1


def test_without_any_region_it_is_the_plain_fit() -> None:
    plain = Trainer(build_classifier(SPEC, 2, seed=4), replace(PLAN, outside_penalty=0.0), ONES, ONES, CPU, Processes())
    expected = _fitted(plain, _batch()).final_weights()
    taught = _fitted(_trainer(4.0), _batch()).final_weights()
    assert all(torch.equal(value, taught[name]) for name, value in expected.items())
