"""Optimizer of a fit and its learning rate schedule."""

import math
from typing import Any

import torch
from torch import nn

from camray.core.training.fit_settings import FitSettings

_HEAD = ("classifier.", "probe.", "sharpness.", "backbone.pyramid.", "crop_backbone.pyramid.")


def build_optimizer(model: nn.Module, settings: FitSettings, device: torch.device) -> torch.optim.AdamW:
    """Build AdamW (Loshchilov & Hutter, ICLR 2019) without weight decay on normalisations and biases.

    Parameters
    ----------
    model : Module
        Its parameters are optimized.
    settings : FitSettings
        Learning rate, its multiple for the head, and weight decay.
    device : torch.device
        The model's.

    Returns
    -------
    AdamW
        Fused on a CPU and on CUDA. A group's ``rate`` is its multiple of the learning rate; the head's come last.
    """
    named = dict(model.named_parameters())
    head = {name for name in named if settings.head_rate != 1 and name.startswith(_HEAD)}
    groups = _groups([p for name, p in named.items() if name not in head], settings.weight_decay, 1.0)
    if head:
        groups += _groups([p for name, p in named.items() if name in head], settings.weight_decay, settings.head_rate)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=device.type in {"cpu", "cuda"})


def _groups(parameters: list[nn.Parameter], weight_decay: float, rate: float) -> list[dict[str, Any]]:
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay, "rate": rate},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "rate": rate},  # norms and biases
    ]


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, settings: FitSettings) -> None:
    """Set the learning rate of a step, in place.

    Parameters
    ----------
    optimizer : Optimizer
        From `build_optimizer`.
    step : int
        From 0.
    settings : FitSettings
        See `learning_rate_factor`.
    """
    rate = settings.learning_rate * learning_rate_factor(step, settings)
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate", 1.0)  # a fit begun by an earlier version has none


def epochs_for(max_epochs: int, min_steps: int, steps_per_epoch: int) -> int:
    """Count the epochs of a fit: those requested, or as many more as its smallest number of steps needs.

    Parameters
    ----------
    max_epochs, min_steps, steps_per_epoch : int
        Requested epochs and steps, and steps per epoch.

    Returns
    -------
    int
        Epochs.

    Examples
    --------
    >>> epochs_for(8, 400, 10), epochs_for(8, 400, 100)
    (40, 8)
    """
    return max(max_epochs, math.ceil(min_steps / max(1, steps_per_epoch)))


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
