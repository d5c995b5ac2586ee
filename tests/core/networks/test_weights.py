"""Starting weights under other people's names."""

import re

import pytest
import torch
from torch import Tensor

from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.core.networks.weights import load_starting_weights
from camray.domain.contract import NetworkSpec


def _model(backbone: str, labels: int = 3, stride: int = 32) -> PooledClassifier:
    return build_classifier(NetworkSpec(backbone=backbone, stride=stride), labels, seed=1)


def _backbone_twin(model: PooledClassifier) -> dict[str, Tensor]:
    """Other values under MONAI's names, three channels in the first convolution."""
    generator = torch.Generator().manual_seed(5)
    found = {}
    for name, value in model.backbone.state_dict().items():
        shape = (value.shape[0], 3, *value.shape[2:]) if value.ndim == 4 and value.shape[1] == 1 else value.shape
        if name.startswith(("conv1.", "features.conv0.", "_conv_stem.")):
            found[name] = torch.rand(shape, generator=generator)
        else:
            found[name] = torch.rand(value.shape, generator=generator).to(value.dtype)
    return found


def _torchvision_densenet(monai: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace(".layers.", "."): value for name, value in monai.items()}


def _chexnet(monai: dict[str, Tensor]) -> dict[str, Tensor]:
    """``module.densenet121.features.denseblock1.denselayer1.norm.1.weight``: data parallel, old torchvision."""
    old = {re.sub(r"\.layers\.(norm|conv)([12])\.", r".\1.\2.", name): value for name, value in monai.items()}
    return {f"module.densenet121.{name}": value for name, value in old.items()} | {
        "module.densenet121.classifier.0.weight": torch.zeros(14, 1024),
        "module.densenet121.classifier.0.bias": torch.zeros(14),
    }


def _efficientnet_pytorch(monai: dict[str, Tensor]) -> dict[str, Tensor]:
    return {re.sub(r"_blocks\.\d+\.(\d+)\.", r"_blocks.\1.", name): value for name, value in monai.items()}


@pytest.mark.parametrize(
    ("backbone", "rename", "stem"),
    [
        ("resnet18", dict, "conv1.weight"),
        ("resnet50", dict, "conv1.weight"),
        ("densenet121", dict, "features.conv0.weight"),
        ("densenet121", _torchvision_densenet, "features.conv0.weight"),
        ("densenet121", _chexnet, "features.conv0.weight"),
        ("efficientnet_b0", _efficientnet_pytorch, "_conv_stem.weight"),
    ],
)
def test_published_names_fill_the_whole_backbone(backbone: str, rename, stem: str) -> None:
    model = _model(backbone)
    monai = _backbone_twin(model)
    report = load_starting_weights(model, rename(monai))
    loaded = model.backbone.state_dict()
    assert report.missing == ("classifier.bias", "classifier.weight")
    assert report.wrong_shape == ()
    assert report.summed_channels == (f"backbone.{stem}",)
    assert len(report.matched) == len(loaded)
    assert torch.equal(loaded[stem], monai[stem].sum(1, keepdim=True))
    assert all(torch.equal(loaded[name], value) for name, value in monai.items() if name != stem)
    extra = {name for name in rename(monai) if "classifier" in name}
    assert set(report.unused) == extra


@pytest.mark.parametrize("pool", ["gap", "lse_learned"])
def test_our_own_file_fills_everything_head_included(pool: str) -> None:
    model, donor = (build_classifier(NetworkSpec(stride=s, pool=pool), 3, seed=9 + s) for s in (16, 32))
    report = load_starting_weights(model, {f"module.{k}": v for k, v in donor.state_dict().items()})
    assert report.missing == report.unused == report.wrong_shape == report.summed_channels == ()
    assert torch.equal(model.classifier.weight, donor.classifier.weight)


def test_a_head_of_other_labels_stays_fresh_and_is_reported() -> None:
    model, donor = _model("resnet_light"), build_classifier(NetworkSpec(), 5, seed=9)
    fresh = model.classifier.weight.clone()
    report = load_starting_weights(model, donor.state_dict())
    assert report.wrong_shape == ("classifier.bias", "classifier.weight")
    assert report.missing == ()
    assert torch.equal(model.classifier.weight, fresh)
    assert report.as_json()["counts"]["wrong_shape"] == 2


def test_foreign_names_are_reported_as_unused() -> None:
    model = _model("resnet_light")
    report = load_starting_weights(model, {"encoder.block.0": torch.zeros(3), "fc.weight": torch.zeros(3, 128)})
    assert report.matched == ()
    assert report.unused == ("encoder.block.0", "fc.weight")


def test_weights_fit_every_stride() -> None:
    donor = _model("resnet18", stride=32)
    for stride in (8, 16):
        assert load_starting_weights(_model("resnet18", stride=stride), donor.state_dict()).missing == ()


def test_a_file_that_leaves_fresh_layers_or_has_more_of_them_is_a_misfit_and_says_which() -> None:
    donor = _model("resnet18").state_dict()
    spec = NetworkSpec(backbone="resnet18", stride=32)
    without = {name: value for name, value in donor.items() if "layer4.1.conv2" not in name}
    assert load_starting_weights(_model("resnet18"), without).misfit(spec) == (
        "1 missing (backbone.layer4.1.conv2.weight)"
    )
    deeper = {**donor, "layer1.2.conv1.weight": torch.zeros(64, 64, 3, 3), "aux1.fc.weight": torch.zeros(2, 2)}
    assert load_starting_weights(_model("resnet18"), deeper).misfit(spec) == (
        "1 of layers that it does not have (layer1.2.conv1.weight)"
    )
    wider = {**donor, "backbone.conv1.weight": torch.zeros(64, 1, 5, 5), "classifier.bias": torch.zeros(9)}
    assert load_starting_weights(_model("resnet18"), wider).misfit(spec) == (
        "1 of another shape (backbone.conv1.weight: (64, 1, 5, 5) in the file, expected (64, 1, 7, 7))"
    )
    assert load_starting_weights(_model("resnet18"), {"a.b": torch.zeros(1)}).misfit(spec) == (
        "none of its 1 tensors fits"
    )


@pytest.mark.parametrize(("dilated", "fits"), [(True, False), (False, True)])
def test_only_a_network_that_ends_early_may_leave_the_last_layers_over(dilated: bool, fits: bool) -> None:
    spec = NetworkSpec(backbone="efficientnet_lite0", stride=32)
    given = build_classifier(spec, 1, seed=1).state_dict() | {"_blocks.16._expand_conv.weight": torch.zeros(1, 1, 1, 1)}
    report = load_starting_weights(build_classifier(spec, 1, seed=2), given)
    assert (report.misfit(NetworkSpec(backbone="efficientnet_lite0", stride=32, dilated=dilated)) == "") == fits
