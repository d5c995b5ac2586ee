"""Trivial baselines: predictors that do not look at the film, and that localization has to beat.

All are in fractions of the film's sides, so that one prediction fits films of every size:

- ``random``: uniform noise on the feature grid, interpolated and thresholded like a heat map; a few draws averaged;
- ``centre``: a Gaussian at the film's centre whose three standard deviations reach the edges, thresholded likewise;
- ``class_mean_box``: corner by corner the mean of all training boxes of the label; its centre is the point;
- ``fixed_point``: the point inside most training boxes of the label (a point only, no box);
- ``whole_image``: the film itself; its centre is the point;
- ``shuffled``: an annotated box of another film of the same label and split, drawn at random; its centre is the point;
  several shuffles averaged.

Maps (random, centre) are cut at 20 % of their maximum, or at the level that serves most validation films of the label
(largest region); unlike the product's calibrated recipes they are neither smoothed nor widened.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray
from camray.core.metrics.protocols.max_box_acc import LEVELS

RANDOM, CENTRE, CLASS_MEAN_BOX = "baseline:random", "baseline:centre", "baseline:class_mean_box"
FIXED_POINT, WHOLE_IMAGE, SHUFFLED = "baseline:fixed_point", "baseline:whole_image", "baseline:shuffled"
CENTRE_BOX = "baseline:centre_box"  # half the film's sides about its centre; in the protocols only
FEW_SHOT = "baseline:few_shot"  # looks at the film: no trivial baseline, see `few_shot`
BASELINES = (RANDOM, CENTRE, CLASS_MEAN_BOX, FIXED_POINT, WHOLE_IMAGE, SHUFFLED)
RANDOM_DRAWS = 3
SHUFFLES = 20
CENTRE_SIGMA = 1 / 6  # of the film's sides
EDGE_DECIMALS = 9  # of the film's sides


def keyed_generator(seed: int, *keys: str) -> np.random.Generator:
    """Return a generator that depends on the seed and the names alone, not on the order in which films come."""
    digest = hashlib.sha256("\x1f".join([str(seed), *keys]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def random_heat(seed: int, label: str, image_id: str, draw: int, rows: int, cols: int) -> NDArray[np.float32]:
    """Draw uniform noise on a feature grid.

    Parameters
    ----------
    seed : int
        Of the baseline.
    label, image_id : str
        Of the map.
    draw : int
        Number of the repetition.
    rows, cols : int
        Feature grid.

    Returns
    -------
    ndarray of shape (rows, cols), float32
        0-1; equal for equal arguments.
    """
    generator = keyed_generator(seed, "random", label, image_id, str(draw))
    return generator.random((rows, cols), dtype=np.float32)


def native_boxes(fraction_box: FloatArray, sizes_xy: FloatArray) -> FloatArray:
    """Map boxes in fractions of the sides to native pixels.

    Parameters
    ----------
    fraction_box : ndarray of shape (4,) or (N, 4), float64
        One box, or one per film, 0-1.
    sizes_xy : ndarray of shape (N, 2), float64
        Columns and rows of the films, px.

    Returns
    -------
    ndarray of shape (N, 4), float64
        (x0, y0, x1, y1), native px.
    """
    return np.broadcast_to(fraction_box, (len(sizes_xy), 4)) * np.tile(sizes_xy, 2)


def box_centres(boxes: FloatArray) -> FloatArray:
    """Compute the centres of boxes.

    Parameters
    ----------
    boxes : ndarray of shape (..., 4), float64
        (x0, y0, x1, y1), any grid.

    Returns
    -------
    ndarray of shape (..., 2), float64
        (x, y), same grid.
    """
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def centre_boxes(sizes_xy: FloatArray) -> FloatArray:
    """Boxes of the centre Gaussian at every threshold.

    Parameters
    ----------
    sizes_xy : ndarray of shape (N, 2), float64
        Native columns and rows.

    Returns
    -------
    ndarray of shape (N, T, 4), float64
        Native px, one for each of `LEVELS` (fractions of the maximum). The region where ``exp(-d^2 / (2 sigma^2))``
        is at least the level reaches ``sigma * sqrt(2 ln(1 / level))`` from the centre; clipped to the film.
    """
    reach = np.full(len(LEVELS), 0.5)
    reach[1:] = np.minimum(CENTRE_SIGMA * np.sqrt(-2 * np.log(LEVELS[1:])), 0.5)
    fractions = np.stack([0.5 - reach, 0.5 - reach, 0.5 + reach, 0.5 + reach], axis=1)
    return fractions[None] * np.tile(sizes_xy, 2)[:, None]


def class_mean_box(training: FloatArray) -> FloatArray:
    """Average the training boxes corner by corner.

    Parameters
    ----------
    training : ndarray of shape (A, 4), float64
        All training boxes of a label, as fractions of their films' sides.

    Returns
    -------
    ndarray of shape (4,), float64
        NaN without training boxes.
    """
    return training.mean(axis=0) if len(training) else np.full(4, np.nan)


def fixed_point(training: FloatArray) -> FloatArray:
    """Find the point that is inside most training boxes: the exact maximum of their coverage.

    Parameters
    ----------
    training : ndarray of shape (A, 4), float64
        All training boxes of a label, as fractions of their films' sides; half-open.

    Returns
    -------
    ndarray of shape (2,), float64
        (x, y): the centre of the most covered cell of the grid that all the boxes' edges span; of equals the widest
        cell by area, of those the first from left, then from top. NaN without training boxes.

    Notes
    -----
    Coverage changes only at edges, so the grid of all edges holds the maximum. Edges that differ by rounding alone are
    one edge: 0.1 + 0.2 and 0.3 bound no cell. Slabs are visited from left to right
    and keep one column of coverage: memory grows with the number of boxes, not with its square.
    """
    if len(training) == 0:
        return np.full(2, np.nan)
    training = training.round(EDGE_DECIMALS)
    edges_x, edges_y = np.unique(training[:, [0, 2]]), np.unique(training[:, [1, 3]])
    first_x, last_x = (np.searchsorted(edges_x, training[:, corner]) for corner in (0, 2))
    first_y, last_y = (np.searchsorted(edges_y, training[:, corner]) for corner in (1, 3))
    opens, closes = np.argsort(first_x, kind="stable"), np.argsort(last_x, kind="stable")
    heights = np.diff(edges_y)
    coverage = np.zeros(len(heights), np.int64)
    best, point = (0, 0.0), np.full(2, np.nan)
    opened = closed = 0
    for slab in range(len(edges_x) - 1):
        while opened < len(opens) and first_x[opens[opened]] == slab:
            coverage[first_y[opens[opened]] : last_y[opens[opened]]] += 1
            opened += 1
        while closed < len(closes) and last_x[closes[closed]] == slab:
            coverage[first_y[closes[closed]] : last_y[closes[closed]]] -= 1
            closed += 1
        top = int(coverage.max())
        if top < best[0] or top == 0:
            continue
        row = int(np.argmax(np.where(coverage == top, heights, -1.0)))
        area = float(heights[row] * (edges_x[slab + 1] - edges_x[slab]))
        if (top, area) > best:
            best = (top, area)
            point = np.array([edges_x[slab : slab + 2].mean(), edges_y[row : row + 2].mean()])
    return point


def shuffled_boxes(items: AnnotatedFilms, seed: int) -> list[FloatArray]:
    """Assign every film an annotated box of another film of the same label.

    Parameters
    ----------
    items : AnnotatedFilms
        N annotated films.
    seed : int
        Same seed, same boxes, whatever the order of the films.

    Returns
    -------
    list of ndarray of shape (N, 4), float64
        One array for each of the shuffles: native px of the receiving film. No film keeps its own box; NaN where there
        is only one film.
    """
    if len(items) < 2:
        return [np.full((len(items), 4), np.nan)]
    fractions = items.fraction_boxes()
    generator = keyed_generator(seed, "shuffled", items.label)
    shuffles = []
    for _ in range(SHUFFLES):
        order = generator.permutation(len(items))
        donors = np.empty(len(items), np.int64)
        donors[order] = np.roll(order, 1)  # one cycle through all the films: nobody is its own donor
        rows = items.starts[donors] + generator.integers(0, items.box_counts[donors])
        shuffles.append(native_boxes(fractions[rows], items.sizes_xy))
    return shuffles
