"""Logits of a model on validation films, and the AUROC of each label."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from camray.core.metrics.auroc import weighted_auroc
from camray.core.training.batches import Batch, grey_tensor


def predict(
    model: nn.Module, batches: Iterable[Batch], device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Classify films in evaluation mode and float32; the model's mode is restored.

    Parameters
    ----------
    model : Module
        Films [B, 1, H, W] to logits [B, L].
    batches : iterable of Batch
        At least one film each.
    device : torch.device
        The model's.

    Returns
    -------
    logits : ndarray of shape (N, L), float64
        In the order of the batches.
    targets : ndarray of shape (N, L), float32
        1 present, 0 absent, NaN no information.
    """
    was_training = model.training
    logits: list[NDArray[np.float64]] = []
    targets: list[NDArray[np.float32]] = []
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            films = grey_tensor(batch.pixels, device).contiguous(memory_format=torch.channels_last)
            logits.append(model(films).double().cpu().numpy())
            targets.append(batch.targets.numpy())
    model.train(was_training)
    if not logits:
        return np.empty((0, 0)), np.empty((0, 0), np.float32)
    return np.concatenate(logits), np.concatenate(targets)


def label_aurocs(logits: NDArray[np.float64], targets: NDArray[np.float32]) -> tuple[float, ...]:
    """Compute the area under the ROC curve of each label.

    Parameters
    ----------
    logits : ndarray of shape (N, L), float64
        Any strictly increasing function of them gives the same areas.
    targets : ndarray of shape (N, L), float32
        1, 0, or NaN for no information (left out).

    Returns
    -------
    tuple of float
        NaN for a label with positives or negatives only.
    """
    areas = []
    for scores, values in zip(logits.T, targets.T, strict=True):
        known = ~np.isnan(values)
        areas.append(float(weighted_auroc(np.ones((1, known.sum())), scores[known], values[known] > 0)[0]))
    return tuple(areas)
