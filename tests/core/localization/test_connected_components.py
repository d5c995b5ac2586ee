"""Connected regions against scipy.ndimage and by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from camray.core.localization.connected_components import REGION_CHOICES, best_boxes, find_regions

SMALL = st.tuples(st.integers(1, 9), st.integers(1, 9))
MAPS = SMALL.flatmap(lambda shape: arrays(np.float32, shape, elements=st.integers(-3, 3).map(float)))


def _one(heat: np.ndarray, threshold: float, min_area: float = 1.0):
    return find_regions(heat[None].astype(np.float32), np.array([threshold], np.float32), min_area)


@settings(max_examples=150, deadline=None)
@given(MAPS, st.integers(-3, 3), st.integers(1, 4))
def test_equals_scipy(heat: np.ndarray, threshold: int, min_area: int) -> None:
    labelled, count = ndimage.label(heat >= threshold, np.ones((3, 3)))
    expected = []
    for number, (rows, cols) in enumerate(ndimage.find_objects(labelled), start=1):
        inside = labelled == number
        if inside.sum() >= min_area:
            box = (cols.start, rows.start, cols.stop, rows.stop)
            total = heat[inside].sum()
            r, c = np.nonzero(inside)
            centre = (c.mean() + 0.5, r.mean() + 0.5)
            figures = (inside.sum(), heat[inside].max(), heat[inside].mean(), total - threshold * inside.sum())
            expected.append(tuple(map(float, (*box, *figures, *centre))))
    found = _one(heat, threshold, min_area)
    figures = np.column_stack(
        [found.boxes, found.area_px, found.peak, found.mean, found.evidence, found.centre_xy]
    ).reshape(-1, 10)
    np.testing.assert_allclose(sorted(map(tuple, figures)), sorted(expected), rtol=0, atol=1e-6)
    assert len(found.peak) <= count


@settings(max_examples=60, deadline=None)
@given(MAPS, st.lists(st.integers(-3, 3), min_size=1, max_size=4))
def test_the_best_box_is_the_first_of_the_ranked_ones(heat: np.ndarray, thresholds: list[int]) -> None:
    best = best_boxes(heat[None], np.array([thresholds], np.float32))[0]
    for number, threshold in enumerate(thresholds):
        found = _one(heat, threshold)
        for place, choice in enumerate(REGION_CHOICES):
            order = found.ranked(choice)
            expected = found.boxes[order[0]] if len(order) else np.full(4, np.nan)
            np.testing.assert_array_equal(best[number, place], expected)


@settings(max_examples=60, deadline=None)
@given(MAPS, st.integers(-3, 2))
def test_a_higher_threshold_gives_regions_inside_the_lower_ones(heat: np.ndarray, threshold: int) -> None:
    low, high = _one(heat, threshold).boxes, _one(heat, threshold + 1).boxes
    for box in high:
        assert ((low[:, :2] <= box[:2]) & (low[:, 2:] >= box[2:])).all(axis=1).any()


def test_regions_join_through_corners_in_every_direction() -> None:
    ring = np.array([[0, 1, 0, 0, 1], [1, 0, 1, 0, 0], [0, 1, 0, 0, 1]])
    found = _one(ring, 1)
    assert found.boxes.tolist() == [[0, 0, 3, 3], [4, 0, 5, 1], [4, 2, 5, 3]]
    assert found.area_px.tolist() == [4, 1, 1]


def test_late_joins_count_once() -> None:
    """A comb: five teeth that only the last row joins."""
    comb = np.zeros((4, 9))
    comb[:, ::2] = 1
    comb[3] = 1
    comb[0, 4] = 5
    found = _one(comb, 1)
    assert found.boxes.tolist() == [[0, 0, 9, 4]]
    assert found.area_px.tolist() == [24]
    assert found.peak.tolist() == [5]


def test_ranking_by_each_choice_and_ties_by_first_pixel() -> None:
    heat = np.array([[9, 0, 2, 2, 2, 2, 0, 4], [0, 0, 0, 0, 0, 0, 0, 4], [0, 9, 0, 0, 0, 0, 0, 4]], np.float32)
    found = _one(heat, 1)
    assert found.ranked("hottest").tolist() == [0, 3, 2, 1]  # 9 and 9: the one in row 0 first
    assert found.ranked("largest").tolist() == [1, 2, 0, 3]  # 4, 3, 1 and 1 px
    assert found.evidence.tolist() == [8, 4, 9, 8]
    assert found.ranked("evidence").tolist() == [2, 0, 3, 1]


def test_maps_of_a_stack_do_not_mix_and_infinity_finds_nothing() -> None:
    one = np.zeros((3, 3), np.float32)
    one[1, 1] = 1
    stack = np.stack([one, one * 2, one * 3, one * 0])
    found = find_regions(stack, np.array([1, np.inf, 1, 0], np.float32))
    assert found.map_index.tolist() == [0, 2, 3]
    assert found.boxes.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 3, 3]]
    assert find_regions(np.empty((0, 3, 3), np.float32), np.empty(0, np.float32)).boxes.shape == (0, 4)


def test_many_regions_outgrow_the_first_table() -> None:
    dots = np.zeros((40, 40))
    dots[::2, ::2] = 1
    found = _one(dots, 1)
    assert len(found.boxes) == 400
    assert found.boxes[-1].tolist() == [38, 38, 39, 39]
