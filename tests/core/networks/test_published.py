"""AlexNet, VGG16, GoogLeNet and NIN against sizes worked by hand and plain functional re-implementations."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camray.core.explain.autograd import layer_maps
from camray.core.explain.gradient_cams import gradcam_map
from camray.core.explain.methods import methods_named
from camray.core.explain.seam import forward
from camray.core.explain.test_time_averaging import explain
from camray.core.networks.classifier import FullyConnectedClassifier, PooledClassifier, build_classifier
from camray.core.networks.vgg import vgg16_layers
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import SettingsError

GAP_FORMS = ("alexnet_gap", "vgg16_gap", "vgg16_bn_gap", "googlenet_gap", "nin", "googlenet")
Weights = dict[str, Tensor]


def _classifier(backbone: str, stride: int = 16, aligned: bool = False) -> PooledClassifier:
    spec = NetworkSpec(backbone=backbone, stride=stride, aligned=aligned)
    return build_classifier(spec, 3, seed=1).eval().requires_grad_(False)


def _films(rows: int, cols: int) -> Tensor:
    return torch.rand(1, 1, rows, cols, generator=torch.Generator().manual_seed(4))


def _shape_of_features(model: PooledClassifier, rows: int, cols: int) -> tuple[int, ...]:
    """Give the shape alone: a network on the device "meta" has no numbers, and needs no time."""
    return tuple(model.features(torch.empty(1, 1, rows, cols, device="meta")).shape)


def _conv(x: Tensor, w: Weights, name: str, stride: int = 1, padding: int = 0) -> Tensor:
    return torch.relu(F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, padding))


def _plain_alexnet(x: Tensor, w: Weights) -> Tensor:
    x = F.max_pool2d(_conv(x, w, "features.0", 4, 2), 3, 2)
    x = F.max_pool2d(_conv(x, w, "features.3", 1, 2), 3, 2)
    for number in (6, 8, 10):
        x = _conv(x, w, f"features.{number}", 1, 1)
    return _conv(x, w, "cam_conv", 1, 1) if "cam_conv.weight" in w else x


def _plain_vgg16(x: Tensor, w: Weights) -> Tensor:
    for stack in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
        x = F.max_pool2d(x, 2, 2) if stack[0] else x
        for number in stack:
            x = _conv(x, w, f"features.{number}", 1, 1)
    return _conv(x, w, "cam_conv", 1, 1)


def _plain_vgg16_bn(x: Tensor, w: Weights) -> Tensor:
    for stack in ((0, 3), (7, 10), (14, 17, 20), (24, 27, 30), (34, 37, 40)):
        x = F.max_pool2d(x, 2, 2) if stack[0] else x
        for number in stack:
            x = F.conv2d(x, w[f"features.{number}.weight"], w[f"features.{number}.bias"], padding=1)
            x = _normed(x, w, f"features.{number + 1}", 1e-5)
    return _conv(x, w, "cam_conv", 1, 1)


def _normed(x: Tensor, w: Weights, name: str, eps: float) -> Tensor:
    mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return torch.relu(F.batch_norm(x, mean, variance, w[f"{name}.weight"], w[f"{name}.bias"], eps=eps))


def _basic(x: Tensor, w: Weights, name: str, stride: int = 1) -> Tensor:
    kernel = w[f"{name}.conv.weight"]
    return _normed(F.conv2d(x, kernel, None, stride, kernel.shape[2] // 2), w, f"{name}.bn", 1e-3)


def _plain_inception(x: Tensor, w: Weights, name: str) -> Tensor:
    return torch.cat(
        [
            _basic(x, w, f"{name}.branch1"),
            _basic(_basic(x, w, f"{name}.branch2.0"), w, f"{name}.branch2.1"),
            _basic(_basic(x, w, f"{name}.branch3.0"), w, f"{name}.branch3.1"),
            _basic(F.max_pool2d(x, 3, 1, 1), w, f"{name}.branch4.1"),
        ],
        dim=1,
    )


def _plain_googlenet(x: Tensor, w: Weights) -> Tensor:
    x = F.max_pool2d(_basic(x, w, "conv1", 2), 3, 2, ceil_mode=True)
    x = F.max_pool2d(_basic(_basic(x, w, "conv2"), w, "conv3"), 3, 2, ceil_mode=True)
    x = _plain_inception(_plain_inception(x, w, "inception3a"), w, "inception3b")
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for letter in "abcde":
        x = _plain_inception(x, w, f"inception4{letter}")
    if "cam_conv.weight" in w:
        return _conv(x, w, "cam_conv", 1, 1)
    x = F.max_pool2d(x, 2, 2, ceil_mode=True)
    return _plain_inception(_plain_inception(x, w, "inception5a"), w, "inception5b")


def _plain_nin(x: Tensor, w: Weights) -> Tensor:
    x = _conv(_conv(_conv(x, w, "conv1", 4, 4), w, "cccp1"), w, "cccp2")
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = _conv(_conv(_conv(x, w, "conv2", 1, 2), w, "cccp3"), w, "cccp4")
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = _conv(_conv(_conv(x, w, "conv3", 1, 1), w, "cccp5"), w, "cccp6")
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    return _conv(_conv(x, w, "conv4", 1, 1), w, "cccp7")


PLAIN: dict[str, tuple[int, Callable[[Tensor, Weights], Tensor]]] = {
    "alexnet_gap": (16, _plain_alexnet),
    "vgg16_gap": (16, _plain_vgg16),
    "vgg16_bn_gap": (16, _plain_vgg16_bn),
    "googlenet_gap": (16, _plain_googlenet),
    "googlenet": (32, _plain_googlenet),
    "nin": (32, _plain_nin),
}


@pytest.mark.parametrize("backbone", PLAIN)
def test_features_are_those_of_a_plain_reimplementation(backbone: str) -> None:
    stride, plain = PLAIN[backbone]
    model, films = _classifier(backbone, stride), _films(64, 96)
    generator = torch.Generator().manual_seed(8)
    for name, values in model.backbone.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            values.normal_(0, 0.1, generator=generator)
        if name.endswith("running_var"):
            values.uniform_(0.5, 2.0, generator=generator)
    expected = plain((films - 0.5) / 0.25, model.backbone.state_dict())
    found = model.features(films)
    assert found.shape == expected.shape
    assert (found > 0).float().mean() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.max()))


# 224 px. AlexNet: (224 + 4 - 11) // 4 + 1 = 55, (55 - 3) // 2 + 1 = 27, 13. VGG16: 224, 112, 56, 28, 14.
# GoogLeNet: 112, 56, 28, 14, and whole 7. NIN: (224 + 8 - 11) // 4 + 1 = 56, 28, 14, 7.
@pytest.mark.parametrize(
    ("backbone", "stride", "channels", "side"),
    [
        ("alexnet_gap", 16, 1024, 13),
        ("vgg16_gap", 16, 1024, 14),
        ("googlenet_gap", 16, 1024, 14),
        ("googlenet", 32, 1024, 7),
        ("googlenet", 16, 1024, 14),
        ("nin", 32, 1024, 7),
        ("nin", 16, 1024, 14),
    ],
)
def test_map_sizes_at_224_px(backbone: str, stride: int, channels: int, side: int) -> None:
    with torch.device("meta"):
        model = _classifier(backbone, stride, aligned=True)
    assert _shape_of_features(model, 224, 224) == (1, channels, side, side)
    assert model.spec.cells(224) == side


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("backbone", GAP_FORMS)
def test_the_spec_counts_the_cells(backbone: str, aligned: bool) -> None:
    for stride in (8, 16):
        with torch.device("meta"):
            model = _classifier(backbone, stride, aligned)
        for rows, cols in ((64, 48), (80, 32)):
            assert _shape_of_features(model, rows, cols)[2:] == (model.spec.cells(rows), model.spec.cells(cols))


@pytest.mark.parametrize("backbone", GAP_FORMS)
def test_names_are_the_same_for_every_stride_and_a_coarse_map_is_every_second_cell_of_a_fine_one(backbone: str) -> None:
    coarse, fine = _classifier(backbone, 16).double(), _classifier(backbone, 8).double()
    fine.load_state_dict(coarse.state_dict())
    films = _films(64, 96).double()
    first = 1 if backbone == "alexnet_gap" else 0
    expected = coarse.features(films)
    found = fine.features(films)[:, :, first::2, first::2]
    assert (found - expected).abs().max() <= 1e-12 * expected.max()


class _Average(nn.Module):
    """Stands in for a max pool: same windows, even weights."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.pool, nn.MaxPool2d):
            padding, stride, dilation, side = self.pool.padding, self.pool.stride, 1, self.pool.kernel_size
            x = F.pad(x, (padding, padding + self.pool.ceil_mode) * 2)
        else:
            side, stride, dilation = self.pool.kernel, 1, self.pool.dilation
            reach = dilation * (side - 1)
            lead = reach // 2 if self.pool.centred else 0
            x = F.pad(x, (lead, reach - lead) * 2)
        even = torch.full((x.shape[1], 1, side, side), 1 / side**2, dtype=x.dtype)
        return F.conv2d(x, even, stride=stride, dilation=dilation, groups=x.shape[1])


