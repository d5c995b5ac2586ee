"""A two-layer float64 network whose every derivative can be worked by hand, and pictures of a network's state."""

from collections.abc import Callable

import torch
from torch import nn

from camray.domain.contract import NetworkSpec

LABELS = 3


class Tiny(nn.Module):
    """Convolution, ReLU written in a way of one's own, average pool of 2, convolution, ReLU; pooled linear head."""

    spec = NetworkSpec(pool="gap")

    def __init__(self, relu: str = "module", bias: bool = True) -> None:
        super().__init__()
        self.relu = relu
        self.first = nn.Conv2d(1, 4, 3, padding=1, bias=bias)
        self.act = nn.ReLU(inplace=relu == "in place")
        self.second = nn.Conv2d(4, 5, 3, padding=1, bias=bias)
        self.classifier = nn.Linear(5, LABELS, bias=bias)

    def rectified(self, x: torch.Tensor) -> torch.Tensor:
        match self.relu:
            case "module" | "in place":
                return self.act(x)
            case "torch":
                return torch.relu(x)
            case "function":
                return nn.functional.relu(x)
            case "method":
                return x.clone().relu_()
            case "clamp":
                return x.clamp(min=0)
            case "clamp_min":
                return torch.clamp_min(x, 0)
            case "mask":
                return x * (x > 0)
            case "where":
                return torch.where(x > 0, x, torch.zeros_like(x))
            case "maximum":
                return torch.maximum(x, torch.zeros_like(x))
            case "six":
                return nn.functional.relu6(x)
            case "swish":
                return x * torch.sigmoid(x)
        return x

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.rectified(self.second(nn.functional.avg_pool2d(self.rectified(self.first(x)), 2)))

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return self.classifier(features.mean(dim=(2, 3)))

    def cam(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(features, self.classifier.weight[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


def tiny(relu: str = "module", bias: bool = True) -> Tiny:
    """Return the network with fixed weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = Tiny(relu, bias).double().eval()
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.6)
    return network


def films(count: int = 3) -> torch.Tensor:
    """Return films of 6 x 8 px, grey 0-1."""
    return torch.rand(count, 1, 6, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def state_of(network: nn.Module) -> list[object]:
    """Return what explaining must not alter."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        [len(getattr(module, kind)) for module in network.modules() for kind in kinds],
        [(module.training, getattr(module, "inplace", None)) for module in network.modules()],
        [
            (each.requires_grad, None if each.grad is None else each.grad.clone().tolist())
            for each in network.parameters()
        ],
        [value.tolist() for value in network.state_dict().values()],
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
    ]


def slopes(score: Callable[[torch.Tensor], torch.Tensor], at: torch.Tensor, step: float = 1e-5) -> torch.Tensor:
    """Differentiate [1, L] scores by every value of `at` [1, ...] by finite differences of fourth order, [L, ...]."""
    moved = torch.eye(at.numel(), dtype=at.dtype).reshape(-1, *at.shape[1:]) * step
    with torch.no_grad():
        near = score(at + moved) - score(at - moved)
        far = score(at + 2 * moved) - score(at - 2 * moved)
    return ((8 * near - far) / (12 * step)).T.reshape(-1, *at.shape[1:])
