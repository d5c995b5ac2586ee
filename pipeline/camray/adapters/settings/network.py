"""Settings of the network."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from camray.adapters.settings.section import Section
from camray.domain.contract import (
    PACKAGED,
    TOKEN_STRIDES,
    Backbone,
    Fusion,
    Head,
    NetworkSpec,
    Normalisation,
    Pool,
    Stride,
)


class ModelSettings(Section):
    """The network; see docs/networks.md."""

    backbone: Backbone = Field(
        "resnet_light",
        description="network architecture, see docs/networks.md; an experiment that names none gets "
        "efficientnet_lite0 and its recipe",
    )
    pool: Pool = Field(
        "gap",
        description="pool over the feature map: mean (gap), maximum (gmp), log-sum-exp (lse); the others classify each "
        "cell first, then pool by log-sum-exp (lse_map; lse_learned: its sharpness is learned per label), the mean "
        "weighted with the cells' probabilities (pcam), or the probability that not all cells are negative (noisy_or)",
    )
    lse_r: float = Field(
        5.0,
        gt=0,
        description="sharpness of log-sum-exp: towards 0 the mean, towards infinity the maximum; initial "
        "value for lse_learned",
    )
    head: Head = Field(
        "linear",
        description="what the pool reads: the backbone's last map (linear), or the sum of its maps of several strides, "
        "each through a 1x1 convolution and resized to the finest grid (pyramid; ResNets and EfficientNet-Lite)",
    )
    pyramid_strides: tuple[Stride, ...] = Field(
        (8, 16, 32), description="strides of a pyramid's maps, rising; the first is model.stride, and its default"
    )
    pyramid_channels: int = Field(96, ge=1, description="channels of a pyramid's sum")
    stride: Stride = Field(16, description="side of a feature cell, px of the model grid; 14 is of vit_b14 alone")
    aligned: bool = Field(True, description="centre receptive fields on their feature cells; false: as published")
    dilated: bool = Field(
        True,
        description="replace omitted strides by dilation; false keeps receptive fields small: EfficientNet-Lite then "
        "ends at the last block of the stride",
    )
    normalise: Normalisation = Field(
        "fixed",
        description="normalization of grey values: by constants, by the film's mean and deviation, by those of each "
        "pixel's neighbourhood, or by both; photo: -1 to 1 in three channels (default of EfficientNet-Lite)",
    )
    widths: tuple[int, int, int, int] = Field((16, 32, 64, 128), description="channels per layer (resnet_light)")
    blocks: tuple[int, int, int, int] = Field((1, 1, 1, 1), description="blocks per layer (resnet_light)")
    stem_kernel: int = Field(7, ge=3, description="side of the first convolution, odd (resnet_light)")
    stem_pool: bool = Field(True, description="max pooling after the first convolution (resnet_light)")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability of dropping a channel of the feature map")
    norm_momentum: float = Field(
        0.1, gt=0, le=1, description="share of a batch in the running statistics of batch normalization"
    )
    weights: Literal["imagenet"] | Path | None = Field(
        None,
        description="initial weights: a local safetensors file or state dict; imagenet: those of an installed package "
        "(default of EfficientNet-Lite); null: random",
    )
    members: int = Field(
        1, ge=1, description="size of the ensemble: networks of different seeds, whose logits and maps are averaged"
    )
    fusion: Fusion = Field("none", description="sdfn: features of the whole film and of a lung crop, concatenated")
    crop_margin: float = Field(0.05, ge=0, lt=1, description="margin around the lungs, fraction of their box (sdfn)")
    shrink: int = Field(
        1,
        ge=1,
        description="branches see the film reduced by this factor; the crop is cut from the full model grid (sdfn)",
    )
    lungs: Path | None = Field(
        None, description="lung segmenter from `camray lungs train`; default: the shipped one (sdfn)"
    )

    @model_validator(mode="before")
    @classmethod
    def _with_packaged_weights(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("backbone") in PACKAGED:
            return {"weights": "imagenet", "normalise": "photo", **given}
        return given

    @model_validator(mode="before")
    @classmethod
    def _with_its_stride(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("backbone") in TOKEN_STRIDES:
            return {"stride": TOKEN_STRIDES[given["backbone"]], **given}
        strides = given.get("pyramid_strides", (8, 16, 32)) if isinstance(given, dict) else ()
        if strides and isinstance(strides, list | tuple) and given.get("head") == "pyramid":
            return {"stride": strides[0], **given}
        return given

    @model_validator(mode="after")
    def _is_a_network(self) -> "ModelSettings":
        if self.head == "pyramid" or self.backbone in TOKEN_STRIDES:  # refused before films are read
            NetworkSpec(**{name: getattr(self, name) for name in NetworkSpec.__dataclass_fields__})
        return self

    @model_validator(mode="after")
    def _has_a_package(self) -> "ModelSettings":
        if self.weights == "imagenet" and self.backbone not in PACKAGED:
            raise ValueError(
                f"model.weights=imagenet: no package has weights of {self.backbone}; expected model.backbone to be one "
                f"of {', '.join(PACKAGED)}; change it, or set model.weights to a local file or null"
            )
        return self
