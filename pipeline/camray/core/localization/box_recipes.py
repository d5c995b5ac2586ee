"""Box recipes: which steps lead from a raw heat map to its boxes and its peak (hit point).

A *recipe* fixes every step between a raw map and its box: smoothing, the reference of the threshold, the choice among
several regions, and the widening of the box. The fixed policies are recipes that no annotated box has influenced;
`camray.core.localization.calibration` picks one on validation boxes, `camray.core.localization.located_boxes` applies
it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from camray.core.localization.connected_components import RegionChoice
from camray.domain.errors import CheckpointError

Reference = Literal["max", "range", "raw", "quantile", "otsu", "background"]


@dataclass(frozen=True)
class BoxRecipe:
    """From a raw map to its box and hit point.

    Parameters
    ----------
    reference : {'max', 'range', 'raw', 'quantile', 'otsu', 'background'}
        What `level` is measured against, within the film: ``max``: fraction of the map's maximum; ``range``: fraction
        of the way from its minimum to its maximum; ``raw``: the heat itself; ``quantile``: fraction of the film that is
        cooler; ``otsu``: Otsu's threshold, `level` unused; ``background``: fraction of the way from `background` to
        the map's maximum.
    level : float
        See `reference`.
    smooth : float
        Sigma of a Gaussian applied to the map before its box is drawn, in feature cells.
    peak_smooth : float
        The same before its hit point is taken.
    prior : float
        Weight of the label's prior map, added before the box is drawn, see `with_prior`.
    peak_prior : float
        The same before the hit point is taken.
    dilate : float
        Factor on the box's sides, about its centre.
    region : {'hottest', 'largest', 'evidence'}
        Which region comes first: highest heat, most pixels, or the largest sum of heat above the threshold.
    background : float
        Heat of films without the label, see `camray.core.localization.background`; 0 with any other reference.
    """

    reference: Reference
    level: float
    smooth: float = 0.0
    peak_smooth: float = 0.0
    prior: float = 0.0
    peak_prior: float = 0.0
    dilate: float = 1.0
    region: RegionChoice = "hottest"
    background: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as written to ``thresholds.json``; the background where it is used."""
        plain = asdict(self)
        if self.reference != "background":
            del plain["background"]
        return plain


def fixed_recipe(policy: str, level: float, smooth: float, region: RegionChoice) -> BoxRecipe:
    """Return the recipe of a policy that no boxes influence.

    Parameters
    ----------
    policy : {'fraction_of_max', 'raw', 'quantile', 'otsu'}
        Name in the settings.
    level : float
        Its parameter; unused for Otsu.
    smooth : float
        Gaussian sigma for boxes and hit points, in feature cells.
    region : str
        Which region comes first.

    Raises
    ------
    ValueError
        If the policy is not a fixed one.
    """
    references: dict[str, Reference] = {
        "fraction_of_max": "max",
        "raw": "raw",
        "quantile": "quantile",
        "otsu": "otsu",
    }
    if policy not in references:
        raise ValueError(f"'{policy}' is not a fixed threshold policy; expected one of {', '.join(references)}")
    plain = BoxRecipe(references[policy], level, smooth=smooth, peak_smooth=smooth, region=region)
    return replace(plain, level=0.0) if policy == "otsu" else plain


def recipe_from_json(plain: Mapping[str, Any]) -> BoxRecipe:
    """Read a recipe back; see `BoxRecipe.as_json`.

    Raises
    ------
    CheckpointError
        If a key is missing or unknown.
    """
    try:
        return BoxRecipe(**plain)
    except TypeError as error:
        raise CheckpointError(f"threshold parameters {dict(plain)} are not a recipe: {error}") from error
