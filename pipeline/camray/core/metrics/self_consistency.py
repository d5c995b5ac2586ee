"""How consistent the boxes of a network are with itself, from image labels alone, and whether another is more so.

Two measures for each film that shows a label: *agreement*, the IoU of the boxes of the film and of its mirror image;
and *removal*, how far the film's logit falls towards films without the label once the box's content is painted over,
less what falls if the same box is painted over at the mirrored place. A box that is always at the same place agrees
with its mirror image only by chance of lying in the middle, and its removal takes no more than another one's; a larger
box takes more with it, and so does the larger one at the mirrored place. The film's *consistency* is the mean of both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.domain.geometry import Box, CropWindow

LEAST_FILMS = 8
LEAST_ERRORS = 2.0  # standard errors by which the mean difference must exceed zero
_SURROUNDINGS = 1.5  # factor on the sides of a box: the grey between the two fills it


@dataclass(frozen=True)
class Judgement:
    """Whether a second network's boxes of one label are more consistent.

    Parameters
    ----------
    difference : float
        Mean of the films' differences, second less first; NaN without films.
    standard_error : float
        Of the mean; NaN with fewer than two films.
    is_kept : bool
    reason : str
    """

    difference: float
    standard_error: float
    is_kept: bool
    reason: str


def judge(before: NDArray[np.float64], after: NDArray[np.float64]) -> Judgement:
    """Compare two networks film by film; the second is kept where it is better by two standard errors.

    Parameters
    ----------
    before, after : ndarray of shape (N,), float64
        Consistency of the first and the second network on the same films.

    Returns
    -------
    Judgement
        With the reason where it is not kept.

    Examples
    --------
    >>> before = np.zeros(8)
    >>> judge(before, np.full(8, 0.1)).is_kept, judge(before, np.eye(8)[0]).reason
    (True, 'no clear gain')
    """
    films, differences = len(before), after - before
    mean = float(differences.mean()) if films else float("nan")
    error = float(differences.std(ddof=1) / np.sqrt(films)) if films > 1 else float("nan")
    if films < LEAST_FILMS:
        return Judgement(mean, error, False, f"fewer than {LEAST_FILMS} validation films")
    if mean > LEAST_ERRORS * error:
        return Judgement(mean, error, True, "more consistent")
    return Judgement(mean, error, False, "less consistent" if mean < -LEAST_ERRORS * error else "no clear gain")


def removed_share(logit: NDArray[np.float64], without: NDArray[np.float64], absent: float) -> NDArray[np.float64]:
    """Compute how far logits fall towards those of films without the label.

    Parameters
    ----------
    logit : ndarray of shape (N,), float64
        Of films that show the label.
    without : ndarray of shape (N,), float64
        Of the same films with something painted over.
    absent : float
        Median logit of films without the label.

    Returns
    -------
    ndarray of shape (N,), float64
        0 for no fall, 1 for one down to `absent` or below; 0 where the film is not above it.

    Examples
    --------
    >>> removed_share(np.array([2.0, 2.0, -5.0]), np.array([1.0, -9.0, -9.0]), absent=-2.0)
    array([0.25, 1.  , 0.  ])
    """
    above = logit - absent
    share = np.divide(logit - without, above, out=np.zeros_like(above), where=above > 0)
    return np.asarray(np.clip(share, 0.0, 1.0))


def mirrored_box(box: Box, window: CropWindow) -> Box:
    """Return the box at the mirrored place of a film.

    Parameters
    ----------
    box : Box
        Model grid.
    window : CropWindow
        What the film covers of it.

    Examples
    --------
    >>> mirrored_box(Box(2.0, 0.0, 3.0, 1.0), CropWindow(0, 8, 2, 8)).as_tuple()
    (7.0, 0.0, 8.0, 1.0)
    """
    edges = window.col0 + window.col1
    return Box(edges - box.x1, box.y0, edges - box.x0, box.y1)


def painted_over(grey: NDArray[np.float32], box: Box, window: CropWindow) -> NDArray[np.float32]:
    """Fill a box with the grey around it.

    Parameters
    ----------
    grey : ndarray of shape (rows, cols), float32
        Film on the model grid.
    box : Box
        Model grid, px.
    window : CropWindow
        What the film covers of it.

    Returns
    -------
    ndarray of shape (rows, cols), float32
        A copy, with the median grey of the surroundings in the box; the film's median where it has none.

    Examples
    --------
    >>> film = np.array([[1, 1, 9, 3]], np.float32)
    >>> painted_over(film, Box(2.0, 0.0, 3.0, 1.0), CropWindow(0, 1, 0, 4))
    array([[1., 1., 2., 3.]], dtype=float32)
    """
    inside = _pixels(box, 1.0, window)
    around = np.zeros(grey.shape, np.bool_)
    around[_pixels(box, _SURROUNDINGS, window)] = True
    around[inside] = False
    filled = grey.copy()
    filled[inside] = np.median(grey[around] if around.any() else grey[window.slices])
    return filled


def _pixels(box: Box, factor: float, window: CropWindow) -> tuple[slice, slice]:
    """Return the film's pixels that a box touches, its sides multiplied."""
    half_x, half_y = ((high - low) / 2 * factor for low, high in ((box.x0, box.x1), (box.y0, box.y1)))
    x, y = box.centre_xy
    rows = max(int(np.floor(y - half_y)), window.row0), min(int(np.ceil(y + half_y)), window.row1)
    cols = max(int(np.floor(x - half_x)), window.col0), min(int(np.ceil(x + half_x)), window.col1)
    return slice(*rows), slice(*cols)
