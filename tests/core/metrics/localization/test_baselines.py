import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.metrics.localization.baselines import (
    CENTRE_SIGMA,
    SHUFFLES,
    box_centres,
    centre_boxes,
    class_mean_box,
    fixed_point,
    native_boxes,
    random_heat,
    shuffled_boxes,
)
from camray.core.metrics.protocols.max_box_acc import LEVELS
from tests.core.metrics import reference


def test_class_mean_box_by_hand() -> None:
    training = np.array([[0.0, 0.2, 0.4, 0.6], [0.2, 0.4, 0.8, 1.0]])
    np.testing.assert_allclose(class_mean_box(training), [0.1, 0.3, 0.6, 0.8])
    native = native_boxes(class_mean_box(training), np.array([[100.0, 200.0], [10.0, 10.0]]))
    np.testing.assert_allclose(native, [[10, 60, 60, 160], [1, 3, 6, 8]])
    np.testing.assert_allclose(box_centres(native), [[35, 110], [3.5, 5.5]])


def test_without_training_boxes_nothing_is_learnt() -> None:
    assert np.isnan(class_mean_box(np.zeros((0, 4)))).all()
    assert np.isnan(fixed_point(np.zeros((0, 4)))).all()


def test_fixed_point_by_hand() -> None:
    # two boxes overlap in [0.4, 0.6] x [0.5, 0.7]; a third, alone, is larger
    training = np.array([[0.1, 0.1, 0.6, 0.7], [0.4, 0.5, 0.9, 0.9], [0.0, 0.95, 1.0, 1.0]])
    np.testing.assert_allclose(fixed_point(training), [0.5, 0.6])


def test_fixed_point_takes_the_widest_of_equals() -> None:
    training = np.array([[0.0, 0.0, 0.1, 0.1], [0.5, 0.5, 0.9, 0.9]])
    np.testing.assert_allclose(fixed_point(training), [0.7, 0.7])


def test_edges_apart_by_rounding_are_one() -> None:
    training = np.array([[0.1, 0.1, 0.1 + 0.2, 0.6], [0.3, 0.1, 0.9, 0.6], [0.4, 0.1, 0.9, 0.6]])
    np.testing.assert_allclose(fixed_point(training), [0.65, 0.35])


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_no_point_of_a_fine_grid_lies_in_more_boxes(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 9, (count, 2)) / 10
    training = np.concatenate([low, low + rng.integers(1, 10, (count, 2)) / 10], axis=1)

    def covered(x: float, y: float) -> int:
        return sum(box[0] <= x < box[2] and box[1] <= y < box[3] for box in training)

    best = max(covered(x, y) for x in np.arange(0.05, 2, 0.1) for y in np.arange(0.05, 2, 0.1))
    point = fixed_point(training)
    assert covered(*point) == best
    shuffled = training[rng.permutation(count)]
    np.testing.assert_array_equal(fixed_point(shuffled), point)


def test_the_gaussian_is_cut_where_its_value_is() -> None:
    boxes = centre_boxes(np.array([[200.0, 100.0]]))
    np.testing.assert_array_equal(boxes[0, 0], [0, 0, 200, 100])
    x1 = boxes[0, 20, 2] / 200 - 0.5
    assert np.exp(-(x1**2) / (2 * CENTRE_SIGMA**2)) == pytest.approx(LEVELS[20])
    np.testing.assert_allclose(box_centres(boxes[0]), np.broadcast_to([100.0, 50.0], (len(LEVELS), 2)))
    assert (np.diff(boxes[0, :, 2]) <= 0).all()


def test_noise_depends_on_the_film_and_not_on_the_order() -> None:
    first = random_heat(1, "a", "film", 0, 3, 4)
    np.testing.assert_array_equal(first, random_heat(1, "a", "film", 0, 3, 4))
    for other in ((2, "a", "film", 0), (1, "b", "film", 0), (1, "a", "other", 0), (1, "a", "film", 1)):
        assert not np.array_equal(first, random_heat(*other, 3, 4))
    assert first.min() >= 0
    assert first.max() < 1


def test_nobody_keeps_its_own_box_and_everybody_gets_one() -> None:
    films = [(100, 50 + 10 * number, [(0.0, 0.0, number + 1.0, 10.0)]) for number in range(6)]
    items = reference.items_of(films)
    shuffles = shuffled_boxes(items, seed=4)
    assert len(shuffles) == SHUFFLES
    for boxes in shuffles:
        donors = [
            int(np.argmin(np.abs(items.fraction_boxes()[:, 2] - box[2] / cols)))
            for box, (_, cols, _) in zip(boxes, films, strict=True)
        ]
        assert sorted(donors) == list(range(6))
        assert all(donor != receiver for receiver, donor in enumerate(donors))
    assert any(not np.array_equal(shuffles[0], other) for other in shuffles[1:])
    np.testing.assert_array_equal(np.stack(shuffles), np.stack(shuffled_boxes(items, seed=4)))


def test_a_box_of_a_donor_with_several_is_any_of_them() -> None:
    items = reference.items_of([(10, 10, [(0, 0, 1, 1)]), (10, 10, [(2, 2, 3, 3), (4, 4, 5, 5)])])
    received = {tuple(boxes[0]) for boxes in shuffled_boxes(items, seed=0)}
    assert received == {(2, 2, 3, 3), (4, 4, 5, 5)}


def test_one_film_alone_has_nobody_to_shuffle_with() -> None:
    assert np.isnan(shuffled_boxes(reference.items_of([(10, 10, [(0, 0, 1, 1)])]), seed=0)).all()
