"""Estimated duration of a run: reading, training, maps and boxes.

A training step of EfficientNet-Lite0 on 16 films takes 1.1 s of one CPU core at 160 x 160 px and 3.4 to 5.7 s at 320 x
320 px, by what else the machine does; a forward pass of a film takes 0.3 of its share of a step. Reading a film of 8
million px takes 0.4 s of one core. A GPU is taken to train 40 times as fast as one core.
"""

from dataclasses import dataclass

from camray.core.planning.facts import Machine

CORE_SECONDS_PER_TRAINED_PX = 4.4 / (16 * 320 * 320)
CORE_SECONDS_PER_FORWARD_PX = CORE_SECONDS_PER_TRAINED_PX * 0.3
RELATIVE_COST = {"efficientnet_lite0": 1.0, "resnet_light": 0.15}  # of a step; others are not measured
CORE_SECONDS_PER_READ_PX = 5e-8
CORE_SECONDS_PER_FILE = 0.01
SECONDS_PER_BOXED_FILM = 0.08  # boxes, scores and pictures of one film
START_SECONDS = 50.0  # start, tables, calibration, intervals, report: hardly more with more films
GPU_CORES = 40.0
LINEAR_CORES = 4  # further cores count half


@dataclass(frozen=True)
class Workload:
    """Sizes that decide how long a run takes.

    Parameters
    ----------
    films, train, validation, test : int
        All films, and those of each split.
    film_px : int
        Pixels of a film as stored.
    grid_px : int
        Pixels of the model grid.
    batch_size : int
        Films per step.
    members : int
        Networks.
    views : int
        Forward passes for the maps of one film.
    cost : float
        Time of the network, multiple of EfficientNet-Lite0's.
    """

    films: int
    train: int
    validation: int
    test: int
    film_px: int
    grid_px: int
    batch_size: int
    members: int = 1
    views: int = 2
    cost: float = 1.0


def parallel_cores(cores: int) -> float:
    """Return how many times as fast as one core a machine is.

    Examples
    --------
    >>> parallel_cores(2), parallel_cores(16)
    (2.0, 10.0)
    """
    return min(cores, LINEAR_CORES) + max(0, cores - LINEAR_CORES) / 2


def fixed_minutes(load: Workload, machine: Machine) -> float:
    """Estimate what does not depend on the number of steps: reading, maps, boxes and scores."""
    cores = parallel_cores(machine.cores)
    read = load.films * (CORE_SECONDS_PER_FILE + CORE_SECONDS_PER_READ_PX * load.film_px) / cores
    explained = load.validation + load.test
    forward = explained * load.views * _pass_px(load) * CORE_SECONDS_PER_FORWARD_PX / _speed(machine)
    return (START_SECONDS + read + forward + explained * SECONDS_PER_BOXED_FILM) / 60


def training_minutes(load: Workload, machine: Machine, steps: int, epochs: int) -> float:
    """Estimate a training: its steps, and the validation films after every epoch."""
    trained = steps * load.batch_size * CORE_SECONDS_PER_TRAINED_PX
    validated = epochs * load.validation * CORE_SECONDS_PER_FORWARD_PX
    return _pass_px(load) * (trained + validated) / _speed(machine) / 60


def _pass_px(load: Workload) -> float:
    """Return the pixels of one film through all networks, each as expensive as one of EfficientNet-Lite0."""
    return load.members * load.grid_px * load.cost


def _speed(machine: Machine) -> float:
    return GPU_CORES if machine.has_gpu else parallel_cores(machine.cores)
