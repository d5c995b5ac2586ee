"""Fit of the pretext: every feature cell says whether an opacity was pasted there.

See `camray.core.training.pretext_task`.
"""

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from camray.core.networks.classifier import PooledClassifier
from camray.core.training.batches import Batch, grey_of
from camray.core.training.pretext_task import cell_targets, paste_opacities
from camray.core.training.trainer import FitPlan, Processes, Trainer

_VALIDATION_SEED = 5  # the same opacities in every epoch, so that epochs compare


class CellProbe(nn.Module):
    """A classifier's features with one linear output a cell, which is thrown away afterwards.

    Parameters
    ----------
    classifier : PooledClassifier
        Its features are trained; its head is left alone.
    """

    def __init__(self, classifier: PooledClassifier) -> None:
        super().__init__()
        self.normalise, self.backbone = classifier.normalise, classifier.backbone
        self.probe = nn.Conv2d(classifier.branch_channels, 1, 1)

    def forward(self, films: Tensor) -> Tensor:
        """Map films [B, 1, H, W] to cell logits [B, 1, h, w]."""
        return cast(Tensor, self.probe(self.backbone(self.normalise(films))))


class PretextTrainer(Trainer):
    """A trainer whose targets are what it pasted itself; labels are not looked at.

    The reported AUROC is that of validation cells: more than half covered by an opacity, or not.

    Parameters
    ----------
    classifier : PooledClassifier
        `backbone_weights` of the trained probe fit it.
    plan, device, processes
        As for `Trainer`; label smoothing does not apply.
    """

    def __init__(self, classifier: PooledClassifier, plan: FitPlan, device: torch.device, processes: Processes) -> None:
        one = np.ones(1, np.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            probe = CellProbe(classifier)
        super().__init__(probe, plan, one, one, device, processes)

    def _loss(self, films: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        pasted, envelope = paste_opacities(films, generator)
        logits = self._outputs(pasted)
        return binary_cross_entropy_with_logits(logits, cell_targets(envelope, logits.shape[2], logits.shape[3]))

    def _predicted(self, validation: Iterable[Batch]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        generator = torch.Generator(self.device).manual_seed(_VALIDATION_SEED)
        logits, targets = [np.empty((0, 1))], [np.empty((0, 1), np.float32)]
        with torch.inference_mode():
            for batch in validation:
                pasted, envelope = paste_opacities(grey_of(batch.pixels, self.device), generator)
                found = self.evaluated.eval()(pasted.contiguous(memory_format=torch.channels_last))
                wanted = cell_targets(envelope, found.shape[2], found.shape[3]) > 0.5
                logits.append(found.double().cpu().numpy().reshape(-1, 1))
                targets.append(wanted.float().cpu().numpy().reshape(-1, 1))
        return np.concatenate(logits), np.concatenate(targets)

    def backbone_weights(self) -> dict[str, Tensor]:
        """Return the trained weights that belong to the classifier: all but the probe's."""
        return {name: value for name, value in self.chosen_weights().items() if not name.startswith("probe.")}
