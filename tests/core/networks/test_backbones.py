"""Strides, dilation and the place of feature cells."""

import pytest
import torch
from monai.networks.nets import DenseNet, EfficientNetBN, ResNet
from torch import nn

from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.domain.contract import NetworkSpec

BACKBONES = ("resnet_light", "resnet18", "resnet50", "densenet121", "efficientnet_b0")  # MONAI's
FIRST_SAMPLE = {"efficientnet_b0": 1}  # TensorFlow's padding samples odd positions, the others even ones


def _classifier(backbone: str, stride: int, aligned: bool, **options: object) -> PooledClassifier:
    spec = NetworkSpec(backbone=backbone, stride=stride, aligned=aligned, **options)  # type: ignore[arg-type]
    return build_classifier(spec, 3, seed=1).double().eval()


def _switch_off_global_paths(model: nn.Module) -> None:
    for part in model.modules():
        if hasattr(part, "has_se"):
            part.has_se = False  # squeeze and excitation sees the whole film


@pytest.mark.parametrize("backbone", BACKBONES)
def test_names_and_shapes_are_the_same_for_every_stride(backbone: str) -> None:
    with torch.device("meta"):  # shapes alone
        found = [
            {name: value.shape for name, value in build_classifier(spec, 3, seed=1).state_dict().items()}
            for spec in (
                NetworkSpec(backbone=backbone, stride=s, aligned=a) for s, a in ((32, False), (16, True), (8, True))
            )
        ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("backbone", ["resnet_light", "resnet50", "densenet121", "efficientnet_b0"])
def test_a_coarse_map_is_every_second_or_fourth_cell_of_a_fine_one(backbone: str) -> None:
    films = torch.rand(1, 1, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    maps = {}
    with torch.no_grad():
        for stride in (8, 16, 32):
            model = _classifier(backbone, stride, aligned=False)
            _switch_off_global_paths(model)
            maps[stride] = model.features(films)
    first, largest = FIRST_SAMPLE.get(backbone, 0), maps[32].abs().max()
    assert maps[8].shape[2:] == (8, 12)
    for stride in (8, 16):
        step = 32 // stride
        start = first * (step - 1)
        difference = maps[stride][:, :, start::step, start::step] - maps[32]
        assert difference.abs().max() <= 1e-12 * largest


@pytest.mark.parametrize(
    ("backbone", "pristine"),
    [
        (
            "resnet18",
            ResNet("basic", [2, 2, 2, 2], [64, 128, 256, 512], 2, 1, 7, 2, num_classes=3, bias_downsample=False),
        ),
        ("densenet121", DenseNet(spatial_dims=2, in_channels=1, out_channels=3)),
        ("efficientnet_b0", EfficientNetBN("efficientnet-b0", pretrained=False, in_channels=1, num_classes=3)),
    ],
)
def test_stride_32_gives_the_unmodified_networks_logits(backbone: str, pristine: nn.Module) -> None:
    """MONAI's own network with our weights, head included, is our network at stride 32."""
    ours = build_classifier(NetworkSpec(backbone=backbone, stride=32, aligned=False, pool="gap"), 3, seed=1).eval()
    weights = {name.removeprefix("backbone."): v for name, v in ours.state_dict().items() if "backbone" in name}
    head = {"densenet121": "class_layers.out", "resnet18": "fc", "efficientnet_b0": "_fc"}[backbone]
    weights |= {f"{head}.{part}": getattr(ours.classifier, part) for part in ("weight", "bias")}
    pristine.load_state_dict(weights)
    films = torch.rand(2, 1, 224, 224, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = pristine.eval()((films - 0.5) / 0.25)
        assert torch.allclose(ours(films), expected, rtol=1e-5, atol=1e-6)


# what is left of the shift once the last stride samples the cell's centre, px; published sampling leaves up to 15.5
LEFT_OVER_PX = {"resnet_light": 0.5, "resnet18": 0.5, "resnet50": 0.5, "densenet121": -1.5, "efficientnet_b0": -0.5}


@pytest.mark.parametrize(
    ("backbone", "stride"),
    [
        ("resnet_light", 8),
        ("resnet_light", 16),
        ("resnet_light", 32),
        ("resnet50", 16),
        ("densenet121", 8),
        ("densenet121", 16),
        ("efficientnet_b0", 8),
        ("efficientnet_b0", 16),
    ],
)
def test_a_cells_receptive_field_is_centred_on_the_cell(backbone: str, stride: int) -> None:
    """Where every strided window weighs evenly, the gradient of a cell has its centre of mass on the cell's centre."""
    model = _classifier(backbone, stride, aligned=True)
    _switch_off_global_paths(model)
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            weigh_evenly(part)
        if isinstance(part, nn.MaxPool2d):  # the maximum of equal values is its first; an average shows the window
            part.forward = nn.AvgPool2d(part.kernel_size, part.stride, part.padding).forward  # type: ignore[method-assign]
    side = 128
    films = torch.full((1, 1, side, side), 0.6, dtype=torch.float64, requires_grad=True)
    row, col = side // stride // 2, side // stride // 2 - 1
    features = model.features(films)
    assert features.shape[2:] == (side // stride, side // stride)
    features[0, 0, row, col].backward()
    assert films.grad is not None
    reach, middle = films.grad[0, 0].abs(), torch.arange(side) + 0.5
    centre_y = ((reach.sum(1) * middle).sum() / reach.sum()).item()
    centre_x = ((reach.sum(0) * middle).sum() / reach.sum()).item()
    assert centre_y - (row + 0.5) * stride == pytest.approx(LEFT_OVER_PX[backbone], abs=1e-6)
    assert centre_x - (col + 0.5) * stride == pytest.approx(LEFT_OVER_PX[backbone], abs=1e-6)


def weigh_evenly(conv: nn.Conv2d) -> None:
    """Strided: every tap alike. Not strided: the centre alone, so that no field reaches over the border."""
    nn.init.zeros_(conv.weight)
    rows, cols = (slice(None) if conv.stride[0] > 1 else slice(k // 2, k // 2 + 1) for k in conv.kernel_size)
    conv.weight.data[:, :, rows, cols] = 1 / conv.weight[0, :, rows, cols].numel()


def test_without_dilation_a_finer_map_keeps_the_receptive_field_small() -> None:
    def reach(dilated: bool) -> int:
        model = _classifier("resnet_light", 8, aligned=True, dilated=dilated)
        films = torch.rand(1, 1, 256, 256, dtype=torch.float64, requires_grad=True)
        model.features(films)[0, :, 16, 16].sum().backward()
        assert films.grad is not None
        return int((films.grad[0, 0] != 0).any(1).sum())

    assert reach(dilated=False) < reach(dilated=True)


def test_no_activation_works_in_place() -> None:
    for backbone in BACKBONES:
        model = build_classifier(NetworkSpec(backbone=backbone), 2, seed=1)
        assert not any(getattr(part, "inplace", False) for part in model.modules())


def test_light_widths_blocks_and_stem_are_as_asked() -> None:
    spec = NetworkSpec(stride=16, widths=(4, 6, 8, 10), blocks=(1, 2, 1, 1), stem_kernel=3, stem_pool=False)
    model = build_classifier(spec, 2, seed=1)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes["backbone.conv1.weight"] == (4, 1, 3, 3)
    assert shapes["backbone.layer2.1.conv2.weight"] == (6, 6, 3, 3)
    assert shapes["classifier.weight"] == (2, 10)
    assert model.features(torch.rand(1, 1, 32, 48)).shape == (1, 10, 2, 3)


def test_a_stride_the_network_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="has stride 16; the requested stride is 32"):
        build_classifier(NetworkSpec(stride=32, stem_pool=False), 2, seed=1)
