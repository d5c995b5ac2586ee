"""Optimizer of a fit and its learning rate schedule."""

import math

import torch
from torch import nn

from camray.core.training.fit_settings import FitSettings


def build_optimizer(model: nn.Module, settings: FitSettings, device: torch.device) -> torch.optim.AdamW:
    """Build AdamW (Loshchilov & Hutter, ICLR 2019) without weight decay on normalisations and biases.

    Parameters
    ----------
    model : Module
        Its parameters are optimized.
    settings : FitSettings
        Learning rate and weight decay.
    device : torch.device
        The model's.

    Returns
    -------
    AdamW
        Fused on a CPU and on CUDA.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},  # norms and biases
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=device.type in {"cpu", "cuda"})


def learning_rate_factor(step: int, settings: FitSettings) -> float:
    """Compute the schedule: a linear warm-up, then a cosine down to the final fraction.

    Parameters
    ----------
    step : int
        From 0.
    settings : FitSettings
        Epochs, steps per epoch, warm-up and final fraction.

    Returns
    -------
    float
        Fraction of the highest learning rate.
    """
    total = settings.epochs * settings.steps_per_epoch
    warmup = round(settings.warmup_epochs * settings.steps_per_epoch)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return settings.final_learning_rate + (1 - settings.final_learning_rate) * cosine
