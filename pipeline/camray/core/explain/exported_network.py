"""The form in which a network is exported: films in, logits and class activation maps out, as predictions use them."""

from collections.abc import Sequence

from torch import Tensor, nn

from camray.core.explain.methods import methods_named
from camray.core.explain.seam import SeamNetwork
from camray.core.explain.test_time_averaging import explain
from camray.domain.errors import ExportError

METHOD = "cam"


class ExportedNetwork(nn.Module):
    """Logits and class activation maps of films in one call, averaged over the views of a run.

    Parameters
    ----------
    network : SeamNetwork
        In evaluation mode; of an ensemble, logits and maps are the members' means.
    grid : tuple of int
        Feature grid (h, w).
    flip, scales
        Views that logits and maps are averaged over, see `camray.core.explain.test_time_averaging.explain`.

    Raises
    ------
    ExportError
        If its steps depend on the film in a way that a graph of operators cannot have.
    """

    def __init__(self, network: SeamNetwork, grid: tuple[int, int], flip: bool, scales: Sequence[float]) -> None:
        super().__init__()
        if network.spec.fusion == "sdfn":
            raise ExportError(
                "a network with fusion 'sdfn' finds connected regions of lung in each film, for which ONNX has no "
                "operator; write the package without --onnx"
            )
        self.network = network
        self.grid, self.flip, self.scales = grid, flip, tuple(scales)
        self.methods = () if network.spec.is_fully_connected else methods_named([METHOD])

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the results of `forward`: without a linear head there are no class activation maps."""
        return ("logits", "maps") if self.methods else ("logits",)

    def forward(self, films: Tensor) -> tuple[Tensor, ...]:
        """Compute what `outputs` names.

        Parameters
        ----------
        films : Tensor of shape (B, 1, H, W), float
            Grey 0 black to 1 white, model grid.

        Returns
        -------
        tuple of Tensor
            Logits [B, L]; raw signed maps [B, L, h, w] on the feature grid, bias excluded.
        """
        found = explain(self.network, films, self.methods, self.grid, flip=self.flip, scales=self.scales)
        return (found.logits, *found.heat.values())
