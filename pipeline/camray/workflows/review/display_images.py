"""Display pictures of films: 8 bits, from their source files or else from the pixel store.

Reads   the films under ``data.root`` or ``generate/``; ``ingest/store/``
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.pixel_store import PixelStore
from camray.adapters.process_pool import count_workers, map_processes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.domain.errors import ImageError
from camray.io.artifacts import artifacts_of
from camray.io.explained_run import ExplainedRun
from camray.io.film_files import read_film
from camray.io.ingested_films import grey_of
from camray.io.source_films import source_root

_COARSE = "Shown as the network saw it: the source film is not at hand, or has changed."
_FEW = 8  # films for which starting processes takes longer than drawing


@dataclass(frozen=True)
class DisplayFilm:
    """A film to draw: its source, its stored pixels, and the window of the model grid that it covers."""

    source: str
    pixel_sha256: str
    shard: int
    index: int
    window: tuple[int, int, int, int]


@dataclass(frozen=True)
class _Drawing:
    """Settings of the display images, sent to every process."""

    root: Path | None
    store: Path
    display_px: int


def display_film_of(run: ExplainedRun, image_id: str) -> DisplayFilm:
    """Return what to draw of an explained film."""
    film, window = run.films.film(image_id), run.placements[image_id].window
    edges = (window.row0, window.row1, window.col0, window.col1)
    return DisplayFilm(film.source, film.pixel_sha256, film.shard, film.index, edges)


def draw_films(
    settings: Settings, folder: RunFolder, display_px: int, films: Sequence[DisplayFilm]
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
    films : sequence of DisplayFilm
        What to draw.

    Yields
    ------
    grey : ndarray of shape (H, W), uint8
        In the order of `films`; from the source, or else, and where the source crashes its reader, from the pixel
        store.
    note : str
        Empty, or that the picture is the network's own view.
    """
    drawing = _Drawing(source_root(settings, folder), artifacts_of(folder).ingest.store_folder, display_px)
    workers = 1 if len(films) <= _FEW else count_workers(settings.ingest.workers)
    for outcome in map_processes(partial(_drawn, drawing), films, workers):
        grey = outcome.value
        yield (_stored(drawing, outcome.item), _COARSE) if grey is None else (grey, "")


def _drawn(drawing: _Drawing, film: DisplayFilm) -> NDArray[np.uint8] | None:
    """Return a film's own picture, or None where its source is missing or has changed."""
    if drawing.root is None or not (drawing.root / film.source).is_file():
        return None
    try:
        read = read_film(drawing.root / film.source, None)
    except ImageError:
        return None
    return _shrunk(read.pixels, drawing.display_px) if read.pixel_sha256 == film.pixel_sha256 else None


def _stored(drawing: _Drawing, film: DisplayFilm) -> NDArray[np.uint8]:
    row0, row1, col0, col1 = film.window
    stored = PixelStore(drawing.store).shard(film.shard)[film.index]
    return _grey8(grey_of(stored[row0:row1, col0:col1]))


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
