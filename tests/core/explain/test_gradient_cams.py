"""Rules of weighing activations against the papers' equations, in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from camray.core.explain.autograd import layer_maps, seam_maps
from camray.core.explain.gradient_cams import (
    eigencam,
    fused,
    gradcam_map,
    gradcam_plus_plus_map,
    hirescam_map,
    layercam_map,
)
from camray.core.explain.seam import forward
from camray.domain.errors import CheckpointError
from tests.core.explain.tiny import LABELS, Tiny, films, slopes, state_of, tiny

RULES = (gradcam_map, hirescam_map, layercam_map, gradcam_plus_plus_map)


def _by_hand(rule: object, activation: torch.Tensor, gradient: torch.Tensor, score: float) -> torch.Tensor:
    """Write one film's and target's map down with loops, [K, h, w] to [h, w]."""
    channels, rows, cols = activation.shape
    heat = torch.zeros(rows, cols, dtype=activation.dtype)
    for k in range(channels):
        a, g = activation[k], gradient[k]
        if rule is gradcam_map:
            heat += g.mean() * a
        elif rule is hirescam_map:
            heat += g * a
        elif rule is layercam_map:
            heat += torch.relu(g) * a
        else:
            weight = 0.0
            for r in range(rows):
                for c in range(cols):
                    slope, second, third = (float(g[r, c]) ** power * np.exp(score) for power in (1, 2, 3))
                    alpha = second / (2 * second + float(a.sum()) * third) if second else 0.0
                    weight += alpha * max(slope, 0.0)
            heat += weight * a
    return heat if rule is hirescam_map else torch.relu(heat)


def _deep() -> nn.Sequential:
    """Return a network with a fully connected head and in-place ReLUs; its layers have numbers for names."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(60, 6),
            nn.ReLU(inplace=True),
            nn.Linear(6, LABELS),
        )
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.5)
    return network.double().eval()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_equals_its_equation_on_finite_differences(rule: object) -> None:
    network, batch = _deep(), films(2)
    scores, maps = layer_maps(network, batch, ["1", "4"], rule)
    np.testing.assert_allclose(scores, network(batch).detach(), rtol=0, atol=1e-14)
    for layer in (1, 4):
        heat = maps[str(layer)]
        for number in range(len(batch)):
            activation = network[: layer + 1](batch[number : number + 1]).detach()
            gradient = slopes(network[layer + 1 :], activation)
            for label in range(LABELS):
                expected = _by_hand(rule, activation[0], gradient[label], float(scores[number, label]))
                bound = 1e-9 * max(1.0, float(expected.abs().max()))
                np.testing.assert_allclose(heat[number, label], expected, rtol=0, atol=bound)
        assert heat.std() > 1e-6


