"""Maps that weight activations A [K, h, w] by the gradients g = dS/dA of a score S: one rule per paper.

Each rule takes activation and gradient [B, K, h, w] and score [B], and returns the paper's raw map [B, h, w] before any
rescaling. `camray.core.explain.autograd` applies the rules at the seam of our classifiers, or at named layers of any
network.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from camray.core.explain.resampling import resampled
from camray.domain.errors import CheckpointError


def gradcam_map(activation: Tensor, gradient: Tensor, _score: Tensor) -> Tensor:
    """Compute Grad-CAM (Selvaraju et al., ICCV 2017, eqs. 1 and 2): ``ReLU(sum_k mean_ij(g_k) A_k)``.

    Parameters
    ----------
    activation : Tensor of shape (B, K, h, w), float
        A.
    gradient : Tensor of shape (B, K, h, w), float
        g.
    _score : Tensor of shape (B,), float
        Not used.

    Returns
    -------
    Tensor of shape (B, h, w), float
        Never negative.
    """
    return torch.einsum("bk,bkhw->bhw", gradient.mean(dim=(2, 3)), activation).clamp_min(0)


def hirescam_map(activation: Tensor, gradient: Tensor, _score: Tensor) -> Tensor:
    """Compute HiResCAM (Draelos & Carin 2020, eq. 3): ``sum_k g_k(i, j) A_k(i, j)``.

    Parameters
    ----------
    activation : Tensor of shape (B, K, h, w), float
        A.
    gradient : Tensor of shape (B, K, h, w), float
        g.
    _score : Tensor of shape (B,), float
        Not used.

    Returns
    -------
    Tensor of shape (B, h, w), float
        Signed.

    Notes
    -----
    With a pooled linear head the map's sum is the logit minus its bias. After an average pool
    ``g_k(i, j) = w_k/(h w)``: the map is CAM / (h w), and its positive part Grad-CAM.
    """
    return (gradient * activation).sum(dim=1)


def layercam_map(activation: Tensor, gradient: Tensor, _score: Tensor) -> Tensor:
    """Compute LayerCAM (Jiang et al., IEEE TIP 2021, eqs. 5-7): ``ReLU(sum_k ReLU(g_k(i, j)) A_k(i, j))``.

    Parameters
    ----------
    activation : Tensor of shape (B, K, h, w), float
        A.
    gradient : Tensor of shape (B, K, h, w), float
        g.
    _score : Tensor of shape (B,), float
        Not used.

    Returns
    -------
    Tensor of shape (B, h, w), float
        Never negative.
    """
    return (gradient.clamp_min(0) * activation).sum(dim=1).clamp_min(0)


def gradcam_plus_plus_map(activation: Tensor, gradient: Tensor, score: Tensor) -> Tensor:
    """Compute Grad-CAM++ (Chattopadhay et al., WACV 2018), with ``Y = exp(S)`` as in the paper.

    Parameters
    ----------
    activation : Tensor of shape (B, K, h, w), float
        A.
    gradient : Tensor of shape (B, K, h, w), float
        g.
    score : Tensor of shape (B,), float
        S.

    Returns
    -------
    Tensor of shape (B, h, w), float
        Never negative.

    Raises
    ------
    CheckpointError
        If alpha is undefined: a channel's sum is so far below zero that a denominator is not positive. This cannot
        happen after a ReLU.

    Notes
    -----
    The paper's second and third derivatives of Y are ``exp(S) g^2`` and ``exp(S) g^3``: S is piecewise linear in A (its
    eqs. 14-16). Hence, per position,

    ``alpha_k(i, j) = g_k^2 / (2 g_k^2 + sum_ab A_k(a, b) g_k^3) = 1 / (2 + g_k(i, j) sum_ab A_k(a, b))``  (eq. 19)

    ``w_k = sum_ij alpha_k(i, j) ReLU(exp(S) g_k(i, j))`` and the map is ``ReLU(sum_k w_k A_k)``. Where g is 0, alpha is
    0. The factor exp(S), the same for a whole map, is kept: dropping it would be a hidden rescaling, and it changes how
    views of a film are averaged. After an average pool and a linear layer,
    ``w_k = exp(S) ReLU(w_lk) / (2 + w_lk mean A_k)``.
    """
    below = 2 + gradient * activation.sum(dim=(2, 3), keepdim=True)
    if bool(((gradient > 0) & (below <= 0)).any()):
        raise CheckpointError("Grad-CAM++ needs a layer that ends in a ReLU: a channel's sum here is far below zero")
    slopes = torch.where(gradient > 0, gradient.clamp_min(0) / torch.where(gradient > 0, below, 1), 0)
    weights = slopes.sum(dim=(2, 3)) * score.exp()[:, None]
    return torch.einsum("bk,bkhw->bhw", weights, activation).clamp_min(0)


def eigencam(activation: Tensor) -> Tensor:
    """Compute Eigen-CAM (Muhammad & Yeasin, IJCNN 2020): the projection on the first right singular vector, ``O v_1``.

    Parameters
    ----------
    activation : Tensor of shape (B, K, h, w), float
        O is its reshape to [h w, K]; not centred, as in the paper.

    Returns
    -------
    Tensor of shape (B, h, w), float
        The same for every label. The sign of a singular vector is arbitrary: it is chosen so that the map's sum is >=
        0, which makes a map of nonnegative activations nonnegative (Perron-Frobenius). All zeros give zeros.
    """
    batch, _, rows, cols = activation.shape
    flat = activation.detach().flatten(2).transpose(1, 2)  # [B, h w, K]
    left, sizes, _ = torch.linalg.svd(flat, full_matrices=False)
    projected: Tensor = left[:, :, 0] * sizes[:, :1]
    sign = torch.where(projected.sum(dim=1, keepdim=True) < 0, -1.0, 1.0).to(projected.dtype)
    return (projected * sign).reshape(batch, rows, cols)


def fused(maps: Mapping[str, Tensor], grid: tuple[int, int], gammas: Mapping[str, float] | None = None) -> Tensor:
    """Fuse one method's maps of several layers as LayerCAM does: the largest value at each position.

    Parameters
    ----------
    maps : mapping of str to Tensor of shape (B, T, h, w)
        By layer; each is interpolated bilinearly to `grid` (corner origin).
    grid : tuple of int
        (rows, cols).
    gammas : mapping of str to float, optional
        By layer, gamma of the paper's scaling ``tanh(gamma M / max M)`` (eq. 8; it uses 2 for the first three stages of
        VGG16), which puts a map into [0, 1). The maps of other layers stay raw.

    Returns
    -------
    Tensor of shape (B, T, rows, cols), float
        The fused maps.

    Raises
    ------
    CheckpointError
        If there is no map, or `gammas` names a layer without a map.
    """
    gammas = dict(gammas or {})
    if not maps or set(gammas) - set(maps):
        raise CheckpointError(f"layers {sorted(maps)} to fuse, {sorted(gammas)} to scale; expected one or more of them")
    resized = []
    for layer, heat in maps.items():
        if layer in gammas:
            largest = heat.amax(dim=(2, 3), keepdim=True)
            heat = torch.where(largest > 0, torch.tanh(gammas[layer] * heat / torch.where(largest > 0, largest, 1)), 0)
        resized.append(resampled(heat, grid))
    return torch.stack(resized).amax(dim=0)
