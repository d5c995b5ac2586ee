"""The few-shot baseline: a box head on the frozen network's features, trained on the boxes that chose the thresholds.

Choe et al. (CVPR 2020) found no weakly supervised method better than a small head trained on the very boxes with which
those methods choose their hyperparameters. This is that head: one logistic regression per label (a 1x1 convolution)
from the channels of a cell of the feature map to the share of the cell that a box of the label covers.

It is trained on the validation films with a box of the label. The penalty on its weights, and later the threshold of
its maps, are chosen on maps of films whose patients had no part in the fit (five folds by patient).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from camray.core.cohort.patient_splits import assign_by_patient
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, IntArray
from camray.core.metrics.localization.baselines import keyed_generator
from camray.core.metrics.localization.rows import Geometry
from camray.core.metrics.logistic_regression import Logistic, fit_logistic
from camray.core.metrics.protocols.containment import covered_cells

FOLDS = 5
MIN_PATIENTS = FOLDS  # every fold holds one
PENALTIES = (1.0, 0.1, 0.01, 0.001)  # per cell, strongest first
MAX_CHANNELS = 128  # networks with more: principal components, so that a fit takes a second at most
MAX_CELLS = 5_000  # that a fit of one label sees


@dataclass(frozen=True, eq=False)
class BoxedCells:
    """Feature cells of the P validation films with a box of one label.

    Parameters
    ----------
    label : str
        Finding.
    features : ndarray of shape (P, h, w, D), float32
        Channels of each cell.
    covered : ndarray of shape (P, h, w), float64
        From `covered_shares`.
    patients : ndarray of shape (P,), int64
        Patient number of each film.
    """

    label: str
    features: NDArray[np.float32]
    covered: FloatArray
    patients: IntArray


@dataclass(frozen=True, eq=False)
class BoxHead:
    """A trained head.

    Parameters
    ----------
    model : Logistic
        Logit that a cell is inside a box, from its D channels; fitted on all P films.
    penalty : float
        Chosen of `PENALTIES`.
    held_out : ndarray of shape (P, h, w), float32
        Probability of each cell by the head of the films of other folds.
    """

    model: Logistic
    penalty: float
    held_out: NDArray[np.float32]


def covered_shares(items: AnnotatedFilms, geometry: Geometry, shape_feature: tuple[int, int]) -> FloatArray:
    """Compute how much of each feature cell an annotated box covers: what a head learns.

    Parameters
    ----------
    items : AnnotatedFilms
        P annotated films of one label.
    geometry : Geometry
        Positions of the films on the model grid.
    shape_feature : tuple of int
        (h, w) of the feature grid.

    Returns
    -------
    ndarray of shape (P, h, w), float64
        0-1, of several boxes the one that covers most; NaN where the cell's centre is not on the film: such cells have
        no part in the training.
    """
    shares = np.zeros((len(items), *shape_feature))
    down, across = (cells / px for cells, px in zip(shape_feature, geometry.shape_model, strict=True))
    for owner, box in zip(items.owners, items.boxes, strict=True):
        to_cells = geometry.placements[items.image_ids[owner]].transform.then(across, down)
        shares[owner] = np.maximum(shares[owner], covered_cells(box, to_cells, shape_feature))
    rows, cols = (
        (np.arange(cells) + 0.5) * px / cells for cells, px in zip(shape_feature, geometry.shape_model, strict=True)
    )
    for film, image_id in enumerate(items.image_ids):
        window = geometry.placements[image_id].window
        shares[film, (rows < window.row0) | (rows >= window.row1)] = np.nan
        shares[film, :, (cols < window.col0) | (cols >= window.col1)] = np.nan
    return shares


def principal_axes(cells: Iterable[NDArray[np.floating[Any]]], most: int = MAX_CHANNELS) -> FloatArray:
    """Reduce channels: the axes along which cells have the largest mean square; all channels where they are few.

    Parameters
    ----------
    cells : iterable of ndarray of shape (n, K), floating
        Cells of some films at a time, at least one; read no further than needed.
    most : int
        Axes to keep.

    Returns
    -------
    ndarray of shape (K, D), float64
        ``cells @ axes`` are the D columns: the channels as they are if K is at most `most`.
    """
    squares: FloatArray | None = None
    for part in cells:
        if part.shape[1] <= most:
            return np.eye(part.shape[1])
        wide = part.astype(np.float64)
        squares = wide.T @ wide + (0.0 if squares is None else squares)
    if squares is None:
        raise ValueError("no cells to reduce the channels of")
    return np.asarray(np.linalg.eigh(squares)[1][:, ::-1][:, :most])


def trainable_patients(items: AnnotatedFilms, covered: FloatArray) -> int:
    """Count the patients that a head can learn from, see `MIN_PATIENTS`.

    Parameters
    ----------
    items : AnnotatedFilms
        P validation films of one label.
    covered : ndarray of shape (P, h, w), float64
        From `covered_shares`.

    Returns
    -------
    int
        Patients with covered cells, or those with uncovered ones, whichever are fewer.
    """
    kinds = [(covered > 0).any(axis=(1, 2)), (covered < 1).any(axis=(1, 2))]
    return min(len(np.unique(items.patients[films])) for films in kinds)


def train_box_head(cells: BoxedCells, seed: int, penalties: tuple[float, ...] = PENALTIES) -> BoxHead:
    """Choose the penalty on held-out patients, and fit on all films.

    Parameters
    ----------
    cells : BoxedCells
        Of at least `MIN_PATIENTS` patients as `trainable_patients` counts them.
    seed : int
        Deals patients to folds and picks the cells of a fit.
    penalties : tuple of float
        To choose from, strongest first: factors on half the squared weights (of standardised columns) beside the mean
        loss of a cell.

    Returns
    -------
    BoxHead
        Of the penalties, the one with the lowest log loss on the held-out cells; the strongest of equals.
    """
    is_open = np.asarray((cells.covered < 1).any(axis=(1, 2)))
    signatures = ["open" if each else "whole" for each in is_open]  # so that no fold takes all films of a kind
    fold = assign_by_patient([str(number) for number in cells.patients], signatures, [1.0] * FOLDS, seed)
    counts = _cell_counts(cells, seed)
    logits = np.zeros((len(penalties), *cells.covered.shape))
    for number in range(FOLDS):
        held_out = fold == number
        for column, penalty in enumerate(penalties):
            model = _fit(cells, np.where(held_out[:, None, None], 0.0, counts), penalty)
            logits[column, held_out] = model.logits(cells.features[held_out])
    losses = np.nanmean(np.logaddexp(0.0, logits) - cells.covered * logits, axis=(1, 2, 3))
    best = int(np.argmin(losses))
    return BoxHead(_fit(cells, counts, penalties[best]), penalties[best], expit(logits[best]).astype(np.float32))


def _cell_counts(cells: BoxedCells, seed: int) -> FloatArray:
    """Pick at most half of `MAX_CELLS` covered and as many uncovered cells at random, [P, h, w].

    Returns
    -------
    ndarray of shape (P, h, w), float64
        How many cells a picked one stands for; 0 for all others.
    """
    generator, counts = keyed_generator(seed, "few_shot", cells.label), np.zeros(cells.covered.size)
    for kind in (cells.covered > 0, cells.covered == 0):
        all_cells = np.flatnonzero(kind)
        picked = generator.choice(all_cells, min(len(all_cells), MAX_CELLS // 2), replace=False)
        counts[picked] = len(all_cells) / max(len(picked), 1)
    return counts.reshape(cells.covered.shape)


def _fit(cells: BoxedCells, counts: FloatArray, penalty: float) -> Logistic:
    """Fit on the cells that count: with a share s covered, one counts s times as inside and 1 - s as outside."""
    is_used = counts > 0
    features, covered, counts = cells.features[is_used], cells.covered[is_used], counts[is_used]
    inside, outside = covered > 0, covered < 1
    rows = np.concatenate([features[inside], features[outside]])
    target = np.arange(len(rows)) < inside.sum()
    both = np.concatenate([(covered * counts)[inside], ((1.0 - covered) * counts)[outside]])
    return fit_logistic(rows, target, both, penalty * float(counts.sum()))