def test_grad_cam_plus_plus_equals_derivatives_of_the_exponential_taken_by_autograd() -> None:
    """The paper's eq. 10 with Y = exp(S) and true second and third derivatives, one position at a time."""
    network, film = tiny(), films(1)
    activation = network.features(film).detach()
    score = network.head(activation)[0]
    for label in range(LABELS):
        heat = torch.zeros(3, 4, dtype=torch.float64)
        for k in range(5):
            weight = 0.0
            for place in range(12):
                value = activation[0, k].flatten()[place].clone().requires_grad_(True)
                moved = activation.clone()
                moved[0, k, place // 4, place % 4] = value
                y = network.head(moved)[0, label].exp()
                (first,) = torch.autograd.grad(y, value, create_graph=True)
                (second,) = torch.autograd.grad(first, value, create_graph=True)
                (third,) = torch.autograd.grad(second, value)
                alpha = second / (2 * second + activation[0, k].sum() * third)
                weight += float((alpha * torch.relu(first)).detach())
            heat += weight * activation[0, k]
        found = seam_maps(network, forward(network, film), gradcam_plus_plus_map)[0, label]
        np.testing.assert_allclose(found, torch.relu(heat), rtol=1e-9, atol=1e-12)
        w = network.classifier.weight[label].detach()
        closed = score[label].exp() * w.clamp_min(0) / (2 + w * activation[0].mean(dim=(1, 2)))
        np.testing.assert_allclose(found, torch.einsum("k,khw->hw", closed.detach(), activation[0]), rtol=1e-9)


def test_grad_cam_plus_plus_refuses_a_layer_far_below_zero() -> None:
    activation = torch.full((1, 1, 2, 2), -1.0)
    with pytest.raises(CheckpointError, match="ends in a ReLU"):
        gradcam_plus_plus_map(activation, torch.ones(1, 1, 2, 2), torch.zeros(1))
    flat = gradcam_plus_plus_map(activation, torch.zeros(1, 1, 2, 2), torch.zeros(1))
    assert flat.abs().max() == 0


def test_identities_after_an_average_pool() -> None:
    network, batch = tiny(), films()
    passed = forward(network, batch)
    cells = 12
    cam = network.cam(passed.features).detach()
    hires = seam_maps(network, passed, hirescam_map)
    np.testing.assert_allclose(hires, cam / cells, rtol=0, atol=1e-12)
    total = hires.sum(dim=(2, 3)) + network.classifier.bias.detach()
    np.testing.assert_allclose(total, passed.logits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(seam_maps(network, passed, gradcam_map), cam.clamp_min(0) / cells, rtol=0, atol=1e-12)
    positive = network.classifier.weight.detach().clamp_min(0)
    expected = torch.einsum("lk,bkhw->blhw", positive, passed.features) / cells
    np.testing.assert_allclose(seam_maps(network, passed, layercam_map), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_a_batch_equals_films_one_by_one(rule: object) -> None:
    network, batch = _deep(), films()
    together = layer_maps(network, batch, ["1", "4"], rule)[1]
    for number in range(len(batch)):
        alone = layer_maps(network, batch[number : number + 1], ["1", "4"], rule)[1]
        for layer, heat in together.items():
            np.testing.assert_allclose(heat[number], alone[layer][0], rtol=1e-12, atol=1e-12)


def test_fusing_takes_the_largest_and_scales_what_is_named() -> None:
    deep = torch.tensor([[[[4.0, 0.0]]]])
    shallow = torch.tensor([[[[1.0, 8.0]]]])
    maps = {"deep": deep, "shallow": shallow}
    assert fused(maps, (1, 2)).tolist() == [[[[4.0, 8.0]]]]
    heat = fused(maps, (1, 2), {"shallow": 2.0})
    np.testing.assert_allclose(heat, [[[[4.0, np.tanh(2.0)]]]], rtol=1e-6)
    nothing = fused({"shallow": torch.zeros(1, 1, 2, 2)}, (4, 4), {"shallow": 2.0})
    assert nothing.tolist() == torch.zeros(1, 1, 4, 4).tolist()
    finer = fused({"deep": torch.full((1, 1, 1, 1), 3.0), "fine": torch.zeros(1, 1, 2, 2)}, (2, 2))
    assert finer.unique().tolist() == [3.0]
    for faulty in ({}, {"deep": deep}):
        with pytest.raises(CheckpointError, match="expected one or more"):
            fused(faulty, (1, 2), {"shallow": 2.0})


def test_eigencam_is_the_first_principal_part() -> None:
    vector = torch.tensor([3.0, 4.0], dtype=torch.float64)
    picture = torch.tensor([[0.0, 1.0, 2.0], [5.0, 0.0, 1.0]], dtype=torch.float64)
    rank_one = (vector[:, None, None] * picture)[None]
    np.testing.assert_allclose(eigencam(rank_one)[0], 5 * picture, rtol=0, atol=1e-12)
    np.testing.assert_allclose(eigencam(-rank_one)[0], 5 * picture, rtol=0, atol=1e-12)
    assert eigencam(torch.zeros(1, 3, 2, 2)).abs().max() == 0
    features = forward(tiny(), films()).features
    heat = eigencam(features)
    assert heat.min() >= -1e-12
    for number, each in enumerate(features):
        flat = each.flatten(1).T.numpy()
        values, vectors = np.linalg.eigh(flat.T @ flat)
        expected = flat @ vectors[:, -1]
        np.testing.assert_allclose(heat[number].flatten(), expected * np.sign(expected.sum()), rtol=0, atol=1e-9)
        np.testing.assert_allclose((heat[number] ** 2).sum(), values[-1], rtol=1e-9)
        np.testing.assert_allclose(heat[number], eigencam(each[None])[0], rtol=0, atol=1e-12)


def test_the_network_is_left_as_found_even_after_a_fault() -> None:
    network = _deep()
    network.train()
    network[3].eval()
    network[0].weight.requires_grad_(False)
    network[6].weight.grad = torch.ones_like(network[6].weight)
    before = state_of(network)
    layer_maps(network, films(), ["1", "4"], layercam_map)
    with torch.no_grad():
        layer_maps(network, films(), ["4"], hirescam_map)
    for layers, fault in ((["1", "nowhere"], "no layer"), ([""], "no layer"), ([], "no layer"), (["8"], "one map")):
        with pytest.raises(CheckpointError, match=fault):
            layer_maps(network, films(), layers, layercam_map)
    with pytest.raises(CheckpointError, match="do not depend"):
        layer_maps(network, films(), ["4"], layercam_map, lambda logits: logits.detach())
    seam = tiny()
    seam.train()
    kept = state_of(seam)
    seam_maps(seam, forward(seam, films()), layercam_map)
    assert state_of(seam) == kept
    assert state_of(network) == before


def test_refuses_layers_that_run_twice_or_lead_nowhere() -> None:
    with pytest.raises(CheckpointError, match="one map"):
        layer_maps(tiny(), films(), ["act"], layercam_map)

    class Aside(Tiny):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.second(self.first(x))
            return nn.functional.avg_pool2d(x, 2).flatten(1)[:, :LABELS]

    with pytest.raises(CheckpointError, match="do not depend"):
        layer_maps(Aside().double(), films(), ["second"], layercam_map)
