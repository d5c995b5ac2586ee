"""Settings of single explanation methods."""

from typing import Literal

from pydantic import Field

from camray.adapters.settings.section import Section


class IntegratedGradientsSettings(Section):
    """Integrated gradients."""

    rule: Literal[
        "adaptive", "gausslegendre", "riemann_left", "riemann_middle", "riemann_right", "riemann_trapezoid"
    ] = Field(
        "adaptive",
        description="adaptive: refine each film until it is complete; the others: Captum's rules of these names, with "
        "this number of steps",
    )
    tolerance: float = Field(
        0.05, gt=0, lt=1, description="completeness of the rule adaptive, fraction of the change of the logit"
    )
    steps: int = Field(50, ge=2, le=4096, description="points of the other rules; Captum's default: 50")


class OcclusionSettings(Section):
    """Occlusion, from coarse to fine too."""

    patch_px: int | None = Field(
        None, ge=1, description="side of the patch, px of the model grid; default: two feature cells"
    )
    step_px: int | None = Field(
        None, ge=1, description="distance of the patches, px of the model grid; default: one feature cell"
    )
    fill: float | None = Field(
        None, ge=0, le=1, description="grey value of the patch, 0 is black (Captum's default); default: the film's mean"
    )
    border: Literal["beyond", "inside"] = Field(
        "beyond",
        description="beyond: the first patches begin outside the film, all pixels are covered equally often; inside: "
        "they begin in its corner, as Captum's",
    )
