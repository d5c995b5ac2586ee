"""Films and image-level labels to a trained network; annotations are never read.

Reads   ``ingest/images.parquet labels.parquet contract.json store/``
Writes  ``train/model.safetensors contract.json epochs.parquet epochs.csv``; ``weights_report.json`` if given weights
Run     ``camray train configs/phantom.yaml``
"""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.adapters.checkpoints import (
    CONTRACT_FILE,
    WEIGHTS_FILE,
    read_state,
    read_weights,
    state_bytes,
    weights_bytes,
)
from pipeline.adapters.processes import training_processes
from pipeline.adapters.runs import RunFolder, code_version, read_table, write_bytes, write_json, write_table
from pipeline.adapters.settings import Settings
from pipeline.adapters.tracking import Tracker
from pipeline.core.augment import Augmentation
from pipeline.core.batches import Batch, batches, epoch_order, read_ahead
from pipeline.core.device import choose_device
from pipeline.core.losses import positive_weights
from pipeline.core.networks.classifier import PooledClassifier, build_classifier
from pipeline.core.networks.weights import load_starting_weights
from pipeline.core.training import EpochReport, FitPlan, Processes, Trainer, fit
from pipeline.domain.contract import ModelContract, NetworkSpec
from pipeline.domain.errors import CheckpointError, InputRefusedError, SettingsError
from pipeline.domain.records import EPOCH_COLUMNS, IMAGE_COLUMNS, Counts, Split, StageResult
from pipeline.stages.labelled_films import LabelledFilms, labelled_films
from pipeline.stages.progress import progress

