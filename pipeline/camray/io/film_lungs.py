"""Lungs of ingested films, and the zones of boxes on them.

Reads   ``ingest/images.parquet store/``; the lung segmenter's weights
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.adapters.checkpoints import read_weights
from camray.adapters.progress import progress
from camray.core.lungs.detection import DetectedLungs, find_lungs
from camray.core.lungs.zones import zones_of_boxes
from camray.core.networks.lung_unet import LungUNet, lung_probabilities, lung_view, window_of
from camray.domain.errors import CheckpointError
from camray.domain.geometry import CropWindow, GridTransform, box_from_mask
from camray.domain.package_data import lung_weights
from camray.domain.records import CORNERS, LUNG_COLUMNS
from camray.domain.zones import side_of_laterality
from camray.io.ingested_films import IngestedFilms, transform_of

_FILMS_AT_ONCE = 32


@dataclass(frozen=True)
class FilmLungs:
    """Lungs of films by image_id, with the transform from the native to the lungs' grid and the film's window there."""

    lungs: dict[str, DetectedLungs]
    transforms: dict[str, GridTransform]
    windows: dict[str, CropWindow]

    def zones(self, boxes: pd.DataFrame) -> list[str]:
        """Name the zone of every row.

        Parameters
        ----------
        boxes : DataFrame
            ``image_id x0 y0 x1 y1``, native px; missing corners where there is no box.
        """
        zones = np.full(len(boxes), "", dtype=object)
        corners = boxes[CORNERS].to_numpy(np.float64)
        for image_id, indices in boxes.groupby("image_id", sort=False, observed=True).indices.items():
            to_grid = self.transforms[str(image_id)]
            scale = np.array([to_grid.scale_x, to_grid.scale_y] * 2)
            moved = corners[indices] * scale + np.array([to_grid.offset_x, to_grid.offset_y] * 2)
            zones[indices] = zones_of_boxes(moved, self.lungs[str(image_id)])
        return list(zones)

    def table(self) -> pd.DataFrame:
        """Return `LUNG_COLUMNS`: one row per lung, and one per film without lungs."""
        rows: list[tuple[object, ...]] = []
        for image_id, lungs in self.lungs.items():
            rows += _rows_of(image_id, lungs, self.transforms[image_id], self.windows[image_id].area)
        return pd.DataFrame(rows, columns=list(LUNG_COLUMNS))


def read_lung_weights(path: Path | None) -> dict[str, Tensor]:
    """Read a lung segmenter's weights; the shipped ones where no file is named.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or no lung segmenter's.
    """
    file = lung_weights() if path is None else path
    given, own = read_weights(file), LungUNet().state_dict()
    if {name: value.shape for name, value in given.items()} != {name: value.shape for name, value in own.items()}:
        raise CheckpointError(f"{file}: not weights of a lung segmenter; make them with `camray lungs train`")
    return {name: value.to(own[name].dtype) for name, value in given.items()}


def read_lung_network(path: Path | None, device: torch.device) -> LungUNet:
    """Read a lung segmenter, ready to use; see `read_lung_weights`."""
    network = LungUNet()
    network.load_state_dict(read_lung_weights(path))
    return network.to(device).requires_grad_(False)


@lru_cache(maxsize=1)
def shipped_lung_network() -> LungUNet:
    """Return the shipped lung segmenter on the CPU; read once per process."""
    return read_lung_network(None, torch.device("cpu"))


def find_film_lungs(films: IngestedFilms, image_ids: list[str], network: LungUNet, device: torch.device) -> FilmLungs:
    """Find the lungs of ingested films, in the order of `image_ids`."""
    images = films.images.set_index("image_id").loc[image_ids]
    film_lungs = FilmLungs({}, {}, {})
    starts = range(0, len(images), _FILMS_AT_ONCE)
    for start in progress(starts, len(starts), "finding lungs"):
        part = images.iloc[start : start + _FILMS_AT_ONCE]
        pixels = films.stored_pixels(part)
        for (image_id, film), (grey, likely, to_view) in zip(
            part.iterrows(), _views(pixels, network, device), strict=True
        ):
            to_grid = transform_of(film).then(to_view.scale_x, to_view.scale_y, to_view.offset_x, to_view.offset_y)
            window = window_of(to_grid, int(film["rows"]), int(film["cols"]))
            lungs = find_lungs(grey, likely, window, side_of_laterality(str(film["laterality"])))
            film_lungs.lungs[str(image_id)] = lungs
            film_lungs.transforms[str(image_id)], film_lungs.windows[str(image_id)] = to_grid, window
    return film_lungs


def _views(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], network: LungUNet, device: torch.device
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], GridTransform]]:
    largest = float(np.iinfo(pixels.dtype).max)
    films = torch.from_numpy(pixels.astype(np.float32) / np.float32(largest))[:, None]
    views, to_view = lung_view(films.to(device))
    likely = lung_probabilities(network, views)
    for grey, probability in zip(views[:, 0].cpu().numpy(), likely[:, 0].float().cpu().numpy(), strict=True):
        yield grey, probability, to_view


def _rows_of(image_id: str, lungs: DetectedLungs, to_grid: GridTransform, film_px: int) -> Iterator[tuple[object, ...]]:
    if not lungs.masks:
        yield image_id, "", str(lungs.source), *(float("nan"),) * 5
    for side, mask in lungs.masks.items():
        box = box_from_mask(mask)
        if box is None:
            continue
        native = to_grid.box_to_native(box).as_tuple()
        yield image_id, str(side), str(lungs.source), *native, float(mask.sum()) / film_px
