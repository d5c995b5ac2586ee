"""Several classifiers of one shape, trained from different seeds, as one: logits and maps are their means.

Both means are exact at the seam: the members' feature maps lie side by side, and ``mean_i cam_i`` is what a linear head
on all of them gives. With ``gap`` the mean of the map plus the mean bias is still the logit.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.sdfn import build_member
from camray.domain.contract import NetworkSpec


class EnsembleClassifier(nn.Module):
    """The mean of classifiers.

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
        """Map films [B, 1, H, W] to all members' features side by side, [B, members * K, h, w]."""
        return torch.cat([member.features(x) for member in self._each()], dim=1)

    def head(self, features: Tensor) -> Tensor:
        """Average the members' logits, [B, L]."""
        return torch.stack([m.head(part) for m, part in self._parts(features)]).mean(dim=0)

    def cam(self, features: Tensor) -> Tensor:
        """Average the members' raw class activation maps, [B, L, h, w]; bias excluded."""
        return torch.stack([m.cam(part) for m, part in self._parts(features)]).mean(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """Classify films [B, 1, H, W], grey 0-1, to logits [B, L]."""
        return self.head(self.features(x))

    def _each(self) -> list[PooledClassifier]:
        return [cast(PooledClassifier, member) for member in self.members]

    def _parts(self, features: Tensor) -> list[tuple[PooledClassifier, Tensor]]:
        members = self._each()
        return list(zip(members, torch.split(features, [m.channels for m in members], dim=1), strict=True))


def build_network(spec: NetworkSpec, labels: int, seed: int) -> PooledClassifier | EnsembleClassifier:
    """Build what a contract describes, with fresh weights: one classifier, or several.

    Raises
    ------
    ValueError
        If the backbone cannot have the stride asked for.
    """
    if spec.members == 1:
        return build_member(spec, labels, seed)
    one = replace(spec, members=1)
    return EnsembleClassifier([build_member(one, labels, seed + number) for number in range(spec.members)])
