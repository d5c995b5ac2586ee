"""Detections: predicted boxes of one label with confidences, matched to annotated boxes.

All protocols here take every box a film has, not only its best.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.domain.geometry import iou_matrix

UNMATCHED = -1


@dataclass(frozen=True)
class Detections:
    """One label's annotated and predicted boxes on N films.

    Parameters
    ----------
    label : str
        Finding.
    patients : ndarray of shape (N,), int64
        Patient number of each film. A film without boxes counts: what is predicted there is false.
    annotated, annotated_film : ndarray of shape (A, 4), float64, and (A,), int64
        Native px, half-open; and the film of each.
    predicted, predicted_film : ndarray of shape (D, 4), float64, and (D,), int64
        Likewise.
    confidence : ndarray of shape (D,), float64
        Finite; only its order counts.
    """

    label: str
    patients: IntArray
    annotated: FloatArray
    annotated_film: IntArray
    predicted: FloatArray
    predicted_film: IntArray
    confidence: FloatArray

    @property
    def order(self) -> IntArray:
        """Predicted boxes from the surest down; of equals in the order of the films, then as given."""
        return np.lexsort((np.arange(len(self.confidence)), self.predicted_film, -self.confidence)).astype(np.int64)

    @property
    def annotated_counts(self) -> IntArray:
        """Annotated boxes per film, [N]."""
        return np.bincount(self.annotated_film, minlength=len(self.patients)).astype(np.int64)

    def kept(self, is_kept: NDArray[np.bool_]) -> "Detections":
        """Return the same films with some of the predicted boxes.

        Parameters
        ----------
        is_kept : ndarray of shape (D,), bool
            The boxes to keep.

        Returns
        -------
        Detections
            A copy.
        """
        return Detections(
            self.label,
            self.patients,
            self.annotated,
            self.annotated_film,
            self.predicted[is_kept],
            self.predicted_film[is_kept],
            self.confidence[is_kept],
        )


@dataclass(frozen=True)
class Matches:
    """Matches of predicted boxes, in the order given.

    Parameters
    ----------
    annotation : ndarray of shape (D,), int64
        The annotated box that this one found first, or `UNMATCHED`.
    overlaps : ndarray of shape (D,), bool
        Whether it overlaps any annotated box enough, found before or not.
    """

    annotation: IntArray
    overlaps: NDArray[np.bool_]


def match(detections: Detections, iou_threshold: float, *, strict: bool, second_choice: bool) -> Matches:
    """Match predicted to annotated boxes film by film, the surest first; each annotated box is found once.

    Parameters
    ----------
    detections : Detections
        D predicted boxes.
    iou_threshold : float
        What a match needs.
    strict : bool
        Whether it needs more than that, or at least that.
    second_choice : bool
        Whether a box whose best annotated box is taken may find another (COCO), or is false (PASCAL VOC).
    """
    matched = np.full(len(detections.predicted), UNMATCHED, np.int64)
    overlaps = np.zeros(len(matched), bool)
    taken = np.zeros(len(detections.annotated), bool)
    films = by_film(detections.annotated_film, len(detections.patients))
    for number in detections.order:
        own = films[detections.predicted_film[number]]
        if not len(own):
            continue
        iou = iou_matrix(detections.predicted[number : number + 1], detections.annotated[own])[0]
        enough = iou > iou_threshold if strict else iou >= iou_threshold
        overlaps[number] = enough.any()
        candidates = np.where(enough & ~taken[own], iou, -1.0) if second_choice else iou
        best = int(np.argmax(candidates))
        if enough[best] and not taken[own[best]]:
            taken[own[best]] = True
            matched[number] = own[best]
    return Matches(matched, overlaps)


def by_film(films: IntArray, n_films: int) -> list[IntArray]:
    """Group rows by film.

    Parameters
    ----------
    films : ndarray of shape (B,), int64
        Film number of each row, 0 to ``n_films - 1``.
    n_films : int
        N.

    Returns
    -------
    list of ndarray, int64
        For each of the N films, its rows in their order.
    """
    if n_films == 0:
        return []
    order = np.argsort(films, kind="stable").astype(np.int64)
    return [part.astype(np.int64) for part in np.split(order, np.searchsorted(films[order], np.arange(1, n_films)))]
