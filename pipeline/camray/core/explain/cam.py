"""All labels' CAM and Grad-CAM from one forward pass, for networks with a pooled head.

The seam is the feature map f [K, h, w] that the pool reads; the head maps it to logits. With a linear head after a pool
P, ``logit_l = sum_k w_lk P(f_k) + b_l``.

CAM
    ``CAM_l(i, j) = sum_k w_lk f_k(i, j)``: raw, signed, bias left out (Zhou et al., CVPR 2016, eq. 2). After an average
    pool ``mean(CAM_l) + b_l == logit_l``.
Grad-CAM
    ``a_lk = 1/(h w) sum_ij d logit_l / d f_k(i, j)`` and ``Grad-CAM_l = ReLU(sum_k a_lk f_k)`` (Selvaraju et al., ICCV
    2017, eqs. 1 and 2). If adding a constant to f_k adds it to P(f_k), then ``sum_ij dP/df_k(i, j) = 1``: true for the
    mean (each term 1/(h w)), the maximum (one-hot, or shared among ties) and log-sum-exp (a softmax), whether features
    are pooled or the label's map is (``lse_map``). Hence ``a_lk = w_lk / (h w)`` and
    ``Grad-CAM_l == ReLU(CAM_l) / (h w)``, without any backward pass. PCAM's attention depends on where the origin of
    the map lies, so there the gradient is taken: through the head alone, not through the backbone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from camray.domain.contract import NetworkSpec
from camray.domain.errors import CheckpointError, SettingsError

CLOSED_FORM_POOLS = ("gap", "gmp", "lse", "lse_map")
_MAX_GRADIENT_ELEMENTS = 2**26  # 256 MiB of float32: labels are taken in groups that stay below


class SeamNetwork(Protocol):
    """A classifier cut at the feature map that its pool reads."""

    spec: NetworkSpec

    def features(self, x: Tensor) -> Tensor:
        """Films [B, 1, H, W] to the post-ReLU map [B, K, h, w]."""

    def head(self, features: Tensor) -> Tensor:
        """Feature map to logits [B, L]."""

    def cam(self, features: Tensor) -> Tensor:
        """Feature map to all labels' raw maps [B, L, h, w], bias left out."""


def columns_of(targets: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Apply a function of the logits [B, L] and bring its scalars to [B, T].

    Raises
    ------
    CheckpointError
        If it gives anything but a tensor [B] or [B, T].
    """
    scalars: object = targets(logits)
    if not isinstance(scalars, Tensor) or scalars.dim() not in {1, 2} or len(scalars) != len(logits):
        found = tuple(scalars.shape) if isinstance(scalars, Tensor) else type(scalars).__name__
        raise CheckpointError(
            f"the target function gives {found} for logits of shape {tuple(logits.shape)}; "
            f"expected a tensor [{len(logits)}] or [{len(logits)}, T]"
        )
    return scalars[:, None] if scalars.dim() == 1 else scalars


class TargetedNetwork(nn.Module):
    """A network whose outputs are functions of its logits: any scalars can be explained.

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
        """Map films to what the network's pool reads."""
        return self.network.features(x)

    def head(self, features: Tensor) -> Tensor:
        """Map features to the scalars, [B, T].

        Raises
        ------
        CheckpointError
            If the function gives anything else.
        """
        return columns_of(self.targets, self.network.head(features))

    def cam(self, features: Tensor) -> Tensor:
        """Refuse: class activation maps belong to the labels of a linear head.

        Raises
        ------
        SettingsError
            Always.
        """
        raise SettingsError("CAM explains the labels of a linear head, not a function of them; choose gradcam")

    def forward(self, x: Tensor) -> Tensor:
        """Map films to the scalars."""
        return self.head(self.features(x))


@dataclass(frozen=True)
class ForwardPass:
    """What one forward pass leaves: `films` [B, 1, H, W], `features` [B, K, h, w] and `logits` [B, L]."""

    films: Tensor
    features: Tensor
    logits: Tensor


@torch.no_grad()
def forward(network: SeamNetwork, films: Tensor) -> ForwardPass:
    """Run the network once, without a graph."""
    features = network.features(films)
    return ForwardPass(films, features, network.head(features))


@torch.no_grad()
def cam(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    """Return every label's class activation map, [B, L, h, w], raw and signed, bias left out."""
    return network.cam(passed.features)


def gradient_weighted(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    """Weigh the features by their gradients *summed* over the grid: Grad-CAM times h w, before its ReLU.

    Returns
    -------
    Tensor of shape (B, L, h, w)
        The sum, not the mean, so that maps of one film at several input sizes can be averaged; `positive_mean` ends it.
    """
    is_linear = not (network.spec.is_fully_connected or isinstance(network, TargetedNetwork))
    if network.spec.pool in CLOSED_FORM_POOLS and is_linear:
        return cam(network, passed)
    weights = summed_gradients(network, passed.features)
    return torch.einsum("blk,bkhw->blhw", weights, passed.features)


def summed_gradients(network: SeamNetwork, features: Tensor) -> Tensor:
    """Sum ``d logit_l / d f_k`` over the grid by one batched backward pass through the head alone.

    Parameters
    ----------
    network : SeamNetwork
        Its parameters' gradients are neither used nor filled.
    features : Tensor of shape (B, K, h, w)
        At the seam.

    Returns
    -------
    Tensor of shape (B, L, K)
        In the features' floating type.
    """
    leaf = features.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = network.head(leaf)
    labels = logits.shape[1]
    group = max(1, min(labels, _MAX_GRADIENT_ELEMENTS // leaf.numel()))
    one_hot = torch.eye(labels, dtype=logits.dtype, device=logits.device)
    sums = []
    for start in range(0, labels, group):
        wanted = one_hot[start : start + group, None, :].expand(-1, logits.shape[0], -1)
        (gradient,) = torch.autograd.grad(logits, leaf, wanted, is_grads_batched=True, retain_graph=True)
        sums.append(gradient.sum(dim=(-2, -1)))
    return torch.cat(sums).transpose(0, 1)


def unchanged(signed: Tensor) -> Tensor:
    """Return the signed maps as they are."""
    return signed


def positive_mean(signed: Tensor) -> Tensor:
    """End Grad-CAM: ReLU, and the sum over the grid made a mean."""
    return signed.clamp_min(0) / (signed.shape[-2] * signed.shape[-1])
