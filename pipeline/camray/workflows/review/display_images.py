"""Films as people see them: 8 bits at display resolution, from their sources or else from the pixel store. No stage.

Reads   the films under ``data.root`` or ``generate/``; ``ingest/store/``
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.pixel_store import PixelStore
from camray.adapters.process_pool import count_workers, map_processes
from camray.adapters.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.domain.errors import ImageError
from camray.io.film_files import read_film

_COARSE = "Shown as the network saw it: the source film is not at hand, or has changed."
_FEW = 8  # films for which starting processes takes longer than drawing


@dataclass(frozen=True)
class Wanted:
    """A film to draw: where its source and its stored pixels lie, and the window of the model grid that it covers."""

    source: str
    pixel_sha256: str
    shard: int
    index: int
    window: tuple[int, int, int, int]


@dataclass(frozen=True)
class _Plan:
    """How films are drawn; goes to every process."""

    root: Path | None
    store: Path
    display_px: int


def wanted_of(image: "pd.Series[Any]", window: tuple[int, int, int, int]) -> Wanted:
    """Return what to draw of a row of the images table; `window` is (row0, row1, col0, col1) on the model grid."""
    return Wanted(
        str(image["source"]), str(image["pixel_sha256"]), int(image["shard"]), int(image["index"]), window
    )  # fmt: skip


def draw_films(
    settings: Settings, folder: RunFolder, display_px: int, films: Sequence[Wanted]
) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """Draw films at display resolution, in ``ingest.workers`` processes.

    Parameters
    ----------
    settings : Settings
        ``data`` and ``ingest.workers``.
    folder : RunFolder
        The run.
    display_px : int
        Longest side of a picture.
    films : sequence of Wanted
        What to draw.

    Yields
    ------
    grey : ndarray of shape (H, W), uint8
        In the order of `films`; from the source, or else, and where the source crashes its reader, from the pixel
        store.
    note : str
        Empty, or that the picture is the network's own view.
    """
    root = folder.root / "generate" if settings.data.generate is not None else settings.data.root
    plan = _Plan(
        root.parent if root is not None and root.is_file() else root, folder.root / "ingest" / "store", display_px
    )
    workers = 1 if len(films) <= _FEW else count_workers(settings.ingest.workers)
    for outcome in map_processes(partial(_drawn, plan), films, workers):
        grey = outcome.value
        yield (_stored(plan, outcome.item), _COARSE) if grey is None else (grey, "")


def _drawn(plan: _Plan, film: Wanted) -> NDArray[np.uint8] | None:
    """Return a film's own picture, or None where its source is not at hand or has changed."""
    if plan.root is None or not (plan.root / film.source).is_file():
        return None
    try:
        read = read_film(plan.root / film.source, None)
    except ImageError:
        return None
    return _shrunk(read.pixels, plan.display_px) if read.pixel_sha256 == film.pixel_sha256 else None


def _stored(plan: _Plan, film: Wanted) -> NDArray[np.uint8]:
    row0, row1, col0, col1 = film.window
    stored = PixelStore(plan.store).shard(film.shard)[film.index]
    part = np.asarray(stored[row0:row1, col0:col1], np.float32)
    return _grey8(part / np.float32(np.iinfo(stored.dtype).max))


def _shrunk(pixels: NDArray[np.float32], display_px: int) -> NDArray[np.uint8]:
    rows, cols = pixels.shape
    factor = min(1.0, display_px / max(rows, cols))
    if factor == 1.0:
        return _grey8(pixels)
    size = (max(1, round(cols * factor)), max(1, round(rows * factor)))
    shrunk = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BOX)
    return _grey8(np.asarray(shrunk, np.float32))


def _grey8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
