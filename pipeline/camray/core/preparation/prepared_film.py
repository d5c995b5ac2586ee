"""Preparation of a film for the network: parts painted over, then the model grid, then equalized grey levels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.imaging.film_statistics import film_area
from camray.core.imaging.resampling import Fit, resampled, to_model_grid
from camray.core.networks.lung_unet import LungUNet
from camray.core.preparation.equalization import PAINTED_GREY, equalized
from camray.core.preparation.film_lungs import lung_hull
from camray.core.preparation.markers import without_markers
from camray.domain.geometry import GridTransform
from camray.domain.preparation import FilmPreparation

NO_LUNGS = "no lungs were found, so that markers are not masked"


@dataclass(frozen=True)
class ModelGrid:
    """The network's grid: rows and columns, px, and how films fit it."""

    rows: int
    cols: int
    fit: Fit


@dataclass(frozen=True, eq=False)
class PreparedFilm:
    """A film on the model grid.

    Parameters
    ----------
    grey : ndarray of shape (rows, cols), float32
        Model grid, 0-1; margins are 0.
    transform : GridTransform
        Native to model grid.
    note : str
        What could not be done; empty otherwise.
    """

    grey: NDArray[np.float32]
    transform: GridTransform
    note: str = ""


def prepare_film(
    pixels: NDArray[np.float32],
    spacing: tuple[float | None, float | None],
    model_grid: ModelGrid,
    preparation: FilmPreparation,
    network: LungUNet | None,
) -> PreparedFilm:
    """Change a film as the preparation says, and bring it to the model grid.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Grey 0-1, native grid.
    spacing : (float or None, float or None)
        Row and column spacing; only their ratio matters.
    model_grid : ModelGrid
        Where to.
    preparation : FilmPreparation
        What to change.
    network : LungUNet or None
        Lung segmenter, on the CPU; needed if ``preparation.needs_lungs``.

    Returns
    -------
    PreparedFilm
        Without preparation: the film resampled, and nothing else.

    Notes
    -----
    The border gets the median of the rest, so that nothing of what it showed remains; equalization does not count it.
    """
    rows, cols = model_grid.rows, model_grid.cols
    if preparation.is_identity:
        return PreparedFilm(*to_model_grid(pixels, rows, cols, model_grid.fit, *spacing))
    note = ""
    if preparation.mask_markers:
        hull = _hull(pixels, spacing, network)
        pixels = pixels if hull is None else without_markers(pixels, hull)
        note = NO_LUNGS if hull is None else ""
    painted = _border(pixels, preparation.mask_border)
    if painted.any() and not painted.all():
        pixels = np.where(painted, np.median(pixels[~painted]), pixels).astype(np.float32)
    grey, transform = to_model_grid(pixels, rows, cols, model_grid.fit, *spacing)
    if preparation.equalize:
        cover = resampled(painted.astype(np.float32), rows, cols, transform)
        inside = np.zeros(grey.shape, np.bool_)
        inside[film_area(grey.shape, painted.shape, transform)] = True
        grey = np.where(inside & (cover > 0), np.float32(PAINTED_GREY), equalized(grey, inside & (cover <= 0)))
    return PreparedFilm(grey, transform, note)


def _hull(
    pixels: NDArray[np.float32], spacing: tuple[float | None, float | None], network: LungUNet | None
) -> NDArray[np.bool_] | None:
    if network is None:
        raise ValueError("this preparation needs a lung segmenter, and none is given")
    return lung_hull(pixels, spacing, network)


def _border(pixels: NDArray[np.float32], width: float) -> NDArray[np.bool_]:
    """Return the border of a film, native grid; `width` is a fraction of its height and width."""
    border = np.zeros(pixels.shape, np.bool_)
    if width:
        border[:] = True
        rows, cols = (round(width * size) for size in pixels.shape)
        border[rows : pixels.shape[0] - rows, cols : pixels.shape[1] - cols] = False
    return border
