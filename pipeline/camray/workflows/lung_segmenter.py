"""Training of the lung segmentation network on generated films, and the lungs of one film as a picture.

Reads   nothing, or one film and a generator's weights
Writes  a generator's weights (safetensors, half precision); a picture
Run     ``camray lungs train --out lungs.safetensors``
"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.checkpoints import weights_bytes
from camray.adapters.progress import progress
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.core.lungs.detection import DetectedLungs, find_lungs
from camray.core.networks.lung_unet import SIDE_PX, LungUNet, lung_probabilities
from camray.core.preparation.film_lungs import lungs_of_film
from camray.core.training.lung_segmenter import LungFitSettings, LungSample, dice, fit_lungs, lung_samples
from camray.domain.films import FilmPolicy
from camray.domain.geometry import CropWindow, box_from_mask
from camray.domain.zones import Side, side_of_laterality
from camray.io.film_files import read_film
from camray.io.film_lungs import read_lung_network
from camray.reporting.overlays import png_of_picture

_HELD_OUT_SEEDS = 1000  # added to the seed: other films, of other patients
_TINTS = {Side.RIGHT: (1.0, 0.45, 0.35), Side.LEFT: (0.35, 0.75, 1.0)}


@dataclass(frozen=True)
class LungsTrained:
    """File of a trained generator, and its Dice scores on generated films outside its training."""

    path: Path
    epochs: int
    loss: float
    seconds: float
    dice_whole: float
    dice_half: float
    dice_worst: float
    found_by: dict[str, int]


@dataclass(frozen=True)
class LungsShown:
    """The lungs of one film: how found, boxes in native px by side, and the picture."""

    source: str
    boxes: dict[str, tuple[float, ...]]
    picture: Path


def train_lungs(out: Path, films: int, epochs: int, seed: int, held_out: int) -> LungsTrained:
    """Generate films, train a segmenter on them, write it, and try it on other films.

    Parameters
    ----------
    out : Path
        File to write, ``*.safetensors``; equal arguments give equal bytes on a CPU.
    films, epochs, seed, held_out : int
        Films drawn (each gives a whole film and a half), passes over them, of everything, films for the trial.
    """
    started, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(1)  # other numbers of threads add up in another order
    try:
        samples = [sample for pair in _drawn(seed, films, "drawing films") for sample in pair]
        epochs_done = progress(
            fit_lungs(samples, LungFitSettings(epochs, seed=seed)), epochs, "training the lung segmenter"
        )
        network, loss = deque(epochs_done, maxlen=1)[0]
        write_bytes(out, weights_bytes({name: value.half() for name, value in network.state_dict().items()}))
        trial = list(_drawn(seed + _HELD_OUT_SEEDS, held_out, "drawing films to try it on"))
        figures = _tried(read_lung_network(out, torch.device("cpu")), trial)
    finally:
        torch.set_num_threads(threads)
    return LungsTrained(out, epochs, loss, round(time.monotonic() - started, 1), *figures)


def show_lungs(film: Path, weights: Path | None, out: Path) -> LungsShown:
    """Find the lungs of one film, and draw them: right warm, left cold.

    Raises
    ------
    ImageError
        If the file is no film.
    CheckpointError
        If the weights are no lung segmenter's.
    """
    read = read_film(film, FilmPolicy())
    spacing = read.header.row_spacing_mm, read.header.col_spacing_mm
    network = read_lung_network(weights, torch.device("cpu"))
    side = side_of_laterality(read.header.laterality)
    lungs, to_grid, grey = lungs_of_film(read.pixels, spacing, network, side)
    boxes: dict[str, tuple[float, ...]] = {
        str(side): to_grid.box_to_native(box).as_tuple()
        for side, mask in lungs.masks.items()
        if (box := box_from_mask(mask)) is not None
    }
    picture = Image.fromarray(_picture(grey, lungs)).resize((512, 512), Image.Resampling.BILINEAR)
    write_bytes(out, png_of_picture(picture))
    return LungsShown(str(lungs.source), boxes, out)


def _drawn(seed: int, films: int, what: str) -> Iterator[tuple[LungSample, LungSample]]:
    return (lung_samples(seed, index) for index in progress(range(films), films, what))


def _tried(network: LungUNet, pairs: list[tuple[LungSample, LungSample]]) -> tuple[float, float, float, dict[str, int]]:
    window = CropWindow(0, SIDE_PX, 0, SIDE_PX)
    overlaps: list[list[float]] = []
    found_by: dict[str, int] = {}
    for pair in pairs:
        films = torch.from_numpy(np.stack([sample.grey for sample in pair]))[:, None]
        of_pair = []
        for sample, likely in zip(pair, lung_probabilities(network, films)[:, 0].numpy(), strict=True):
            lungs = find_lungs(sample.grey, likely, window)
            found_by[str(lungs.source)] = found_by.get(str(lungs.source), 0) + 1
            of_pair.append(dice(_union(lungs), sample.lung))
        overlaps.append(of_pair)
    table = np.array(overlaps)
    whole, half = (float(value) for value in table.mean(axis=0))
    return round(whole, 4), round(half, 4), round(float(table.min()), 4), found_by


def _union(lungs: DetectedLungs) -> NDArray[np.bool_]:
    nothing = np.zeros((SIDE_PX, SIDE_PX), np.bool_)
    return np.asarray(np.logical_or.reduce([nothing, *lungs.masks.values()]), np.bool_)


def _picture(grey: NDArray[np.float32], lungs: DetectedLungs) -> NDArray[np.uint8]:
    colour: Any = np.repeat(np.clip(grey, 0, 1)[..., None], 3, axis=2)
    for side, mask in lungs.masks.items():
        colour[mask] = 0.65 * colour[mask] + 0.35 * np.array(_TINTS[side], np.float32)
    return np.asarray((colour * 255).round(), np.uint8)
