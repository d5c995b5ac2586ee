"""Gradient ascent where the best picture can be worked by hand."""

import math

import numpy as np
import pytest
import torch

from camray.core.explain.activation_maximization import AscentSettings, blurred, maximize_activations, total_variation
from tests.core.explain.tiny import LABELS, films, state_of, tiny

WIDE = {"lowest": -math.inf, "highest": math.inf, "unit": False}
WEIGHT = torch.tensor([[1.0, -2.0, 3.0, 0.5], [0.0, 4.0, -1.0, 2.0]], dtype=torch.float64)


def _linear(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1) @ WEIGHT.T


def test_the_best_picture_of_a_linear_score_is_its_weights() -> None:
    """S = w x - l |x|^2 is largest at w / (2 l); each step shrinks the distance by 1 - 2 l rate."""
    start = torch.full((1, 2, 2), 0.7, dtype=torch.float64)
    drawn = maximize_activations(_linear, start, 2, AscentSettings(steps=200, rate=0.1, l2=2.0, **WIDE))
    np.testing.assert_allclose(drawn.flatten(1), WEIGHT / 4, rtol=0, atol=1e-12)
    three = maximize_activations(_linear, start, 2, AscentSettings(steps=3, rate=0.1, l2=2.0, **WIDE))
    np.testing.assert_allclose(three.flatten(1), WEIGHT / 4 + (0.7 - WEIGHT / 4) * 0.6**3, rtol=0, atol=1e-12)


def test_total_variation_enters_with_its_own_gradient() -> None:
    """One step from x: x + rate (w - t L x), L twice the graph Laplacian of the 2 x 2 grid."""
    x = torch.tensor([[[1.0, 5.0], [2.0, 0.0]]], dtype=torch.float64)
    assert total_variation(x[None]).item() == (2 - 1) ** 2 + 5**2 + 4**2 + 2**2
    laplacian = torch.tensor([[2 * 1 - 5 - 2, 2 * 5 - 1 - 0, 2 * 2 - 1 - 0, 2 * 0 - 5 - 2]], dtype=torch.float64)
    drawn = maximize_activations(_linear, x, 2, AscentSettings(steps=1, rate=0.5, total_variation=3.0, **WIDE))
    np.testing.assert_allclose(drawn.flatten(1), x.flatten() + 0.5 * (WEIGHT - 3 * 2 * laplacian), rtol=0, atol=1e-12)


def test_steps_of_unit_length_and_limits() -> None:
    start = torch.zeros(1, 2, 2, dtype=torch.float64)
    step = maximize_activations(_linear, start, 2, AscentSettings(steps=1, rate=0.1, lowest=-1.0)).flatten(1)
    np.testing.assert_allclose(step.square().mean(dim=1).sqrt(), 0.1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(step, 0.1 * WEIGHT / WEIGHT.square().mean(dim=1, keepdim=True).sqrt(), atol=1e-12)
    far = maximize_activations(_linear, start, 2, AscentSettings(steps=50, rate=0.5)).flatten(1)
    assert far.tolist() == (WEIGHT > 0).double().tolist()
    flat = maximize_activations(lambda x: x.flatten(1)[:, :2] * 0, start, 2, AscentSettings(steps=2))
    assert flat.abs().max() == 0  # no slope, and no NaN


def test_jitter_is_undone_and_repeats_with_its_seed() -> None:
    """S sees one fixed pixel; with shifts the score's pixel lands on different ones."""

    def corner(x: torch.Tensor) -> torch.Tensor:
        return x[:, 0, 2, 2][:, None]

    start = torch.zeros(1, 5, 5, dtype=torch.float64)
    still = maximize_activations(corner, start, 1, AscentSettings(steps=4, rate=1.0, **WIDE))
    assert still.nonzero().tolist() == [[0, 0, 2, 2]]
    ascent = AscentSettings(steps=12, rate=1.0, jitter=1, seed=3, **WIDE)
    shaken = maximize_activations(corner, start, 1, ascent)
    assert shaken.sum() == 12
    assert shaken[0, 0, 1:4, 1:4].sum() == 12  # never further than the jitter
    assert (shaken > 0).sum() > 3
    assert torch.equal(shaken, maximize_activations(corner, start, 1, ascent))


def test_blur_is_a_gaussian_that_keeps_a_constant() -> None:
    np.testing.assert_allclose(blurred(torch.full((1, 2, 5, 6), 0.4), 1.5), 0.4, rtol=1e-6)
    dot = torch.zeros(1, 1, 13, 13, dtype=torch.float64)
    dot[..., 6, 6] = 1.0
    spread = blurred(dot, 1.0)[0, 0]
    np.testing.assert_allclose(spread.sum(), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(spread[6, 7] / spread[6, 6], np.exp(-0.5), rtol=1e-12)
    np.testing.assert_allclose(spread[8, 7] / spread[6, 6], np.exp(-2.5), rtol=1e-12)
    start = torch.zeros(1, 2, 2, dtype=torch.float64)
    ascent = AscentSettings(steps=1, rate=1.0, blur_px=1.0, blur_every=1, **WIDE)
    expected = blurred(WEIGHT.reshape(2, 1, 2, 2), 1.0)
    np.testing.assert_allclose(maximize_activations(_linear, start, 2, ascent), expected, rtol=0, atol=1e-12)


def test_every_label_is_drawn_as_if_alone_and_its_logit_rises() -> None:
    network, start = tiny("in place"), films(1)[0]
    network.train()
    network.second.weight.grad = torch.ones_like(network.second.weight)
    before = state_of(network)
    ascent = AscentSettings(steps=20, rate=0.05, jitter=1, l2=1e-3, total_variation=1e-3, blur_px=0.3)
    drawn = maximize_activations(network, start, LABELS, ascent)
    for label in range(LABELS):
        alone = maximize_activations(lambda x, label=label: network(x)[:, label : label + 1], start, 1, ascent)
        np.testing.assert_allclose(drawn[label], alone[0], rtol=0, atol=1e-9)
    assert (network(drawn).diagonal() > network(start[None])[0]).all()
    assert state_of(network) == before


def test_refuses_settings_out_of_range_and_labels_that_are_not_there() -> None:
    for faulty in ({"steps": 0}, {"l2": -1.0}, {"lowest": 1.0}, {"blur_every": 0}):
        with pytest.raises(ValueError, match="expected steps"):
            AscentSettings(**faulty)
    with pytest.raises(ValueError, match="fewer labels"):
        maximize_activations(_linear, torch.zeros(1, 2, 2, dtype=torch.float64), 3, AscentSettings(steps=1))
