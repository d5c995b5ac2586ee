"""Protocol `detection`: scores of COCO, VinBigData, RSNA and observer studies over weighted films.

One label at a time, on the films that are annotated for it or known not to show it: a film that shows the label and has
no box (most of ChestX-ray14) says nothing about a box drawn on it, and is left out.

- ``detection/coco_ap``: see `camray.core.metrics.protocols.coco`; also at IoU 0.5, 0.75 and ``score.coco_ious``.
- ``detection/vindr_ap`` (VinBigData Chest X-ray Abnormalities Detection, 2020): PASCAL VOC 2010 average precision at
  IoU *more than* 0.4. Boxes from the surest down; each is compared with the annotated box that it overlaps most, and is
  false if that one was found before. Precision made falling, area under *all* points of recall (no 11 points).
- ``detection/rsna`` (RSNA Pneumonia Detection Challenge, 2018): TP / (TP + FP + FN) of a film at IoU more than 0.40,
  0.45, ... 0.75, their mean, averaged over films. A film without annotated boxes scores 0 if anything is drawn on it,
  and does not count otherwise. Only reported boxes count.
- ``detection/froc_sensitivity`` at 1/8, 1/4, 1/2, 1, 2, 4, 8 false positives per film, and their mean, the competition
  performance metric ``detection/froc_cpm`` (Setio et al., Medical Image Analysis 2017). The sensitivity is the highest
  one reached without more false positives: a step, not interpolated. A box finds an annotated one from IoU 0.3 on; a
  further box on a found one is neither.
- ``detection/jafroc`` (Chakraborty and Berbaum, Medical Physics 2004): the probability that an annotated box is marked
  with more confidence than the surest false mark on a film *without* annotations (ties 1/2, no mark below every mark).
  It is the area under the alternative FROC curve. ``detection/jafroc1`` takes false marks on all films.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.auroc import weighted_auroc
from camray.core.metrics.bootstrap import mean_of_defined
from camray.core.metrics.curves import FROC_IOU
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.localization.detections import UNMATCHED, Detections, Matches, match
from camray.core.metrics.protocols.coco import IOU_THRESHOLDS, evaluated, matched, weighted_coco_precision
from camray.core.metrics.statistics import RatioStatistic, Statistic, StatisticRow

VINDR_IOU = 0.4
RSNA_IOUS = tuple(round(0.40 + 0.05 * step, 2) for step in range(8))
FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def weighted_voc_precision(
    weights: FloatArray, films: IntArray, right: NDArray[np.bool_], annotated_counts: IntArray
) -> FloatArray:
    """Return all-point average precision under sets of film weights.

    Parameters
    ----------
    weights : ndarray of shape (R, N), float64
        Of the films.
    films : ndarray of shape (D,), int64
        Film of each box, the surest first.
    right : ndarray of shape (D,), bool
        Whether it is a true positive.
    annotated_counts : ndarray of shape (N,), int64
        Annotated boxes per film.

    Returns
    -------
    ndarray of shape (R,), float64
        0-1; NaN where no annotated box has weight.
    """
    total = weights @ annotated_counts
    by_box = weights[:, films]
    gained, called = by_box * right, np.cumsum(by_box, axis=1)
    precision = np.divide(np.cumsum(gained, axis=1), called, out=np.zeros_like(called), where=called > 0)
    falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area = (gained * falling).sum(axis=1)
    return np.asarray(np.divide(area, total, out=np.full(len(weights), np.nan), where=total > 0))


@dataclass(frozen=True)
class AveragePrecisionStatistic:
    """COCO's and VinBigData's average precision of one label."""

    rows: Sequence[StatisticRow]
    detections: Detections
    coco: tuple[FloatArray, IntArray, NDArray[np.bool_]]  # at `IOU_THRESHOLDS`, then at further ones
    right: NDArray[np.bool_]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return COCO's mean, at 0.5, at 0.75 and at further IoU, and VinBigData's."""
        detections, counted = self.detections, self.detections.annotated_counts
        weights, order = counts[:, detections.patients], detections.order
        at_each = weighted_coco_precision(weights, self.coco[1], self.coco[2], counted)
        voc = weighted_voc_precision(weights, detections.predicted_film[order], self.right[order], counted)
        at = [at_each[:, IOU_THRESHOLDS.index(iou)] for iou in (0.5, 0.75)]
        own, further = np.split(at_each, [len(IOU_THRESHOLDS)], axis=1)
        return np.column_stack([own.mean(axis=1), *at, further, voc])


