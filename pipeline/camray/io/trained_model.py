"""Trained network of a run, ready to use, its input, and its maps of stored films.

Reads   ``train/model.safetensors contract.json``
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from camray.adapters.checkpoints import read_weights
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.explain.method import Method
from camray.core.explain.test_time_averaging import MapsAndLogits, explain
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier, build_network
from camray.domain.contract import ModelContract
from camray.domain.errors import CheckpointError
from camray.io.artifacts import artifacts_of


@dataclass(frozen=True)
class TrainedNetwork:
    """A run's classifier on a device, in evaluation mode, and its contract."""

    network: PooledClassifier | EnsembleClassifier
    contract: ModelContract
    device: torch.device


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


def load_trained(run: RunFolder, device: torch.device) -> TrainedNetwork:
    """Load a run's classifier with its contract, see `load_classifier`."""
    return TrainedNetwork(*load_classifier(run, device), device)


def explain_pixels(
    trained: TrainedNetwork,
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    methods: Sequence[Method],
    *,
    flip: bool,
    scales: Sequence[float],
) -> MapsAndLogits:
    """Explain stored films by several methods.

    Parameters
    ----------
    trained : TrainedNetwork
        From `load_trained`.
    pixels : ndarray of shape (B, H, W), uint8 or uint16
        Films on the model grid.
    methods : sequence of Method
        Methods to compute.
    flip, scales
        Views that maps and logits are averaged over, see `explain`.

    Returns
    -------
    MapsAndLogits
        float32, on the CPU.

    Raises
    ------
    CheckpointError
        If the films are on another grid than the network's.
    """
    contract = trained.contract
    if pixels.shape[1:] != (contract.rows, contract.cols):
        raise CheckpointError(
            f"films of {pixels.shape[1]} x {pixels.shape[2]} px, the network takes {contract.rows} x {contract.cols}; "
            "ingest with the trained run's grid"
        )
    films, grid = network_input(pixels, trained.device), (contract.feature_rows, contract.feature_cols)
    maps = explain(trained.network, films, methods, grid, flip=flip, scales=scales)
    return MapsAndLogits(maps.logits.float().cpu(), {name: heat.float().cpu() for name, heat in maps.heat.items()})
