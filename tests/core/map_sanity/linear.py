"""A network that is linear in the film: every figure of it can be worked by hand."""

import torch
from torch import nn

from camray.domain.contract import NetworkSpec

CELL = 4


class LinearNetwork(nn.Module):
    """Means of 4 x 4 px cells, weighted: ``logit_l = sum_i w_li mean_i(x) + b_l``; its CAM is ``w_li mean_i(x)``."""

    spec = NetworkSpec(pool="gap")

    def __init__(self, side: int, labels: int, seed: int = 0) -> None:
        super().__init__()
        self.side = side
        self.classifier = nn.Linear(side * side, labels).double()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.randn(labels, side * side, generator=generator, dtype=torch.float64))
            self.classifier.bias.copy_(torch.linspace(-0.5, 0.5, labels))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(x, CELL)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return self.classifier(features.flatten(1))

    def cam(self, features: torch.Tensor) -> torch.Tensor:
        return features * self.classifier.weight.reshape(1, -1, self.side, self.side)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


def films(count: int, side: int, seed: int = 1) -> torch.Tensor:
    """Films [count, 1, 4 side, 4 side], grey 0.2-0.8."""
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + 0.6 * torch.rand(count, 1, CELL * side, CELL * side, generator=generator, dtype=torch.float64)