@dataclass(frozen=True)
class FrocStatistic:
    """Sensitivity at some rates of false positives, their mean, and the figures of merit of one label."""

    rows: Sequence[StatisticRow]
    detections: Detections
    matches: Matches

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Return sensitivities, their mean, JAFROC and JAFROC1."""
        weights = counts[:, self.detections.patients]
        sensitivity = weighted_sensitivity(weights, self.detections, self.matches)
        merits = [weighted_merit(counts, self.detections, self.matches, all_films) for all_films in (False, True)]
        cpm = np.where(np.isfinite(sensitivity).all(axis=1), mean_of_defined(sensitivity), np.nan)
        return np.column_stack([sensitivity, cpm, *merits])


def weighted_sensitivity(weights: FloatArray, detections: Detections, matches: Matches) -> FloatArray:
    """Compute the fraction of annotated boxes found at each of `FROC_RATES`.

    Parameters
    ----------
    weights : ndarray of shape (R, N), float64
        Weight of each film in each resample.
    detections : Detections
        Annotated and predicted boxes.
    matches : Matches
        Of the predicted boxes.

    Returns
    -------
    ndarray of shape (R, 7), float64
        0-1; NaN where no annotated box has weight.
    """
    order = detections.order
    by_box = weights[:, detections.predicted_film[order]]
    true_positive = np.cumsum(by_box * (matches.annotation[order] != UNMATCHED), axis=1)
    false = np.cumsum(by_box * ~matches.overlaps[order], axis=1)
    confidence = detections.confidence[order]
    last = np.flatnonzero(np.append(np.diff(confidence) != 0, True)) if len(order) else np.zeros(0, np.int64)
    total, films = weights @ detections.annotated_counts, weights.sum(axis=1)
    result = np.full((len(weights), len(FROC_RATES)), np.nan)
    for r in np.flatnonzero((total > 0) & (films > 0)):
        reached = np.append(0.0, true_positive[r, last] / total[r])
        steps = np.searchsorted(np.append(0.0, false[r, last] / films[r]), FROC_RATES, side="right") - 1
        result[r] = reached[steps]
    return result


@dataclass(frozen=True)
class Froc:
    """A label's free-response curve and its competition performance metric.

    Parameters
    ----------
    false_positives, sensitivity : ndarray of shape (K,), float64
        Per film, and share of annotated boxes found, as the demanded confidence falls; both begin at 0 and rise.
    cpm : float
        ``detection/froc_cpm`` of the same boxes; NaN without annotated boxes.
    """

    false_positives: FloatArray
    sensitivity: FloatArray
    cpm: float


def froc_curve(detections: Detections) -> Froc:
    """Draw what ``detection/froc_sensitivity`` reads at some rates; nothing but the origin without annotated boxes."""
    matches = match(detections, FROC_IOU, strict=False, second_choice=True)
    ones = np.ones((1, len(detections.patients)))
    if not len(detections.annotated):
        return Froc(np.zeros(1), np.zeros(1), float("nan"))
    order = detections.order
    confidence = detections.confidence[order]
    last = np.flatnonzero(np.append(np.diff(confidence) != 0, True)) if len(order) else np.zeros(0, np.int64)
    sensitivity = np.cumsum(matches.annotation[order] != UNMATCHED)[last] / len(detections.annotated)
    false = np.cumsum(~matches.overlaps[order])[last] / len(detections.patients)
    cpm = float(weighted_sensitivity(ones, detections, matches).mean())
    return Froc(np.append(0.0, false), np.append(0.0, sensitivity), cpm)


def weighted_merit(counts: FloatArray, detections: Detections, matches: Matches, all_films: bool) -> FloatArray:
    """Compute the JAFROC figure of merit under weights; see the module for `all_films`.

    Parameters
    ----------
    counts : ndarray of shape (R, P), float64
        How often each resample contains each patient.
    detections : Detections
        Annotated and predicted boxes.
    matches : Matches
        Of the predicted boxes.
    all_films : bool
        Whether false boxes on films with an annotation count.

    Returns
    -------
    ndarray of shape (R,), float64
        0-1.
    """
    unmarked = detections.confidence.min() - 1.0 if len(detections.confidence) else 0.0
    lesions = np.full(len(detections.annotated), unmarked)
    is_matched = matches.annotation != UNMATCHED
    lesions[matches.annotation[is_matched]] = detections.confidence[is_matched]
    surest = np.full(len(detections.patients), unmarked)
    is_false = ~matches.overlaps
    np.maximum.at(surest, detections.predicted_film[is_false], detections.confidence[is_false])
    scored_films = np.flatnonzero((detections.annotated_counts == 0) | all_films)
    ratings = np.concatenate([lesions, surest[scored_films]])
    films = np.concatenate([detections.annotated_film, scored_films])
    present = np.arange(len(ratings)) < len(lesions)
    return weighted_auroc(counts[:, detections.patients[films]], ratings, present)


def rsna_film_scores(detections: Detections) -> FloatArray:
    """Compute each film's mean over `RSNA_IOUS` of TP / (TP + FP + FN).

    Parameters
    ----------
    detections : Detections
        Annotated and predicted boxes of N films.

    Returns
    -------
    ndarray of shape (N,), float64
        0-1; NaN for a film without any box.
    """
    annotated = detections.annotated_counts
    drawn = np.bincount(detections.predicted_film, minlength=len(annotated))
    scores = []
    for iou in RSNA_IOUS:
        is_matched = match(detections, iou, strict=True, second_choice=True).annotation != UNMATCHED
        right = np.bincount(detections.predicted_film[is_matched], minlength=len(annotated))
        total = annotated + drawn - right
        scores.append(np.divide(right, total, out=np.full(len(annotated), np.nan), where=total > 0))
    return np.asarray(np.mean(scores, axis=0))


def detection_statistics(
    detections: Detections,
    reported: NDArray[np.bool_] | None,
    method: str,
    source: str,
    further_ious: Sequence[float] = (),
) -> list[Statistic]:
    """Make one label's rows of the detection protocols.

    Parameters
    ----------
    detections : Detections
        Annotated and predicted boxes.
    reported : ndarray of shape (D,), bool, or None
        Predicted boxes that count for RSNA's score; None for all.
    method, source : str
        As in the score table.
    further_ious : sequence of float
        IoU of further rows ``detection/coco_ap``; those that COCO's rows have are left out.

    Returns
    -------
    list of Statistic
        With their rows.
    """
    label, n_boxes = detections.label, len(detections.annotated)

    def row(metric: str, criterion: float | None, n: int) -> StatisticRow:
        return StatisticRow(label, method, f"detection/{metric}", criterion, source, n)

    further = tuple(iou for iou in further_ious if iou not in (0.5, 0.75))
    precision = [row("coco_ap", criterion, n_boxes) for criterion in (None, 0.5, 0.75, *further)]
    at_ious = matched(evaluated(detections, (*IOU_THRESHOLDS, *further)))
    voc = match(detections, VINDR_IOU, strict=True, second_choice=False).annotation != UNMATCHED
    near = match(detections, FROC_IOU, strict=False, second_choice=True)
    froc = [row("froc_sensitivity", rate, n_boxes) for rate in FROC_RATES]
    froc += [row(metric, None, n_boxes) for metric in ("froc_cpm", "jafroc", "jafroc1")]
    films = rsna_film_scores(detections if reported is None else detections.kept(reported))
    counted = np.isfinite(films)
    rsna = row("rsna", None, int(counted.sum()))
    return [
        AveragePrecisionStatistic(
            [*precision, row("vindr_ap", VINDR_IOU, n_boxes)],
            detections,
            at_ious,
            voc,
        ),
        FrocStatistic(froc, detections, near),
        RatioStatistic([rsna], detections.patients, np.nan_to_num(films)[:, None], counted[:, None].astype(np.float64)),
    ]
