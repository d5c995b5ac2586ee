"""Batches for training: a seeded order, pixels with targets, and a thread that reads ahead."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.core.imaging.film_statistics import StoredPixels

Item = TypeVar("Item")
ReadPixels = Callable[[NDArray[np.int64]], StoredPixels]  # positions [n] to pixels [n, rows, cols]
_WAIT_SECONDS = 0.1


@dataclass(frozen=True, eq=False)
class Batch:
    """Films and their labels.

    Parameters
    ----------
    pixels : Tensor of shape (B, rows, cols), uint8 or uint16
        As stored, model grid.
    targets : Tensor of shape (B, L), float32
        1 present, 0 absent, NaN no information.
    weights : Tensor of shape (B, L), float32, or None
        Of the targets in the loss; None: all 1.
    regions : Tensor of shape (B, L, 4), float32, or None
        Boxes (x0, y0, x1, y1) of some findings as fractions of the model grid's sides, NaN where there is none.
    """

    pixels: Tensor
    targets: Tensor
    weights: Tensor | None = None
    regions: Tensor | None = None


def grey_tensor(pixels: Tensor, device: torch.device) -> Tensor:
    """Copy stored pixels to the device and convert them to grey 0-1.

    Parameters
    ----------
    pixels : Tensor of shape (B, rows, cols), uint8 or uint16
        Black is 0, white the type's largest value.
    device : torch.device
        Target.

    Returns
    -------
    Tensor of shape (B, 1, rows, cols), float32
        Grey 0-1, model grid.
    """
    white = torch.iinfo(pixels.dtype).max
    moved = pixels.to(device, non_blocking=True)
    return moved[:, None].to(torch.float32) / white


def epoch_order(films: int, batch_size: int, seed: int, epoch: int, most: int = 0) -> NDArray[np.int64]:
    """Shuffle the films of one epoch.

    Parameters
    ----------
    films : int
        Number of films, at least one.
    batch_size : int
        Of the whole step, over all processes.
    seed, epoch : int
        The order depends only on them and on the sizes.
    most : int
        Films of one epoch at most; 0 takes all. Epochs share the films out among them before one comes again.

    Returns
    -------
    ndarray of shape (steps, batch), int64
        Positions. Films that fill no whole batch are left out, different ones each epoch; if there are fewer films than
        a batch, all of them make one.
    """
    part_films = min(most or films, films)
    turn, part = divmod(epoch, films // part_films)
    order = np.random.default_rng([seed, turn]).permutation(films)[part * part_films : (part + 1) * part_films]
    size = min(batch_size, part_films)
    return order[: part_films // size * size].reshape(-1, size).astype(np.int64)


def batches(
    order: Iterable[NDArray[np.int64]],
    read: ReadPixels,
    targets: NDArray[np.float32],
    pinned: bool,
    weights: NDArray[np.float32] | None = None,
    regions: NDArray[np.float32] | None = None,
) -> Iterator[Batch]:
    """Read batch after batch.

    Parameters
    ----------
    order : iterable of ndarray of int64
        Positions of each batch's films.
    read : callable
        Positions to stored pixels.
    targets : ndarray of shape (N, L), float32
        By position.
    pinned : bool
        Copy into page-locked memory, from which a GPU reads while it computes.
    weights : ndarray of shape (N, L), float32, optional
        Of the targets in the loss, by position.
    regions : ndarray of shape (N, L, 4), float32, optional
        See `Batch`, by position.

    Yields
    ------
    Batch
        Pixels of shape (B, rows, cols), targets and weights of shape (B, L), regions of shape (B, L, 4).
    """
    given = {"targets": targets, "weights": weights, "regions": regions}
    for positions in order:
        arrays: dict[str, NDArray[Any]] = {name: each[positions] for name, each in given.items() if each is not None}
        arrays["pixels"] = read(positions)
        tensors = {name: torch.from_numpy(each) for name, each in arrays.items()}
        yield Batch(**{name: each.pin_memory() if pinned else each for name, each in tensors.items()})


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Let a thread work ahead of the consumer.

    Parameters
    ----------
    items : iterable
        Consumed in the thread.
    depth : int
        Maximum number of items in the queue.

    Yields
    ------
    Item
        In order. An exception in the thread is raised here; closing the iterator ends the thread.
    """
    items_ahead: queue.Queue[Item | BaseException | None] = queue.Queue(depth)
    is_closed = threading.Event()

    def put(item: Item | BaseException | None) -> bool:
        while not is_closed.is_set():
            try:
                items_ahead.put(item, timeout=_WAIT_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # noqa: BLE001 raised in the consumer, whatever it is
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := items_ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_closed.set()
        thread.join()
