"""Gradients by the input against finite differences and closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

from camray.core.explain.autograd import input_gradients
from camray.core.explain.input_gradients import absolute, input_times_gradient, smoothgrad, squared
from camray.core.explain.integrated_gradients import integrated_gradients
from camray.domain.errors import CheckpointError
from tests.core.explain.tiny import films, slopes, state_of, tiny


def test_gradients_equal_finite_differences() -> None:
    network, batch = tiny(), films()
    logits, gradients = input_gradients(network, batch)
    np.testing.assert_allclose(logits, network(batch).detach(), rtol=0, atol=1e-14)
    for number in range(len(batch)):
        expected = slopes(network, batch[number : number + 1])
        assert expected.std() > 1e-3
        np.testing.assert_allclose(gradients[number], expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(absolute(gradients), gradients.abs()[:, :, 0], rtol=0, atol=0)
    np.testing.assert_allclose(squared(gradients), gradients[:, :, 0] ** 2, rtol=0, atol=0)


def test_channels_are_joined_as_the_papers_say() -> None:
    gradients = torch.tensor([3.0, -4.0]).reshape(1, 1, 2, 1, 1)
    assert absolute(gradients).item() == 4.0
    assert squared(gradients).item() == 25.0


def test_input_times_gradient_adds_up_to_the_logit_without_biases() -> None:
    network, batch = tiny(bias=False), films()
    heat = input_times_gradient(network, batch)
    np.testing.assert_allclose(heat.sum(dim=(2, 3)), network(batch).detach(), rtol=0, atol=1e-12)
    assert heat.min() < 0
    expected = slopes(network, batch[:1])[:, 0] * batch[0, 0]
    np.testing.assert_allclose(heat[0], expected, rtol=0, atol=1e-9)


def test_smoothgrad_is_the_mean_over_its_own_draws() -> None:
    network, batch = tiny(), films()
    heat = smoothgrad(network, batch, samples=3, noise=0.2, seed=4)
    generator = torch.Generator().manual_seed(4)
    total = torch.zeros_like(heat[0])
    for _ in range(3):
        drawn = torch.randn(1, 6, 8, generator=generator, dtype=torch.float64)
        total += slopes(network, batch[:1] + 0.2 * (batch[0].max() - batch[0].min()) * drawn)
    np.testing.assert_allclose(heat[0], total / 3, rtol=0, atol=1e-9)
    alone = torch.cat([smoothgrad(network, film[None], samples=3, noise=0.2, seed=4) for film in batch])
    np.testing.assert_allclose(heat, alone, rtol=0, atol=1e-12)
    plain = input_gradients(network, batch)[1]
    assert torch.equal(smoothgrad(network, batch, samples=1, noise=0.0, seed=9), plain)
    assert not torch.allclose(heat, plain)
    with pytest.raises(ValueError, match="expected one or more"):
        smoothgrad(network, batch, samples=0, noise=0.2, seed=4)


def test_the_network_and_the_films_are_left_as_found() -> None:
    network, batch = tiny("in place"), films()
    network.train()
    network.second.eval()
    network.first.weight.requires_grad_(False)
    network.second.weight.grad = torch.ones_like(network.second.weight)
    before, kept = state_of(network), batch.clone()
    input_gradients(network, batch)
    smoothgrad(network, batch, samples=2, noise=0.1, seed=0)
    integrated_gradients(network, batch)
    with torch.no_grad():
        input_times_gradient(network, batch)
    assert state_of(network) == before
    assert torch.equal(batch, kept)
    assert not batch.requires_grad


def test_refuses_what_has_no_gradient_or_the_wrong_shape() -> None:
    with pytest.raises(CheckpointError, match="do not depend"):
        input_gradients(lambda x: x.detach().flatten(1), films())
    with pytest.raises(CheckpointError, match="expected"):
        input_gradients(lambda x: x.sum(), films())
    with pytest.raises(CheckpointError, match="expected"):
        input_gradients(nn.Identity(), films())
