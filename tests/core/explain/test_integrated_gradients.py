"""Integrated gradients against closed forms, and refined film by film until they are complete."""

import numpy as np
import pytest
import torch

from camray.core.explain.integrated_gradients import integrated_gradients
from camray.domain.errors import CheckpointError
from tests.core.explain.tiny import LABELS, films, tiny


def test_integrated_gradients_of_a_product_are_exact() -> None:
    """S = x0 x1: along the way from 0 the gradient is a (x1, x0), its integral half of that, times x."""

    def score(x: torch.Tensor) -> torch.Tensor:
        return (x[:, 0, 0, :1] * x[:, 0, 0, 1:]) * torch.ones(LABELS, dtype=x.dtype)

    film = torch.tensor([[[[3.0, 5.0]]]], dtype=torch.float64)
    heat = integrated_gradients(score, film)
    np.testing.assert_allclose(heat[0, :, 0], [[7.5, 7.5]] * LABELS, rtol=0, atol=1e-12)


def test_integrated_gradients_are_complete_and_settled_film_by_film() -> None:
    network, batch = tiny(), films(4) * torch.tensor([1.0, 1e-3, 3.0, 0.0], dtype=torch.float64)[:, None, None, None]
    black = network(torch.zeros_like(batch))
    difference = (network(batch) - black).detach()
    heat = integrated_gradients(network, batch, pieces=1)
    error = (heat.sum(dim=(2, 3)) - difference).abs() / difference.abs().clamp_min(1)
    assert error.max() <= 1e-3
    alone = torch.cat([integrated_gradients(network, film[None], pieces=1) for film in batch])
    np.testing.assert_allclose(heat, alone, rtol=0, atol=1e-12)
    assert heat[3].abs().max() == 0  # a black film
    with pytest.raises(CheckpointError, match="are not complete"):
        integrated_gradients(network, batch, pieces=1, max_points=1, tolerance=1e-12)


def test_pieces_are_halved_until_the_cube_adds_up() -> None:
    """S = x^3 from 0 to 1, gradient 3 x^2: one piece 3/4, two 15/16, four 63/64."""

    def score(x: torch.Tensor) -> torch.Tensor:
        return (x**3).flatten(1)

    film = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for tolerance, expected in ((0.3, 3 / 4), (0.1, 15 / 16), (0.02, 63 / 64)):
        heat = integrated_gradients(score, film, pieces=1, tolerance=tolerance)
        np.testing.assert_allclose(heat.item(), expected, rtol=0, atol=1e-12)


def test_only_pieces_with_a_kink_are_halved() -> None:
    seen = []

    def score(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x) if x.requires_grad else 0)
        return torch.relu(x.flatten(1) - 0.3)

    heat = integrated_gradients(score, torch.ones(1, 1, 1, 1, dtype=torch.float64), tolerance=1e-6)
    np.testing.assert_allclose(heat.item(), 0.7, rtol=0, atol=1e-6)
    assert sum(seen) < 8 + 2 * 20
