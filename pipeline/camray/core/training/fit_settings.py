"""Settings of a fit, and the report of one of its epochs."""

from dataclasses import dataclass

from camray.core.training.augmentation import Augmentation


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit, without its data; documented in the ``train`` section of the settings."""

    epochs: int
    steps_per_epoch: int
    learning_rate: float
    final_learning_rate: float
    weight_decay: float
    warmup_epochs: float
    label_smoothing: float
    ema_decay: float
    clip_norm: float
    patience: int
    keep_best: bool
    seed: int
    augmentation: Augmentation
    amp: bool = True
    compiled: bool = False
    head_rate: float = 1.0
    outside_penalty: float = 0.0
    region_weight: float = 0.0
    region_ring: float = 1.5


@dataclass(frozen=True)
class EpochReport:
    """Results of one epoch.

    Parameters
    ----------
    epoch : int
        From 1.
    loss : float
        Mean over the training batches, of all processes.
    auroc : tuple of float
        Of each label on the validation films; NaN for a label with positives or negatives only.
    mean_auroc : float
        Over the labels with an AUROC; NaN if there is none.
    learning_rate : float
        Of the last step.
    images_per_second : float
        During training; the only value that differs between equal runs.
    """

    epoch: int
    loss: float
    auroc: tuple[float, ...]
    mean_auroc: float
    learning_rate: float
    images_per_second: float
