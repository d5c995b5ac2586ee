"""Protocol `rodeo`: Robust Detection Outcome, how well the boxes of all findings are placed, shaped and named.

Source: Meissen et al., Robust Detection Outcome: a metric for pathology detection in medical images, MIDL 2023, and its
authors' package ``rodeometric``, with which the values agree.

The boxes of a film are matched one to one, whatever their findings: the pairs with the highest sum of generalized IoU
plus, where both boxes name the same finding, a bonus. The bonus is Matthews' correlation of (film, finding) pairs that
have a predicted box with those that have an annotated one, 0 if negative. Then, over all matched pairs, predicted boxes
without a partner and annotated boxes without a partner, which both count 0:

- ``rodeo/localization``: 2 to the power of minus the squared distance of the centres, in widths and heights of the
  annotated box;
- ``rodeo/shape``: IoU of the two boxes with their centres aligned;
- ``rodeo/classification``: Matthews' correlation of the findings of matched pairs, 0 if negative. Of pairs with L
  findings of which a share p agrees it is (p L - 1) / (L - 1), so one finding alone has no row;
- ``rodeo/total``: harmonic mean of the three.

Rows of one finding take the pairs of its annotated boxes, and its own boxes without a partner. The bonus is that of the
whole set in every resample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from camray.core.metrics.bootstrap import PatientSums
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.localization.detections import Detections, by_film
from camray.core.metrics.statistics import ALL_LABELS, StatisticRow
from camray.domain.geometry import iou_matrix, paired_iou

METRICS = ("total", "localization", "shape", "classification")
HARMONIC_MARGIN = 1e-6  # the authors': added to each part, so that a part of 0 gives a total of almost 0
_SUMS = 6  # per film and finding: pairs, predicted and annotated boxes alone, localization, shape, pairs that agree


@dataclass(frozen=True)
class RodeoStatistic:
    """All rows of one method.

    Parameters
    ----------
    rows : sequence of StatisticRow
        `METRICS` of each finding, then of all.
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    sums : ndarray of shape (N, L + 1, 6), float64
        For each film and finding, and for all: matched pairs, predicted and annotated boxes without a partner, sums of
        localization and shape over the pairs, pairs that name the same finding.
    """

    rows: Sequence[StatisticRow]
    patients: IntArray
    sums: FloatArray

    @cached_property
    def _patient_sums(self) -> PatientSums:
        return PatientSums(self.sums.reshape(len(self.sums), -1), self.patients)

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Compute the scores under weights of the patients; NaN without any box."""
        groups = self.sums.shape[1]
        pairs, predicted, annotated, near, alike, agreeing = np.moveaxis(
            self._patient_sums(counts).reshape(len(counts), groups, _SUMS), 2, 0
        )
        total = pairs + predicted + annotated
        agreement = np.divide(agreeing, pairs, out=np.zeros_like(pairs), where=pairs > 0)
        correlation = np.clip((agreement * (groups - 1) - 1) / (groups - 2), 0, None)
        parts = np.stack([near, alike, correlation * pairs], axis=2)
        parts = np.divide(parts, total[..., None], out=np.full(parts.shape, np.nan), where=total[..., None] > 0)
        harmonic = parts.shape[2] / (1 / (parts + HARMONIC_MARGIN)).sum(axis=2)
        harmonic = np.where((pairs == 0) & (total > 0), 0.0, harmonic)
        return np.concatenate([harmonic[..., None], parts], axis=2).reshape(len(counts), -1)


def rodeo_statistic(
    detections: Sequence[Detections], decidable: NDArray[np.bool_], method: str, source: str
) -> RodeoStatistic:
    """Match the boxes of all findings on N films.

    Parameters
    ----------
    detections : sequence of Detections
        Of L findings, two or more, on the same films. Each predicted box counts; confidences are not used.
    decidable : ndarray of shape (L, N), bool
        Whether a predicted box of the finding can be right or wrong on the film. Others are left out.
    method, source : str
        As in the score table.

    Returns
    -------
    RodeoStatistic
        With its rows.

    Raises
    ------
    ValueError
        If there are fewer than two findings.
    """
    if len(detections) < 2:
        raise ValueError("RoDeO compares findings; expected two or more")
    detections = [
        each.kept(is_decidable[each.predicted_film]) for each, is_decidable in zip(detections, decidable, strict=True)
    ]
    bonus = _bonus(detections, decidable)
    labels = np.arange(len(detections))
    predicted_label = np.repeat(labels, [len(each.predicted) for each in detections])
    annotated_label = np.repeat(labels, [len(each.annotated) for each in detections])
    predicted = np.concatenate([each.predicted for each in detections])
    annotated = np.concatenate([each.annotated for each in detections])
    patients = detections[0].patients
    predicted_on = by_film(np.concatenate([each.predicted_film for each in detections]), len(patients))
    annotated_on = by_film(np.concatenate([each.annotated_film for each in detections]), len(patients))
    sums = np.zeros((len(patients), len(detections) + 1, _SUMS))
    for film, (own, truth) in enumerate(zip(predicted_on, annotated_on, strict=True)):
        sums[film] = _film_sums(
            predicted[own], annotated[truth], predicted_label[own], annotated_label[truth], bonus, len(detections)
        )
    counts = [*(len(each.annotated) for each in detections), len(annotated)]
    names = [*(each.label for each in detections), ALL_LABELS]
    rows = [
        StatisticRow(name, method, f"rodeo/{metric}", None, source, count)
        for name, count in zip(names, counts, strict=True)
        for metric in METRICS
    ]
    return RodeoStatistic(rows, patients, sums)


