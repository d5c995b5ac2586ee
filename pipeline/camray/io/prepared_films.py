"""Preparation of a new film as a trained network's contract says.

Reads   the shipped lung segmenter's weights, where the preparation needs them
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.core.preparation.prepared_film import ModelGrid, NativeLungs, PreparedFilm, prepare_film
from camray.domain.contract import ModelContract
from camray.domain.preparation import FilmPreparation


def prepare_for(
    contract: ModelContract, pixels: NDArray[np.float32], spacing: tuple[float | None, float | None]
) -> PreparedFilm:
    """Change a film, grey 0-1 on its native grid, as the films of the training were changed."""
    fit: Any = contract.fit
    grid = ModelGrid(contract.rows, contract.cols, fit)
    return prepare_film(pixels, spacing, grid, contract.preparation, lungs_for(contract.preparation, pixels, spacing))


def lungs_for(
    preparation: FilmPreparation, pixels: NDArray[np.float32], spacing: tuple[float | None, float | None]
) -> NativeLungs | None:
    """Find the lungs of a film, grey 0-1 on its native grid, if the preparation needs them and there are any."""
    if not preparation.needs_lungs:
        return None
    from camray.core.preparation.film_lungs import native_lungs  # PyTorch takes seconds in every worker
    from camray.io.film_lungs import shipped_lung_network

    return native_lungs(pixels, spacing, shipped_lung_network())
