"""Lung coverage of audited films: the share of lung in each tile of a grid, on an even choice of films.

Reads   ``ingest/images.parquet store/``; the lung segmenter's weights
"""

import numpy as np
import torch
from numpy.typing import NDArray

from camray.core.imaging.film_statistics import TILE_SIDE
from camray.core.shortcuts.features import tile_shares
from camray.io.film_lungs import find_film_lungs, read_lung_network
from camray.io.ingested_films import IngestedFilms

FILMS = 64  # half a second on one core; what is asked is where lungs may lie at all


def lung_shares(films: IngestedFilms, image_ids: list[str]) -> NDArray[np.float64]:
    """Find the lungs of at most `FILMS` films, evenly spread.

    Parameters
    ----------
    films : IngestedFilms
        Their pixels are in the store.
    image_ids : list of str
        Training films.

    Returns
    -------
    ndarray of shape (films, 12, 12), float64
        The share of each tile of the film that is lung, 0-1; films on which no lung was found are left out.
    """
    sample = [image_ids[int(number)] for number in np.linspace(0, len(image_ids) - 1, min(FILMS, len(image_ids)))]
    device = torch.device("cpu")  # the same tiles wherever the rest computes
    film_lungs = find_film_lungs(films, sample, read_lung_network(None, device), device)
    shares = []
    for image_id, lungs in film_lungs.lungs.items():
        window = film_lungs.windows[image_id]
        if lungs.masks:
            mask = np.logical_or.reduce(list(lungs.masks.values()))
            shares.append(tile_shares(mask[window.row0 : window.row1, window.col0 : window.col1], TILE_SIDE))
    return np.stack(shares) if shares else np.zeros((0, TILE_SIDE, TILE_SIDE))
