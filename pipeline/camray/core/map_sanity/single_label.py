"""One label of a classifier as a classifier of its own, so that only that label's map is computed."""

import torch
from torch import Tensor, nn

from camray.core.explain.method import Method
from camray.core.explain.seam import SeamNetwork, forward
from camray.domain.contract import NetworkSpec


class OneLabel(nn.Module):
    """One label's logit and map of a classifier, as a classifier of one label.

    Parameters
    ----------
    network : SeamNetwork
        Read, never altered.
    label : int
        Which column of its logits.

    Notes
    -----
    `passes` counts the films that went through the backbone, three times where a graph was kept (a backward pass costs
    about two forward passes): a cost that does not depend on the machine.
    """

    def __init__(self, network: SeamNetwork, label: int) -> None:
        super().__init__()
        self.network, self.label = network, label
        self.spec: NetworkSpec = network.spec
        self.passes = 0

    def features(self, x: Tensor) -> Tensor:
        """Compute the feature map, and count the passes.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, K, h, w), float
            Feature grid.
        """
        self.passes += len(x) * (3 if torch.is_grad_enabled() else 1)
        return self.network.features(x)

    def head(self, features: Tensor) -> Tensor:
        """Compute the label's logit.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            Feature map of the network.

        Returns
        -------
        Tensor of shape (B, 1), float
            Logit.
        """
        return self.network.head(features)[:, self.label : self.label + 1]

    def cam(self, features: Tensor) -> Tensor:
        """Compute the label's raw class activation map.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            Feature map of the network.

        Returns
        -------
        Tensor of shape (B, 1, h, w), float
            Signed, bias excluded.
        """
        return self.network.cam(features)[:, self.label : self.label + 1]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the label's logit of films.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, 1), float
            Logit.
        """
        return self.head(self.features(x))


def label_maps(view: OneLabel, method: Method, films: Tensor, batch_size: int) -> Tensor:
    """Explain the label on every film.

    Parameters
    ----------
    view : OneLabel
        In evaluation mode.
    method : Method
    films : Tensor of shape (N, 1, H, W)
        Grey 0-1.
    batch_size : int
        Films at a time.

    Returns
    -------
    Tensor of shape (N, h, w), float
        Raw maps as `camray explain` stores them, on the feature grid, detached.

    Raises
    ------
    PipelineError
        If the method cannot take the network.
    """
    maps = []
    for part in torch.split(films, batch_size):
        passed = forward(view, part)
        maps.append(method.finish(method.signed(view, passed))[:, 0].detach())
    return torch.cat(maps)


@torch.no_grad()
def label_probabilities(view: OneLabel, films: Tensor, batch_size: int) -> Tensor:
    """Compute the label's probability, the logistic function of its logit.

    Parameters
    ----------
    view : OneLabel
        In evaluation mode.
    films : Tensor of shape (N, 1, H, W), float
        Grey 0-1, model grid.
    batch_size : int
        Films per pass.

    Returns
    -------
    Tensor of shape (N,), float64
        0-1.
    """
    return torch.cat([torch.sigmoid(view(part)[:, 0].double()) for part in torch.split(films, batch_size)])
