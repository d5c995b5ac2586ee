"""What an explanation method is, and the methods there are by name.

A method reads one forward pass (films, features at the seam, logits) and returns every label's *signed* map on the
feature grid. What is not linear (Grad-CAM's ReLU) is its `finish`, so that maps of one film seen several ways are
averaged before it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor

from pipeline.core.maps import pooled
from pipeline.core.maps.pooled import ForwardPass, SeamNetwork
from pipeline.domain.errors import SettingsError


@dataclass(frozen=True)
class Method:
    """One way to explain a logit.

    Parameters
    ----------
    name : str
        As it stands in settings, file names and tables.
    signed : callable
        Network and its forward pass to float maps [B, L, h, w].
    finish : callable
        Signed, possibly averaged maps [..., h, w] to the method's raw maps.
    note : str
        The equation, kept beside the maps.
    """

    name: str
    signed: Callable[[SeamNetwork, ForwardPass], Tensor]
    finish: Callable[[Tensor], Tensor]
    note: str


_METHODS = (
    Method(
        "cam",
        pooled.cam,
        pooled.unchanged,
        "CAM_l = sum_k w_lk f_k, bias left out (Zhou et al., CVPR 2016)",
    ),
    Method(
        "gradcam",
        pooled.gradient_weighted,
        pooled.positive_mean,
        "Grad-CAM_l = ReLU(sum_k a_lk f_k), a_lk the mean of d logit_l / d f_k over the grid (Selvaraju et al., 2017)",
    ),
)
METHODS: dict[str, Method] = {method.name: method for method in _METHODS}


def methods_named(names: Iterable[str]) -> tuple[Method, ...]:
    """Look methods up.

    Raises
    ------
    SettingsError
        If a name is unknown or stands twice, or none is given.
    """
    asked = tuple(names)
    unknown = [name for name in asked if name not in METHODS]
    if unknown or not asked or len(set(asked)) != len(asked):
        raise SettingsError(
            f"explain.methods: {list(asked)}; expected one or more different names out of: {', '.join(METHODS)}"
        )
    return tuple(METHODS[name] for name in asked)
