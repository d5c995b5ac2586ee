"""Explanations on request: layers, targets, chosen labels, views and pixels."""

import numpy as np
import pytest
import torch

from camray.core.explain.autograd import layer_maps
from camray.core.explain.explanation import LAYER_RULES, ExplanationRequest, explain_images
from camray.core.explain.gradient_cams import fused, gradcam_map, layercam_map
from camray.core.explain.methods import METHODS, methods_named
from camray.core.explain.test_time_averaging import explain
from camray.domain.errors import CheckpointError, SettingsError
from tests.core.explain.tiny import LABELS, films, slopes, state_of, tiny

GRID = (3, 4)


def _margin(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 0] - 2 * logits[:, 2]


@pytest.mark.parametrize("name", list(METHODS))
def test_chosen_labels_are_those_of_all_and_nothing_is_altered(name: str) -> None:
    network, batch = tiny("in place"), films(2)
    before = state_of(network)
    every = explain(network, batch, methods_named([name]), GRID)
    answer = explain_images(network, batch, GRID, ExplanationRequest(name, labels=(2, 0)))
    # how finely the line of integrated gradients is cut depends on what must add up
    bound = 1e-2 if name == "integrated_gradients" else 1e-14
    np.testing.assert_allclose(answer.heat, every.heat[name][:, [2, 0]], rtol=1e-12, atol=bound)
    np.testing.assert_allclose(answer.logits, every.logits, rtol=0, atol=0)
    np.testing.assert_allclose(answer.values, every.logits[:, [2, 0]], rtol=0, atol=0)
    assert answer.display_heat.shape[-2:] == ((6, 8) if METHODS[name].on_input else GRID)
    if METHODS[name].on_input:
        cells = answer.display_heat.reshape(2, 2, 3, 2, 4, 2).mean(dim=(3, 5))
        np.testing.assert_allclose(cells, answer.heat, rtol=1e-9, atol=1e-12)
    assert state_of(network) == before


