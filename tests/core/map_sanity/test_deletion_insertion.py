"""Deletion, insertion and average drop against closed forms of a linear network."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from camray.core.map_sanity.deletion_insertion import (
    CurveSettings,
    area_under,
    cell_order,
    confidence_through,
    removal_curves,
)
from camray.core.map_sanity.single_label import OneLabel
from tests.core.map_sanity.linear import LinearNetwork, films

SIDE = 4


def _curves(network: LinearNetwork, x: torch.Tensor, heat: np.ndarray, steps: int = 16, label: int = 1):
    return removal_curves(OneLabel(network, label), x, heat, CurveSettings(steps, blur_px=3.0, seed=0, batch_size=2))


def _parts(network: LinearNetwork, x: torch.Tensor, label: int = 1) -> tuple[np.ndarray, np.ndarray, float]:
    """Return cell means [N, cells], weights [cells] and the bias."""
    means = network.features(x).flatten(1).numpy()
    weights = network.classifier.weight[label].detach().numpy()
    return means, weights, network.classifier.bias[label].item()


def test_baselines_of_a_linear_network_in_closed_form() -> None:
    network, x = LinearNetwork(SIDE, 3), films(3, SIDE)
    means, weights, bias = _parts(network, x)
    heat = np.arange(16.0)[::-1].reshape(1, SIDE, SIDE).repeat(3, axis=0)  # cell 0 is the hottest
    settings = CurveSettings(16, 3.0, 0, 2, deletion_baseline="black", insertion_baseline="mean")
    curves = removal_curves(OneLabel(network, 1), x, heat, settings)
    grey = x.mean(dim=(1, 2, 3)).numpy()
    for gone in (0, 1, 7, 16):
        left = means[:, gone:] @ weights[gone:]
        np.testing.assert_allclose(curves.deletion[:, gone], 1 / (1 + np.exp(-left - bias)), rtol=1e-5)
        there = means[:, :gone] @ weights[:gone] + grey * weights[gone:].sum()
        np.testing.assert_allclose(curves.insertion[:, gone], 1 / (1 + np.exp(-there - bias)), rtol=1e-5)


def test_deletion_of_a_linear_network_in_closed_form() -> None:
    network, x = LinearNetwork(SIDE, 3), films(3, SIDE)
    means, weights, bias = _parts(network, x)
    heat = (means * weights).reshape(3, SIDE, SIDE)
    found = _curves(network, x, heat)
    np.testing.assert_allclose(found.fractions, np.arange(17) / 16)
    for film in range(3):
        order = np.argsort(-heat[film].ravel())
        lost = weights[order] * (means[film] - x[film].mean().item())[order]
        logits = bias + weights @ means[film] - np.concatenate([[0.0], np.cumsum(lost)])
        np.testing.assert_allclose(found.deletion[film], expit(logits), rtol=1e-9)
        assert found.insertion[film, -1] == pytest.approx(expit(bias + weights @ means[film]))
        assert found.insertion[film, 0] != found.insertion[film, -1]


def test_the_best_order_falls_fastest_and_rises_fastest() -> None:
    network, x = LinearNetwork(SIDE, 3), films(4, SIDE)
    means, weights, _ = _parts(network, x)
    effect = (weights * (means - x.mean(dim=(1, 2, 3))[:, None].numpy())).reshape(4, SIDE, SIDE)
    best, noise = (
        _curves(network, x, effect),
        _curves(network, x, np.random.default_rng(0).normal(size=(4, SIDE, SIDE))),
    )
    worst = _curves(network, x, -effect)
    areas = [area_under(each.fractions, each.deletion) for each in (best, noise, worst)]
    assert (areas[0] < areas[1]).all()
    assert (areas[1] < areas[2]).all()


def test_fewer_steps_meet_the_same_points_and_more_steps_than_cells_are_the_cells() -> None:
    network, x = LinearNetwork(SIDE, 2), films(2, SIDE)
    heat = np.random.default_rng(0).normal(size=(2, SIDE, SIDE))
    every, some = _curves(network, x, heat, 99), _curves(network, x, heat, 4)
    assert len(every.fractions) == 17
    np.testing.assert_allclose(some.fractions, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(some.deletion, every.deletion[:, ::4], rtol=1e-12)
    np.testing.assert_allclose(some.insertion, every.insertion[:, ::4], rtol=1e-12)


def test_maps_without_an_order_have_no_curve() -> None:
    network, x = LinearNetwork(SIDE, 2), films(3, SIDE)
    heat = np.random.default_rng(0).normal(size=(3, SIDE, SIDE))
    heat[0], heat[1, 2, 2] = 0.0, np.nan
    found = _curves(network, x, heat)
    assert np.isnan(found.deletion[:2]).all()
    assert np.isnan(found.insertion[:2]).all()
    assert np.isnan(area_under(found.fractions, found.deletion)).tolist() == [True, True, False]


def test_the_area_by_hand() -> None:
    assert area_under(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]])).tolist() == [0.5, 1.0]


def test_equal_cells_come_in_a_random_order_that_all_maps_share() -> None:
    heat = np.zeros((2, 5, 5))
    heat[:, 3, 4], heat[1, 0, 0] = 2.0, 1.0
    order = cell_order(heat, seed=0)
    assert order[0, 0] == 19
    assert order[1, :2].tolist() == [19, 0]
    rest = [cell for cell in order[0] if cell not in {0, 19}]
    assert rest == [cell for cell in order[1] if cell not in {0, 19}]
    assert rest != sorted(rest)
    assert sorted(order[0]) == list(range(25))
    assert cell_order(heat, seed=1).tolist() != order.tolist()


def test_what_a_map_shows_of_the_film() -> None:
    network, x = LinearNetwork(SIDE, 2), films(5, SIDE)
    means, weights, bias = _parts(network, x)
    heat = np.ones((5, 4 * SIDE, 4 * SIDE))  # as fine as the film: no interpolation
    helpful = np.kron(np.where(weights > 0, 3.0, -1.0).reshape(SIDE, SIDE), np.ones((4, 4)))
    heat[0], heat[1], heat[2], heat[3, 0, 0] = helpful, -helpful, -1.0, np.nan
    found = confidence_through(OneLabel(network, 1), x, heat, batch_size=2)
    np.testing.assert_allclose(found.whole, expit(bias + means @ weights), rtol=1e-9)
    np.testing.assert_allclose(found.through_map[0], expit(bias + means[0] @ weights.clip(0)), rtol=1e-9)
    np.testing.assert_allclose(found.through_map[1], expit(bias + means[1] @ weights.clip(None, 0)), rtol=1e-9)
    assert found.increase[:2].tolist() == [1.0, 0.0]
    assert found.drop[0] == 0
    assert found.drop[1] == pytest.approx(1 - found.through_map[1] / found.whole[1])
    assert np.isnan(found.drop[2:4]).all()  # nothing positive; not finite
    assert np.isnan(found.increase[2:4]).all()
    assert found.drop[4] == found.increase[4] == 0  # the whole film is shown
