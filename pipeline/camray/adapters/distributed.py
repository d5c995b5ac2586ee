"""Several training processes that were started together (torchrun): their group, from the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from camray.domain.errors import SettingsError

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@contextmanager
def training_processes(device: str) -> Iterator[tuple[int, int, int]]:
    """Join the group of processes that torchrun started; alone where it did not.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu`` or ``cuda``: GPUs talk through NCCL, CPUs through Gloo.

    Yields
    ------
    (int, int, int)
        Rank, number of processes, rank on this machine; (0, 1, 0) alone.

    Raises
    ------
    SettingsError
        If the environment names a rank that cannot be.
    """
    found = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    if not {"RANK", "WORLD_SIZE"} <= set(found):
        yield 0, 1, 0
        return
    try:
        rank, world, local_rank = int(found["RANK"]), int(found["WORLD_SIZE"]), int(found.get("LOCAL_RANK", "0"))
    except ValueError as error:
        raise SettingsError(f"environment: {found}; expected whole numbers, as torchrun sets them") from error
    if not 0 <= rank < world:
        raise SettingsError(f"environment: RANK {rank} of WORLD_SIZE {world}; start the processes with torchrun")
    if world == 1:
        yield 0, 1, local_rank
        return
    on_gpus = device != "cpu" and torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if on_gpus else "gloo", rank=rank, world_size=world)
    try:
        yield rank, world, local_rank
        dist.barrier()  # nobody leaves before the first has written
    finally:
        dist.destroy_process_group()
