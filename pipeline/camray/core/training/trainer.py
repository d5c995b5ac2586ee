"""The fit: a generator of epoch reports. Files, clock and process group belong to the caller."""

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
from torchmetrics.functional.classification import binary_auroc

from camray.core.training.augmentation import Augmentation, augment
from camray.core.training.batches import Batch, grey_of
from camray.core.training.device import autocast_dtype
from camray.core.training.losses import masked_bce_sums
from camray.domain.errors import PipelineError

_CHECK_EVERY_STEPS = 20


@dataclass(frozen=True)
class FitPlan:
    """Everything that decides a fit, its data apart; the settings' ``train`` section says what each means."""

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


@dataclass(frozen=True)
class EpochReport:
    """One epoch.

    Parameters
    ----------
    epoch : int
        From 1.
    loss : float
        Mean over the training batches.
    auroc : tuple of float
        Validation, label by label; NaN where a label has one kind only.
    mean_auroc : float
        Over the labels that have one; NaN where none has.
    learning_rate : float
        Of the last step.
    images_per_second : float
        Of the training part; the only figure that differs between equal runs.
    """

    epoch: int
    loss: float
    auroc: tuple[float, ...]
    mean_auroc: float
    learning_rate: float
    images_per_second: float


@dataclass(frozen=True)
class Processes:
    """Which of several training processes this one is; the caller has initialised their group."""

    rank: int = 0
    world: int = 1


