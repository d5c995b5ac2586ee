"""Protocol `chestxray14`: localization as defined by Wang et al., CVPR 2017, section 4.2 and table 4.

- An annotated box is found if a predicted box of its label on its film overlaps it by *more than* T, as IoU or as IoBB
  (the intersection over the predicted box's area). *Accuracy* is the share of the label's annotated boxes found.
- A predicted box is a false positive if it overlaps no annotated box of its label on its film by more than T. *AFP* is
  the number of the label's false positives over the number of *all* annotated boxes, whichever their label: 984 in the
  published tables. The paper calls it "per image"; but of the 136 values in its three tables 135 are multiples of
  1/984, the number of boxes, and 24 are multiples of 1/880, the number of films.
- The paper prints IoBB at 0.1, 0.25, 0.5, 0.75, 0.9; tables that follow it print IoU at 0.1 to 0.7. All are given.
- Eight labels have boxes. Their table says ``Infiltrate`` for what the label table calls ``Infiltration``.
- Boxes are x, y, width, height in a frame of 1024 x 1024 px and not whole numbers: they stay floats, half-open. IoU and
  IoBB are the same in the native frame, where boxes are compared.
- The mean over labels is led by Cardiomegaly, the one label that sits in the same place on every film: it is given with
  and without.

The paper does not say which films' boxes count towards AFP where the network does not call the label: ``afp`` counts
all predicted boxes, ``afp_reported`` those whose label is reported on the film.
"""

from collections.abc import Sequence

import numpy as np

from camray.core.metrics.localization.annotated_films import FloatArray
from camray.core.metrics.localization.detections import Detections, by_film
from camray.core.metrics.statistics import RatioStatistic, StatisticRow
from camray.domain.geometry import iobb_matrix, iou_matrix

LEADING = "Cardiomegaly"
MEAN_WITHOUT_LEADING = f"mean without {LEADING}"
IOU_CRITERIA = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
IOBB_CRITERIA = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.9)
CRITERIA = tuple([("iou", each) for each in IOU_CRITERIA] + [("iobb", each) for each in IOBB_CRITERIA])


def hits_and_false_boxes(annotated: FloatArray, predicted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count one film's annotated boxes found and predicted boxes that are false, at all criteria.

    Parameters
    ----------
    annotated : ndarray of shape (A, 4), float64
        The label's boxes; none where the film is annotated for other labels only.
    predicted : ndarray of shape (D, 4), float64
        The label's, on the same grid.

    Returns
    -------
    found, false : ndarray of shape (C,), float64
        In the order of `CRITERIA`.
    """
    if not len(predicted) or not len(annotated):
        return np.zeros(len(CRITERIA)), np.full(len(CRITERIA), float(len(predicted)))
    overlaps = {"iou": iou_matrix(predicted, annotated), "iobb": iobb_matrix(predicted, annotated)}
    hits = np.stack([overlaps[kind] > criterion for kind, criterion in CRITERIA])
    return hits.any(axis=1).sum(axis=1).astype(float), (~hits.any(axis=2)).sum(axis=1).astype(float)


def accuracy_statistics(
    detections: Detections,
    method: str,
    source: str,
    all_box_counts: FloatArray,
    reported: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None,
) -> Sequence[RatioStatistic]:
    """Make one label's rows.

    Parameters
    ----------
    detections : Detections
        On all annotated films, whichever label they are annotated for; confidences are not looked at.
    method, source : str
        As in the score table.
    all_box_counts : ndarray of shape (N,), float64
        Annotated boxes of each film, those of all labels together: AFP's denominator.
    reported : ndarray of shape (D,), bool, optional
        Which predicted boxes are of a label that is reported on the film; without it there is no ``afp_reported``.

    Returns
    -------
    sequence of RatioStatistic
        Accuracies, and false boxes per annotated box of any label, at every criterion.
    """
    counts = _counts(detections)
    n_all = int(all_box_counts.sum())
    boxes = np.repeat(detections.annotated_counts[:, None].astype(float), len(CRITERIA), axis=1)
    all_boxes = np.repeat(all_box_counts[:, None].astype(float), len(CRITERIA), axis=1)
    accuracy_rows = _rows(detections.label, method, source, "accuracy", len(detections.annotated))
    false_rows = _rows(detections.label, method, source, "afp", n_all)
    statistics = [
        RatioStatistic(accuracy_rows, detections.patients, counts[0], boxes),
        RatioStatistic(false_rows, detections.patients, counts[1], all_boxes),
    ]
    if reported is not None:
        false = _counts(detections.kept(reported))[1]
        rows = _rows(detections.label, method, source, "afp_reported", n_all)
        statistics.append(RatioStatistic(rows, detections.patients, false, all_boxes))
    return statistics


def _counts(detections: Detections) -> tuple[FloatArray, FloatArray]:
    """Count found and false boxes film by film: [N, C] each."""
    hits, false = np.zeros((2, len(detections.patients), len(CRITERIA)))
    n_films = len(detections.patients)
    annotated, predicted = by_film(detections.annotated_film, n_films), by_film(detections.predicted_film, n_films)
    for film, (own, drawn) in enumerate(zip(annotated, predicted, strict=True)):
        hits[film], false[film] = hits_and_false_boxes(detections.annotated[own], detections.predicted[drawn])
    return hits, false


def _rows(label: str, method: str, source: str, kind: str, n: int) -> list[StatisticRow]:
    return [
        StatisticRow(label, method, f"chestxray14/{overlap}_{kind}", criterion, source, n)
        for overlap, criterion in CRITERIA
    ]
