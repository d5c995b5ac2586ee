"""State dicts with the names and shapes of published checkpoints, written down independently of our networks.

Numbers of parameters are those that torchvision publishes for 1000 classes: a slip in a list shows there first.
"""

import math
import re
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.core.networks.weights import load_starting_weights
from camray.domain.contract import NetworkSpec

Shapes = dict[str, tuple[int, ...]]
_HEADS = ("classifier.weight", "classifier.bias")


def _norm(name: str, width: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def _layer(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def alexnet_shapes() -> Shapes:
    return (
        _layer("features.0", 64, 3, 11, 11)
        | _layer("features.3", 192, 64, 5, 5)
        | _layer("features.6", 384, 192, 3, 3)
        | _layer("features.8", 256, 384, 3, 3)
        | _layer("features.10", 256, 256, 3, 3)
        | _layer("classifier.1", 4096, 9216)
        | _layer("classifier.4", 4096, 4096)
        | _layer("classifier.6", 1000, 4096)
    )


def vgg16_shapes(normalised: bool = False) -> Shapes:
    found: Shapes = {}
    before, index = 3, 0
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
        if not width:
            index += 1
            continue
        found |= _layer(f"features.{index}", width, before, 3, 3)
        found |= _norm(f"features.{index + 1}", width) if normalised else {}
        before, index = width, index + (3 if normalised else 2)
    layers = ((0, 4096, 25088), (3, 4096, 4096), (6, 1000, 4096))
    return found | {k: v for at, *shape in layers for k, v in _layer(f"classifier.{at}", *shape).items()}


def _basic(name: str, after: int, before: int, kernel: int) -> Shapes:
    return {f"{name}.conv.weight": (after, before, kernel, kernel)} | _norm(f"{name}.bn", after)


def _inception(name: str, before: int, one: int, two: tuple[int, int], three: tuple[int, int], pool: int) -> Shapes:
    return (
        _basic(f"{name}.branch1", one, before, 1)
        | _basic(f"{name}.branch2.0", two[0], before, 1)
        | _basic(f"{name}.branch2.1", two[1], two[0], 3)
        | _basic(f"{name}.branch3.0", three[0], before, 1)
        | _basic(f"{name}.branch3.1", three[1], three[0], 3)
        | _basic(f"{name}.branch4.1", pool, before, 1)
    )


def googlenet_shapes(auxiliary: bool) -> Shapes:
    found = _basic("conv1", 64, 3, 7) | _basic("conv2", 64, 64, 1) | _basic("conv3", 192, 64, 3)
    found |= _inception("inception3a", 192, 64, (96, 128), (16, 32), 32)
    found |= _inception("inception3b", 256, 128, (128, 192), (32, 96), 64)
    found |= _inception("inception4a", 480, 192, (96, 208), (16, 48), 64)
    found |= _inception("inception4b", 512, 160, (112, 224), (24, 64), 64)
    found |= _inception("inception4c", 512, 128, (128, 256), (24, 64), 64)
    found |= _inception("inception4d", 512, 112, (144, 288), (32, 64), 64)
    found |= _inception("inception4e", 528, 256, (160, 320), (32, 128), 128)
    found |= _inception("inception5a", 832, 256, (160, 320), (32, 128), 128)
    found |= _inception("inception5b", 832, 384, (192, 384), (48, 128), 128)
    for name, before in (("aux1", 512), ("aux2", 528)) if auxiliary else ():
        found |= _basic(f"{name}.conv", 128, before, 1)
        found |= _layer(f"{name}.fc1", 1024, 2048) | _layer(f"{name}.fc2", 1000, 1024)
    return found | _layer("fc", 1000, 1024)


def resnet_shapes(depth: int) -> Shapes:
    blocks, expansion = {18: ((2, 2, 2, 2), 1), 50: ((3, 4, 6, 3), 4)}[depth]
    found: Shapes = {"conv1.weight": (64, 3, 7, 7)} | _norm("bn1", 64)
    before = 64
    for layer, (width, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True), start=1):
        for block in range(count):
            name, after = f"layer{layer}.{block}", width * expansion
            kernels = (3, 3) if expansion == 1 else (1, 3, 1)
            sides = [before, *[width] * (len(kernels) - 1), after]
            for number, kernel in enumerate(kernels, start=1):
                found[f"{name}.conv{number}.weight"] = (sides[number], sides[number - 1], kernel, kernel)
                found |= _norm(f"{name}.bn{number}", sides[number])
            if block == 0 and before != after:
                found[f"{name}.downsample.0.weight"] = (after, before, 1, 1)
                found |= _norm(f"{name}.downsample.1", after)
            before = after
    return found | _layer("fc", 1000, before)


def densenet121_shapes(channels: int, classes: int) -> Shapes:
    found: Shapes = {"features.conv0.weight": (64, channels, 7, 7)} | _norm("features.norm0", 64)
    width = 64
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            found |= _norm(f"{name}.norm1", width) | _norm(f"{name}.norm2", 128)
            found |= {f"{name}.conv1.weight": (128, width, 1, 1), f"{name}.conv2.weight": (32, 128, 3, 3)}
            width += 32
        if block < 4:
            found |= _norm(f"features.transition{block}.norm", width)
            found[f"features.transition{block}.conv.weight"] = (width // 2, width, 1, 1)
            width //= 2
    return found | _norm("features.norm5", width) | _layer("classifier", classes, width)


def chexnet_shapes() -> Shapes:
    """Data parallel over a torchvision DenseNet of 2017: norm.1, no num_batches_tracked, a Sequential as classifier."""
    renamed = {
        "module.densenet121." + re.sub(r"\.(norm|conv)([12])\.", r".\1.\2.", name): shape
        for name, shape in densenet121_shapes(3, 14).items()
        if not name.endswith("num_batches_tracked")
    }
    return {name.replace("classifier.", "classifier.0."): shape for name, shape in renamed.items()}


def xrayvision_shapes() -> Shapes:
    return densenet121_shapes(1, 18) | {"op_threshs": (18,)}


PUBLISHED_PARAMETERS = [
    (alexnet_shapes(), 61_100_840),
    (vgg16_shapes(), 138_357_544),
    (vgg16_shapes(normalised=True), 138_365_992),
    (googlenet_shapes(auxiliary=False), 6_624_904),
    (googlenet_shapes(auxiliary=True), 13_004_888),
    (resnet_shapes(18), 11_689_512),
    (resnet_shapes(50), 25_557_032),
    (densenet121_shapes(3, 1000), 7_978_856),
]


@pytest.mark.parametrize(("shapes", "count"), PUBLISHED_PARAMETERS)
def test_the_lists_have_as_many_parameters_as_published(shapes: Shapes, count: int) -> None:
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(buffers)) == count


def _values(shapes: Shapes) -> Iterator[tuple[str, Tensor]]:
    """Give every tensor a value of its own; one number in memory each."""
    for number, (name, shape) in enumerate(shapes.items()):
        whole = name.endswith("num_batches_tracked")
        yield name, torch.tensor(number + 1, dtype=torch.int64 if whole else torch.float32).expand(shape)


def _model(backbone: str, labels: int) -> PooledClassifier:
    return build_classifier(NetworkSpec(backbone=backbone, stride=16), labels, seed=1)


CAM_CONV = {"backbone.cam_conv.weight", "backbone.cam_conv.bias"}


@pytest.mark.parametrize(
    ("backbone", "shapes", "labels", "missing", "unused"),
    [
        ("alexnet_gap", alexnet_shapes(), 5, CAM_CONV, r"classifier\.[146]\.(weight|bias)"),
        ("vgg16_gap", vgg16_shapes(), 5, CAM_CONV, r"classifier\.[036]\.(weight|bias)"),
        ("vgg16_bn_gap", vgg16_shapes(normalised=True), 5, CAM_CONV, r"classifier\.[036]\.(weight|bias)"),
        ("googlenet_gap", googlenet_shapes(auxiliary=True), 5, CAM_CONV, r"(aux[12]|inception5[ab]|fc)\..*"),
        ("googlenet", googlenet_shapes(auxiliary=True), 5, set(), r"(aux[12]|fc)\..*"),
        ("resnet18", resnet_shapes(18), 5, set(), r"fc\..*"),
        ("resnet50", resnet_shapes(50), 5, set(), r"fc\..*"),
        ("densenet121", chexnet_shapes(), 14, set(), r"module\.densenet121\.classifier\.0\.(weight|bias)"),
    ],
)
def test_a_published_file_fills_the_whole_backbone(
    backbone: str, shapes: Shapes, labels: int, missing: set[str], unused: str
) -> None:
    model, given = _model(backbone, labels), dict(_values(shapes))
    report = load_starting_weights(model, given)
    counted = {name for name in report.missing if name.endswith("num_batches_tracked")}
    assert (len(counted) > 0) == (shapes.keys() == chexnet_shapes().keys())
    assert set(report.missing) - counted == missing | set(_HEADS)
    assert report.wrong_shape == ()
    left = {name for name in given if re.fullmatch(unused, name)}
    assert left
    assert set(report.unused) == left
    assert len(report.matched) == len(given) - len(left)
    assert len(report.summed_channels) == 1
    assert report.misfit(model.spec) == ""
    own = model.state_dict()
    stem = report.summed_channels[0]
    assert own[stem].flatten()[0] == 3 * next(value for value in given.values() if value.ndim == 4).flatten()[0]
    loaded = sorted(float(own[name].flatten()[0]) for name in report.matched if name != stem)
    sent = sorted(float(v.flatten()[0]) for k, v in given.items() if k not in left and v.ndim and v.shape[1:2] != (3,))
    counters = sorted(float(v) for k, v in given.items() if k not in left and not v.ndim)
    assert loaded == sorted(sent + counters)


def test_every_value_lands_under_its_own_name() -> None:
    model, given = _model("densenet121", 14), dict(_values(chexnet_shapes()))
    load_starting_weights(model, given)
    own = model.backbone.state_dict()
    theirs = given["module.densenet121.features.denseblock2.denselayer7.conv.2.weight"]
    assert torch.equal(own["features.denseblock2.denselayer7.layers.conv2.weight"], theirs)
    model, given = _model("googlenet", 5), dict(_values(googlenet_shapes(auxiliary=True)))
    load_starting_weights(model, given)
    found = model.backbone.state_dict()["inception4d.branch3.1.bn.running_var"]
    assert torch.equal(found, given["inception4d.branch3.1.bn.running_var"])


@pytest.mark.parametrize(
    ("backbone", "shapes", "labels", "theirs"),
    [
        ("resnet18", resnet_shapes(18), 1000, "fc"),
        ("googlenet", googlenet_shapes(auxiliary=False), 1000, "fc"),
        ("densenet121", chexnet_shapes(), 14, "module.densenet121.classifier.0"),
    ],
)
def test_the_classifying_layer_is_taken_where_asked_for(
    backbone: str, shapes: Shapes, labels: int, theirs: str
) -> None:
    model, given = _model(backbone, labels), dict(_values(shapes))
    report = load_starting_weights(model, given, head=True)
    assert report.unused == report.wrong_shape == ()
    assert torch.equal(model.classifier.weight, given[f"{theirs}.weight"])
    assert torch.equal(model.classifier.bias, given[f"{theirs}.bias"])
    other = load_starting_weights(_model(backbone, 7), given, head=True)
    assert other.wrong_shape == ("classifier.bias", "classifier.weight")


def test_torchxrayvision_has_one_channel_and_thresholds_that_are_not_weights() -> None:
    model, given = _model("densenet121", 18), dict(_values(xrayvision_shapes()))
    report = load_starting_weights(model, given)
    assert report.missing == report.wrong_shape == report.summed_channels == ()
    assert report.unused == ("op_threshs",)
    assert torch.equal(model.classifier.bias, given["classifier.bias"])


@pytest.mark.parametrize(
    ("backbone", "shapes", "count"),
    [("alexnet", alexnet_shapes(), 16), ("vgg16", vgg16_shapes(), 32), ("vgg16_bn", vgg16_shapes(normalised=True), 97)],
)
def test_whole_networks_take_their_fully_connected_layers(backbone: str, shapes: Shapes, count: int) -> None:
    with torch.device("meta"):  # names and shapes without half a gigabyte of values
        model = _model(backbone, 1000)
        report = load_starting_weights(model, {name: torch.empty(shape) for name, shape in shapes.items()})
    assert len(report.matched) == count == len(shapes)
    assert report.missing == report.unused == report.wrong_shape == ()
    assert report.summed_channels == ("backbone.features.0.weight",)
