"""EfficientNet-Lite against the published sizes and a computation from the state dict alone."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from camray.adapters.checkpoints import read_weights
from camray.adapters.weight_packages import packaged_weights
from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.core.networks.efficientnet_lite import InvertedResidual
from camray.core.networks.published import published_classifier
from camray.core.networks.weights import load_starting_weights
from camray.domain.contract import NetworkSpec

Weights = dict[str, Tensor]
SHORTCUTS = {2, 4, 6, 7, 9, 10, 12, 13, 14}  # blocks of Lite0 that keep their shape
STRIDED = {1, 3, 5, 11}


def _classifier(stride: int, aligned: bool = True, dilated: bool = True) -> PooledClassifier:
    spec = NetworkSpec(
        backbone="efficientnet_lite0", stride=stride, aligned=aligned, dilated=dilated, normalise="photo", pool="gap"
    )
    return build_classifier(spec, 3, seed=1).double().eval()


def _films(rows: int = 64, cols: int = 96) -> Tensor:
    return torch.rand(1, 1, rows, cols, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def _folded(x: Tensor, weights: Weights, conv: str, norm: str, stride: int = 1) -> Tensor:
    """Convolve with the normalisation folded into weights and bias; the odd positions are sampled."""
    factor = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + 1e-3).sqrt()
    kernel = weights[f"{conv}.weight"] * factor[:, None, None, None]
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * factor
    side = kernel.shape[2]
    before, after = (side // 2 - 1, side // 2) if stride == 2 else (side // 2, side // 2)
    groups = kernel.shape[0] if kernel.shape[1] == 1 and x.shape[1] > 1 else 1
    return conv2d(pad(x, (before, after, before, after)), kernel, bias, stride, groups=groups)


def _reference(photo: Tensor, weights: Weights, blocks: int) -> Tensor:
    x = _folded(photo, weights, "_conv_stem", "_bn0", 2).clamp(0, 6)
    for number in range(blocks):
        name, before = f"_blocks.{number}", x
        if f"{name}._expand_conv.weight" in weights:
            x = _folded(x, weights, f"{name}._expand_conv", f"{name}._bn0").clamp(0, 6)
        stride = 2 if number in STRIDED else 1
        x = _folded(x, weights, f"{name}._depthwise_conv", f"{name}._bn1", stride).clamp(0, 6)
        x = _folded(x, weights, f"{name}._project_conv", f"{name}._bn2")
        x = x + before if number in SHORTCUTS else x
    return x


@pytest.fixture(scope="module")
def packaged() -> Weights:
    return read_weights(packaged_weights("efficientnet_lite0"))


# numbers of parameters that are published for 1000 classes
@pytest.mark.parametrize(("scale", "parameters"), [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072)])
def test_sizes_are_the_published_ones(scale: int, parameters: int) -> None:
    model = build_classifier(NetworkSpec(backbone=f"efficientnet_lite{scale}", normalise="photo"), 1000, seed=1)
    assert sum(value.numel() for value in model.parameters()) == parameters


def test_the_packages_weights_fit_to_the_last_tensor_and_give_the_reference_logits(packaged: Weights) -> None:
    network, report = published_classifier("efficientnet_lite0", packaged)
    assert report.as_json()["counts"] == {
        "matched": 296,
        "summed_channels": 0,
        "missing": 0,
        "unused": 0,
        "wrong_shape": 0,
        "without_layer": 0,
        "shapes": 0,
    }
    wide = {name: value.double() for name, value in packaged.items()}
    photo = torch.rand(2, 3, 96, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        head = _folded(_reference(2 * photo - 1, wide, 16), wide, "_conv_head", "_bn1").clamp(0, 6)
        expected = head.mean(dim=(2, 3)) @ wide["_fc.weight"].T + wide["_fc.bias"]
        assert torch.allclose(network(photo.float()).double(), expected, atol=1e-4)
        assert torch.allclose(network.double()(photo), expected, atol=1e-10)


@pytest.mark.parametrize(("stride", "blocks", "channels"), [(16, 11, 112), (8, 5, 40)])
def test_a_cut_network_gives_the_reference_features(packaged: Weights, stride: int, blocks: int, channels: int) -> None:
    model = _classifier(stride, aligned=False, dilated=False)
    report = load_starting_weights(model, packaged)
    assert report.missing == ("classifier.bias", "classifier.weight")
    films = _films()
    wide = {name: value.double() for name, value in packaged.items()}
    with torch.no_grad():
        features = model.features(films)
        expected = _reference((2 * films - 1).repeat(1, 3, 1, 1), wide, blocks)
        assert features.shape == (1, channels, 64 // stride, 96 // stride)
        assert torch.allclose(features, expected, atol=1e-5)
        logits = model.cam(features).mean(dim=(2, 3)) + model.classifier.bias
        assert torch.allclose(logits, model(films), atol=1e-12)


def test_a_coarse_map_is_every_second_or_fourth_cell_of_a_dilated_one(packaged: Weights) -> None:
    maps = {}
    for stride in (8, 16, 32):
        model = _classifier(stride, aligned=False)
        load_starting_weights(model, packaged)
        with torch.no_grad():
            maps[stride] = model.features(_films())
    for stride in (8, 16):
        step = 32 // stride
        assert torch.allclose(maps[stride][:, :, step - 1 :: step, step - 1 :: step], maps[32], atol=1e-10)


@pytest.mark.parametrize("dilated", [True, False])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_a_cells_receptive_field_is_centred_on_the_cell(stride: int, dilated: bool) -> None:
    model = _classifier(stride, dilated=dilated)
    for part in model.modules():
        if isinstance(part, torch.nn.Conv2d):  # strided: every tap alike; else the centre alone
            taps = slice(None) if part.stride[0] > 1 else part.kernel_size[0] // 2
            torch.nn.init.zeros_(part.weight)
            part.weight.data[:, :, taps, taps] = 1.0
            part.weight.data /= part.weight[0].sum()
        if isinstance(part, InvertedResidual):
            part.has_shortcut = False
    films = torch.full((1, 1, 192, 192), 0.6, dtype=torch.float64, requires_grad=True)
    cell = 192 // stride // 2
    model.features(films)[0, 0, cell, cell].backward()
    assert films.grad is not None
    reach = films.grad[0, 0].abs()
    centre = (reach.sum(1) * (torch.arange(192) + 0.5)).sum() / reach.sum()
    assert centre.item() - (cell + 0.5) * stride == pytest.approx(-0.5, abs=1e-6)


def test_a_cut_network_has_no_later_blocks_and_keeps_its_names() -> None:
    cut, whole = (_classifier(16, dilated=dilated).state_dict() for dilated in (False, True))
    shapes = {name: value.shape for name, value in cut.items() if not name.startswith("classifier.")}
    assert shapes == {name: whole[name].shape for name in shapes}
    assert not any("_blocks.11." in name or "_head" in name for name in cut)


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "efficientnet_b0", "resnet_light"])
def test_running_statistics_follow_the_momentum_of_the_spec(backbone: str) -> None:
    for momentum in (0.1, 0.3):
        model = build_classifier(NetworkSpec(backbone=backbone, norm_momentum=momentum), 2, seed=1)
        norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
        assert {norm.momentum for norm in norms} == {momentum}
