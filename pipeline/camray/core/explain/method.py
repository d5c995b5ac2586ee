"""What an explanation method is: from one forward pass to the raw maps of all labels.

A method reads one forward pass (films, features at the seam, logits) and returns every label's *signed* map on the
feature grid. Nonlinear parts (Grad-CAM's ReLU) are its `finish`, so that maps of several views of a film are averaged
before them. Some methods need that pass alone, some go back through the head or the whole network, some run it again on
altered films (`Method.work`).

Methods that explain pixels return maps on the input grid (`Method.on_input`); their `signed` map is each cell's exact
mean over its area. A map computed from a gradient is "per cell" or "per pixel": its values shrink at larger input
sizes. `signed` therefore returns sums over the grid, values times the number of cells, and `finish` divides by the
cells of the base grid, as in Grad-CAM.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from camray.core.explain.seam import ForwardPass, SeamNetwork

OnInput = Callable[[SeamNetwork, ForwardPass], Tensor]


@dataclass(frozen=True)
class Method:
    """One way to explain a logit.

    Parameters
    ----------
    name : str
        As in settings, file names and tables.
    signed : callable
        Network and its forward pass to float maps [B, L, h, w].
    finish : callable
        Signed, possibly averaged maps [..., h, w] to the method's raw maps.
    note : str
        The equation, stored with the maps.
    work : str
        ``pass``: the forward pass alone; ``head``: back through the head; ``network``: back through everything;
        ``films``: further passes of altered films.
    on_input : callable, optional
        Network and its forward pass to raw maps [B, L, H, W] on the input grid, for methods that explain pixels.
    power : int
        Values shrink as ``1 / cells ** power`` at larger input sizes.
    on_pixels : bool
        `signed` returns maps on the input grid instead of the feature grid.
    """

    name: str
    signed: Callable[[SeamNetwork, ForwardPass], Tensor]
    finish: Callable[[Tensor], Tensor]
    note: str
    work: Literal["pass", "head", "network", "films"] = "pass"
    on_input: OnInput | None = None
    power: int = 0
    on_pixels: bool = False
