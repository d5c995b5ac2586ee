"""Fits of a training, in order: the pretext task if requested, then every member.

Each leaves its result under ``train/state/`` as it ends, and its state after every epoch, so that a training broken
off anywhere goes on to the same weights. No stage of its own.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.adapters.checkpoints import read_state, state_bytes
from camray.adapters.progress import progress, progress_line, remaining
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.settings.refinement import RefineSettings
from camray.adapters.settings.schema import TrainSettings
from camray.adapters.tracking.interface import Tracker
from camray.core.networks.classifier import PooledClassifier
from camray.core.training.augmentation import Augmentation
from camray.core.training.batches import Batch, batches, epoch_order, read_ahead
from camray.core.training.fit_settings import EpochReport, FitSettings
from camray.core.training.losses import positive_weights
from camray.core.training.optimization import epochs_for
from camray.core.training.outside_penalty import OutsidePenaltyTrainer, chest_finder
from camray.core.training.pretext_trainer import PretextTrainer
from camray.core.training.region_loss import RegionTrainer
from camray.core.training.trainer import Processes, Trainer, fit
from camray.domain.errors import SettingsError
from camray.domain.suggestions import did_you_mean
from camray.io.film_lungs import read_lung_network
from camray.io.labelled_films import LabelledFilms

PRETEXT = "pretext"
_AHEAD = 3  # batches read before they are needed
_SEED_STEP = 1_000_003  # between members


@dataclass(frozen=True)
class Fitted:
    """What one fit left: weights on the CPU, and its epochs."""

    weights: dict[str, Tensor]
    reports: list[EpochReport]


@dataclass(frozen=True)
class Fits:
    """What all fits of a training share.

    Parameters
    ----------
    settings : TrainSettings
    seed : int
        Of the first member; the others' follow from it.
    train, validation : LabelledFilms
    labels : tuple of str
        In the order of the targets.
    device : torch.device
    processes : Processes
    state : Path
        Folder for what an unfinished training needs to go on.
    tracker : Tracker
    refine : RefineSettings
        With the weight of the training films' regions, where they have any.
    """

    settings: TrainSettings
    seed: int
    train: LabelledFilms
    validation: LabelledFilms
    labels: tuple[str, ...]
    device: torch.device
    processes: Processes
    state: Path
    tracker: Tracker
    refine: RefineSettings

    def pretext(self, model: PooledClassifier) -> Fitted:
        """Train a classifier's features to find pasted opacities; see `camray.core.training.pretext_task`."""
        kept = self._kept(PRETEXT)
        if kept is not None:
            return kept
        pretext = self.settings.pretext
        plan = replace(
            self._plan(self.seed),
            epochs=pretext.epochs,
            learning_rate=pretext.learning_rate,
            patience=0,
            keep_best=False,
        )
        trainer = PretextTrainer(model, plan, self.device, self.processes)
        self._fit(PRETEXT, trainer, ("pasted opacity",))
        return self._keep(PRETEXT, trainer.backbone_weights(), trainer.reports)

    def member(self, number: int, model: PooledClassifier) -> Fitted:
        """Fit one member to the labels."""
        part = f"member-{number}"
        kept = self._kept(part)
        if kept is not None:
            return kept
        targets, settings = self.train.targets, self.settings
        ones = np.ones(len(self.labels), np.float32)
        weighed = positive_weights(targets, settings.max_class_weight, self.train.weights)
        positive = weighed if settings.class_weights else ones
        factors = np.array([settings.label_weights.get(label, 1.0) for label in self.labels], np.float32)
        trainer = self._trainer(model, self._plan(self.seed_of(number)), positive, factors)
        self._fit(part, trainer, self.labels)
        return self._keep(part, trainer.final_weights(), trainer.reports)

    def _trainer(
        self,
        model: PooledClassifier,
        plan: FitSettings,
        positive: NDArray[np.float32],
        factors: NDArray[np.float32],
    ) -> Trainer:
        if self.train.regions is not None:
            return RegionTrainer(model, plan, positive, factors, self.device, self.processes)
        if not plan.outside_penalty:
            return Trainer(model, plan, positive, factors, self.device, self.processes)
        find = chest_finder(read_lung_network(None, self.device))
        return OutsidePenaltyTrainer(model, plan, (positive, factors), self.device, self.processes, find)

    def seed_of(self, number: int) -> int:
        """Return the seed of a member's weights and batches."""
        return self.seed + number * _SEED_STEP

    def check(self) -> None:
        """Refuse settings that do not fit the data.

        Raises
        ------
        SettingsError
            On unknown labels, or a batch that does not divide among the processes.
        """
        unknown = sorted(set(self.settings.label_weights) - set(self.labels))
        if unknown:
            near = did_you_mean(unknown, self.labels, "the labels are")
            raise SettingsError(f"train.label_weights: no labels {unknown}; {near}")
        if self.settings.batch_size % self.processes.world:
            raise SettingsError(
                f"train.batch_size {self.settings.batch_size} must be a multiple of {self.processes.world} processes"
            )

    def _plan(self, seed: int) -> FitSettings:
        settings = self.settings
        steps = len(self._order(seed, 0))
        return FitSettings(
            epochs=epochs_for(settings.max_epochs, settings.min_steps, steps),
            steps_per_epoch=steps,
            learning_rate=settings.learning_rate,
            final_learning_rate=settings.final_learning_rate,
            weight_decay=settings.weight_decay,
            warmup_epochs=settings.warmup_epochs,
            label_smoothing=settings.label_smoothing,
            ema_decay=settings.ema_decay,
            clip_norm=settings.clip_norm,
            patience=settings.patience,
            keep_best=settings.choose == "best",
            seed=seed,
            augmentation=Augmentation(**settings.augment.model_dump()),
            amp=settings.amp,
            compiled=settings.compile,
            head_rate=settings.head_rate,
            outside_penalty=settings.outside_penalty,
            region_weight=self.refine.weight,
            region_ring=self.refine.ring,
        )

    def _fit(self, part: str, trainer: Trainer, outputs: tuple[str, ...]) -> None:
        """Fit, from where an earlier start left off, and keep the state after every epoch."""
        path, rank = self._state_path(part), self.processes.rank
        state = read_state(path)
        if state is not None:
            trainer.restore(state)
        plan = trainer.settings

        def train_batches(epoch: int) -> Iterator[Batch]:
            return self._train_batches(plan.seed, epoch, f"{part}, epoch {epoch + 1} of {plan.epochs}")

        started, before = time.monotonic(), len(trainer.reports)
        for report in fit(trainer, train_batches, self._validation_batches, time.perf_counter):
            if rank == 0:
                write_bytes(path, state_bytes(trainer.state()))
                pace = (time.monotonic() - started) / (report.epoch - before)
                progress_line("train", _epoch_line(part, report, plan.epochs, pace))
                values = _metrics(part, report, outputs)
                self.tracker.metrics(values, step=report.epoch)
                self.tracker.run_metrics({f"train/{key}": value for key, value in values.items()}, step=report.epoch)

    def _order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        return epoch_order(len(self.train), self.settings.batch_size, seed, epoch, self.settings.epoch_films)

    def _train_batches(self, seed: int, epoch: int, what: str) -> Iterator[Batch]:
        rank, world = self.processes.rank, self.processes.world
        order = self._order(seed, epoch)[:, rank::world]
        films = self.train
        read = read_ahead(batches(order, films.read, films.targets, self._pinned, films.weights, films.regions), _AHEAD)
        return progress(read, len(order), what) if rank == 0 else read

    def _validation_batches(self) -> Iterator[Batch]:
        size, films = self.settings.batch_size, self.validation
        mine = np.arange(len(films), dtype=np.int64)[self.processes.rank :: self.processes.world]
        order = [mine[start : start + size] for start in range(0, len(mine), size)]
        return read_ahead(batches(order, films.read, films.targets, self._pinned), _AHEAD)

    @property
    def _pinned(self) -> bool:
        return self.device.type == "cuda"

    def _state_path(self, part: str) -> Path:
        return self.state / f"{part}.fit.pt"

    def _kept(self, part: str) -> Fitted | None:
        state = read_state(self.state / f"{part}.done.pt")
        if state is None:
            return None
        return Fitted(state["weights"], [EpochReport(**{**r, "auroc": tuple(r["auroc"])}) for r in state["reports"]])

    def _keep(self, part: str, weights: dict[str, Tensor], reports: list[EpochReport]) -> Fitted:
        if self.processes.rank == 0:
            plain: list[dict[str, Any]] = [{**asdict(report), "auroc": list(report.auroc)} for report in reports]
            write_bytes(self.state / f"{part}.done.pt", state_bytes({"weights": weights, "reports": plain}))
            self._state_path(part).unlink(missing_ok=True)
        return Fitted(weights, list(reports))


def _epoch_line(part: str, report: EpochReport, epochs: int, seconds_per_epoch: float) -> str:
    auroc = "" if np.isnan(report.mean_auroc) else f", validation AUROC {report.mean_auroc:.3f}"
    left = remaining((epochs - report.epoch) * seconds_per_epoch)
    return f"{part}, epoch {report.epoch} of {epochs}: loss {report.loss:.3f}{auroc}, {left}"


def _metrics(part: str, report: EpochReport, outputs: tuple[str, ...]) -> dict[str, float]:
    values = {
        "loss": report.loss,
        "validation_auroc": report.mean_auroc,
        "learning_rate": report.learning_rate,
        "images_per_second": report.images_per_second,
        **{f"validation_auroc.{name}": value for name, value in zip(outputs, report.auroc, strict=True)},
    }
    return values if part == "member-0" else {f"{part}.{name}": value for name, value in values.items()}
