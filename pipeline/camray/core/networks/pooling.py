"""Pools: from a feature map to one vector per film, or from a map of logits to one logit per label."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

NOISY_OR_BIAS = math.log(math.expm1(math.log(2) / 400))  # 400 cells of this logit: a film's probability is one half
_TAIL = -40.0  # below it softplus(z) is exp(z), to float64's precision


def gap(features: Tensor) -> Tensor:
    """Average each channel over the positions (Lin et al. 2014; Zhou et al., CVPR 2016).

    Parameters
    ----------
    features : Tensor of shape (B, K, h, w), float
        Feature grid.

    Returns
    -------
    Tensor of shape (B, K), float
        Means.
    """
    return features.mean(dim=(2, 3))


def gmp(features: Tensor) -> Tensor:
    """Take each channel's maximum over the positions (Oquab et al., CVPR 2015).

    Parameters
    ----------
    features : Tensor of shape (B, K, h, w), float
        Feature grid.

    Returns
    -------
    Tensor of shape (B, K), float
        Maxima.
    """
    return features.amax(dim=(2, 3))


def lse(values: Tensor, sharpness: float | Tensor) -> Tensor:
    """Pool by log-sum-exp over the positions, between the average and the maximum.

    Parameters
    ----------
    values : Tensor of shape (B, C, h, w), float
        Features (Wang et al., CVPR 2017, eq. 1) or logits (Pinheiro & Collobert, CVPR 2015, eq. 3).
    sharpness : float or Tensor of shape (C,)
        r > 0, of all channels or of each. Towards 0 the result is the average, towards infinity the maximum.

    Returns
    -------
    Tensor of shape (B, C)
        ``1/r log(1/(h w) sum exp(r v))``, computed about the maximum, so that nothing overflows. Always between average
        and maximum; shifting all values shifts the result equally.

    Examples
    --------
    >>> lse(torch.tensor([[[[0.0, 2.0]]]]), sharpness=1000.0)
    tensor([[1.9993]])
    """
    flat = values.flatten(2)
    scale = sharpness[:, None] if isinstance(sharpness, Tensor) else sharpness
    return (torch.logsumexp(flat * scale, dim=2) - math.log(flat.shape[2])) / sharpness


class LabelSharpness(nn.Module):
    """A learned sharpness of log-sum-exp per label, kept positive by softplus.

    Parameters
    ----------
    labels : int
        Number of labels.
    initial : float
        Sharpness at the start of training, > 0.
    """

    def __init__(self, labels: int, initial: float) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.full((labels,), initial + math.log(-math.expm1(-initial))))

    def forward(self) -> Tensor:
        """Compute the sharpness.

        Returns
        -------
        Tensor of shape (L,), float
            ``softplus(raw)``; with a graph only in training mode, so that a gradient of the logits by the film meets
            no nonlinear step of the weights.
        """
        with torch.set_grad_enabled(self.training and torch.is_grad_enabled()):
            return softplus(self.raw)


def noisy_or(logit_map: Tensor) -> Tensor:
    """Pool by noisy-OR: the film is positive unless every position is negative (Viola et al., NIPS 2005).

    Parameters
    ----------
    logit_map : Tensor of shape (B, L, h, w), float
        Each position's logit per label, bias included.

    Returns
    -------
    Tensor of shape (B, L)
        Film logits: ``P = 1 - prod (1 - sigmoid(z))``, hence ``logit(P) = log(expm1(S))``, ``S = sum softplus(z)``.

    Notes
    -----
    Computed from log S, so that neither tiny nor certain probabilities are rounded to 0 or 1: ``S + log(1 - exp(-S))``,
    and for small S ``log S + S/2 + S^2/24``, the series of ``log(expm1(S) / S)``.

    Examples
    --------
    >>> noisy_or(torch.zeros(1, 1, 1, 2)).sigmoid()  # 1 - 1/2 * 1/2
    tensor([[0.7500]])
    """
    flat = logit_map.flatten(2)
    log_sum = torch.logsumexp((-logsigmoid(-flat.clamp_min(_TAIL))).log() + (flat - _TAIL).clamp_max(0), dim=2)
    total = log_sum.exp()
    is_small = log_sum < math.log(1e-3)
    whole = torch.where(is_small, 1.0, total)  # keeps the other branch's gradient finite
    return torch.where(is_small, log_sum + total / 2 + total.square() / 24, whole + (-torch.expm1(-whole)).log())


def pcam(logit_map: Tensor) -> Tensor:
    """Pool by probabilistic CAM (Ye et al. 2020, eqs. 1-3).

    Parameters
    ----------
    logit_map : Tensor of shape (B, L, h, w), float
        Each position's logit per label, bias included.

    Returns
    -------
    Tensor of shape (B, L)
        Film logits.

    Notes
    -----
    The paper weights each position's *feature vector* with ``p / sum p``, ``p = sigmoid(logit)``, and applies the
    label's linear layer to the weighted mean. The weights add up to one and the layer is linear, so that this is the
    weighted mean of the logits, which is what is computed. In the paper the map for localization is ``p``: a strictly
    increasing function of the raw map, with the same peak and the same regions.
    """
    flat = logit_map.flatten(2)
    # log-sigmoid and softmax: p / sum p without underflow where all p are nearly zero
    weights = torch.softmax(torch.nn.functional.logsigmoid(flat), dim=2)
    return (weights * flat).sum(dim=2)


def film_logits(features: Tensor, weight: Tensor, bias: Tensor, pool: str, sharpness: float | Tensor) -> Tensor:
    """Pool and classify.

    Parameters
    ----------
    features : Tensor of shape (B, K, h, w), float
        After the last activation.
    weight : Tensor of shape (L, K), float
        Of the linear layer.
    bias : Tensor of shape (L), float
        Of the linear layer.
    pool : str
        ``gap``, ``gmp``, ``lse`` pool features, then classify; the others classify each position, then pool.
    sharpness : float or Tensor of shape (L,)
        Of ``lse`` and ``lse_map``; each label's of ``lse_learned``.

    Returns
    -------
    Tensor of shape (B, L), float
        Logits.

    Raises
    ------
    ValueError
        If there is no such pool.
    """
    match pool:
        case "gap":
            return torch.nn.functional.linear(gap(features), weight, bias)
        case "gmp":
            return torch.nn.functional.linear(gmp(features), weight, bias)
        case "lse":
            return torch.nn.functional.linear(lse(features, sharpness), weight, bias)
        case "pcam":
            return pcam(label_maps(features, weight) + bias[None, :, None, None])
        case "noisy_or":
            return noisy_or(label_maps(features, weight) + bias[None, :, None, None])
        case "lse_map" | "lse_learned":
            return lse(label_maps(features, weight), sharpness) + bias
        case _:
            raise ValueError(f"no pool '{pool}'; expected gap, gmp, lse, pcam, lse_map, lse_learned or noisy_or")


def label_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Compute all raw class activation maps: the channels weighted for every label, signed, bias excluded.

    Parameters
    ----------
    features : Tensor of shape (B, K, h, w), float
        Feature grid.
    weight : Tensor of shape (L, K), float
        Of the linear layer.

    Returns
    -------
    Tensor of shape (B, L, h, w), float
        ``M_l(r, c) = sum_k w_lk f_k(r, c)`` (Zhou et al., CVPR 2016, eq. 2).
    """
    return torch.nn.functional.conv2d(features, weight[:, :, None, None])
