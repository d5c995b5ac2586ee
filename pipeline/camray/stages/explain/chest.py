"""Heat maps held inside the chest."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from camray.core.explain.test_time_averaging import MapsAndLogits
from camray.core.localization.heat_maps import film_window
from camray.core.networks.chest_region import find_chests, held_inside
from camray.core.networks.lung_unet import LungUNet
from camray.domain.geometry import CropWindow
from camray.io.film_lungs import read_lung_network
from camray.io.ingested_films import IngestedFilms


def chest_finder(within: str, device: torch.device) -> LungUNet | None:
    """Return the shipped lung segmenter where maps are held inside the chest; None for the whole film."""
    return read_lung_network(None, device) if within == "chest" else None


def bounded_maps(maps: MapsAndLogits, films: Tensor, windows: Sequence[CropWindow], network: LungUNet) -> MapsAndLogits:
    """Lower the heat outside each film's chest to the map's lowest.

    Parameters
    ----------
    maps : MapsAndLogits
        Of B films.
    films : Tensor of shape (B, 1, H, W), float
        Model grid, grey 0-1.
    windows : sequence of CropWindow
        The part of the model grid that each film covers.
    network : LungUNet
        From `chest_finder`.

    Returns
    -------
    MapsAndLogits
        On the CPU; logits as given.
    """
    chests = find_chests(network, films, windows)
    return MapsAndLogits(maps.logits, {name: held_inside(chests, heat) for name, heat in maps.heat.items()})


def windows_of(ingested: IngestedFilms, films: pd.DataFrame, shape_model: tuple[int, int]) -> list[CropWindow]:
    """Return the part of the model grid that each of some films covers, in their order."""
    records = [ingested.film(str(image_id)) for image_id in films["image_id"]]
    return [film_window(film.transform, film.shape_native, shape_model) for film in records]
