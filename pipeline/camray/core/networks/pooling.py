"""Pools: from a feature map to one vector per film, or from a map of logits to one logit per label."""

import math

import torch
from torch import Tensor


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


def lse(values: Tensor, sharpness: float) -> Tensor:
    """Pool by log-sum-exp over the positions, between the average and the maximum.

    Parameters
    ----------
    values : Tensor of shape (B, C, h, w), float
        Features (Wang et al., CVPR 2017, eq. 1) or logits (Pinheiro & Collobert, CVPR 2015, eq. 3).
    sharpness : float
        r > 0. Towards 0 the result is the average, towards infinity the maximum.

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
    return (torch.logsumexp(flat * sharpness, dim=2) - math.log(flat.shape[2])) / sharpness


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


def film_logits(features: Tensor, weight: Tensor, bias: Tensor, pool: str, sharpness: float) -> Tensor:
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
        ``gap``, ``gmp``, ``lse`` pool features, then classify; ``pcam``, ``lse_map`` classify each position, then pool.
    sharpness : float
        Of ``lse`` and ``lse_map``.

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
        case "lse_map":
            return lse(label_maps(features, weight), sharpness) + bias
        case _:
            raise ValueError(f"no pool '{pool}'; expected gap, gmp, lse, pcam or lse_map")


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
