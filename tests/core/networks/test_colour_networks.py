"""Published checkpoints for pictures in colour against a plain functional ResNet18, written from the paper."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from camray.core.networks.normalise import ImageNetNormalise
from camray.core.networks.published import PUBLISHED, published_classifier, published_spec
from camray.domain.contract import PACKAGED
from camray.domain.errors import CheckpointError, SettingsError
from tests.core.networks.test_weights_published import googlenet_shapes, resnet_shapes

State = dict[str, Tensor]


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    """Give every tensor values of a trained network's size."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in shapes.items():
        drawn = torch.randn(shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            state[name] = 0.5 + drawn.abs() / 2
        elif len(shape) == 1:
            state[name] = drawn / 10
        else:
            state[name] = drawn * (2 / drawn[0].numel()) ** 0.5
    return state


def _conv_norm(x: Tensor, state: State, conv: str, norm: str, stride: int) -> Tensor:
    weight = state[f"{conv}.weight"]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-5).sqrt()
    shift = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return x * scale[:, None, None] + shift[:, None, None]


def resnet18_by_hand(rgb: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """Logits and the last block's map of pictures [B, 3, H, W], RGB 0-1."""
    mean, std = rgb.new_tensor([0.485, 0.456, 0.406]), rgb.new_tensor([0.229, 0.224, 0.225])
    x = (rgb - mean[:, None, None]) / std[:, None, None]
    x = F.max_pool2d(torch.relu(_conv_norm(x, state, "conv1", "bn1", 2)), 3, 2, 1)
    for layer in range(1, 5):
        for block in range(2):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = torch.relu(_conv_norm(x, state, f"{name}.conv1", f"{name}.bn1", stride))
            y = _conv_norm(y, state, f"{name}.conv2", f"{name}.bn2", 1)
            if f"{name}.downsample.0.weight" in state:
                x = _conv_norm(x, state, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            x = torch.relu(x + y)
    return F.linear(x.mean(dim=(2, 3)), state["fc.weight"], state["fc.bias"]), x


def test_resnet18_equals_the_reference_with_its_maps() -> None:
    state = random_state(resnet_shapes(18))
    network, report = published_classifier("resnet18", state)
    state, network = {name: value.double() for name, value in state.items()}, network.double()
    pictures = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected, features = resnet18_by_hand(pictures, state)
    assert (report.missing, report.unused, report.wrong_shape, report.summed_channels) == ((), (), (), ())
    with torch.no_grad():
        logits, seen = network(pictures), network.features(pictures)
        cam = network.cam(seen)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(seen, features, rtol=0, atol=1e-9)
    torch.testing.assert_close(
        cam[:, 3], torch.einsum("k,bkhw->bhw", state["fc.weight"][3], features), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(cam.mean(dim=(2, 3)) + state["fc.bias"], logits, rtol=0, atol=1e-9)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_channels_have_their_own_mean_and_spread() -> None:
    rgb = torch.tensor([0.485, 0.456 + 0.224, 0.406 - 0.225]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(ImageNetNormalise()(rgb).flatten(), torch.tensor([0.0, 1.0, -1.0]), rtol=0, atol=1e-6)


def test_googlenet_keeps_its_own_normalisation_and_leaves_its_auxiliary_classifiers() -> None:
    network, report = published_classifier("googlenet", random_state(googlenet_shapes(auxiliary=True)))
    assert network.normalise(torch.full((1, 3, 1, 1), 0.75)).flatten().tolist() == [0.5, 0.5, 0.5]
    assert report.unused
    assert all(name.startswith("aux") for name in report.unused)


def test_a_checkpoint_that_does_not_fit_to_the_last_tensor_is_refused() -> None:
    state = random_state(resnet_shapes(18))
    deeper = state | {"layer1.2.conv1.weight": torch.zeros(64, 64, 3, 3)}  # as ResNet34 has it
    with pytest.raises(CheckpointError, match=r"1 without a place \(layer1.2.conv1.weight"):
        published_classifier("resnet18", deeper)
    with pytest.raises(CheckpointError, match=r"1 missing \(backbone.layer4.1.conv2.weight"):
        published_classifier("resnet18", {k: v for k, v in state.items() if k != "layer4.1.conv2.weight"})
    with pytest.raises(CheckpointError, match="of another shape"):
        published_classifier("resnet18", state | {"conv1.weight": torch.zeros(64, 1, 7, 7)})  # a grey network
    with pytest.raises(CheckpointError, match="no classifying layer"):
        published_classifier("resnet18", {k: v for k, v in state.items() if not k.startswith("fc")})
    with pytest.raises(SettingsError, match="expected one of resnet18"):
        published_classifier("resnet34", state)


def test_prefixes_and_any_number_of_classes_are_read() -> None:
    state = random_state(resnet_shapes(18))
    small = state | {"fc.weight": state["fc.weight"][:7], "fc.bias": state["fc.bias"][:7]}
    network, _ = published_classifier("resnet18", {f"module.{name}": value for name, value in small.items()})
    assert network.classifier.out_features == 7


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_sampling_is_the_published_one(backbone: str) -> None:
    spec = published_spec(backbone)
    assert not spec.aligned
    own = {"resnet18", "resnet50", "densenet121", "efficientnet_b0", "googlenet", "nin", *PACKAGED}
    assert spec.stride == (32 if backbone in own else 16)
