"""Training with a term on the class activation maps beside the entropy of the labels."""

from abc import abstractmethod
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from camray.core.networks.classifier import PooledClassifier
from camray.core.training.batches import Batch
from camray.core.training.trainer import Trainer


class MapTrainer(Trainer):
    """A trainer that adds a weighted mean over values of the maps to the loss; see `Trainer` for its parameters."""

    _maps: Tensor | None = None

    @property
    @abstractmethod
    def _map_weight(self) -> float:
        """Weight of the term in the loss."""

    @abstractmethod
    def _map_sums(self, films: Tensor, maps: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sum what is added to the loss.

        Parameters
        ----------
        films : Tensor of shape (B, 1, H, W), float
            Augmented.
        maps : Tensor of shape (B, L, h, w), float32
            Raw class activation maps of these films.
        batch : Batch
            As it was read.

        Returns
        -------
        (Tensor, Tensor)
            Scalars: a sum, and the number of its items. The term is their quotient.
        """

    def _for_steps(self) -> nn.Module:
        return self._distributed(_LogitsAndMaps(cast(PooledClassifier, self.model)))

    def _loss(self, films: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        entropy = super()._loss(films, batch, generator)
        maps, self._maps = self._maps, None
        if maps is None:
            raise ValueError("no maps were computed with the logits")
        total, count = self._map_sums(films, maps, batch)
        if self.processes.world > 1:  # as for the entropy
            dist.all_reduce(count)
            count = count / self.processes.world
        return entropy + self._map_weight * total / count.clamp_min(1e-12)

    def _outputs(self, films: Tensor) -> Tensor:
        logits: Tensor
        maps: Tensor
        logits, maps = self._computed(films)
        self._maps = maps.float()
        return logits.float()


class _LogitsAndMaps(nn.Module):
    """A classifier whose forward pass returns logits and maps, so that both come from the same features."""

    def __init__(self, classifier: PooledClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, films: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits [B, L] and raw maps [B, L, h, w] of films [B, 1, H, W], grey 0-1."""
        features = self.classifier.features(films)
        return self.classifier.head(features), self.classifier.cam(features)
