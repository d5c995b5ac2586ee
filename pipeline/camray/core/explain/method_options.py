"""Options of the explanation methods that have any; the defaults are camray's own."""

from dataclasses import dataclass
from typing import Literal

IntegrationRule = Literal[
    "adaptive", "gausslegendre", "riemann_left", "riemann_middle", "riemann_right", "riemann_trapezoid"
]
OcclusionBorder = Literal["beyond", "inside"]


@dataclass(frozen=True)
class IntegrationOptions:
    """Integrated gradients.

    Parameters
    ----------
    rule : str
        ``adaptive`` refines each film until it is complete; the others evaluate `steps` points, by Captum's names and
        weights.
    tolerance : float
        Completeness of ``adaptive``, fraction of the change of the logit. The default is the authors' (section 5); 1 %
        costs 3 to 5 times as much, and the maps correlate at 0.998.
    steps : int
        Points of the other rules.
    """

    rule: IntegrationRule = "adaptive"
    tolerance: float = 5e-2
    steps: int = 50


@dataclass(frozen=True)
class OcclusionOptions:
    """Occlusion.

    Parameters
    ----------
    patch_px, step_px : int or None
        Side of the patch and distance of its positions, px of the network's input; None for two cells of the feature
        grid, and one.
    fill : float or None
        Grey value of the patch, 0-1; None for the film's mean.
    border : str
        ``beyond``: the first patches begin outside the film, so that all pixels are covered equally often; ``inside``:
        the first begin in its corner, as Captum's do.
    """

    patch_px: int | None = None
    step_px: int | None = None
    fill: float | None = None
    border: OcclusionBorder = "beyond"


@dataclass(frozen=True)
class MethodOptions:
    """Options of all methods."""

    integrated_gradients: IntegrationOptions = IntegrationOptions()
    occlusion: OcclusionOptions = OcclusionOptions()


DEFAULT_OPTIONS = MethodOptions()
