"""Settings of the network that follow from its backbone."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from camray.adapters.settings.network import ModelSettings
from camray.domain.contract import PACKAGED, TOKEN_STRIDES, NetworkSpec


@pytest.mark.parametrize("backbone", PACKAGED)
def test_packaged_weights_and_their_normalisation_are_the_default(backbone: str) -> None:
    settings = ModelSettings.model_validate({"backbone": backbone})
    assert (settings.weights, settings.normalise, settings.norm_momentum) == ("imagenet", "photo", 0.1)


def test_what_is_set_stays() -> None:
    given = {"backbone": "efficientnet_lite0", "weights": None, "normalise": "film"}
    settings = ModelSettings.model_validate(given)
    assert (settings.weights, settings.normalise) == (None, "film")
    assert ModelSettings.model_validate({**given, "weights": "own.safetensors"}).weights == Path("own.safetensors")
    assert ModelSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_other_backbones_start_at_random_and_have_no_packaged_weights() -> None:
    assert (ModelSettings().weights, ModelSettings().normalise) == (None, "fixed")
    with pytest.raises(ValidationError, match="no package has weights of resnet18; expected"):
        ModelSettings.model_validate({"backbone": "resnet18", "weights": "imagenet"})


@pytest.mark.parametrize(("changes", "stride"), [({}, 8), ({"pyramid_strides": [16, 32]}, 16)])
def test_a_pyramid_has_the_stride_of_its_finest_map(changes: dict[str, object], stride: int) -> None:
    settings = ModelSettings.model_validate({"head": "pyramid", **changes})
    assert settings.stride == stride
    assert ModelSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"stride": 32}, "stride 32"), ({"pyramid_strides": ()}, "two or more"), ({"backbone": "nin"}, "got nin")],
)
def test_a_pyramid_that_cannot_be_is_refused_with_the_settings(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSettings.model_validate({"head": "pyramid", **changes})


@pytest.mark.parametrize(("backbone", "stride"), list(TOKEN_STRIDES.items()))
def test_a_vision_transformer_has_the_stride_of_its_patches(backbone: str, stride: int) -> None:
    assert ModelSettings.model_validate({"backbone": backbone}).stride == stride
    with pytest.raises(ValidationError, match=f"{backbone} has {stride}"):
        ModelSettings.model_validate({"backbone": backbone, "stride": 8})


def test_defaults_are_those_of_the_contract() -> None:
    settings = ModelSettings().model_dump()
    assert NetworkSpec(**{name: settings[name] for name in NetworkSpec.__dataclass_fields__}) == NetworkSpec()