_STATE, _EPOCHS, _WEIGHTS_REPORT = "state/fit.pt", "epochs.parquet", "weights_report.json"
_AHEAD = 3  # batches read before they are needed
_NETWORK_KEYS = tuple(NetworkSpec.__dataclass_fields__)


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Train on the train split, watch the validation split; see `pipeline.stages.run` for the calling.

    Raises
    ------
    InputRefusedError
        If the train split holds no film with a known label.
    SettingsError
        If the settings do not fit the films.
    CheckpointError
        If starting weights cannot be read, or fit nowhere.
    PipelineError
        If training diverges.
    """
    out, ingested = folder.stage("train"), _ingested(folder)
    done = _finished(out)
    films = {split: labelled_films(folder, split, ingested["labels"]) for split in (Split.TRAIN, Split.VALIDATION)}
    counts = _counts(folder, films)
    if done is not None:
        return StageResult(counts, _figures(done, settings.train.choose))
    if not len(films[Split.TRAIN]):
        raise InputRefusedError("no film of the train split has a known label; see ingest/labels.parquet and the split")
    with training_processes(settings.device) as (rank, world, local_rank):
        device = _device(settings.device, local_rank)
        contract = _contract(settings, ingested, folder)
        model, report = _model(settings, contract)
        trainer = _trainer(settings, model, films[Split.TRAIN], contract.labels, device, Processes(rank, world))
        _fit(settings, films, trainer, contract.labels, out, tracker)
        if rank == 0:
            _write(out, trainer, contract, report)
        table = epoch_table(trainer.reports, contract.labels)
        return StageResult(counts, _figures(table, settings.train.choose))


def _ingested(folder: RunFolder) -> dict[str, Any]:
    path = folder.root / "ingest" / "contract.json"
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; run the ingest stage first")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _counts(folder: RunFolder, films: dict[Split, LabelledFilms]) -> Counts:
    splits = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS)["split"]
    n_in = int(splits.isin([split.value for split in films]).sum())
    n_done = sum(len(part) for part in films.values())
    return Counts(n_in, n_done, n_in - n_done)


def _device(name: str, local_rank: int) -> torch.device:
    try:
        return choose_device(name, local_rank)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _contract(settings: Settings, ingested: dict[str, Any], folder: RunFolder) -> ModelContract:
    chosen = settings.model.model_dump()
    try:
        network = NetworkSpec(**{key: chosen[key] for key in _NETWORK_KEYS})
        return ModelContract(
            labels=tuple(ingested["labels"]),
            rows=ingested["rows"],
            cols=ingested["cols"],
            fit=ingested["fit"],
            bits=ingested["bits"],
            network=network,
            feature_rows=ingested["rows"] // network.stride,
            feature_cols=ingested["cols"] // network.stride,
            data_digest=folder.output_digest("ingest"),
            seed=settings.seed,
            code_version=code_version(),
        )
    except ValueError as error:
        raise SettingsError(f"model: {error}") from error


def _model(settings: Settings, contract: ModelContract) -> tuple[PooledClassifier, dict[str, Any] | None]:
    try:
        model = build_classifier(contract.network, len(contract.labels), settings.seed)
    except ValueError as error:
        raise SettingsError(f"model: {error}") from error
    path = settings.model.weights
    if path is None:
        return model, None
    report = load_starting_weights(model, read_weights(path))
    if not report.matched:
        raise CheckpointError(
            f"{path}: none of its {len(report.unused)} tensors fits {settings.model.backbone}; "
            "choose the backbone it was made for"
        )
    return model, report.as_json()


def _trainer(
    settings: Settings,
    model: PooledClassifier,
    films: LabelledFilms,
    labels: tuple[str, ...],
    device: torch.device,
    processes: Processes,
) -> Trainer:
    wanted = settings.train
    unknown = sorted(set(wanted.label_weights) - set(labels))
    if unknown:
        raise SettingsError(f"train.label_weights: no labels {unknown}; the labels are {list(labels)}")
    if wanted.batch_size % processes.world:
        raise SettingsError(f"train.batch_size {wanted.batch_size} must be a multiple of {processes.world} processes")
    plan = FitPlan(
        epochs=wanted.max_epochs,
        steps_per_epoch=len(epoch_order(len(films), wanted.batch_size, settings.seed, 0)),
        learning_rate=wanted.learning_rate,
        final_learning_rate=wanted.final_learning_rate,
        weight_decay=wanted.weight_decay,
        warmup_epochs=wanted.warmup_epochs,
        label_smoothing=wanted.label_smoothing,
        ema_decay=wanted.ema_decay,
        clip_norm=wanted.clip_norm,
        patience=wanted.patience,
        keep_best=wanted.choose == "best",
        seed=settings.seed,
        augmentation=Augmentation(**wanted.augment.model_dump()),
        amp=wanted.amp,
        compiled=wanted.compile,
    )
    ones = np.ones(len(labels), np.float32)
    positive = positive_weights(films.targets, wanted.max_class_weight) if wanted.class_weights else ones
    label_weight = np.array([wanted.label_weights.get(label, 1.0) for label in labels], np.float32)
    return Trainer(model, plan, positive, label_weight, device, processes)


def _fit(
    settings: Settings,
    films: dict[Split, LabelledFilms],
    trainer: Trainer,
    labels: tuple[str, ...],
    out: Path,
    tracker: Tracker,
) -> None:
    """Fit, from where an earlier start left off, and keep the state after every epoch."""
    state_path, rank, world = out / _STATE, trainer.processes.rank, trainer.processes.world
    state = read_state(state_path)
    if state is not None:
        trainer.restore(state)
    train, validation = films[Split.TRAIN], films[Split.VALIDATION]
    size, pinned = settings.train.batch_size, trainer.device.type == "cuda"

    def train_batches(epoch: int) -> Iterator[Batch]:
        order = epoch_order(len(train), size, settings.seed, epoch)[:, rank::world]
        read = read_ahead(batches(order, train.read, train.targets, pinned), _AHEAD)
        what = f"training, epoch {epoch + 1} of {settings.train.max_epochs}"
        return progress(read, len(order), what) if rank == 0 else read

    def validation_batches() -> Iterator[Batch]:
        mine = np.arange(len(validation), dtype=np.int64)[rank::world]
        order = [mine[start : start + size] for start in range(0, len(mine), size)]
        return read_ahead(batches(order, validation.read, validation.targets, pinned), _AHEAD)

    for report in fit(trainer, train_batches, validation_batches, time.perf_counter):
        if rank == 0:
            write_bytes(state_path, state_bytes(trainer.state()))
            tracker.metrics(_metrics(report, labels), step=report.epoch)


def _metrics(report: EpochReport, labels: tuple[str, ...]) -> dict[str, float]:
    by_label = {f"validation_auroc.{label}": value for label, value in zip(labels, report.auroc, strict=True)}
    return {
        "loss": report.loss,
        "validation_auroc": report.mean_auroc,
        "learning_rate": report.learning_rate,
        "images_per_second": report.images_per_second,
        **by_label,
    }


def _write(out: Path, trainer: Trainer, contract: ModelContract, weights_report: dict[str, Any] | None) -> None:
    """Write what is handed on; the state goes last, so that its absence beside weights means that all is there."""
    write_json(out / CONTRACT_FILE, contract.as_json())
    if weights_report is not None:
        write_json(out / _WEIGHTS_REPORT, weights_report)
    table = epoch_table(trainer.reports, contract.labels)
    write_bytes(out / "epochs.csv", table.to_csv(index=False).encode())
    write_table(out / _EPOCHS, table, EPOCH_COLUMNS)
    write_bytes(out / WEIGHTS_FILE, weights_bytes(trainer.chosen_weights()))
    (out / _STATE).unlink(missing_ok=True)


def _finished(out: Path) -> pd.DataFrame | None:
    """Return the epochs of a training that ended, but whose stage was not closed; None where there is work left."""
    if (out / _STATE).exists() or not (out / WEIGHTS_FILE).is_file():
        return None
    return read_table(out / _EPOCHS, EPOCH_COLUMNS)


def epoch_table(reports: list[EpochReport], labels: tuple[str, ...]) -> pd.DataFrame:
    """Make a tidy table of a fit: `EPOCH_COLUMNS`, without clock times."""
    rows: list[tuple[int, str, str, float]] = []
    for report in reports:
        rows.append((report.epoch, "loss", "", report.loss))
        rows.append((report.epoch, "learning_rate", "", report.learning_rate))
        rows.append((report.epoch, "auroc", "mean", report.mean_auroc))
        rows.extend((report.epoch, "auroc", label, value) for label, value in zip(labels, report.auroc, strict=True))
    return pd.DataFrame(rows, columns=list(EPOCH_COLUMNS))


def _figures(table: pd.DataFrame, choose: str) -> dict[str, Any]:
    """Tell how far training went and how good the weights handed on are."""
    mean = table[(table["metric"] == "auroc") & (table["label"] == "mean")].set_index("epoch")["value"]
    epochs = int(table["epoch"].max())
    chosen = int(mean.index[int(mean.argmax())]) if choose == "best" else epochs
    loss = table[(table["metric"] == "loss") & (table["epoch"] == chosen)]["value"].item()
    figures = {"epochs": epochs, "chosen_epoch": chosen, "loss": round(loss, 4)}
    score = float(mean.loc[chosen])
    return figures if math.isnan(score) else {**figures, "validation_auroc": round(score, 4)}