def _without_maxima(part: nn.Module) -> None:
    for name, child in part.named_children():
        if name == "branch4":  # a centred pool that keeps the size; averages would reach over the border
            child[0] = nn.Identity()  # type: ignore[index]
        if type(child).__name__ in {"MaxPool2d", "DenseMaxPool2d"}:
            setattr(part, name, _Average(child))
        _without_maxima(child)


# how far a cell's receptive field is centred from (cell + 1/2) * stride, px; AlexNet at 16: from (cell + 1) * 16
@pytest.mark.parametrize(
    ("backbone", "stride", "aligned", "off_px"),
    [
        ("vgg16_gap", 16, True, 0),
        ("vgg16_gap", 8, True, 0),
        ("vgg16_gap", 8, False, 4),
        ("googlenet_gap", 16, True, -1.5),
        ("googlenet_gap", 8, True, -1.5),
        ("googlenet_gap", 16, False, 6.5),
        ("googlenet", 32, True, -1.5),
        ("googlenet", 16, True, -1.5),
        ("nin", 32, True, -2.5),
        ("nin", 16, True, -2.5),
        ("nin", 8, True, -2.5),
        ("nin", 32, False, 13.5),
        ("alexnet_gap", 8, True, -0.5),
        ("alexnet_gap", 16, True, -0.5),
    ],
)
def test_where_a_cell_looks(backbone: str, stride: int, aligned: bool, off_px: float) -> None:
    model = _classifier(backbone, stride, aligned).double()
    _without_maxima(model)
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            _weigh_evenly(part)
    films = torch.full((1, 1, 128, 128), 0.6, dtype=torch.float64, requires_grad=True)
    cell = 64 // stride - 1
    model.features(films)[0, 0, cell, cell].backward()
    assert films.grad is not None
    half = 1.0 if (backbone, stride) == ("alexnet_gap", 16) else 0.5
    for axis in (0, 1):
        reach = films.grad[0, 0].abs().sum(axis)
        centre = ((reach * (torch.arange(128) + 0.5)).sum() / reach.sum()).item()
        assert centre - (cell + half) * stride == pytest.approx(off_px, abs=1e-6)