def test_grad_cam_of_a_function_of_the_logits_equals_its_finite_differences() -> None:
    network, batch = tiny(), films(2)
    answer = explain_images(network, batch, GRID, ExplanationRequest("gradcam", targets=_margin))
    at_layer = explain_images(network, batch, GRID, ExplanationRequest("gradcam", targets=_margin, layers=("second",)))
    for number in range(2):
        features = network.features(batch[number : number + 1]).detach()
        gradient = slopes(lambda f: _margin(network.head(f))[:, None], features)
        expected = torch.relu((gradient[0].mean(dim=(1, 2))[:, None, None] * features[0]).sum(dim=0))
        np.testing.assert_allclose(answer.heat[number, 0], expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(answer.values[:, 0], _margin(network(batch)).detach(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(answer.logits, network(batch).detach(), rtol=0, atol=1e-12)
    _, maps = layer_maps(network, batch, ["second"], gradcam_map, lambda logits: _margin(logits)[:, None])
    expected = torch.nn.functional.interpolate(maps["second"], size=(6, 8), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(at_layer.heat, expected, rtol=0, atol=1e-9)


def test_every_method_but_cam_explains_a_target() -> None:
    """The margin of a linear head is a label of its own: weights w_0 - 2 w_2."""
    network, batch, twin = tiny(), films(2), tiny()
    with torch.no_grad():
        for part in (twin.classifier.weight, twin.classifier.bias):
            part[1] = part[0] - 2 * part[2]
    for name in METHODS:
        if name == "cam":
            continue
        found = explain_images(network, batch, GRID, ExplanationRequest(name, targets=_margin)).heat
        expected = explain_images(twin, batch, GRID, ExplanationRequest(name, labels=(1,))).heat
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)
    with pytest.raises(SettingsError, match="CAM explains the labels"):
        explain_images(network, batch, GRID, ExplanationRequest("cam", targets=_margin))


def test_several_layers_are_scaled_and_fused_and_one_stays_raw() -> None:
    network, batch = tiny(), films(2)
    maps = layer_maps(network, batch, ["first", "second"], layercam_map)[1]
    answer = explain_images(network, batch, GRID, ExplanationRequest("layercam", layers=("first", "second")))
    expected = fused(maps, (6, 8), {"first": 2.0, "second": 2.0})
    np.testing.assert_allclose(answer.heat, expected, rtol=0, atol=1e-12)
    assert answer.heat.max() < 1
    alone = explain_images(network, batch, GRID, ExplanationRequest("layercam", layers=("first",)))
    np.testing.assert_allclose(alone.heat, maps["first"], rtol=0, atol=1e-12)
    one = explain_images(network, batch, GRID, ExplanationRequest("layercam", layers=("first", "second"), labels=(1,)))
    np.testing.assert_allclose(one.heat[:, 0], expected[:, 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["cam", "saliency", "hirescam"])
def test_views_are_averaged_for_cells_and_for_pixels(name: str) -> None:
    network, batch = tiny(), films(2)
    both = explain_images(network, batch, GRID, ExplanationRequest(name, flip=True))
    plain = explain_images(network, batch, GRID, ExplanationRequest(name))
    mirrored = explain_images(network, batch.flip(-1), GRID, ExplanationRequest(name))
    np.testing.assert_allclose(both.heat, (plain.heat + mirrored.heat.flip(-1)) / 2, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        both.display_heat, (plain.display_heat + mirrored.display_heat.flip(-1)) / 2, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(both.logits, (plain.logits + mirrored.logits) / 2, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", sorted(LAYER_RULES))
def test_layers_are_averaged_over_views_too(name: str) -> None:
    network, batch = tiny(), films(2)
    both = explain_images(network, batch, GRID, ExplanationRequest(name, layers=("first",), flip=True)).heat
    plain = explain_images(network, batch, GRID, ExplanationRequest(name, layers=("first",))).heat
    mirrored = explain_images(network, batch.flip(-1), GRID, ExplanationRequest(name, layers=("first",))).heat
    np.testing.assert_allclose(both, (plain + mirrored.flip(-1)) / 2, rtol=0, atol=1e-12)


def test_the_pixels_of_a_larger_view_weigh_as_much_as_its_film() -> None:
    """S = the film's mean: the gradient is 1/pixels, and the map at either size says 1/48 a pixel of the film."""

    class Mean(torch.nn.Module):
        spec = tiny().spec

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.avg_pool2d(x, 2)

        def head(self, features: torch.Tensor) -> torch.Tensor:
            return features.mean(dim=(1, 2, 3))[:, None]

        def cam(self, features: torch.Tensor) -> torch.Tensor:
            return features

    batch = films(1)
    for scales in ((1.0,), (2.0,), (1.0, 2.0)):
        shown = explain_images(Mean(), batch, GRID, ExplanationRequest("saliency", scales=scales)).display_heat
        np.testing.assert_allclose(shown, 1 / 48, rtol=1e-12)


def test_refuses_by_name() -> None:
    network, batch = tiny(), films(1)
    with pytest.raises(SettingsError, match="'saliency' does not support layers"):
        ExplanationRequest("saliency", layers=("first",))
    with pytest.raises(SettingsError, match="out of: cam, gradcam"):
        ExplanationRequest("gradcamm")
    for scales in ((), (0.0,)):
        with pytest.raises(SettingsError, match="positive numbers"):
            ExplanationRequest("cam", scales=scales)
    with pytest.raises(CheckpointError, match="no layer 'secondd' in Tiny; there are for instance second"):
        explain_images(network, batch, GRID, ExplanationRequest("layercam", layers=("secondd",)))
    for wrong in (lambda logits: logits.sum(), lambda logits: "no", lambda logits: logits[0]):
        with pytest.raises(CheckpointError, match=r"target function gives .*expected a tensor \[1\]"):
            explain_images(network, batch, GRID, ExplanationRequest("gradcam", targets=wrong))
    assert LABELS == 3
