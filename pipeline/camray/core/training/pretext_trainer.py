"""Training on the pretext task: every feature cell predicts whether an opacity was pasted there.

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
from camray.core.training.batches import Batch, grey_tensor
from camray.core.training.fit_settings import FitSettings
from camray.core.training.pretext_task import cell_targets, paste_opacities
from camray.core.training.trainer import Processes, Trainer

_VALIDATION_SEED = 5  # the same opacities in every epoch, so that epochs compare


class CellProbe(nn.Module):
    """A classifier's features with one linear output per cell, which is discarded after the pretext.

    Parameters
    ----------
    classifier : PooledClassifier
        Its features are trained; its head is not changed.
    """

    def __init__(self, classifier: PooledClassifier) -> None:
        super().__init__()
        self.normalise, self.backbone = classifier.normalise, classifier.backbone
        self.probe = nn.Conv2d(classifier.branch_channels, 1, 1)

    def forward(self, films: Tensor) -> Tensor:
        """Compute the logits of the cells.

        Parameters
        ----------
        films : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, 1, h, w), float
            Feature grid.
        """
        return cast(Tensor, self.probe(self.backbone(self.normalise(films))))


class PretextTrainer(Trainer):
    """A trainer whose targets are the opacities that it pastes; labels are ignored.

    The reported AUROC is that of validation cells: more than half covered by an opacity, or not.

    Parameters
    ----------
    classifier : PooledClassifier
        Its features are trained; `backbone_weights` fits it.
    settings, device, processes
        As for `Trainer`; label smoothing does not apply.
    """

    def __init__(
        self, classifier: PooledClassifier, settings: FitSettings, device: torch.device, processes: Processes
    ) -> None:
        unit = np.ones(1, np.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            probe = CellProbe(classifier)
        super().__init__(probe, settings, unit, unit, device, processes)

    def _loss(self, films: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        pasted, envelope = paste_opacities(films, generator)
        logits = self._outputs(pasted)
        return binary_cross_entropy_with_logits(logits, cell_targets(envelope, logits.shape[2], logits.shape[3]))

    def _predicted(self, validation: Iterable[Batch]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        generator = torch.Generator(self.device).manual_seed(_VALIDATION_SEED)
        logits, targets = [np.empty((0, 1))], [np.empty((0, 1), np.float32)]
        with torch.inference_mode():
            for batch in validation:
                pasted, envelope = paste_opacities(grey_tensor(batch.pixels, self.device), generator)
                cells = self.evaluated.eval()(pasted.contiguous(memory_format=torch.channels_last))
                is_covered = cell_targets(envelope, cells.shape[2], cells.shape[3]) > 0.5
                logits.append(cells.double().cpu().numpy().reshape(-1, 1))
                targets.append(is_covered.float().cpu().numpy().reshape(-1, 1))
        return np.concatenate(logits), np.concatenate(targets)

    def backbone_weights(self) -> dict[str, Tensor]:
        """Return the trained weights of the classifier, without the probe's.

        Returns
        -------
        dict of str to Tensor
            On the CPU, by the classifier's names.
        """
        return {name: value for name, value in self.final_weights().items() if not name.startswith("probe.")}
