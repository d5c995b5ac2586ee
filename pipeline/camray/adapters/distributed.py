"""The group of training processes that torchrun started, from the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from camray.domain.errors import SettingsError

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@contextmanager
def training_processes(device: str) -> Iterator[tuple[int, int, int]]:
    """Join the group of processes that torchrun started; without torchrun, the group has one process.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu`` or ``cuda``: GPUs communicate by NCCL, CPUs by Gloo.

    Yields
    ------
    (int, int, int)
        Rank, number of processes, rank on this machine; (0, 1, 0) without torchrun.

    Raises
    ------
    SettingsError
        If the environment has an impossible rank.
    """
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    if not {"RANK", "WORLD_SIZE"} <= set(variables):
        yield 0, 1, 0
        return
    try:
        rank, world, local_rank = (int(variables.get(name, "0")) for name in _VARIABLES)
    except ValueError as error:
        raise SettingsError(f"environment: {variables}; expected whole numbers, as torchrun sets them") from error
    if not 0 <= rank < world:
        raise SettingsError(
            f"environment: RANK {rank}, WORLD_SIZE {world}; expected 0 <= RANK < WORLD_SIZE, as torchrun sets them"
        )
    if world == 1:
        yield 0, 1, local_rank
        return
    on_gpus = device != "cpu" and torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if on_gpus else "gloo", rank=rank, world_size=world)
    try:
        yield rank, world, local_rank
        dist.barrier()  # wait until the first process has written
    finally:
        dist.destroy_process_group()
