"""Training of a model as a generator of epoch reports. Files, clock and process group belong to the caller."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from camray.core.training.augmentation import augment
from camray.core.training.batches import Batch, grey_tensor
from camray.core.training.device import autocast_dtype
from camray.core.training.fit_settings import EpochReport, FitSettings
from camray.core.training.losses import check_finite, masked_bce_sums
from camray.core.training.optimization import build_optimizer, set_learning_rate
from camray.core.training.validation import label_aurocs, predict
from camray.domain.errors import PipelineError

_CHECK_EVERY_STEPS = 20


@dataclass(frozen=True)
class Processes:
    """Rank of this training process and their number; the caller has initialised the process group."""

    rank: int = 0
    world: int = 1


class Trainer:
    """State of a fit: weights, averaged weights, optimizer and history.

    Parameters
    ----------
    model : nn.Module
        Films [B, 1, H, W] to logits [B, L]; trained in place, on `device`.
    settings : FitSettings
        Schedule, regularization and augmentation.
    positive_weight, label_weight : ndarray of shape (L,), float32
        See `camray.core.training.losses`.
    device : torch.device
        Computes.
    processes : Processes
        Gradients are averaged over them; every process must be given its own share of each batch.

    Notes
    -----
    The randomness of an epoch depends on the seed, the epoch and the rank alone, so that a fit resumed from `state`
    ends with the same bytes as an uninterrupted one (on a CPU, with as many threads).
    """

    def __init__(
        self,
        model: nn.Module,
        settings: FitSettings,
        positive_weight: NDArray[np.float32],
        label_weight: NDArray[np.float32],
        device: torch.device,
        processes: Processes,
    ) -> None:
        model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = model
        self.settings, self.device, self.processes = settings, device, processes
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False) if settings.ema_decay else None
        self.reports: list[EpochReport] = []
        self._best: dict[str, Tensor] | None = None
        self._positive_weight = torch.from_numpy(positive_weight).to(device)
        self._label_weight = torch.from_numpy(label_weight).to(device)
        self._optimizer = build_optimizer(self.model, settings, device)
        self._step_model = self._for_steps()

    def _for_steps(self) -> nn.Module:
        return self._distributed(self.model)

    def _distributed(self, model: nn.Module) -> nn.Module:
        if self.processes.world > 1:
            model = DistributedDataParallel(model, device_ids=[self.device] if self.device.type == "cuda" else None)
        return cast(nn.Module, torch.compile(model)) if self.settings.compiled else model

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or validation has not improved for `patience` epochs."""
        done, patience = len(self.reports), self.settings.patience
        return done >= self.settings.epochs or bool(patience and done and done - self._best_epoch() >= patience)

    def _best_epoch(self) -> int:
        """Return the epoch, from 1, of the first highest validation AUROC; 0 if there is none yet."""
        scores = [-math.inf if math.isnan(r.mean_auroc) else r.mean_auroc for r in self.reports]
        return int(np.argmax(scores)) + 1 if scores and max(scores) > -math.inf else 0

    @property
    def evaluated(self) -> nn.Module:
        """The model that is validated and saved: with averaged weights if the settings average them."""
        return self.model if self.average is None else self.average

    def run_epoch(self, train: Iterable[Batch], validation: Iterable[Batch], clock: Callable[[], float]) -> EpochReport:
        """Train once over `train`, validate, and add a report.

        Parameters
        ----------
        train, validation : iterable of Batch
            This process's share.
        clock : callable
            Seconds; only the images per second depend on it.

        Returns
        -------
        EpochReport
            Also kept in `reports`.

        Raises
        ------
        PipelineError
            If the loss is no longer finite.
        """
        epoch, started = len(self.reports), clock()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            seed = _seed(self.settings.seed, epoch, self.processes.rank)
            torch.manual_seed(seed)  # dropout; the generator's own state is put back
            loss, films = self._train(train, epoch, torch.Generator(self.device).manual_seed(seed))
        rate = films * self.processes.world / max(clock() - started, 1e-9)
        auroc = label_aurocs(*self._validate(validation))
        known = [value for value in auroc if not math.isnan(value)]
        mean = float(np.mean(known)) if known else math.nan
        report = EpochReport(epoch + 1, loss, auroc, mean, self._optimizer.param_groups[0]["lr"], rate)
        self.reports.append(report)
        if self.settings.keep_best and self._best_epoch() == epoch + 1:
            self._best = {name: value.clone() for name, value in self.evaluated.state_dict().items()}
        return report

    def _train(self, train: Iterable[Batch], epoch: int, generator: torch.Generator) -> tuple[float, int]:
        self._step_model.train()
        total, steps, films = torch.zeros((), device=self.device), 0, 0
        for steps, batch in enumerate(train, start=1):
            total += self._step(batch, epoch * self.settings.steps_per_epoch + steps - 1, generator)
            films += len(batch.targets)
            if steps % _CHECK_EVERY_STEPS == 0:
                check_finite(self._over_processes(total), epoch)
        if steps != self.settings.steps_per_epoch:
            raise ValueError(f"an epoch had {steps} batches; expected {self.settings.steps_per_epoch}")
        total = self._over_processes(total)
        check_finite(total, epoch)
        return float(total) / steps, films

    def _over_processes(self, loss: Tensor) -> Tensor:
        """Return the mean over all processes; each one's loss is its share of the known entries by their mean."""
        if self.processes.world == 1:
            return loss
        mean = loss.clone()
        dist.all_reduce(mean)
        return mean / self.processes.world

    def _step(self, batch: Batch, step: int, generator: torch.Generator) -> Tensor:
        settings = self.settings
        set_learning_rate(self._optimizer, step, settings)
        films = augment(grey_tensor(batch.pixels, self.device), settings.augmentation, generator)
        loss = self._loss(films, batch, generator)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if settings.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self._optimizer.step()
        self._average_weights(step)
        return loss.detach()

    def _loss(self, films: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """Compute the masked, weighted cross entropy of a batch's labels; films [B, 1, H, W] are augmented."""
        targets = batch.targets.to(self.device, non_blocking=True)
        weight = self._label_weight if batch.weights is None else self._label_weight * batch.weights.to(self.device)
        entropy, known = masked_bce_sums(
            self._outputs(films), targets, self._positive_weight, weight, self.settings.label_smoothing
        )
        if self.processes.world > 1:  # DDP averages gradients: divide by the mean of all processes' known entries
            dist.all_reduce(known)
            known = known / self.processes.world
        return entropy / known.clamp_min(1e-12)

    def _outputs(self, films: Tensor) -> Tensor:
        return cast(Tensor, self._computed(films).float())

    def _computed(self, films: Tensor) -> Any:
        dtype = autocast_dtype(self.device, self.settings.amp)
        with torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            return self._step_model(films.contiguous(memory_format=torch.channels_last))

    def _average_weights(self, step: int) -> None:
        if self.average is None:
            return
        decay = min(self.settings.ema_decay, (1 + step) / (10 + step))  # a short memory at first
        ours, theirs = self.average.state_dict(), self.model.state_dict()
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        with torch.no_grad():
            get_ema_multi_avg_fn(decay)(  # type: ignore[no-untyped-call]
                [ours[n] for n in floats], [theirs[n] for n in floats], 0
            )
            for name in ours.keys() - set(floats):  # counters of batch normalisation
                ours[name].copy_(theirs[name])

    def _validate(self, validation: Iterable[Batch]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        if self.processes.world > 1:  # each process has its own running statistics: use the first one's
            for model in (self.model, self.evaluated):
                for buffer in model.buffers():
                    dist.broadcast(buffer, 0)
        logits, targets = self._predicted(validation)
        if self.processes.world > 1:
            shares: list[Any] = [None] * self.processes.world
            dist.all_gather_object(shares, (logits, targets))
            logits, targets = (np.concatenate([share[i] for share in shares]) for i in range(2))
        return logits, targets

    def _predicted(self, validation: Iterable[Batch]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return logits [N, L] and targets [N, L] of this process's share."""
        logits, targets = predict(self.evaluated, validation, self.device)
        labels = len(self._positive_weight)
        return logits.reshape(len(logits), labels), targets.reshape(len(targets), labels)

    def final_weights(self) -> dict[str, Tensor]:
        """Return the weights to save: the best epoch's if the settings keep it, else the last ones.

        Returns
        -------
        dict of str to Tensor
            On the CPU.

        Raises
        ------
        PipelineError
            If the best is requested and no epoch had a validation AUROC.
        """
        if self.settings.keep_best and self._best is None:
            raise PipelineError(
                "train.choose is 'best', but no label has both positives and negatives in the validation split; "
                "set it to 'last'"
            )
        weights = self._best if self._best is not None else self.evaluated.state_dict()
        return {name: value.detach().cpu().contiguous() for name, value in weights.items()}

    def state(self) -> dict[str, Any]:
        """Return the state that a resumed fit needs, as tensors, numbers and lists; shares memory with the trainer."""
        return {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "reports": [{**asdict(report), "auroc": list(report.auroc)} for report in self.reports],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a `state` of the same settings and model."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best = None if state["best"] is None else {k: v.to(self.device) for k, v in state["best"].items()}
        self.reports = [EpochReport(**{**r, "auroc": tuple(r["auroc"])}) for r in state["reports"]]


def fit(
    trainer: Trainer,
    train: Callable[[int], Iterable[Batch]],
    validation: Callable[[], Iterable[Batch]],
    clock: Callable[[], float],
) -> Iterator[EpochReport]:
    """Train until the trainer is finished; the caller may save `Trainer.state` at each report.

    Parameters
    ----------
    trainer : Trainer
        Fresh, or restored.
    train : callable
        Epoch (from 0) to its batches.
    validation : callable
        Returns the validation batches.
    clock : callable
        Seconds.

    Yields
    ------
    EpochReport
        After each epoch.
    """
    while not trainer.finished:
        yield trainer.run_epoch(train(len(trainer.reports)), validation(), clock)


def _seed(seed: int, epoch: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))