def _weigh_evenly(conv: nn.Conv2d) -> None:
    nn.init.zeros_(conv.weight)
    rows, cols = (slice(None) if conv.stride[0] > 1 else slice(k // 2, k // 2 + 1) for k in conv.kernel_size)
    conv.weight[:, :, rows, cols] = 1 / conv.weight[0, :, rows, cols].numel()


@pytest.mark.parametrize("backbone", GAP_FORMS)
def test_without_dilation_a_finer_map_has_the_same_windows(backbone: str) -> None:
    for dilated in (True, False):
        with torch.device("meta"):
            model = build_classifier(NetworkSpec(backbone=backbone, stride=8, dilated=dilated), 2, seed=1)
        dilations = {part.dilation for part in model.modules() if isinstance(part, nn.Conv2d)}
        assert (dilations != {(1, 1)}) == dilated


@pytest.mark.parametrize("backbone", ["alexnet_gap", "vgg16_gap", "googlenet_gap", "alexnet"])
def test_a_stride_of_32_is_refused(backbone: str) -> None:
    with pytest.raises(ValueError, match="stride 16"):
        build_classifier(NetworkSpec(backbone=backbone, stride=32), 2, seed=1)


@pytest.mark.parametrize("backbone", [*GAP_FORMS, "alexnet"])
def test_no_activation_works_in_place_and_the_seed_alone_decides_the_weights(backbone: str) -> None:
    first, second = _classifier(backbone), _classifier(backbone)
    assert not any(getattr(part, "inplace", False) for part in first.modules())
    assert all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())
    films = _films(64, 96)
    assert torch.equal(first(films), second(films))


def test_an_alexnet_contract_counts_13_cells_at_224_px() -> None:
    def contract(cells: int) -> ModelContract:
        return ModelContract(
            labels=("Nodule",),
            rows=224,
            cols=224,
            fit="crop",
            bits=8,
            network=NetworkSpec(backbone="alexnet_gap"),
            feature_rows=cells,
            feature_cols=cells,
            data_digest="d",
            seed=1,
            code_version="0",
        )

    assert contract(13).feature_rows == 13
    with pytest.raises(ValueError, match="does not cover"):
        contract(14)


def test_alexnet_maps_are_averaged_over_flips_and_scales_on_its_own_grid() -> None:
    model, seen = _classifier("alexnet_gap"), []
    model.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(tuple(inputs[0].shape[2:])))
    found = explain(model, _films(48, 64), methods_named(["cam"]), (2, 3), flip=True, scales=(1.0, 1.5))
    assert seen == [(48, 64), (48, 64), (64, 96), (64, 96)]  # 4.5 cells of 16 px are 4
    assert found.heat["cam"].shape == (1, 3, 2, 3)


