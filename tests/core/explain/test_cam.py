"""CAM and Grad-CAM of pooled heads against autograd, in float64."""

import dataclasses

import numpy as np
import pytest
import torch

from camray.core.explain.cam import CLOSED_FORM_POOLS, cam, gradient_weighted, positive_mean, summed_gradients
from camray.core.explain.methods import methods_named
from camray.core.explain.seam import forward
from camray.core.explain.test_time_averaging import explain, feature_grid
from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.domain.contract import POOLS, NetworkSpec
from camray.domain.errors import SettingsError

LABELS = 3


SEAM_METHODS = ("cam", "gradcam")


def _network(pool: str, **changes: object) -> PooledClassifier:
    spec = NetworkSpec(pool=pool, stride=8, widths=(4, 4, 6, 8), stem_kernel=3)
    network = build_classifier(dataclasses.replace(spec, **changes), LABELS, seed=5).double().eval()
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        network.classifier.weight.copy_(torch.randn(LABELS, network.channels, generator=generator, dtype=torch.float64))
        network.classifier.bias.copy_(torch.randn(LABELS, generator=generator, dtype=torch.float64))
    return network.requires_grad_(False)


def _films(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 1, 32, 48, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def _reference_gradcam(network: PooledClassifier, film: torch.Tensor, label: int) -> torch.Tensor:
    """Grad-CAM of one film and label, from the paper's two equations and plain autograd."""
    features = network.features(film[None]).detach().requires_grad_(True)
    network.head(features)[0, label].backward()
    assert features.grad is not None
    importance = features.grad[0].mean(dim=(1, 2))
    return torch.relu((importance[:, None, None] * features.detach()[0]).sum(dim=0))


@pytest.mark.parametrize("pool", POOLS)
def test_gradcam_equals_autograd_one_film_and_label_at_a_time(pool: str) -> None:
    network, films = _network(pool), _films()
    heat = positive_mean(gradient_weighted(network, forward(network, films)))
    for number, film in enumerate(films):
        for label in range(LABELS):
            expected = _reference_gradcam(network, film, label)
            assert expected.max() > 0 or label
            np.testing.assert_allclose(heat[number, label], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("pool", CLOSED_FORM_POOLS)
def test_closed_form_equals_the_gradient_through_the_head(pool: str) -> None:
    network, passed = _network(pool), forward(_network(pool), _films())
    through_head = torch.einsum("blk,bkhw->blhw", summed_gradients(network, passed.features), passed.features)
    np.testing.assert_allclose(gradient_weighted(network, passed), through_head, rtol=0, atol=1e-9)
    cells = passed.features.shape[-1] * passed.features.shape[-2]
    expected = cam(network, passed).clamp_min(0) / cells
    np.testing.assert_allclose(positive_mean(gradient_weighted(network, passed)), expected, rtol=0, atol=1e-12)


def test_mean_cam_and_bias_make_the_logit_after_an_average_pool() -> None:
    network = _network("gap")
    passed = forward(network, _films())
    mean = cam(network, passed).mean(dim=(2, 3)) + network.classifier.bias
    np.testing.assert_allclose(mean, passed.logits, rtol=0, atol=1e-12)
    assert passed.logits.std() > 1e-3


def test_cam_is_the_weighted_sum_of_channels() -> None:
    class Two(torch.nn.Module):
        spec = NetworkSpec(pool="gap")

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x.flip(-1)], dim=1)

        def head(self, features: torch.Tensor) -> torch.Tensor:
            return self.cam(features).mean(dim=(2, 3))

        def cam(self, features: torch.Tensor) -> torch.Tensor:
            return 2 * features[:, :1] - features[:, 1:]

    film = torch.tensor([[[[1.0, 0.0], [0.0, 3.0]]]])
    found = explain(Two(), film, methods_named(("cam", "gradcam")), (2, 2))
    assert found.heat["cam"][0, 0].tolist() == [[2.0, -1.0], [-3.0, 6.0]]
    assert found.heat["gradcam"][0, 0].tolist() == [[0.5, 0.0], [0.0, 1.5]]
    assert found.logits.tolist() == [[1.0]]


@pytest.mark.parametrize("pool", POOLS)
def test_a_batch_equals_films_one_by_one(pool: str) -> None:
    network, films, methods = _network(pool), _films(4), methods_named(SEAM_METHODS)
    grid = feature_grid(network, films)
    whole = explain(network, films, methods, grid, flip=True, scales=(1.0, 1.5))
    for number in range(len(films)):
        alone = explain(network, films[number : number + 1], methods, grid, flip=True, scales=(1.0, 1.5))
        np.testing.assert_allclose(whole.logits[number], alone.logits[0], rtol=0, atol=1e-12)
        for name in SEAM_METHODS:
            np.testing.assert_allclose(whole.heat[name][number], alone.heat[name][0], rtol=0, atol=1e-12)


def test_explaining_leaves_the_network_as_it_was() -> None:
    network = _network("pcam").requires_grad_(True)
    network.backbone.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    training = [module.training for module in network.modules()]
    network.eval()
    explain(network, _films(), methods_named(SEAM_METHODS), (4, 6), flip=True)
    network.backbone.train()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert torch.is_grad_enabled()
    assert [module.training for module in network.modules()][2:] == training[2:]


def test_methods_are_looked_up_by_name() -> None:
    assert [method.name for method in methods_named(("gradcam", "cam"))] == ["gradcam", "cam"]
    for wrong in ((), ("cam", "cam"), ("cam", "gradcamm")):
        with pytest.raises(SettingsError, match="cam, gradcam"):
            methods_named(wrong)
