"""Binary cross-entropy of many labels, some of them unknown."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from camray.domain.errors import PipelineError


def positive_weights(
    targets: NDArray[np.float32], cap: float, weights: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Weight each label's positives so that they count as much as its negatives.

    Parameters
    ----------
    targets : ndarray of shape (N, L), float32
        1, 0, or NaN for no information.
    cap : float
        At least 1; weights stay within 1/cap to cap.
    weights : ndarray of shape (N, L), float32, optional
        How much each target counts; default: 1.

    Returns
    -------
    ndarray of shape (L,), float32
        Negatives over positives; 1 for a label with positives or negatives only.

    Examples
    --------
    >>> positive_weights(np.array([[1, 0], [0, np.nan], [0, 0]], np.float32), cap=10)
    array([2., 1.], dtype=float32)
    """
    counted = np.ones(targets.shape) if weights is None else weights.astype(np.float64)
    positives, negatives = (np.where(targets == value, counted, 0).sum(axis=0) for value in (1, 0))
    both = (positives > 0) & (negatives > 0)
    ratio = np.divide(negatives, positives, out=np.ones(targets.shape[1]), where=both)
    return np.asarray(np.clip(ratio, 1 / cap, cap), dtype=np.float32)


def masked_bce_sums(
    logits: Tensor, targets: Tensor, positive_weight: Tensor, label_weight: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Sum the cross-entropy over the known labels.

    Parameters
    ----------
    logits : Tensor of shape (B, L), float
        Of the classifier.
    targets : Tensor of shape (B, L), float
        1, 0, or NaN for no information.
    positive_weight : Tensor of shape (L)
        Factor of the term for positives.
    label_weight : Tensor of shape (L) or (B, L)
        Factor of the whole label, or of each target.
    smoothing : float
        s in 0-1: targets become ``y (1 - s) + s / 2``.

    Returns
    -------
    (Tensor, Tensor)
        Scalars: the weighted sum, and the sum of the label weights of all known entries. The loss is their quotient;
        without a known entry both are 0.
    """
    known = ~torch.isnan(targets)
    smooth = torch.where(known, targets, 0.0) * (1 - smoothing) + smoothing / 2
    each = binary_cross_entropy_with_logits(logits, smooth, pos_weight=positive_weight, reduction="none")
    weights = known * label_weight
    return (each * weights).sum(), weights.sum()


def check_finite(total: Tensor, epoch: int) -> None:
    """Check that a fit's loss is a number.

    Parameters
    ----------
    total : Tensor
        Scalar: the sum of the losses of an epoch so far.
    epoch : int
        From 0.

    Raises
    ------
    PipelineError
        If it is not.
    """
    if not bool(torch.isfinite(total)):
        raise PipelineError(
            f"training diverged in epoch {epoch + 1}: the loss is {float(total)}; lower train.learning_rate, "
            "raise train.warmup_epochs, or set train.clip_norm"
        )
