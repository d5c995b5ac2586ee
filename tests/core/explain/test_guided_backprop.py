"""Guided backpropagation and deconvnet against references that use neither hooks nor a recorded graph."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate

from camray.core.explain.autograd import input_gradients
from camray.core.explain.guided_backprop import guided_gradcam, guided_gradients
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import POOLS, NetworkSpec
from camray.domain.errors import CheckpointError
from tests.core.explain.tiny import LABELS, Tiny, films, state_of, tiny

WRITTEN = ("module", "in place", "torch", "function", "method", "clamp", "clamp_min")


def _back(rule: str, before: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    if rule == "deconvnet":
        return torch.relu(signal)
    return torch.relu(signal) * (before > 0) if rule == "guided" else signal * (before > 0)


@torch.no_grad()
def _by_hand(network: Tiny, film: torch.Tensor, label: int, rule: str) -> torch.Tensor:
    """Go back through the two layers with transposed convolutions, [1, H, W] to [1, H, W]."""
    one = conv2d(film[None], network.first.weight, network.first.bias, padding=1)
    two = conv2d(avg_pool2d(torch.relu(one), 2), network.second.weight, network.second.bias, padding=1)
    cells = two.shape[-1] * two.shape[-2]
    signal = (network.classifier.weight[label] / cells)[None, :, None, None].expand_as(two)
    signal = conv_transpose2d(_back(rule, two, signal), network.second.weight, padding=1)
    signal = interpolate(signal, scale_factor=2, mode="nearest") / 4
    return conv_transpose2d(_back(rule, one, signal), network.first.weight, padding=1)[0]


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("relu", WRITTEN)
def test_equals_the_reference_however_the_relu_is_written(relu: str, rule: str) -> None:
    network, batch = tiny(relu), films()
    logits, gradients = guided_gradients(network, batch, rule)
    np.testing.assert_allclose(logits, network(batch).detach(), rtol=0, atol=1e-14)
    plain = input_gradients(network, batch)[1]
    for number, film in enumerate(batch):
        for label in range(LABELS):
            expected = _by_hand(network, film, label, rule)
            np.testing.assert_allclose(gradients[number, label], expected, rtol=0, atol=1e-9)
            np.testing.assert_allclose(plain[number, label], _by_hand(network, film, label, "plain"), rtol=0, atol=1e-9)
    assert not torch.allclose(gradients, plain)


def test_max_pools_go_back_by_their_switches() -> None:
    """Two pixels, weights 1; only the larger is seen, and a negative head lets nothing through."""
    network = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 2, bias=False)).double()
    with torch.no_grad():
        network[3].weight.copy_(torch.tensor([[2.0], [-3.0]]))
    film = torch.tensor([[[[1.0, 4.0], [-2.0, 3.0]]]], dtype=torch.float64)
    for rule in ("guided", "deconvnet"):
        gradients = guided_gradients(network, film, rule)[1][0, :, 0]
        assert gradients.tolist() == [[[0.0, 2.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    dark = -film  # the largest is 2, at (1, 0), and all is cut by the ReLU elsewhere
    assert guided_gradients(network, dark, "guided")[1][0, 0, 0].tolist() == [[0.0, 0.0], [2.0, 0.0]]


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("relu", ["mask", "where", "maximum", "six", "swish"])
def test_refuses_by_name_what_it_cannot_treat(relu: str, rule: str) -> None:
    with pytest.raises(CheckpointError, match=r"no rule for '(Mul|Where|Maximum|Hardtanh|Sigmoid)'"):
        guided_gradients(tiny(relu), films(), rule)


def test_refuses_a_network_without_relus_and_functions_of_ones_own() -> None:
    with pytest.raises(CheckpointError, match="has none"):
        guided_gradients(tiny("none"), films())

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
            return x.clamp_min(0)

        @staticmethod
        def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
            return gradient

    network = tiny()
    with pytest.raises(CheckpointError, match="no rule for 'Own'"):
        guided_gradients(lambda x: network(Own.apply(x)), films())


def test_noisy_or_is_refused_by_name() -> None:
    spec = NetworkSpec(pool="noisy_or", stride=8, widths=(4, 4, 6, 8), stem_kernel=3)
    with pytest.raises(CheckpointError, match="Choose another method"):
        guided_gradients(build_classifier(spec, 1, seed=5).eval(), torch.rand(1, 1, 32, 32))


@pytest.mark.parametrize("pool", [pool for pool in POOLS if pool != "noisy_or"])
@pytest.mark.parametrize("normalise", ["fixed", "film_local"])
def test_our_classifiers_are_treated(pool: str, normalise: str) -> None:
    spec = NetworkSpec(pool=pool, normalise=normalise, stride=8, widths=(4, 4, 6, 8), stem_kernel=3)
    network = build_classifier(spec, 2, seed=5).double().eval()
    batch = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gradients = guided_gradients(network, batch)[1]
    assert gradients.abs().max() > 0
    assert not torch.allclose(gradients, input_gradients(network, batch)[1])


def test_densenet_is_treated_and_efficientnet_is_refused() -> None:
    batch = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    dense = build_classifier(NetworkSpec(backbone="densenet121", stride=32), 1, seed=0).eval()
    rectifiers = []

    class Counted(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func in {torch.relu, torch.nn.functional.relu, torch.relu_}:
                rectifiers.append(func)
            return func(*args, **(kwargs or {}))

    with Counted(), torch.no_grad():
        dense(batch)
    assert torch.relu in rectifiers  # the last one is no module
    assert guided_gradients(dense, batch)[1].isfinite().all()
    swish = build_classifier(NetworkSpec(backbone="efficientnet_b0", stride=32), 1, seed=0).eval()
    with pytest.raises(CheckpointError, match="no rule for 'Sigmoid'"):
        guided_gradients(swish, batch)


def test_a_batch_equals_films_one_by_one_and_nothing_is_altered() -> None:
    network, batch = tiny("in place"), films()
    network.train()
    network.second.eval()
    network.first.weight.requires_grad_(False)
    network.second.weight.grad = torch.ones_like(network.second.weight)
    before, kept = state_of(network), batch.clone()
    for rule in ("guided", "deconvnet"):
        together = guided_gradients(network, batch, rule)[1]
        alone = torch.cat([guided_gradients(network, film[None], rule)[1] for film in batch])
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-12)
    plain = input_gradients(network, batch)[1]
    for label in range(LABELS):
        expected = _by_hand(network, batch[0], label, "plain")
        np.testing.assert_allclose(plain[0, label], expected, rtol=0, atol=1e-9)  # plain again afterwards
    assert state_of(network) == before
    assert torch.equal(batch, kept)


def test_guided_grad_cam_is_the_product_on_the_input_grid() -> None:
    gradients = torch.arange(-8.0, 8.0).reshape(1, 1, 1, 4, 4)
    assert torch.equal(guided_gradcam(gradients, torch.full((1, 1, 2, 2), 3.0)), 3 * gradients)
    heat = guided_gradcam(torch.ones(1, 1, 1, 1, 4), torch.tensor([[[[0.0, 4.0]]]]))
    assert heat.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]  # pixel centres 1/4, 3/4, ... of the cell centres' distance
