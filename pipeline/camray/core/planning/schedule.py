"""Grid, steps and epochs of a plan: as measured, or as much of it as the minutes hold."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from camray.core.planning.duration import RELATIVE_COST, Workload, fixed_minutes, training_minutes
from camray.core.planning.facts import DataFacts, Machine, PlanRequest, Sections
from camray.core.planning.grid import CELL_PX, SMALLER_SIDES_PX, complete_grid, grid_of, long_side
from camray.core.training.optimization import epochs_for

LEAST_STEPS = 200  # on 175 training films nothing is localized before 150 to 200 steps of 16
KEPT_SIDE_PX = 224  # fewer steps rather than a smaller grid
PARTS = 4  # epochs, where not even two passes over the films fit
WARM_UP_SHARE = 1 / 8  # of all steps, where epochs are few


@dataclass(frozen=True)
class Schedule:
    """Grid and length of a training.

    Parameters
    ----------
    rows, cols : int
        Model grid, px.
    batch_size, max_epochs, min_steps, epoch_films : int
        As in the settings of the training.
    train : int
        Training films.
    steps, epochs : int
        Those that follow.
    minutes : float
        Estimated duration of the whole run.
    full_steps, full_side : int
        Steps and longer side without a limit of minutes.
    holds : bool
        Whether the minutes are enough.
    """

    rows: int
    cols: int
    batch_size: int
    max_epochs: int
    min_steps: int
    epoch_films: int
    train: int
    steps: int
    epochs: int
    minutes: float
    full_steps: int
    full_side: int
    holds: bool

    @property
    def warmup_epochs(self) -> float | None:
        """Epochs of warm-up where one epoch would be a large part of all; None leaves the default."""
        return None if self.epochs >= 1 / WARM_UP_SHARE else round(self.epochs * WARM_UP_SHARE, 3)


def choose_schedule(
    data: DataFacts, machine: Machine, request: PlanRequest, base: Sections, minutes: float
) -> Schedule:
    """Choose a grid and steps that hold the minutes.

    Steps are reduced to the usual minimum of few films first, then the grid to `KEPT_SIDE_PX`, then steps to
    `LEAST_STEPS`, then the grid again.

    Parameters
    ----------
    data : DataFacts
        The films.
    machine : Machine
        What computes.
    request : PlanRequest
        Given settings are kept as they are.
    base : mapping
        Sections of the default recipe.
    minutes : float
        Duration of the whole run at most.
    """
    grids = list(_grids(data, request, base))
    large = [grid for grid in grids if max(grid) >= KEPT_SIDE_PX] or grids[:1]
    small = [grid for grid in grids if max(grid) <= KEPT_SIDE_PX] or grids[-1:]
    usual = base["train"]["min_steps"]
    full, last = None, None
    for grid, least_steps in [*((grid, usual) for grid in large), *((grid, LEAST_STEPS) for grid in small)]:
        load = _workload(data, request, base, grid)
        schedule = _schedule(load, machine, request, base, grid)
        full = full or schedule
        schedule = replace(schedule, full_steps=full.steps, full_side=max(full.rows, full.cols))
        if schedule.minutes <= minutes:
            return schedule
        shorter = None if is_length_given(request) else _shorter(schedule, load, machine, minutes, least_steps)
        if shorter is not None:
            return shorter
        last = schedule, load
    if last is None:
        raise ValueError("expected one grid at least")
    return _least(last[0], last[1], machine, request)


def is_length_given(request: PlanRequest) -> bool:
    """Return whether the user gave steps or epochs."""
    return any(request.value("train", key) is not None for key in ("max_epochs", "min_steps", "epoch_films"))


def _grids(data: DataFacts, request: PlanRequest, base: Sections) -> Iterator[tuple[int, int]]:
    """Yield the model grids to try, largest first."""
    rows, cols = request.value("ingest", "rows"), request.value("ingest", "cols")
    stride = request.value("model", "stride") or base["model"]["stride"]
    cell = max(CELL_PX, stride * (request.value("model", "shrink") or 1))
    if rows is not None or cols is not None:
        yield complete_grid(rows, cols, data.aspect, cell)
        return
    first = long_side(data)
    for side in (first, *(side for side in SMALLER_SIDES_PX if side < first)):
        yield grid_of(side, data.aspect, cell)


def _workload(data: DataFacts, request: PlanRequest, base: Sections, grid: tuple[int, int]) -> Workload:
    films = data.labelled or data.films
    train, validation, test = (int(films * share) for share in request.fractions)
    flip = request.value("explain", "flip")
    views = 2 if (base["explain"]["flip"] if flip is None else flip) else 1
    return Workload(
        films=data.films,
        train=max(1, train),
        validation=validation,
        test=test,
        film_px=data.rows * data.cols,
        grid_px=grid[0] * grid[1],
        batch_size=request.value("train", "batch_size") or min(base["train"]["batch_size"], max(1, train)),
        members=request.value("model", "members") or 1,
        views=views * len(request.value("explain", "scales") or (1.0,)),
        cost=RELATIVE_COST.get(request.value("model", "backbone") or base["model"]["backbone"], 1.0),
    )


def _schedule(
    load: Workload, machine: Machine, request: PlanRequest, base: Sections, grid: tuple[int, int]
) -> Schedule:
    """Return the training without a limit of minutes."""
    given_epochs, given_steps = request.value("train", "max_epochs"), request.value("train", "min_steps")
    epoch_films = request.value("train", "epoch_films") or 0
    max_epochs = given_epochs or base["train"]["max_epochs"]
    min_steps = base["train"]["min_steps"] if given_epochs is None and given_steps is None else given_steps or 0
    schedule = Schedule(
        *grid, load.batch_size, max_epochs, min_steps, epoch_films, load.train, 0, 0, 0.0, 0, max(grid), True
    )
    return _timed(schedule, load, machine)


def _timed(schedule: Schedule, load: Workload, machine: Machine) -> Schedule:
    """Complete steps, epochs and minutes."""
    each = _steps_per_epoch(min(schedule.epoch_films or load.train, load.train), load.batch_size)
    epochs = epochs_for(schedule.max_epochs, schedule.min_steps, each)
    minutes = fixed_minutes(load, machine) + training_minutes(load, machine, epochs * each, epochs)
    return replace(schedule, steps=epochs * each, epochs=epochs, minutes=minutes)


def _steps_per_epoch(films: int, batch_size: int) -> int:
    return max(1, films // min(batch_size, films))


def _shorter(schedule: Schedule, load: Workload, machine: Machine, minutes: float, least_steps: int) -> Schedule | None:
    """Return the training with as many steps as the minutes hold; None if these are fewer than `least_steps`."""
    rest = minutes - fixed_minutes(load, machine)
    each = _steps_per_epoch(load.train, load.batch_size)
    epochs = math.floor(rest / training_minutes(load, machine, each, 1)) if rest > 0 else 0
    if epochs >= 2:
        return _limited(schedule, load, machine, (epochs * each, epochs, 0), least_steps)
    step = training_minutes(load, machine, 1, 0)
    part = math.floor((rest - training_minutes(load, machine, 0, PARTS)) / step / PARTS)
    return _limited(schedule, load, machine, (part * PARTS, PARTS, part * load.batch_size), least_steps)


def _limited(
    schedule: Schedule, load: Workload, machine: Machine, size: tuple[int, int, int], least_steps: int
) -> Schedule | None:
    steps, epochs, epoch_films = size
    if steps < least_steps:
        return None
    shorter = replace(
        schedule,
        max_epochs=min(schedule.max_epochs, epochs),
        min_steps=min(schedule.min_steps, steps),
        epoch_films=epoch_films if epoch_films < load.train else 0,
    )
    return _timed(shorter, load, machine)


def _least(schedule: Schedule, load: Workload, machine: Machine, request: PlanRequest) -> Schedule:
    """Return the shortest training that is worth it, on the smallest grid; the minutes do not hold it."""
    if not is_length_given(request):
        each = _steps_per_epoch(load.train, load.batch_size)
        part = math.ceil(LEAST_STEPS / PARTS)
        is_sampled = each * 2 > LEAST_STEPS
        epochs = PARTS if is_sampled else math.ceil(LEAST_STEPS / each)
        size = (LEAST_STEPS, epochs, part * load.batch_size if is_sampled else 0)
        schedule = _limited(schedule, load, machine, size, LEAST_STEPS) or schedule
    return replace(schedule, holds=False)
