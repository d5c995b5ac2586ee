"""All labels' CAM and Grad-CAM from one forward pass, for networks with a pooled head.

The seam is the feature map f [K, h, w] that the pool reads; the head maps it to logits. With a linear head after a pool
P, ``logit_l = sum_k w_lk P(f_k) + b_l``.

CAM
    ``CAM_l(i, j) = sum_k w_lk f_k(i, j)``: raw, signed, bias excluded (Zhou et al., CVPR 2016, eq. 2). After an average
    pool ``mean(CAM_l) + b_l == logit_l``.
Grad-CAM
    ``a_lk = 1/(h w) sum_ij d logit_l / d f_k(i, j)`` and ``Grad-CAM_l = ReLU(sum_k a_lk f_k)`` (Selvaraju et al., ICCV
    2017, eqs. 1 and 2). If adding a constant to f_k adds it to P(f_k), then ``sum_ij dP/df_k(i, j) = 1``: true for the
    mean (each term 1/(h w)), the maximum (one-hot, or shared among ties) and log-sum-exp (a softmax), whether features
    are pooled or the label's map is (``lse_map``, ``lse_learned``). Hence ``a_lk = w_lk / (h w)`` and
    ``Grad-CAM_l == ReLU(CAM_l) / (h w)``, without any backward pass. PCAM and
    noisy-OR depend on the zero of the map's scale, so there the gradient is computed: through the head alone, not
    through the backbone.
"""

import torch
from torch import Tensor

from camray.core.explain.autograd import gradients_by_target
from camray.core.explain.seam import ForwardPass, SeamNetwork, TargetedNetwork

CLOSED_FORM_POOLS = ("gap", "gmp", "lse", "lse_map", "lse_learned")


@torch.no_grad()
def cam(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    """Compute every label's class activation map (Zhou et al., CVPR 2016, eq. 2).

    Parameters
    ----------
    network : SeamNetwork
        With a linear head after its pool.
    passed : ForwardPass
        Features of shape (B, K, h, w).

    Returns
    -------
    Tensor of shape (B, L, h, w), float
        Raw and signed, feature grid, on the scale of the logits; bias excluded.
    """
    return network.cam(passed.features)


def gradient_weighted(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    """Weight the features by their gradients *summed* over the grid: Grad-CAM times h w, before its ReLU.

    Parameters
    ----------
    network : SeamNetwork
        Any head.
    passed : ForwardPass
        Features of shape (B, K, h, w).

    Returns
    -------
    Tensor of shape (B, L, h, w), float
        Signed, feature grid. The sum, not the mean, so that maps of one film at several input sizes can be averaged;
        `positive_mean` completes it.
    """
    is_linear = not (network.spec.is_fully_connected or isinstance(network, TargetedNetwork))
    if network.spec.pool in CLOSED_FORM_POOLS and is_linear:
        return cam(network, passed)
    weights = summed_gradients(network, passed.features)
    return torch.einsum("blk,bkhw->blhw", weights, passed.features)


def summed_gradients(network: SeamNetwork, features: Tensor) -> Tensor:
    """Sum ``d logit_l / d f_k`` over the grid, by backward passes through the head alone.

    Parameters
    ----------
    network : SeamNetwork
        The gradients of its parameters are neither used nor filled.
    features : Tensor of shape (B, K, h, w), float
        At the seam.

    Returns
    -------
    Tensor of shape (B, L, K)
        In the features' floating type.
    """
    leaf = features.detach().requires_grad_(True)
    with torch.enable_grad():
        gradients = gradients_by_target(network.head(leaf), [leaf])
        return torch.stack([gradient.sum(dim=(-2, -1)) for (gradient,) in gradients], dim=1)


def unchanged(signed: Tensor) -> Tensor:
    """Return the signed maps as they are.

    Parameters
    ----------
    signed : Tensor of shape (..., h, w), float
        Signed maps.

    Returns
    -------
    Tensor of shape (..., h, w), float
        The same object.
    """
    return signed


def positive_mean(signed: Tensor) -> Tensor:
    """Complete Grad-CAM: the positive part, divided by the number of cells.

    Parameters
    ----------
    signed : Tensor of shape (..., h, w), float
        See `gradient_weighted`.

    Returns
    -------
    Tensor of shape (..., h, w), float
        Never negative.

    Examples
    --------
    >>> positive_mean(torch.tensor([[-4.0, 2.0], [0.0, 8.0]]))
    tensor([[0.0000, 0.5000],
            [0.0000, 2.0000]])
    """
    return signed.clamp_min(0) / (signed.shape[-2] * signed.shape[-1])
