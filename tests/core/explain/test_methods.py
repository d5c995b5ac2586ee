"""Every method by its name: one seam, raw maps on the feature grid."""

import numpy as np
import pytest
import torch

from camray.core.explain.autograd import input_gradients
from camray.core.explain.guided_backprop import guided_gradients
from camray.core.explain.input_gradients import absolute, smoothgrad
from camray.core.explain.methods import METHODS, methods_named
from camray.core.explain.perturbation import Patch, occlusion
from camray.core.explain.resampling import area_mean, resampled
from camray.core.explain.seam import forward
from camray.core.explain.test_time_averaging import explain
from camray.core.networks.ensemble import build_network
from camray.domain.contract import NetworkSpec
from camray.domain.errors import CheckpointError
from tests.core.explain.tiny import LABELS, films, state_of, tiny

NAMES = (
    "cam",
    "gradcam",
    "gradcam_plus_plus",
    "hirescam",
    "layercam",
    "scorecam",
    "eigencam",
    "saliency",
    "saliency_squared",
    "smoothgrad",
    "input_x_gradient",
    "integrated_gradients",
    "deconvnet",
    "guided_backprop",
    "guided_gradcam",
    "occlusion",
    "occlusion_coarse_to_fine",
)
GRID = (3, 4)


def test_the_names() -> None:
    assert tuple(METHODS) == NAMES
    assert all(METHODS[name].note for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_films_one_by_one_and_nothing_is_altered(name: str) -> None:
    network, batch = tiny("in place"), films()
    network.second.weight.grad = torch.ones_like(network.second.weight)
    network.first.weight.requires_grad_(False)
    before, kept = state_of(network), batch.clone()
    heat = explain(network, batch, methods_named([name]), GRID).heat[name]
    assert heat.shape == (3, LABELS, *GRID)
    assert not heat.requires_grad
    assert heat.std() > 1e-6
    for number, film in enumerate(batch):
        alone = explain(network, film[None], methods_named([name]), GRID).heat[name]
        np.testing.assert_allclose(heat[number], alone[0], rtol=1e-12, atol=1e-12)
    assert state_of(network) == before
    assert torch.equal(batch, kept)


@pytest.mark.parametrize("name", [name for name in NAMES if METHODS[name].on_input])
def test_maps_of_pixels_are_averaged_over_their_cells(name: str) -> None:
    network, batch = tiny(), films()
    fine = METHODS[name].on_input(network, forward(network, batch))
    assert fine.shape == (3, LABELS, 6, 8)
    heat = explain(network, batch, methods_named([name]), GRID).heat[name]
    expected = fine.reshape(3, LABELS, 3, 2, 4, 2).mean(dim=(3, 5))
    np.testing.assert_allclose(heat, expected, rtol=1e-12, atol=1e-14)


def test_names_stand_for_what_they_say() -> None:
    network, batch = tiny(), films()
    heat = explain(network, batch, methods_named(NAMES), GRID).heat
    gradients = input_gradients(network, batch)[1][:, :, 0]
    passed = forward(network, batch)
    cam = network.cam(passed.features).detach()
    expected = {
        "cam": cam,
        "gradcam": cam.clamp_min(0) / 12,
        "hirescam": cam / 12,
        "saliency": area_mean(gradients.abs(), GRID),
        "saliency_squared": area_mean(gradients**2, GRID),
        "input_x_gradient": area_mean(gradients * batch, GRID),
        "guided_backprop": area_mean(guided_gradients(network, batch, "guided")[1][:, :, 0], GRID),
        "deconvnet": area_mean(guided_gradients(network, batch, "deconvnet")[1][:, :, 0], GRID),
        "smoothgrad": area_mean(absolute(smoothgrad(network, batch, samples=16, noise=0.15, seed=0)), GRID),
        "guided_gradcam": area_mean(
            guided_gradients(network, batch, "guided")[1][:, :, 0] * resampled(cam.clamp_min(0) / 12, (6, 8)), GRID
        ),
        "occlusion": area_mean(occlusion(network, batch, Patch(4, 2)), GRID),
    }
    for name, maps in expected.items():
        np.testing.assert_allclose(heat[name], maps, rtol=1e-9, atol=1e-12)
    change = network(batch) - network(torch.zeros_like(batch))
    added = heat["integrated_gradients"].sum(dim=(2, 3)) * 4  # four pixels a cell
    assert ((added - change).abs() <= 5e-2 * change.abs().clamp_min(1) + 1e-12).all()
    assert torch.equal(heat["eigencam"][:, 0], heat["eigencam"][:, 1])
    for name in ("cam", "hirescam", "input_x_gradient", "guided_backprop", "occlusion"):
        assert heat[name].min() < 0  # signed


def test_an_ensemble_is_explained_as_its_mean() -> None:
    spec = NetworkSpec(stride=16, widths=(4, 4, 6, 8), stem_kernel=3, members=2)
    network = build_network(spec, 2, seed=5).double().eval()
    batch = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    names = ("saliency", "input_x_gradient", "hirescam", "guided_backprop")
    heat = explain(network, batch, methods_named(names), (2, 2)).heat
    parts = [explain(member, batch, methods_named(names), (2, 2)).heat for member in network.members]
    for name in ("input_x_gradient", "hirescam", "guided_backprop"):
        np.testing.assert_allclose(heat[name], (parts[0][name] + parts[1][name]) / 2, rtol=0, atol=1e-12)


def test_guided_methods_refuse_swish_through_the_seam_too() -> None:
    for name in ("guided_backprop", "deconvnet", "guided_gradcam"):
        with pytest.raises(CheckpointError, match="no rule for 'Sigmoid'"):
            explain(tiny("swish"), films(), methods_named([name]), GRID)
