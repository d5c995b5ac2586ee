"""Boxes and lungs of films, block by block: parts draw some blocks, and one process draws those that are missing.

Reads   ``explain/``, ``ingest/images.parquet store/``; ``localize/parts/`` where parts drew blocks
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.settings.schema import Settings
from camray.core.localization.box_thresholds import BoxThreshold, Thresholds
from camray.core.training.device import choose_device
from camray.domain.errors import PipelineError
from camray.domain.zones import NO_BOX, UNKNOWN
from camray.io.artifacts import UnfinishedLocalizeFiles
from camray.io.box_drawing import draw_boxes
from camray.io.explained_run import ExplainedRun
from camray.io.film_lungs import find_film_lungs, read_lung_network

BLOCK_FILMS = 512  # a multiple of the films whose lungs are found at once, so that blocks change no batch


@dataclass(frozen=True, eq=False)
class Drawing:
    """What boxes are drawn from.

    Parameters
    ----------
    explained : ExplainedRun
        The run.
    thresholds : Thresholds
        How boxes are drawn.
    settings : Settings
        ``localize`` and the device.
    heat : mapping of str to ndarray of shape (N, L, h, w), float32
        All maps by method; empty where they are read block by block.
    """

    explained: ExplainedRun
    thresholds: Thresholds
    settings: Settings
    heat: Mapping[str, NDArray[np.float32]]

    @property
    def blocks(self) -> list[slice]:
        """Positions of the films of each block."""
        films = len(self.explained.explained)
        return [slice(start, min(start + BLOCK_FILMS, films)) for start in range(0, films, BLOCK_FILMS)]

    def maps(self, method: str, films: slice) -> NDArray[np.float32]:
        """Return the maps of one method of some films."""
        if method in self.heat:
            return self.heat[method][films]
        if (films.start, films.stop) == (0, len(self.explained.explained)):
            return self.explained.heat_maps(method)
        return self.explained.some_heat_maps(method, self.explained.image_ids[films])


def draw_films(drawing: Drawing, films: slice) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Draw the boxes of some films and name their zones; return them and the lungs, None where zones are off."""
    explained = drawing.explained
    heat = {method: drawing.maps(method, films) for method in explained.methods}
    priors = {method: explained.prior(method) for method in explained.methods}

    def maps_of(threshold: BoxThreshold) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        number, prior = explained.labels.index(threshold.label), priors[threshold.method]
        return heat[threshold.method][:, number], None if prior is None else prior[number]

    image_ids = explained.image_ids[films]
    boxes = draw_boxes(explained, image_ids, maps_of, drawing.thresholds, drawing.settings.localize)
    if not drawing.settings.localize.zones:
        boxes["zone"] = [UNKNOWN if has_box else NO_BOX for has_box in boxes["x0"].notna()]
        return boxes, None
    device = choose_device(drawing.settings.device)
    network = read_lung_network(drawing.settings.localize.lungs, device)
    lungs = find_film_lungs(explained.films, image_ids, network, device)
    boxes["zone"] = lungs.zones(boxes)
    return boxes, lungs.table()


def draw_all(drawing: Drawing) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Draw the boxes of all films, except for blocks that parts drew; return as `draw_films`."""
    files = UnfinishedLocalizeFiles(drawing.explained.artifacts.localize.unfinished)
    drawn = {number: each for number in range(len(drawing.blocks)) if (each := _drawn(drawing, files, number))}
    if not drawn:
        return draw_films(drawing, slice(0, len(drawing.explained.explained)))
    blocks = [drawn.get(number) or draw_films(drawing, films) for number, films in enumerate(drawing.blocks)]
    boxes = pd.concat([boxes for boxes, _ in blocks], ignore_index=True)
    position = {threshold.id: number for number, threshold in enumerate(drawing.thresholds.boxes)}
    order = np.argsort(boxes["threshold_id"].map(position).to_numpy(np.int64), kind="stable")
    lungs = [table for _, table in blocks if table is not None]
    return boxes.iloc[order].reset_index(drop=True), pd.concat(lungs, ignore_index=True) if lungs else None


def delete_blocks(drawing: Drawing) -> None:
    """Delete the blocks that parts drew, once the tables of all films are written."""
    if (folder := drawing.explained.artifacts.localize.unfinished).is_dir():
        shutil.rmtree(folder)


def write_block(drawing: Drawing, files: UnfinishedLocalizeFiles, number: int) -> None:
    """Draw one block, and write it; the boxes last."""
    boxes, lungs = draw_films(drawing, drawing.blocks[number])
    if lungs is not None:
        files.lungs(number).write(lungs)
    files.boxes(number).write(boxes)


def _drawn(
    drawing: Drawing, files: UnfinishedLocalizeFiles, number: int
) -> tuple[pd.DataFrame, pd.DataFrame | None] | None:
    """Return a block that a part drew, or None if it is not there, or not whole."""
    if not files.boxes(number).is_file():
        return None
    try:
        lungs = files.lungs(number).read() if drawing.settings.localize.zones else None
        return files.boxes(number).read(), lungs
    except PipelineError:
        return None
