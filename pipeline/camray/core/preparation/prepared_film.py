"""Preparation of a film for the network: masks, then the model grid of film or lungs, then equal grey levels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.imaging.film_statistics import film_area
from camray.core.imaging.resampling import Fit, plan_grid, resampled, to_model_grid
from camray.core.preparation.equalization import PAINTED_GREY, equalized
from camray.core.preparation.markers import without_markers
from camray.domain.geometry import Box, GridTransform, box_from_mask
from camray.domain.preparation import FilmPreparation

NO_LUNGS = "no lungs were found: markers are not masked, and the film is not cropped (ingest.prepare)"


@dataclass(frozen=True)
class ModelGrid:
    """The network's grid: rows and columns, px, and how films fit it."""

    rows: int
    cols: int
    fit: Fit


@dataclass(frozen=True, eq=False)
class NativeLungs:
    """Both lungs, and their convex hull with all that lies between them, bool [H, W] on a film's native grid."""

    lungs: NDArray[np.bool_]
    hull: NDArray[np.bool_]


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
    lungs: NativeLungs | None,
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
    lungs : NativeLungs or None
        The film's lungs, if ``preparation.needs_lungs``; None where none were found.

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
    note = NO_LUNGS if preparation.needs_lungs and lungs is None else ""
    transform = plan_grid((pixels.shape[0], pixels.shape[1]), (rows, cols), model_grid.fit, *spacing)
    if lungs is not None and preparation.crop_lungs:
        transform = cropped_grid(lungs.hull, preparation.crop_margin, model_grid, spacing)
    if lungs is not None and preparation.mask_markers:
        pixels = without_markers(pixels, lungs.hull)
    painted = _border(pixels, preparation.mask_border)
    if painted.any() and not painted.all():
        pixels = np.where(painted, np.median(pixels[~painted]), pixels).astype(np.float32)
    grey = resampled(pixels, rows, cols, transform)
    if preparation.equalize:
        cover = resampled(painted.astype(np.float32), rows, cols, transform)
        inside = np.zeros(grey.shape, np.bool_)
        inside[film_area(grey.shape, painted.shape, transform)] = True
        grey = np.where(inside & (cover > 0), np.float32(PAINTED_GREY), equalized(grey, inside & (cover <= 0)))
    return PreparedFilm(grey, transform, note)


def cropped_grid(
    hull: NDArray[np.bool_], margin: float, model_grid: ModelGrid, spacing: tuple[float | None, float | None]
) -> GridTransform:
    """Fit the model grid to the lungs as it would be fitted to a film of this size.

    Parameters
    ----------
    hull : ndarray of shape (H, W), bool
        Hull of the lungs, native grid; not empty.
    margin : float
        Added on each side, fraction of the hull's height and width.
    model_grid : ModelGrid
        Where to; with ``letterbox``, the margins show more of the film.
    spacing : (float or None, float or None)
        Row and column spacing; only their ratio matters.

    Returns
    -------
    GridTransform
        Native to model; boxes are mapped by it as for a whole film.
    """
    box = box_from_mask(hull)
    if box is None:
        raise ValueError("the hull of the lungs is empty; expected at least one pixel")
    wide, high = margin * (box.x1 - box.x0), margin * (box.y1 - box.y0)
    wider = Box(box.x0 - wide, box.y0 - high, box.x1 + wide, box.y1 + high).clipped(*hull.shape) or box
    x0, y0, x1, y1 = (round(corner) for corner in wider.as_tuple())
    grid = plan_grid((y1 - y0, x1 - x0), (model_grid.rows, model_grid.cols), model_grid.fit, *spacing)
    return GridTransform(
        grid.scale_x, grid.scale_y, grid.offset_x - x0 * grid.scale_x, grid.offset_y - y0 * grid.scale_y
    )


def _border(pixels: NDArray[np.float32], width: float) -> NDArray[np.bool_]:
    """Return the border of a film, native grid; `width` is a fraction of its height and width."""
    border = np.zeros(pixels.shape, np.bool_)
    if width:
        border[:] = True
        rows, cols = (round(width * size) for size in pixels.shape)
        border[rows : pixels.shape[0] - rows, cols : pixels.shape[1] - cols] = False
    return border
