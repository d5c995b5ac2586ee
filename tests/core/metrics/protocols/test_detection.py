import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.detections import UNMATCHED, Detections, match
from camray.core.metrics.protocols.coco import IOU_THRESHOLDS, evaluated, matched, weighted_coco_precision
from camray.core.metrics.protocols.detection import (
    FROC_RATES,
    detection_statistics,
    froc_curve,
    rsna_film_scores,
    weighted_merit,
    weighted_sensitivity,
    weighted_voc_precision,
)
from camray.core.metrics.statistics import statistics_table
from tests.core.metrics import reference


def detections_of(
    annotated: list[list[reference.Corners]], predicted: list[list[tuple[reference.Corners, float]]]
) -> Detections:
    boxes = [(box, confidence, film) for film, of_film in enumerate(predicted) for box, confidence in of_film]
    return Detections(
        "a",
        np.arange(len(annotated)),
        np.array([box for of_film in annotated for box in of_film], float).reshape(-1, 4),
        np.array([film for film, of_film in enumerate(annotated) for _ in of_film], np.int64),
        np.array([box for box, _, _ in boxes], float).reshape(-1, 4),
        np.array([film for _, _, film in boxes], np.int64),
        np.array([confidence for _, confidence, _ in boxes], float),
    )


A, B, FAR = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 30.0, 30.0), (50.0, 50.0, 60.0, 60.0)
NEAR_A = (0.0, 0.0, 10.0, 8.0)  # IoU 0.8 with A


def three_films() -> Detections:
    """Films with A and B, with A, and with nothing; surest first: right, false, right, false, (B never found)."""
    return detections_of([[A, B], [A], []], [[(A, 0.9), (FAR, 0.3)], [(NEAR_A, 0.7)], [(FAR, 0.8)]])


def test_all_point_precision_by_hand() -> None:
    found = three_films()
    right = match(found, 0.4, strict=True, second_choice=False).annotation != UNMATCHED
    order = found.order
    assert right[order].tolist() == [True, False, True, False]
    weights = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    values = weighted_voc_precision(weights, found.predicted_film[order], right[order], found.annotated_counts)
    # recall 1/3 at precision 1, 2/3 at 2/3; without the empty film both at 1; without annotations undefined
    np.testing.assert_allclose(values, [1 / 3 + 2 / 9, 2 / 3, np.nan])


