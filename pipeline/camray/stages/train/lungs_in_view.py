"""Lungs on some training films, before a training that penalizes evidence outside the chest.

Reads   ``ingest/images.parquet store/``; the lung segmenter's weights
"""

from typing import Any

import numpy as np
import torch

from camray.domain.errors import SettingsError
from camray.io.film_lungs import find_film_lungs, read_lung_network
from camray.io.ingested_films import IngestedFilms
from camray.io.labelled_films import LabelledFilms

FILMS = 64  # half a second on one core


def lungs_in_view(ingested: IngestedFilms, films: LabelledFilms) -> dict[str, Any]:
    """Look for lungs on some training films, evenly spread: those without add nothing to ``train.outside_penalty``.

    Raises
    ------
    SettingsError
        If none has lungs.
    """
    chosen = np.unique(np.linspace(0, len(films) - 1, min(FILMS, len(films))).astype(np.int64))
    device = torch.device("cpu")
    found = find_film_lungs(ingested, list(films.image_ids[chosen]), read_lung_network(None, device), device)
    seen = sum(bool(lungs.masks) for lungs in found.lungs.values())
    if not seen:
        raise SettingsError(
            f"train.outside_penalty: no lungs were found on any of {len(chosen)} training films, so that it would do "
            "nothing; expected chest films with lungs in view; set it to 0"
        )
    what = f"lungs were found on {seen} of {len(chosen)} training films; the others add no penalty"
    return {"note_outside_penalty": what} if seen < len(chosen) else {}
