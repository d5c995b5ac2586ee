"""Networks cut at the feature map that their pool reads (the seam), one forward pass, and custom targets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from camray.domain.contract import NetworkSpec
from camray.domain.errors import CheckpointError, SettingsError


class SeamNetwork(Protocol):
    """A classifier cut at the feature map that its pool reads."""

    spec: NetworkSpec

    def features(self, x: Tensor) -> Tensor:
        """Map films [B, C, H, W], model grid, to the feature map [B, K, h, w] after the last activation."""

    def head(self, features: Tensor) -> Tensor:
        """Map the feature map to logits [B, L]."""

    def cam(self, features: Tensor) -> Tensor:
        """Map the feature map to all labels' raw maps [B, L, h, w], bias excluded."""


def columns_of(targets: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Apply a function of the logits and return its scalars as columns.

    Parameters
    ----------
    targets : callable
        Logits [B, L] to scalars [B, T] or [B], each film's on its own row.
    logits : Tensor of shape (B, L), float
        All labels' logits.

    Returns
    -------
    Tensor of shape (B, T), float
        T is 1 where `targets` returns [B].

    Raises
    ------
    CheckpointError
        If the function returns anything but a tensor [B] or [B, T].
    """
    scalars: object = targets(logits)
    if not isinstance(scalars, Tensor) or scalars.dim() not in {1, 2} or len(scalars) != len(logits):
        result = tuple(scalars.shape) if isinstance(scalars, Tensor) else type(scalars).__name__
        raise CheckpointError(
            f"the target function gives {result} for logits of shape {tuple(logits.shape)}; "
            f"expected a tensor [{len(logits)}] or [{len(logits)}, T]"
        )
    return scalars[:, None] if scalars.dim() == 1 else scalars


class TargetedNetwork(nn.Module):
    """A network whose outputs are functions of its logits, so that any scalars can be explained.

    Parameters
    ----------
    network : SeamNetwork
        Neither altered nor copied.
    targets : callable
        Logits [B, L] to scalars [B, T] or [B], each film's on its own row.
    """

    def __init__(self, network: SeamNetwork, targets: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.targets = targets
        self.spec = network.spec

    def features(self, x: Tensor) -> Tensor:
        """Map films to the feature map of the network.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Model grid.

        Returns
        -------
        Tensor of shape (B, K, h, w), float
            Feature grid.
        """
        return self.network.features(x)

    def head(self, features: Tensor) -> Tensor:
        """Map the feature map to the scalars.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            Feature grid.

        Returns
        -------
        Tensor of shape (B, T), float
            The targets.

        Raises
        ------
        CheckpointError
            If the target function returns anything else.
        """
        return columns_of(self.targets, self.network.head(features))

    def cam(self, features: Tensor) -> Tensor:
        """Refuse: class activation maps belong to the labels of a linear head.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            Not read.

        Returns
        -------
        Tensor
            Never.

        Raises
        ------
        SettingsError
            Always.
        """
        raise SettingsError("CAM explains the labels of a linear head, not a function of them; choose gradcam")

    def forward(self, x: Tensor) -> Tensor:
        """Map films to the scalars.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Model grid.

        Returns
        -------
        Tensor of shape (B, T), float
            The targets.
        """
        return self.head(self.features(x))


@dataclass(frozen=True)
class ForwardPass:
    """Input and results of one forward pass.

    Parameters
    ----------
    films : Tensor of shape (B, C, H, W), float
        Input of the pass.
    features : Tensor of shape (B, K, h, w), float
        Feature map at the seam.
    logits : Tensor of shape (B, L), float
        Output of the head.
    """

    films: Tensor
    features: Tensor
    logits: Tensor

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the feature grid."""
        return int(self.features.shape[-2]), int(self.features.shape[-1])

    @property
    def cells(self) -> int:
        """Cells of the feature grid."""
        return self.grid[0] * self.grid[1]


@torch.no_grad()
def forward(network: SeamNetwork, films: Tensor) -> ForwardPass:
    """Run the network once, without an autograd graph.

    Parameters
    ----------
    network : SeamNetwork
        In evaluation mode.
    films : Tensor of shape (B, C, H, W), float
        Model grid.

    Returns
    -------
    ForwardPass
        Films, feature map and logits.
    """
    features = network.features(films)
    return ForwardPass(films, features, network.head(features))
