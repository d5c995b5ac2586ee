"""Check of one film that a predictor reads: whether it is like those of training."""

import numpy as np

from camray.core.imaging.film_range import FilmFacts, FilmRange, appearance_of
from camray.core.imaging.film_statistics import StoredPixels, film_area, image_statistics
from camray.domain.geometry import GridTransform
from camray.workflows.predictor_input import GreyFilm


def why_foreign(known: FilmRange, film: GreyFilm, stored: StoredPixels, transform: GridTransform) -> str:
    """Say why a film is unlike those of training; empty if it is not.

    Parameters
    ----------
    known : FilmRange
        Of the run.
    film : GreyFilm
        On its native grid.
    stored : ndarray of shape (rows, cols), uint8 or uint16
        The film on the model grid, as the pixel store has it.
    transform : GridTransform
        Native to model grid.
    """
    inside = film_area((stored.shape[0], stored.shape[1]), (film.pixels.shape[0], film.pixels.shape[1]), transform)
    look = appearance_of(image_statistics(stored[inside]))
    return known.why_foreign(FilmFacts(look[None], (film.view,), np.array([film.width_mm]), np.zeros(1, np.int64)))[0]
