"""Grad-CAM at a named layer of any network, through `layer_maps`."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from camray.core.explain.autograd import layer_maps
from camray.core.explain.gradient_cams import gradcam_map
from camray.domain.errors import CheckpointError

LABELS = 4


class Flat(nn.Module):
    """Convolutions with in-place ReLUs and a fully connected head, as AlexNet or VGG have it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.last = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.5)
        self.flat = nn.Sequential(nn.Flatten(), nn.Linear(5 * 2 * 3, 7), nn.ReLU(inplace=True), nn.Linear(7, LABELS))
        self.unused = nn.Conv2d(1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.act(self.first(x)))
        return self.flat(self.drop(self.pool(self.last(self.second(x)))))


@pytest.fixture
def network() -> Flat:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Flat().double()


FILMS = torch.rand(3, 1, 8, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradcam(
    network: nn.Module, films: torch.Tensor, layer: str, targets: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    scores, maps = layer_maps(network, films, [layer], gradcam_map, targets)
    return scores, maps[layer]


def _by_hand(network: Flat, film: torch.Tensor, label: int, layer: str) -> torch.Tensor:
    """Run the network in pieces, without hooks and without in-place operations; differentiate one logit."""
    stages = [network.first, torch.relu, network.norm, network.second, torch.relu, network.pool]
    names = ["first", "act", "norm", "second", "last", "pool"]
    x, kept = film[None], None
    for name, stage in zip(names, stages, strict=True):
        x = stage(x)
        if name == layer:
            kept = x = x.detach().requires_grad_(True)
    hidden = torch.relu(network.flat[1](x.flatten(1)))
    network.flat[3](hidden)[0, label].backward()
    assert kept is not None
    assert kept.grad is not None
    importance = kept.grad[0].mean(dim=(1, 2))
    return torch.relu((importance[:, None, None] * kept.detach()[0]).sum(dim=0))


@pytest.mark.parametrize("layer", ["first", "act", "norm", "second", "last", "pool"])
def test_equals_the_paper_at_every_layer(network: Flat, layer: str) -> None:
    logits, heat = gradcam(network, FILMS, layer)
    network.eval()
    np.testing.assert_allclose(logits, network(FILMS).detach(), rtol=0, atol=1e-12)
    for number, film in enumerate(FILMS):
        for label in range(LABELS):
            np.testing.assert_allclose(heat[number, label], _by_hand(network, film, label, layer), rtol=0, atol=1e-9)
    assert heat.max() > 0
    assert heat.min() == 0


def test_finite_differences_agree(network: Flat) -> None:
    """The importance of a channel is the logit's slope when the channel rises everywhere by 1/(h w)."""
    network.eval()
    activation = network.second(network.norm(torch.relu(network.first(FILMS[:1])))).detach()

    def logit(shifted: torch.Tensor) -> torch.Tensor:
        return network.flat(network.pool(torch.relu(shifted)))[0, 1].detach()

    step, cells = 1e-6, activation.shape[-1] * activation.shape[-2]
    slopes = []
    for channel in range(activation.shape[1]):
        ends = [activation.clone(), activation.clone()]
        ends[0][:, channel] -= step
        ends[1][:, channel] += step
        low, high = (logit(end) for end in ends)
        slopes.append((high - low) / (2 * step * cells))
    expected = torch.relu((torch.stack(slopes)[:, None, None] * activation[0]).sum(dim=0))
    np.testing.assert_allclose(gradcam(network, FILMS[:1], "second")[1][0, 1], expected, rtol=0, atol=1e-8)


def test_a_batch_equals_films_one_by_one_for_any_target(network: Flat) -> None:
    def margin(logits: torch.Tensor) -> torch.Tensor:
        return logits[:, :1] - logits[:, 1:2]

    targets, heat = gradcam(network, FILMS, "last", margin)
    assert targets.shape == (3, 1)
    for number in range(len(FILMS)):
        alone = gradcam(network, FILMS[number : number + 1], "last", margin)
        np.testing.assert_allclose(heat[number], alone[1][0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(targets[number], alone[0][0], rtol=0, atol=1e-12)


def test_leaves_the_network_exactly_as_found(network: Flat) -> None:
    network.train()
    network.norm.eval()
    network.first.weight.requires_grad_(False)
    network.second.weight.grad = torch.ones_like(network.second.weight)

    def picture(net: Flat) -> list[object]:
        hooks = [len(module._forward_hooks) + len(module._backward_hooks) for module in net.modules()]
        flags = [(module.training, getattr(module, "inplace", None)) for module in net.modules()]
        needs = [(parameter.requires_grad, parameter.grad is None) for parameter in net.parameters()]
        return [hooks, flags, needs, torch.is_grad_enabled(), torch.get_rng_state().sum().item()]

    before, state = picture(network), {name: value.clone() for name, value in network.state_dict().items()}
    gradcam(network, FILMS, "second")
    with pytest.raises(CheckpointError):
        gradcam(network, FILMS, "flat")
    assert picture(network) == before
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert network.second.weight.grad.unique().tolist() == [1.0]
    with torch.no_grad():
        first = gradcam(network, FILMS, "second")[1]
    assert torch.equal(first, gradcam(network, FILMS, "second")[1])


@pytest.mark.parametrize(
    ("layer", "fault"),
    [("nowhere", "no layer"), ("", "no layer"), ("flat", "expected one map"), ("unused", "expected one map")],
)
def test_says_why_a_layer_will_not_do(network: Flat, layer: str, fault: str) -> None:
    with pytest.raises(CheckpointError, match=fault):
        gradcam(network, FILMS, layer)


def test_refuses_a_layer_that_runs_twice_and_targets_without_a_way_to_it() -> None:
    shared = nn.Conv2d(1, 1, 3, padding=1)
    twice = nn.Sequential(shared, shared, nn.Flatten())
    with pytest.raises(CheckpointError, match="expected one map"):
        gradcam(twice, FILMS.float(), "0")
    with pytest.raises(CheckpointError, match="do not depend"):
        gradcam(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()), FILMS.float(), "0", lambda x: x.detach()[:, :2])
    with pytest.raises(CheckpointError, match="expected"):
        gradcam(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()), FILMS.float(), "0", lambda x: x.sum())