def generalized_iou(first: FloatArray, second: FloatArray) -> FloatArray:
    """Compute the generalized IoU of all pairs (Rezatofighi et al., CVPR 2019).

    Parameters
    ----------
    first, second : ndarray of shape (A, 4) and (B, 4), float64
        x0, y0, x1, y1 with an area, half-open, in one frame.

    Returns
    -------
    ndarray of shape (A, B), float64
        -1 to 1: IoU less the share of the smallest enclosing box that neither covers.
    """
    iou = iou_matrix(first, second)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = (areas[0][:, None] + areas[1][None]) / (1 + iou)
    low = np.minimum(first[:, None, :2], second[None, :, :2])
    high = np.maximum(first[:, None, 2:], second[None, :, 2:])
    enclosing = np.prod(high - low, axis=2)
    return np.asarray(iou - (enclosing - union) / enclosing)


def _bonus(detections: Sequence[Detections], decidable: NDArray[np.bool_]) -> float:
    """Return Matthews' correlation of films and findings with a predicted and with an annotated box; at least 0."""
    has_box = np.zeros((2, *decidable.shape), bool)
    for label, each in enumerate(detections):
        has_box[0, label, each.predicted_film] = True
        has_box[1, label, each.annotated_film] = True
    predicted, annotated = has_box[0][decidable], has_box[1][decidable]
    if predicted.all() or not predicted.any() or annotated.all() or not annotated.any():
        return 0.0
    return max(0.0, float(np.corrcoef(predicted, annotated)[0, 1]))


def _film_sums(
    predicted: FloatArray,
    annotated: FloatArray,
    predicted_label: IntArray,
    annotated_label: IntArray,
    bonus: float,
    n_labels: int,
) -> FloatArray:
    """Return one film's part of `RodeoStatistic.sums`, [L + 1, 6]."""
    gain = generalized_iou(predicted, annotated) + bonus * (predicted_label[:, None] == annotated_label[None])
    own, truth = linear_sum_assignment(gain, maximize=True)
    sums = np.zeros((n_labels + 1, _SUMS))
    per_pair = (
        np.ones(len(own)),
        _closeness(predicted[own], annotated[truth]),
        _shape_agreement(predicted[own], annotated[truth]),
        (predicted_label[own] == annotated_label[truth]).astype(np.float64),
    )
    for column, values in zip((0, 3, 4, 5), per_pair, strict=True):
        np.add.at(sums[:, column], annotated_label[truth], values)
    for column, labels, matched in ((1, predicted_label, own), (2, annotated_label, truth)):
        np.add.at(sums[:, column], np.delete(labels, matched), 1.0)
    sums[-1] = sums[:-1].sum(axis=0)
    return sums


def _closeness(predicted: FloatArray, annotated: FloatArray) -> FloatArray:
    """Return 2 to the power of minus the squared distance of centres in sides of the annotated box, [M]."""
    sides = annotated[:, 2:] - annotated[:, :2]
    distance = (predicted[:, :2] + predicted[:, 2:] - annotated[:, :2] - annotated[:, 2:]) / 2 / sides
    return np.asarray(np.exp2(-(distance**2).sum(axis=1)))


def _shape_agreement(predicted: FloatArray, annotated: FloatArray) -> FloatArray:
    """Return the IoU of pairs of boxes with their first corners aligned, [M]."""
    first, second = (
        np.concatenate([np.zeros((len(boxes), 2)), boxes[:, 2:] - boxes[:, :2]], axis=1)
        for boxes in (predicted, annotated)
    )
    return paired_iou(first, second)
