import pytest
import torch

from camray.core.explain.cam import gradient_weighted, summed_gradients
from camray.core.explain.seam import forward
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier, build_network
from camray.domain.contract import POOLS, NetworkSpec


def _pair(pool: str) -> EnsembleClassifier:
    spec = NetworkSpec(pool=pool, stride=8, widths=(4, 4, 6, 6), stem_kernel=3, members=2)
    network = build_network(spec, labels=3, seed=1).double().eval()
    assert isinstance(network, EnsembleClassifier)
    for number, member in enumerate(network.members):
        torch.nn.init.normal_(member.classifier.weight, generator=torch.Generator().manual_seed(number))
        torch.nn.init.normal_(member.classifier.bias, generator=torch.Generator().manual_seed(9 + number))
    return network


@pytest.mark.parametrize("pool", POOLS)
def test_logits_and_maps_are_the_members_means(pool: str) -> None:
    network, films = _pair(pool), torch.rand(2, 1, 32, 48, dtype=torch.float64)
    with torch.no_grad():
        features = network.features(films)
        own = [(m.head(m.features(films)), m.cam(m.features(films))) for m in network.members]
        assert features.shape == (2, 12, 4, 6)
        torch.testing.assert_close(network.head(features), (own[0][0] + own[1][0]) / 2)
        torch.testing.assert_close(network.cam(features), (own[0][1] + own[1][1]) / 2)
        torch.testing.assert_close(network(films), network.head(features))
    assert not torch.allclose(own[0][0], own[1][0])


def test_the_mean_of_the_map_plus_the_mean_bias_is_the_logit() -> None:
    network, films = _pair("gap"), torch.rand(2, 1, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        features = network.features(films)
        bias = sum(member.classifier.bias for member in network.members) / 2
        torch.testing.assert_close(network.cam(features).mean(dim=(2, 3)) + bias, network.head(features))


@pytest.mark.parametrize("pool", ["gap", "lse_map", "pcam"])
def test_grad_cam_of_an_ensemble_equals_its_gradient(pool: str) -> None:
    network, films = _pair(pool), torch.rand(1, 1, 32, 32, dtype=torch.float64)
    passed = forward(network, films)
    expected = torch.einsum("blk,bkhw->blhw", summed_gradients(network, passed.features), passed.features)
    torch.testing.assert_close(gradient_weighted(network, passed), expected)


def test_one_member_is_a_plain_classifier_and_seeds_tell_members_apart() -> None:
    assert isinstance(build_network(NetworkSpec(), 2, 0), PooledClassifier)
    network = build_network(NetworkSpec(members=2), 2, 0)
    assert isinstance(network, EnsembleClassifier)
    first, second = (member.backbone.conv1.weight for member in network.members)
    assert not torch.equal(first, second)