def test_whole_alexnet_flattens_and_gives_gradcam_and_no_cam() -> None:
    model = _classifier("alexnet")
    assert isinstance(model, FullyConnectedClassifier)
    films = torch.rand(2, 1, 224, 224, generator=torch.Generator().manual_seed(4))
    features = model.features(films)
    weights = model.state_dict()
    torch.testing.assert_close(features, _plain_alexnet((films - 0.5) / 0.25, model.backbone.state_dict()))
    x = F.max_pool2d(features, 3, 2).flatten(1)
    assert x.shape == (2, 9216)
    for number in (1, 4, 6):
        x = F.linear(x, weights[f"classifier.{number}.weight"], weights[f"classifier.{number}.bias"])
        x = torch.relu(x) if number < 6 else x
    torch.testing.assert_close(model(films), x)
    with pytest.raises(SettingsError, match="CAM needs a pool and one linear layer, and alexnet has fully connected"):
        explain(model, films, methods_named(["cam"]), (13, 13))
    heat = explain(model, films, methods_named(["gradcam"]), (13, 13)).heat["gradcam"]
    logits, maps = layer_maps(model, films, ["backbone"], gradcam_map)
    torch.testing.assert_close(logits, x)
    expected = maps["backbone"]
    torch.testing.assert_close(heat, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
    assert (expected.amax(dim=(2, 3)) > 0).any()
    assert forward(model, films).features.shape == (2, 256, 13, 13)


def test_whole_vgg16_reads_7_by_7_cells_at_224_px() -> None:
    with torch.device("meta"):
        flatten, layers = vgg16_layers(5)
        assert flatten(torch.empty(2, 512, 14, 14)).shape == (2, 25088)
        assert layers(torch.empty(2, 25088)).shape == (2, 5)


@pytest.mark.parametrize("change", [{"pool": "gmp"}, {"stride": 8}])
def test_a_pool_or_another_stride_is_refused_where_layers_are_fully_connected(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="alexnet has fully connected layers on a map of stride 16 and no pool"):
        NetworkSpec(backbone="alexnet", **change)  # type: ignore[arg-type]
