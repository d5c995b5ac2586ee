import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label as scipy_label
from skimage.measure import label as skimage_label
from skimage.measure import regionprops

from camray.core.metrics.localization.component_tree import Connectivity, RegionTree, levels_of, region_tree

STRUCTURE = {4: [[0, 1, 0], [1, 1, 1], [0, 1, 0]], 8: np.ones((3, 3), int)}


def slow_regions(hot: np.ndarray, connectivity: Connectivity) -> list[tuple[tuple[int, ...], int]]:
    """Boxes and areas of one threshold's regions, by labelling: once with scipy, once with scikit-image."""
    labelled, _ = scipy_label(hot, STRUCTURE[connectivity])
    other = skimage_label(hot, connectivity=1 if connectivity == 4 else 2)
    assert (labelled == other).all() or labelled.max() == other.max()
    found = []
    for region in regionprops(labelled):
        y0, x0, y1, x1 = region.bbox
        found.append(((x0, y0, x1, y1), int(region.area)))
    return sorted(found)


def fast_regions(tree: RegionTree, threshold: int) -> list[tuple[tuple[int, ...], int]]:
    chosen = tree.at(threshold)
    boxes = [tuple(int(corner) for corner in box) for box in tree.boxes[chosen]]
    return sorted(zip(boxes, tree.area_px[chosen].tolist(), strict=True))


def test_levels_by_hand() -> None:
    thresholds = np.array([0.0, 0.5, 0.75])
    np.testing.assert_array_equal(
        levels_of(np.array([[-0.1, 0.0, 0.49], [0.5, 0.75, 9.0]]), thresholds), [[-1, 0, 0], [1, 2, 2]]
    )
    np.testing.assert_array_equal(levels_of(np.array([[0.2, 0.3]]), np.array([0.3])), [[-1, 0]])


@settings(max_examples=50, deadline=None)
@given(
    thresholds=st.lists(st.floats(-2, 2), min_size=1, max_size=30, unique=True),
    values=st.lists(st.floats(-3, 3), min_size=1, max_size=30),
)
def test_levels_equal_a_search_for_any_thresholds(thresholds: list[float], values: list[float]) -> None:
    ascending, heat = np.array(sorted(thresholds)), np.array([values + thresholds])
    np.testing.assert_array_equal(levels_of(heat, ascending), np.searchsorted(ascending, heat, side="right") - 1)


def test_a_tree_by_hand() -> None:
    # two peaks that join at threshold 1; the background is cold
    levels = np.array([[3, 1, 2], [-1, -1, -1]], np.int16)
    tree = region_tree(levels, 5)
    assert fast_regions(tree, 4) == []
    assert fast_regions(tree, 3) == [((0, 0, 1, 1), 1)]
    assert fast_regions(tree, 2) == [((0, 0, 1, 1), 1), ((2, 0, 3, 1), 1)]
    assert fast_regions(tree, 1) == fast_regions(tree, 0) == [((0, 0, 3, 1), 3)]
    assert len(tree.boxes) == 3  # each region once
    np.testing.assert_array_equal(tree.largest() >= 0, [True, True, True, True, False])
    # of two regions of one pixel the older one, which is the hotter
    np.testing.assert_array_equal(tree.boxes[tree.largest()[2]], [0, 0, 1, 1])


def test_the_outline_of_a_square_and_of_thin_lines() -> None:
    levels = np.full((6, 9), -1, np.int16)
    levels[0:3, 0:3] = 0  # polygon through the centres: 2 x 2
    levels[5, 0:4] = 0  # a line holds no area
    levels[0:2, 5:7] = 0
    levels[1, 6] = -1  # three pixels of a block: half a square
    tree = region_tree(levels, 1)
    found = {tuple(box.tolist()): area for box, area in zip(tree.boxes, tree.outline_area, strict=True)}
    assert found == {(0, 0, 3, 3): 4.0, (0, 5, 4, 6): 0.0, (5, 0, 7, 2): 0.5}
    assert sorted(tree.first_pixel.tolist()) == [0, 5, 45]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 16),
    cols=st.integers(1, 16),
    n_thresholds=st.integers(1, 40),
    connectivity=st.sampled_from([4, 8]),
)
def test_the_tree_equals_labelling_at_every_threshold(
    seed: int, rows: int, cols: int, n_thresholds: int, connectivity: Connectivity
) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(-1, n_thresholds, (rows, cols)).astype(np.int16)
    tree = region_tree(levels, n_thresholds, connectivity)
    keys = rng.random(len(tree.boxes))
    best, largest = tree.best(keys), tree.largest()
    for threshold in range(n_thresholds):
        expected = slow_regions(levels >= threshold, connectivity)
        assert fast_regions(tree, threshold) == expected
        alive = tree.at(threshold)
        if not expected:
            assert best[threshold] == largest[threshold] == -1
            continue
        assert keys[best[threshold]] == keys[alive].max()
        assert tree.area_px[largest[threshold]] == max(area for _, area in expected)
        tied = alive[tree.area_px[alive] == tree.area_px[largest[threshold]]]
        assert tree.seed[largest[threshold]] == tree.seed[tied].min()


@pytest.mark.parametrize("value", [-1, 0, 4])
def test_a_flat_map_is_one_region_or_none(value: int) -> None:
    tree = region_tree(np.full((3, 4), value, np.int16), 5)
    assert len(tree.boxes) == (value >= 0)
    if value >= 0:
        assert (tree.lowest[0], tree.highest[0], tree.outline_area[0]) == (0, value, 6.0)


def test_empty_maps_have_no_regions() -> None:
    tree = region_tree(np.zeros((0, 0), np.int16), 3)
    np.testing.assert_array_equal(tree.largest(), [-1, -1, -1])
