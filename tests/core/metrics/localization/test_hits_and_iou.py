import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.metrics.localization.hits_and_iou import (
    OVERLAP_CRITERIA,
    best_overlaps,
    box_measures,
    mean_of_measures,
    point_hits,
    single_box_max_box_acc,
)
from tests.core.metrics import reference


def test_overlaps_by_hand() -> None:
    # film 0: half of a 4 x 4 box, IoU 8 / 16; film 1: nothing predicted; film 2: the second of two boxes matches
    items = reference.items_of(
        [(10, 10, [(0, 0, 4, 4)]), (10, 10, [(0, 0, 4, 4)]), (10, 10, [(0, 0, 2, 2), (4, 4, 8, 8)])]
    )
    predicted = np.array([[0, 0, 2, 4], [np.nan] * 4, [4, 4, 8, 10]], float)
    iou, iobb = best_overlaps(items, predicted)
    np.testing.assert_allclose(iou, [0.5, 0, 16 / 24])
    np.testing.assert_allclose(iobb, [1.0, 0, 16 / 24])
    measures = box_measures(items, predicted)
    np.testing.assert_array_equal(measures["iou_accuracy", 0.5], [1, 0, 1])  # exactly 0.5 counts
    np.testing.assert_array_equal(measures["iou_accuracy", 0.6], [0, 0, 1])
    np.testing.assert_array_equal(measures["iobb_accuracy", 0.7], [1, 0, 0])
    np.testing.assert_allclose(measures["mean_iou", None], iou)


def test_iou_and_iobb_may_prefer_different_boxes() -> None:
    # a small box around all of the prediction's middle, and a large one that holds it whole
    items = reference.items_of([(100, 100, [(0, 0, 100, 100), (10, 10, 22, 30)])])
    iou, iobb = best_overlaps(items, np.array([[10.0, 10, 30, 30]]))
    assert iou[0] == pytest.approx(12 * 20 / 400)  # with the small one
    assert iobb[0] == 1.0  # inside the large one


def test_a_hit_is_half_open() -> None:
    items = reference.items_of([(10, 10, [(2, 3, 5, 6)])] * 5)
    points = np.array([[2, 3], [5, 3], [2, 6], [4.999, 5.999], [np.nan, np.nan]])
    np.testing.assert_array_equal(point_hits(items, points), [1, 0, 0, 1, 0])


def test_no_film_gives_no_values() -> None:
    items = reference.items_of([])
    assert point_hits(items, np.zeros((0, 2))).shape == (0,)
    assert all(values.shape == (0,) for values in box_measures(items, np.zeros((0, 4))).values())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n_films=st.integers(1, 8))
def test_equal_to_the_plain_reference(seed: int, n_films: int) -> None:
    rng = np.random.default_rng(seed)
    films = reference.random_films(rng, n_films)
    items = reference.items_of(films)
    predicted, points = np.full((n_films, 4), np.nan), np.full((n_films, 2), np.nan)
    for number, (_, _, boxes) in enumerate(films):
        if rng.random() < 0.85:
            predicted[number] = np.array(boxes[0]) + rng.integers(-1, 2, 4) * [1, 1, 0, 0]
            points[number] = rng.integers(0, 20, 2)
    iou, iobb = best_overlaps(items, predicted)
    hits = point_hits(items, points)
    for number, (_, _, boxes) in enumerate(films):
        box = None if np.isnan(predicted[number]).any() else predicted[number]
        point = None if np.isnan(points[number]).any() else points[number]
        assert iou[number] == pytest.approx(reference.best_iou(box, boxes), abs=1e-12)
        assert iobb[number] == pytest.approx(reference.best_iobb(box, boxes), abs=1e-12)
        assert hits[number] == reference.is_hit(point, boxes)
        assert 0 <= iou[number] <= iobb[number] <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n_films=st.integers(1, 8))
def test_perfect_boxes_score_one_and_accuracy_falls_with_the_criterion(seed: int, n_films: int) -> None:
    rng = np.random.default_rng(seed)
    items = reference.items_of(reference.random_films(rng, n_films))
    perfect = items.boxes[items.starts]
    for values in (*box_measures(items, perfect).values(), *single_box_max_box_acc(items, perfect).values()):
        assert (values == 1).all()
    assert (point_hits(items, (perfect[:, :2] + perfect[:, 2:]) / 2) == 1).all()
    loose = box_measures(items, perfect + rng.uniform(-2, 0, (n_films, 4)) * [1, 1, 0, 0])
    for metric in ("iou_accuracy", "iobb_accuracy"):
        curve = np.array([loose[metric, criterion] for criterion in OVERLAP_CRITERIA])
        assert (np.diff(curve, axis=0) <= 0).all()


def test_draws_are_averaged_film_by_film() -> None:
    draws = [{("hit_rate", None): np.array([1.0, 0.0])}, {("hit_rate", None): np.array([0.0, 0.0])}]
    np.testing.assert_array_equal(mean_of_measures(draws)["hit_rate", None], [0.5, 0.0])