class Trainer:
    """A model on its way through a fit: weights, averaged weights, optimizer, history.

    Parameters
    ----------
    model : nn.Module
        Films [B, 1, H, W] to logits [B, L]; trained in place, on `device`.
    plan : FitPlan
    positive_weight, label_weight : ndarray of shape (L,), float32
        See `camray.core.training.losses`.
    device : torch.device
    processes : Processes
        Gradients are averaged over them; every process must be handed its own share of each batch.

    Notes
    -----
    The randomness of an epoch depends on the seed, the epoch and the rank alone, so that a fit resumed from `state`
    ends in the same bytes as an undisturbed one (on a CPU, with as many threads).
    """

    def __init__(
        self, model: nn.Module, plan: FitPlan, positive_weight: NDArray[np.float32],
        label_weight: NDArray[np.float32], device: torch.device, processes: Processes,
    ) -> None:  # fmt: skip
        model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = model
        self.plan, self.device, self.processes = plan, device, processes
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False) if plan.ema_decay else None
        self.reports: list[EpochReport] = []
        self._best: dict[str, Tensor] | None = None
        self._positive_weight = torch.from_numpy(positive_weight).to(device)
        self._label_weight = torch.from_numpy(label_weight).to(device)
        self._optimizer = _optimizer(self.model, plan, device)
        self._step_model = self._for_steps()

    def _for_steps(self) -> nn.Module:
        model: nn.Module = self.model
        if self.processes.world > 1:
            model = DistributedDataParallel(model, device_ids=[self.device] if self.device.type == "cuda" else None)
        return cast(nn.Module, torch.compile(model)) if self.plan.compiled else model

    @property
    def finished(self) -> bool:
        """Tell whether all epochs are done, or validation has not improved for long enough."""
        done, patience = len(self.reports), self.plan.patience
        return done >= self.plan.epochs or bool(patience and done and done - self._best_epoch() >= patience)

    def _best_epoch(self) -> int:
        """Epoch, from 1, of the first highest validation AUROC; 0 where there is none yet."""
        scores = [-math.inf if math.isnan(r.mean_auroc) else r.mean_auroc for r in self.reports]
        return int(np.argmax(scores)) + 1 if scores and max(scores) > -math.inf else 0

    @property
    def evaluated(self) -> nn.Module:
        """The model that is validated and handed on: averaged weights where the plan averages."""
        return self.model if self.average is None else self.average

    def run_epoch(self, train: Iterable[Batch], validation: Iterable[Batch], clock: Callable[[], float]) -> EpochReport:
        """Train once over `train`, validate, remember.

        Parameters
        ----------
        train, validation : iterable of Batch
            This process's share.
        clock : callable
            Seconds; only the images per second depend on it.

        Raises
        ------
        PipelineError
            If the loss is no longer finite.
        """
        epoch, started = len(self.reports), clock()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            seed = _seed(self.plan.seed, epoch, self.processes.rank)
            torch.manual_seed(seed)  # dropout; the generator's own state is put back
            loss, films = self._train(train, epoch, torch.Generator(self.device).manual_seed(seed))
        rate = films * self.processes.world / max(clock() - started, 1e-9)
        auroc = label_aurocs(*self._validate(validation))
        known = [value for value in auroc if not math.isnan(value)]
        mean = float(np.mean(known)) if known else math.nan
        report = EpochReport(epoch + 1, loss, auroc, mean, self._optimizer.param_groups[0]["lr"], rate)
        self.reports.append(report)
        if self.plan.keep_best and self._best_epoch() == epoch + 1:
            self._best = {name: value.clone() for name, value in self.evaluated.state_dict().items()}
        return report

    def _train(self, train: Iterable[Batch], epoch: int, generator: torch.Generator) -> tuple[float, int]:
        self._step_model.train()
        total, steps, films = torch.zeros((), device=self.device), 0, 0
        for steps, batch in enumerate(train, start=1):
            total += self._step(batch, epoch * self.plan.steps_per_epoch + steps - 1, generator)
            films += len(batch.targets)
            if steps % _CHECK_EVERY_STEPS == 0:
                _check_finite(total, epoch)
        if steps != self.plan.steps_per_epoch:
            raise ValueError(f"an epoch had {steps} batches, the plan says {self.plan.steps_per_epoch}")
        _check_finite(total, epoch)
        return float(total) / steps, films

    def _step(self, batch: Batch, step: int, generator: torch.Generator) -> Tensor:
        plan = self.plan
        for group in self._optimizer.param_groups:
            group["lr"] = plan.learning_rate * learning_rate_factor(step, plan)
        films = augment(grey_of(batch.pixels, self.device), plan.augmentation, generator)
        loss = self._loss(films, batch, generator)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if plan.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), plan.clip_norm)
        self._optimizer.step()
        self._average_weights(step)
        return loss.detach()

    def _loss(self, films: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """Masked, weighted cross entropy of a batch's labels; films [B, 1, H, W] augmented."""
        targets = batch.targets.to(self.device, non_blocking=True)
        entropy, known = masked_bce_sums(
            self._outputs(films), targets, self._positive_weight, self._label_weight, self.plan.label_smoothing
        )
        if self.processes.world > 1:  # DDP averages gradients: make that the mean over what all processes know
            dist.all_reduce(known)
            known = known / self.processes.world
        return entropy / known.clamp_min(1e-12)

    def _outputs(self, films: Tensor) -> Tensor:
        dtype = autocast_dtype(self.device, self.plan.amp)
        with torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            outputs = self._step_model(films.contiguous(memory_format=torch.channels_last))
        return cast(Tensor, outputs.float())

    def _average_weights(self, step: int) -> None:
        if self.average is None:
            return
        decay = min(self.plan.ema_decay, (1 + step) / (10 + step))  # the first weights are forgotten soon
        ours, theirs = self.average.state_dict(), self.model.state_dict()
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        with torch.no_grad():
            get_ema_multi_avg_fn(decay)(  # type: ignore[no-untyped-call]
                [ours[n] for n in floats], [theirs[n] for n in floats], 0
            )
            for name in ours.keys() - set(floats):  # counters of batch normalisation
                ours[name].copy_(theirs[name])

    def _validate(self, validation: Iterable[Batch]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        if self.processes.world > 1:  # running statistics are each process's own: everybody takes the first one's
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
        """Logits [N, L] and targets [N, L] of this process's share."""
        logits, targets = predict(self.evaluated, validation, self.device)
        labels = len(self._positive_weight)
        return logits.reshape(len(logits), labels), targets.reshape(len(targets), labels)

    def chosen_weights(self) -> dict[str, Tensor]:
        """Weights to hand on: the best epoch's where the plan keeps it, else the last ones; on the CPU.

        Raises
        ------
        PipelineError
            If the best is asked for and no epoch had a validation AUROC.
        """
        if self.plan.keep_best and self._best is None:
            raise PipelineError(
                "train.choose is 'best', and no label has both kinds of films in the validation split; set it to 'last'"
            )
        chosen = self._best if self._best is not None else self.evaluated.state_dict()
        return {name: value.detach().cpu().contiguous() for name, value in chosen.items()}

    def state(self) -> dict[str, Any]:
        """Everything a resumed fit needs, as tensors, numbers and lists; shares memory with the trainer."""
        return {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "reports": [{**asdict(report), "auroc": list(report.auroc)} for report in self.reports],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state` of the same plan and model."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best = None if state["best"] is None else {k: v.to(self.device) for k, v in state["best"].items()}
        self.reports = [EpochReport(**{**r, "auroc": tuple(r["auroc"])}) for r in state["reports"]]


def fit(
    trainer: Trainer, train: Callable[[int], Iterable[Batch]], validation: Callable[[], Iterable[Batch]],
    clock: Callable[[], float],
) -> Iterator[EpochReport]:  # fmt: skip
    """Train until the trainer is finished; whoever consumes may save `Trainer.state` at each report.

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


def predict(
    model: nn.Module, batches: Iterable[Batch], device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Classify films in evaluation mode and float32, and leave the model in the mode it was in.

    Returns
    -------
    (ndarray of shape (N, L), float64; ndarray of shape (N, L), float32)
        Logits and targets, in the order of the batches.
    """
    was_training = model.training
    logits: list[NDArray[np.float64]] = []
    targets: list[NDArray[np.float32]] = []
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            films = grey_of(batch.pixels, device).contiguous(memory_format=torch.channels_last)
            logits.append(model(films).double().cpu().numpy())
            targets.append(batch.targets.numpy())
    model.train(was_training)
    if not logits:
        return np.empty((0, 0)), np.empty((0, 0), np.float32)
    return np.concatenate(logits), np.concatenate(targets)


def label_aurocs(logits: NDArray[np.float64], targets: NDArray[np.float32]) -> tuple[float, ...]:
    """Area under the ROC curve, label by label.

    Parameters
    ----------
    logits : ndarray of shape (N, L), float64
    targets : ndarray of shape (N, L), float32
        1, 0, or NaN for no information (left out).

    Returns
    -------
    tuple of float
        NaN for a label that has only one kind.
    """
    found = []
    for scores, values in zip(logits.T, targets.T, strict=True):
        known = ~np.isnan(values)
        wanted = torch.from_numpy(values[known].astype(np.int64))
        if len(torch.unique(wanted)) < 2:
            found.append(math.nan)
            continue
        _, ranks = np.unique(scores[known], return_inverse=True)  # in place of probabilities, which saturate
        found.append(float(binary_auroc(torch.from_numpy(ranks / max(1, ranks.max())), wanted)))
    return tuple(found)


def learning_rate_factor(step: int, plan: FitPlan) -> float:
    """Linear warm-up, then a cosine down to the final fraction; `step` counts from 0."""
    warmup, total = round(plan.warmup_epochs * plan.steps_per_epoch), plan.epochs * plan.steps_per_epoch
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return plan.final_learning_rate + (1 - plan.final_learning_rate) * 0.5 * (1 + math.cos(math.pi * progress))


def _optimizer(model: nn.Module, plan: FitPlan, device: torch.device) -> torch.optim.AdamW:
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},  # norms and biases
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, fused=device.type in {"cpu", "cuda"})


def _seed(seed: int, epoch: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _check_finite(total: Tensor, epoch: int) -> None:
    if not bool(torch.isfinite(total)):
        raise PipelineError(
            f"training diverged in epoch {epoch + 1}: the loss is {float(total)}; lower train.learning_rate, "
            "raise train.warmup_epochs, or set train.clip_norm"
        )
