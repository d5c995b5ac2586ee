"""Blocks from the logits down, and the cascade; nothing happens to the network itself."""

import pytest
import torch
from torch import nn

from camray.core.map_sanity.weight_randomization import blocks_of, cascade
from camray.core.networks.classifier import build_classifier
from camray.core.networks.ensemble import build_network
from camray.domain.contract import NetworkSpec
from tests.core.explain.tiny import state_of, tiny

BACKBONES = ("resnet18", "densenet121", "efficientnet_b0", "vgg16_bn_gap", "googlenet_gap", "nin", "alexnet")


def _leaves(network: nn.Module) -> list[str]:
    return [name for name, part in network.named_modules() if next(part.parameters(recurse=False), None) is not None]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_layer_stands_in_one_block_and_blocks_run_in_order(backbone: str) -> None:
    network = build_classifier(NetworkSpec(backbone=backbone, stride=16), 3, seed=0).eval()
    blocks = blocks_of(network)
    grouped = [name for block in blocks for name in block.modules]
    assert sorted(grouped) == sorted(_leaves(network))
    assert 6 <= len(blocks) <= 10
    assert len({block.name for block in blocks}) == len(blocks)
    assert len(blocks[0].modules) == 1  # the last layer alone
    assert blocks[0].name.startswith("classifier")
    number = {name: place for place, block in enumerate(reversed(blocks)) for name in block.modules}
    ran: list[int] = []
    for name, part in network.named_modules():
        if name in number:
            part.register_forward_hook(lambda *_, place=number[name]: ran.append(place))
    with torch.no_grad():
        network(torch.rand(1, 1, 64, 64))
    assert ran == sorted(ran)  # a block is over before the next begins


def test_blocks_of_a_small_resnet_by_name() -> None:
    network = build_classifier(NetworkSpec(), 3, seed=0)
    blocks = blocks_of(network)
    assert [block.name for block in blocks] == [
        "classifier",
        "backbone.layer4.0",
        "backbone.layer3.0",
        "backbone.layer2.0",
        "backbone.layer1.0",
        "backbone.conv1 to bn1",
    ]
    assert [len(block.modules) for block in blocks_of(network, 2)] == [1, len(_leaves(network)) - 1]
    with pytest.raises(ValueError, match="two or more"):
        blocks_of(network, 1)
    with pytest.raises(ValueError, match="no parameters"):
        blocks_of(nn.ReLU())


def test_members_of_an_ensemble_are_randomised_together() -> None:
    network = build_network(NetworkSpec(members=2), 3, seed=0)
    blocks = blocks_of(network)
    assert blocks[0].modules == ("members.0.classifier", "members.1.classifier")
    assert sorted(name for block in blocks for name in block.modules) == sorted(_leaves(network))


def test_the_cascade_goes_down_and_leaves_the_network_alone() -> None:
    network = build_classifier(NetworkSpec(widths=(4, 4, 4, 4)), 2, seed=0).train()
    before = state_of(network)
    blocks = blocks_of(network)
    randomised: set[str] = set()
    original = network.state_dict()
    for block, altered in cascade(network, blocks, seed=1):
        randomised |= set(block.modules)
        for name, value in altered.state_dict().items():
            is_weight = value.dim() > 1
            if name.rpartition(".")[0] not in randomised:
                assert torch.equal(value, original[name])
            elif is_weight:
                assert not torch.equal(value, original[name])
    assert randomised == set(_leaves(network))
    assert state_of(network) == before


def test_weights_are_he_normal_and_norms_start_anew() -> None:
    network = nn.Sequential(nn.Conv2d(8, 256, 3), nn.BatchNorm2d(256), nn.Flatten(), nn.Linear(256, 4)).double()
    for value in network.state_dict().values():
        value.fill_(5)
    conv, norm, _, linear = [altered for _, altered in cascade(network, blocks_of(network), seed=0)][-1]
    assert conv.weight.std().item() == pytest.approx((2 / 72) ** 0.5, rel=0.03)
    assert conv.weight.mean().item() == pytest.approx(0, abs=0.01)
    assert linear.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.1)
    for value, expected in (
        (conv.bias, 0),
        (linear.bias, 0),
        (norm.weight, 1),
        (norm.bias, 0),
        (norm.running_mean, 0),
        (norm.running_var, 1),
    ):
        assert (value == expected).all()


def test_same_seed_same_weights_another_seed_others_and_no_global_draw() -> None:
    network = tiny()
    blocks = blocks_of(network)
    state = torch.get_rng_state()

    def weights(seed: int) -> list[torch.Tensor]:
        return [altered.second.weight.detach().clone() for _, altered in cascade(network, blocks, seed)]

    first = weights(3)
    assert all(torch.equal(a, b) for a, b in zip(first, weights(3), strict=True))
    assert not torch.equal(first[-1], weights(4)[-1])
    assert torch.equal(torch.get_rng_state(), state)