def test_the_froc_curve_by_hand() -> None:
    found = froc_curve(three_films())
    np.testing.assert_allclose(found.false_positives, [0, 0, 1 / 3, 1 / 3, 2 / 3])
    np.testing.assert_allclose(found.sensitivity, [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert found.cpm == pytest.approx((2 / 3 + 5 * 2 / 3) / 7)  # 1/8 and 1/4 a film allow no false positive


def test_a_froc_curve_without_boxes_stays_at_the_origin() -> None:
    unmarked = froc_curve(detections_of([[A]], [[]]))
    assert (unmarked.false_positives.tolist(), unmarked.sensitivity.tolist(), unmarked.cpm) == ([0], [0], 0)
    assert np.isnan(froc_curve(detections_of([[]], [[(A, 0.5)]])).cpm)


def test_a_second_box_on_a_found_one_is_false_for_voc_and_may_find_another_for_coco() -> None:
    wide = (0.0, 0.0, 10.0, 12.0)
    boxes = detections_of([[A, wide]], [[(A, 0.9), (A, 0.8)]])
    assert match(boxes, 0.5, strict=True, second_choice=False).annotation.tolist() == [0, UNMATCHED]
    assert match(boxes, 0.5, strict=True, second_choice=True).annotation.tolist() == [0, 1]


def test_more_than_the_threshold_or_at_least_it() -> None:
    half = detections_of([[A]], [[((0.0, 0.0, 10.0, 5.0), 0.5)]])
    assert match(half, 0.5, strict=True, second_choice=False).annotation.tolist() == [UNMATCHED]
    assert match(half, 0.5, strict=False, second_choice=False).annotation.tolist() == [0]


def test_rsna_by_hand() -> None:
    # film 0: one of two found, one false: 1 / 3 throughout; film 1: IoU 0.8 beats all; film 2: drawn on for nothing
    np.testing.assert_allclose(rsna_film_scores(three_films()), [1 / 3, 1.0, 0.0])
    halves = detections_of([[A], []], [[((0.0, 0.0, 10.0, 5.5), 0.5)], []])
    # IoU 0.55: more than 0.40, 0.45, 0.50 and not more than 0.55 or above; the empty film does not count
    np.testing.assert_allclose(rsna_film_scores(halves), [3 / 8, np.nan])


def test_sensitivities_by_hand() -> None:
    found = three_films()
    near = match(found, 0.3, strict=False, second_choice=True)
    values = weighted_sensitivity(np.ones((1, 3)), found, near)[0]
    # false positives a film: 0 after the first, 1/3 after the second; one more right; 2/3
    np.testing.assert_allclose(values, [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert len(FROC_RATES) == len(values)
    nothing = detections_of([[A]], [[]])
    none = match(nothing, 0.3, strict=False, second_choice=True)
    np.testing.assert_array_equal(weighted_sensitivity(np.ones((1, 1)), nothing, none), np.zeros((1, 7)))


def test_figures_of_merit_by_hand() -> None:
    found = three_films()
    near = match(found, 0.3, strict=False, second_choice=True)
    # lesions at 0.9, unmarked, 0.7; the one normal film at 0.8
    assert weighted_merit(np.ones((1, 3)), found, near, all_films=False)[0] == pytest.approx(1 / 3)
    # false marks on all films: 0.3, none, 0.8. 0.9 beats 3, unmarked ties with the unmarked film, 0.7 beats 2
    assert weighted_merit(np.ones((1, 3)), found, near, all_films=True)[0] == pytest.approx((3 + 0.5 + 2) / 9)
    only = detections_of([[A]], [[(A, 1.0)]])
    assert np.isnan(weighted_merit(np.ones((1, 1)), only, match(only, 0.3, strict=False, second_choice=True), False)[0])


def random_detections(rng: np.random.Generator, films: int = 12) -> Detections:
    annotated, predicted = [], []
    for _ in range(films):
        boxes = []
        for _ in range(rng.integers(0, 3)):
            x, y = rng.uniform(0, 60, 2)
            boxes.append((x, y, x + rng.uniform(5, 30), y + rng.uniform(5, 30)))
        drawn = [(tuple(np.array(box) + rng.normal(0, 1.5, 4).clip(-2, 2)), float(rng.random())) for box in boxes]
        annotated.append(boxes)
        predicted.append(drawn + [((1.0, 1.0, 20.0, 20.0), float(rng.random())) for _ in range(rng.integers(0, 3))])
    return detections_of(annotated, predicted)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_weights_of_one_give_the_librarys_own_number(seed: int) -> None:
    found = random_detections(np.random.default_rng(seed))
    evaluation = evaluated(found)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, -1]
    _, films, right = matched(evaluation)
    ours = weighted_coco_precision(np.ones((1, 12)), films, right, found.annotated_counts)[0]
    if len(found.annotated):
        np.testing.assert_allclose(ours, precision.mean(axis=1), atol=1e-12)
    else:
        assert np.isnan(ours).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_weights_equal_films_repeated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, counts = random_detections(rng), rng.integers(0, 3, 12)
    copies = np.repeat(np.arange(12), counts)
    rows = [np.flatnonzero(found.predicted_film == film) for film in copies]
    truths = [np.flatnonzero(found.annotated_film == film) for film in copies]
    drawn = np.concatenate([*rows, np.zeros(0, np.int64)]).astype(int)
    marked = np.concatenate([*truths, np.zeros(0, np.int64)]).astype(int)
    repeated = Detections(
        "a",
        np.arange(len(copies)),
        found.annotated[marked],
        np.repeat(np.arange(len(copies)), [len(each) for each in truths]).astype(np.int64),
        found.predicted[drawn],
        np.repeat(np.arange(len(copies)), [len(each) for each in rows]).astype(np.int64),
        found.confidence[drawn],
    )
    if not len(copies):
        return
    near, again = (match(each, 0.3, strict=False, second_choice=True) for each in (found, repeated))
    weights, ones = counts[None].astype(float), np.ones((1, len(copies)))
    np.testing.assert_allclose(weighted_sensitivity(weights, found, near), weighted_sensitivity(ones, repeated, again))
    for all_films in (False, True):
        np.testing.assert_allclose(
            weighted_merit(weights, found, near, all_films), weighted_merit(ones, repeated, again, all_films)
        )


def value_of(found: Detections, metric: str) -> float:
    table = statistics_table(
        "test", len(found.patients), detection_statistics(found, None, "cam", "fixed"), Bootstrap(0, 0.95, 1)
    )
    chosen = table[(table.label == "a") & (table.metric == f"detection/{metric}") & table.criterion.isna()]
    if metric == "vindr_ap":
        chosen = table[(table.label == "a") & (table.metric == "detection/vindr_ap")]
    assert len(chosen) == 1
    return float(chosen.value.iloc[0])


METRICS = ("coco_ap", "vindr_ap", "rsna", "froc_cpm", "jafroc", "jafroc1")


def test_perfect_boxes_score_one_and_none_score_nothing() -> None:
    annotated = [[A], [A, B], []]
    perfect = detections_of(annotated, [[(box, 1.0) for box in boxes] for boxes in annotated])
    nothing = detections_of(annotated, [[], [], []])
    for metric in METRICS:
        assert value_of(perfect, metric) == pytest.approx(1.0), metric
        assert value_of(nothing, metric) == pytest.approx(0.5 if metric.startswith("jafroc") else 0.0), metric


def test_boxes_at_random_score_next_to_nothing() -> None:
    rng = np.random.default_rng(3)
    annotated = [[(x, y, x + 10.0, y + 10.0)] for x, y in rng.uniform(0, 500, (80, 2))]
    predicted = [
        [((x, y, x + 10.0, y + 10.0), float(rng.random())) for x, y in rng.uniform(0, 500, (3, 2))] for _ in range(80)
    ]
    found = detections_of(annotated, predicted)
    for metric in ("coco_ap", "vindr_ap", "rsna", "froc_cpm"):
        assert value_of(found, metric) < 0.02


def test_coco_by_hand_and_its_thresholds() -> None:
    found = three_films()
    _, films, right = matched(evaluated(found))
    at_each = weighted_coco_precision(np.ones((1, 3)), films, right, found.annotated_counts)[0]
    # at 0.5: precision 1 up to recall 1/3 (34 of 101 points), 2/3 up to 2/3 (33 more), then 0
    assert at_each[0] == pytest.approx((34 + 33 * 2 / 3) / 101)
    # from 0.85 on IoU 0.8 is not enough: only the first is right
    assert at_each[IOU_THRESHOLDS.index(0.85)] == pytest.approx(34 / 101)


def test_coco_precision_below_one_half_by_hand() -> None:
    # one film: a box that overlaps the annotated one by 1/3, and a surer one elsewhere
    found = Detections(
        "a",
        np.array([0]),
        np.array([[0.0, 0.0, 10.0, 10.0]]),
        np.array([0]),
        np.array([[0.0, 5.0, 10.0, 15.0], [50.0, 50.0, 60.0, 60.0]]),
        np.array([0, 0]),
        np.array([0.5, 0.9]),
    )
    statistics = detection_statistics(found, None, "cam", "fixed", (0.1, 0.3, 0.4, 0.5))
    precision = statistics[0]
    values = dict(zip([(r.metric, r.criterion) for r in precision.rows], precision(np.ones((1, 1)))[0], strict=True))
    assert values["detection/coco_ap", 0.1] == pytest.approx(0.5)  # found second: precision 1/2 at every recall
    assert values["detection/coco_ap", 0.3] == pytest.approx(0.5)
    assert values["detection/coco_ap", 0.4] == values["detection/coco_ap", 0.5] == 0
    assert values["detection/coco_ap", None] == 0
    assert len(values) == len(precision.rows) == 7
