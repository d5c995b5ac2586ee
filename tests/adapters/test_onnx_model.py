"""ONNX: equal to the network on every kind of network, for any number of films; what cannot be written is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from camray.adapters.onnx_model import INPUT, OnnxNetwork, check_can_write, onnx_bytes
from camray.core.explain.exported_network import ExportedNetwork
from camray.core.networks import token_encoder
from camray.core.networks.ensemble import build_network
from camray.domain.contract import BACKBONES, FULLY_CONNECTED, NORMALISATIONS, POOLS, TOKEN_STRIDES, NetworkSpec
from camray.domain.errors import ExportError, SettingsError

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
LIGHT = {"widths": (4, 6, 8, 8), "stem_kernel": 3}
CONVOLUTIONAL = [name for name in BACKBONES if name not in {*TOKEN_STRIDES, *FULLY_CONNECTED, "resnet_light"}]
QUICK = ("densenet121", "efficientnet_lite0")


def _spread(network: nn.Module) -> None:
    """Give biases and running statistics values that a mistake would show; maps of order 1."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)  # type: ignore[union-attr, unused-ignore]
            module.running_var.uniform_(0.5, 1.5, generator=generator)  # type: ignore[union-attr, unused-ignore]
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("classifier.weight"):
                parameter.normal_(0, 0.1, generator=generator)
            if name.endswith("classifier.bias"):
                parameter.normal_(0, 1, generator=generator)


def _exported(
    spec: NetworkSpec, cells: tuple[int, int] = (6, 4), *, flip: bool = False, scales: tuple[float, ...] = (1.0,)
) -> tuple[ExportedNetwork, tuple[int, int]]:
    network = build_network(spec, 3, seed=1).eval()
    _spread(network)
    rows, cols = (count * spec.stride * spec.shrink for count in cells)
    grid = (spec.cells(rows), spec.cells(cols))
    return ExportedNetwork(network, grid, flip, scales).eval().requires_grad_(False), (rows, cols)


def _check(exported: ExportedNetwork, grid: tuple[int, int], *, is_tiny: bool = False) -> None:
    graph = OnnxNetwork(onnx_bytes(exported, grid, exported.outputs, {}))
    for films in (1, 3):
        x = torch.rand(films, 1, *grid, generator=torch.Generator().manual_seed(films))
        found, expected = graph(x.numpy()), exported(x)
        assert tuple(found) == exported.outputs
        for name, values in zip(exported.outputs, expected, strict=True):
            assert found[name].shape == tuple(values.shape)
            assert values.abs().max() > 1e-3 or is_tiny
            largest = max(1.0, float(values.abs().max()))  # random weights make maps of up to 1,000
            np.testing.assert_allclose(found[name], values.numpy(), atol=1e-4 * largest, rtol=0)


@pytest.mark.parametrize("pool", POOLS)
def test_every_pool(pool: str) -> None:
    _check(*_exported(NetworkSpec(pool=pool, **LIGHT)))


@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_every_normalisation(normalise: str) -> None:
    _check(*_exported(NetworkSpec(normalise=normalise, stride=8, **LIGHT)))


@pytest.mark.parametrize(
    "backbone", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CONVOLUTIONAL]
)
def test_every_backbone(backbone: str) -> None:
    spec = NetworkSpec(backbone=backbone, normalise="film")
    exported, grid = _exported(spec, (4, 6))
    assert exported.grid == ((3, 5) if backbone == "alexnet_gap" else (4, 6))
    _check(exported, grid, is_tiny=backbone == "efficientnet_b0")  # of random weights it makes next to nothing


@pytest.mark.parametrize("backbone", list(TOKEN_STRIDES))
def test_vision_transformers(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    published = token_encoder.SHAPES[backbone]
    small = type(published)(**{**vars(published), "width": 24, "heads": 3, "blocks": 2, "hidden": 40})
    monkeypatch.setitem(token_encoder.SHAPES, backbone, small)
    _check(*_exported(NetworkSpec(backbone=backbone, stride=TOKEN_STRIDES[backbone])))


@pytest.mark.parametrize("backbone", ["resnet_light", pytest.param("efficientnet_lite0", marks=pytest.mark.slow)])
def test_a_pyramid(backbone: str) -> None:
    light = LIGHT if backbone == "resnet_light" else {}
    _check(*_exported(NetworkSpec(backbone=backbone, head="pyramid", stride=8, **light), (9, 6)))  # not of stride 32


def test_an_ensemble_is_one_graph_of_means() -> None:
    exported, grid = _exported(NetworkSpec(members=2, **LIGHT))
    _check(exported, grid)
    members = list(exported.network.members)  # type: ignore[union-attr, arg-type]
    x = torch.rand(2, 1, *grid)
    mean = (members[0](x) + members[1](x)) / 2
    graph = OnnxNetwork(onnx_bytes(exported, grid, exported.outputs, {}))
    np.testing.assert_allclose(graph(x.numpy())["logits"], mean.numpy(), atol=1e-5)


def test_mirror_images_and_scales_are_in_the_graph() -> None:
    plain, grid = _exported(NetworkSpec(normalise="film", **LIGHT))
    views, _ = _exported(NetworkSpec(normalise="film", **LIGHT), flip=True, scales=(0.75, 1.0, 1.5))
    _check(views, grid)
    x = torch.rand(1, 1, *grid)
    assert not torch.allclose(plain(x)[1], views(x)[1], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", FULLY_CONNECTED)
def test_fully_connected_networks_have_logits_only(backbone: str) -> None:
    exported, grid = _exported(NetworkSpec(backbone=backbone))  # 96 x 64 px: pooled up to the published grid
    assert exported.outputs == ("logits",)
    _check(exported, grid)


def test_a_network_that_looks_for_lungs_is_refused() -> None:
    with pytest.raises(ExportError, match="sdfn"):
        _exported(NetworkSpec(fusion="sdfn", **LIGHT))


def test_the_description_is_kept_and_equal_networks_give_equal_files() -> None:
    exported, grid = _exported(NetworkSpec(**LIGHT))
    before = {key: value.clone() for key, value in exported.state_dict().items()}
    first, second = (onnx_bytes(exported, grid, exported.outputs, {"labels": '["Fläche"]'}) for _ in range(2))
    assert first == second
    assert OnnxNetwork(first).description == {"labels": '["Fläche"]'}
    assert not exported.training
    assert all(torch.equal(before[key], value) for key, value in exported.state_dict().items())
    assert str(Path(__file__).parents[2]).encode() not in first
    inputs = onnx.load_from_string(first).graph.input
    dimensions = [each.dim_param or each.dim_value for each in inputs[0].type.tensor_type.shape.dim]
    assert (inputs[0].name, dimensions) == (INPUT, ["n", 1, *grid])


def test_what_is_no_graph_or_has_no_form_is_refused() -> None:
    with pytest.raises(ExportError, match="onnxruntime cannot read"):
        OnnxNetwork(b"no graph")
    with pytest.raises(ExportError, match="no form in ONNX"):
        onnx_bytes(_Sorted(), (8, 8), ("y",), {})


class _Sorted(nn.Module):
    def forward(self, films: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.special.bessel_j0(films),)


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camray.adapters.onnx_model.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=re.escape("pip install 'camray[onnx]'")):
        check_can_write()
