"""A trained run's network, ready to use; no stage of its own.

Reads   ``train/model.safetensors contract.json``
"""

import torch

from camray.adapters.checkpoints import read_checkpoint
from camray.adapters.run_folder import RunFolder
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier, build_network
from camray.domain.contract import ModelContract
from camray.domain.errors import CheckpointError


def load_classifier(
    run: RunFolder, device: torch.device
) -> tuple[PooledClassifier | EnsembleClassifier, ModelContract]:
    """Load a run's trained classifier.

    Parameters
    ----------
    run : RunFolder
        The run that owns the checkpoint (`RunFolder.model_run`).
    device : torch.device

    Returns
    -------
    (PooledClassifier or EnsembleClassifier, ModelContract)
        In evaluation mode, without gradients on its weights, channels last.

    Raises
    ------
    CheckpointError
        If weights or contract are missing or damaged, or do not fit each other exactly.
    """
    folder = run.root / "train"
    weights, contract = read_checkpoint(folder)
    try:
        model = build_network(contract.network, len(contract.labels), seed=0)
        model.load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: the weights do not fit their contract: {error}") from error
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False), contract
