"""Ensembles: classifiers of one shape, trained from different seeds, whose logits and maps are averaged.

Both means are exact at the seam: the members' feature maps are concatenated, and ``mean_i cam_i`` is what a linear head
on all of them returns. With ``gap`` the mean of the map plus the mean bias is still the logit.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.sdfn import build_member
from camray.domain.contract import NetworkSpec


class EnsembleClassifier(nn.Module):
    """Mean of several classifiers.

    Parameters
    ----------
    members : list of PooledClassifier
        Of one shape and the same labels.
    """

    def __init__(self, members: list[PooledClassifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.spec = replace(members[0].spec, members=len(members))
        self.channels = sum(member.channels for member in members)

    def features(self, x: Tensor) -> Tensor:
        """Compute all members' feature maps.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, members * K, h, w), float
            Members' channels one after another.
        """
        return torch.cat([member.features(x) for member in self._each()], dim=1)

    def head(self, features: Tensor) -> Tensor:
        """Average the members' logits.

        Parameters
        ----------
        features : Tensor of shape (B, members * K, h, w), float
            From `features`.

        Returns
        -------
        Tensor of shape (B, L), float
            Mean logits.
        """
        return torch.stack([m.head(part) for m, part in self._parts(features)]).mean(dim=0)

    def cam(self, features: Tensor) -> Tensor:
        """Average the members' raw class activation maps.

        Parameters
        ----------
        features : Tensor of shape (B, members * K, h, w), float
            From `features`.

        Returns
        -------
        Tensor of shape (B, L, h, w), float
            Signed, bias excluded.
        """
        return torch.stack([m.cam(part) for m, part in self._parts(features)]).mean(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """Classify films.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, L), float
            Logits.
        """
        return self.head(self.features(x))

    def _each(self) -> list[PooledClassifier]:
        return [cast(PooledClassifier, member) for member in self.members]

    def _parts(self, features: Tensor) -> list[tuple[PooledClassifier, Tensor]]:
        members = self._each()
        return list(zip(members, torch.split(features, [m.channels for m in members], dim=1), strict=True))


def build_network(spec: NetworkSpec, labels: int, seed: int) -> PooledClassifier | EnsembleClassifier:
    """Build the network of a contract with fresh weights: one classifier, or an ensemble.

    Parameters
    ----------
    spec : NetworkSpec
        With the number of members.
    labels : int
        Number of logits.
    seed : int
        Of the first member; the others follow.

    Returns
    -------
    PooledClassifier or EnsembleClassifier
        In training mode.

    Raises
    ------
    ValueError
        If the backbone does not support the requested stride.
    """
    if spec.members == 1:
        return build_member(spec, labels, seed)
    single = replace(spec, members=1)
    return EnsembleClassifier([build_member(single, labels, seed + number) for number in range(spec.members)])
