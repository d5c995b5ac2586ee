"""Trained network of a run, ready to use, and its input.

Reads   ``train/model.safetensors contract.json``
"""

import numpy as np
import torch
from numpy.typing import NDArray

from camray.adapters.checkpoints import read_weights
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier, build_network
from camray.domain.contract import ModelContract
from camray.domain.errors import CheckpointError
from camray.io.artifacts import artifacts_of


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
    PipelineError
        If they are not those that the run trained.
    """
    run.check_outputs("train")
    files = artifacts_of(run).train
    weights, contract = read_weights(files.weights), files.contract.read()
    try:
        model = build_network(contract.network, len(contract.labels), seed=0)
        model.load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{files.folder}: the weights do not fit their contract: {error}") from error
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False), contract


def network_input(pixels: NDArray[np.uint8] | NDArray[np.uint16], device: torch.device) -> torch.Tensor:
    """Turn stored films [B, H, W] into network input [B, 1, H, W], grey 0-1, float32."""
    largest = float(np.iinfo(pixels.dtype).max)
    return torch.from_numpy(pixels.astype(np.float32)).to(device)[:, None] / largest
