import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.metrics.localization.region_growing import low_and_span, reached_levels
from camray.core.metrics.protocols.max_box_acc import (
    FIXED_LEVEL,
    LEVELS,
    SweepBuilder,
    ThresholdSweep,
    best_ious,
    best_level,
    best_levels,
    max_box_acc_at,
    oracle_values,
    sweep_of_boxes,
)
from camray.domain.geometry import CropWindow, GridTransform, iou_matrix
from tests.core.metrics import reference

IDENTITY = GridTransform(1.0, 1.0)


def sweep_of(heat: np.ndarray, boxes: list[reference.Corners]) -> ThresholdSweep:
    rows, cols = heat.shape
    items = reference.items_of([(rows, cols, boxes)])
    builder = SweepBuilder(items)
    builder.add(0, heat, CropWindow(0, rows, 0, cols), IDENTITY)
    return builder.sweep()


def test_of_regions_with_equally_many_pixels_the_one_that_got_hot_first_is_the_largest() -> None:
    heat = np.zeros((3, 9), np.float32)
    heat[1, 1], heat[1, 7] = 0.6, 1.0  # the hotter one is the older
    np.testing.assert_array_equal(sweep_of(heat, [(0, 0, 2, 2)]).largest[0, 50], [7, 1, 8, 2])
    np.testing.assert_array_equal(sweep_of(heat[:, ::-1], [(0, 0, 2, 2)]).largest[0, 50], [1, 1, 2, 2])


def test_the_compiled_iou_equals_the_one_of_the_geometry_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 30, (60, 4))
    corners[:, 2:] = corners[:, :2] + rng.uniform(0.1, 20, (60, 2))
    found = best_ious(corners[:40], corners[40:])
    np.testing.assert_array_equal(found, iou_matrix(corners[:40], corners[40:]).max(axis=1))
    assert (found > 0).sum() > 30


def test_levels_by_hand() -> None:
    # range -1 to 3: 0 is a quarter of the way, 1 half, 3 all of it
    heat = np.array([[-1.0, 0.0, 1.0, 3.0]])
    levels = reached_levels(heat, *low_and_span(heat), LEVELS)
    np.testing.assert_array_equal(levels, [[0, 25, 50, 99]])


@pytest.mark.parametrize("value", [-1.0, 0.0, 2.0])
def test_a_constant_map_is_a_miss_at_every_threshold(value: float) -> None:
    sweep = sweep_of(np.full((6, 6), value, np.float32), [(0, 0, 6, 6)])
    assert np.isnan(sweep.largest).all()
    assert (sweep.iou_largest == 0).all()
    assert (sweep.iou_any == 0).all()


def test_a_bias_on_the_map_changes_nothing() -> None:
    heat = np.full((6, 6), 1.0, np.float32)
    heat[2:4, 2:4] = 2.0
    expected = sweep_of(heat, [(2, 2, 4, 4)]).iou_any
    assert expected.max() == 1
    np.testing.assert_array_equal(sweep_of(heat - 4, [(2, 2, 4, 4)]).iou_any, expected)


def test_regions_join_through_corners_and_the_largest_is_not_the_hottest() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[0, 0] = 1.0  # alone and hottest
    heat[3, 3] = heat[4, 4] = heat[5, 5] = 0.5  # joined through corners
    sweep = sweep_of(heat, [(0, 0, 1, 1)])
    np.testing.assert_array_equal(sweep.largest[0, 40], [3, 3, 6, 6])
    assert sweep.iou_largest[0, 40] == 0
    assert sweep.iou_any[0, 40] == 1
    np.testing.assert_array_equal(sweep.largest[0, 60], [0, 0, 1, 1])
    assert sweep.iou_largest[0, 60] == 1
    np.testing.assert_array_equal(sweep.largest[0, 0], [0, 0, 8, 8])


def test_boxes_are_mapped_to_the_native_grid_and_clipped_to_the_film() -> None:
    # native 10 x 9 px lies at scale 2 from model (3.5, 0) on; the window begins at column 4, half a pixel inside
    items = reference.items_of([(10, 9, [(0, 0, 4, 10)])])
    builder, heat = SweepBuilder(items), np.zeros((20, 18), np.float32)
    heat[:, :8] = 1.0
    builder.add(0, heat, CropWindow(0, 20, 4, 22), GridTransform(2.0, 2.0, 3.5, 0.0))
    np.testing.assert_allclose(builder.sweep().largest[0, 50], [0.25, 0, 4.25, 10])
    heat[:] = 1.0
    heat[0, 0] = 0.9
    builder.add(0, heat, CropWindow(0, 20, 4, 22), GridTransform(2.0, 2.0, 3.5, 0.0))
    np.testing.assert_allclose(builder.sweep().largest[0, 0], [0.25, 0, 9, 10])


def test_a_coarser_map_covers_the_same_window() -> None:
    items = reference.items_of([(20, 20, [(0, 0, 10, 10)])])
    builder, heat = SweepBuilder(items), np.zeros((10, 10), np.float32)
    heat[:5, :5] = 1.0
    builder.add(0, heat, CropWindow(2, 22, 4, 24), GridTransform(1.0, 1.0, 4.0, 2.0))
    np.testing.assert_array_equal(builder.sweep().largest[0, 50], [0, 0, 10, 10])
    assert builder.sweep().iou_largest[0, 50] == 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 14), cols=st.integers(1, 14), values=st.integers(2, 30))
def test_the_sweep_equals_flooding_at_each_threshold(seed: int, rows: int, cols: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    heat = (rng.integers(0, values, (rows, cols)) - rng.integers(0, values)).astype(np.float32)
    boxes: list[reference.Corners] = [(0.0, 0.0, 3.0, 4.0), (5.5, 2.0, 9.0, 8.25)]
    sweep = sweep_of(heat, boxes)
    for level in range(0, len(LEVELS), 7):
        if heat.max() == heat.min():
            assert sweep.iou_any[0, level] == 0
            continue
        low, high = float(heat.min()), float(heat.max())
        found = reference.regions((heat.astype(float) - low) / (high - low) >= LEVELS[level])
        most = max(len(region) for region in found)
        largest = [reference.box_of(region) for region in found if len(region) == most]
        assert tuple(sweep.largest[0, level]) in largest
        assert sweep.iou_largest[0, level] in [reference.best_iou(box, boxes) for box in largest]
        assert sweep.iou_any[0, level] == max(reference.best_iou(reference.box_of(region), boxes) for region in found)


def test_sweep_of_known_boxes() -> None:
    items = reference.items_of([(10, 10, [(0, 0, 4, 4), (6, 6, 8, 8)]), (10, 10, [(0, 0, 2, 2)])])
    largest = np.full((2, len(LEVELS), 4), np.nan)
    largest[:] = [6, 6, 8, 10]
    sweep = sweep_of_boxes(items, largest)
    np.testing.assert_allclose(sweep.iou_largest[:, 0], [0.5, 0.0])
    np.testing.assert_array_equal(sweep.iou_largest, sweep.iou_any)


def two_films() -> ThresholdSweep:
    """Film 0 is best at level 30, film 1 at 60; at 45 both reach 0.5; regions beside the largest reach more."""
    iou = np.zeros((2, len(LEVELS)))
    iou[0, 20:50], iou[1, 40:70] = 0.55, 0.6
    every = iou.copy()
    every[0, 45], every[1, 45] = 0.7, 0.7
    return ThresholdSweep(np.zeros((2, len(LEVELS), 4)), iou, every)


def test_levels_are_chosen_by_the_most_films_and_the_lowest_of_equals() -> None:
    sweep = two_films()
    assert best_level(sweep.iou_largest, 0.5) == 40
    assert best_level(sweep.iou_largest, 0.9) == 0
    assert best_levels(sweep) == (40, (40, 40, 45))


def test_max_box_acc_by_hand() -> None:
    sweep = two_films()
    fixed = max_box_acc_at(sweep, FIXED_LEVEL, (FIXED_LEVEL,) * 3)
    np.testing.assert_array_equal(fixed["max_box_acc", 0.5], [1, 0])
    np.testing.assert_allclose(fixed["max_box_acc_v2", None], [2 / 3, 0])
    chosen = max_box_acc_at(sweep, 45, (45, 45, 45))
    np.testing.assert_array_equal(chosen["max_box_acc", 0.5], [1, 1])
    np.testing.assert_allclose(chosen["max_box_acc_v2", None], [1, 1])


def test_the_oracle_keeps_every_threshold_and_is_never_below_a_chosen_one() -> None:
    sweep = two_films()
    values = oracle_values(sweep)
    assert values["max_box_acc", 0.5].mean(axis=0).max(axis=1).mean() == 1
    assert values["max_box_acc_v2", None].mean(axis=0).max(axis=1).mean() == 1
    fixed = max_box_acc_at(sweep, FIXED_LEVEL, (FIXED_LEVEL,) * 3)
    for measure, each in fixed.items():
        assert values[measure].mean(axis=0).max(axis=1).mean() >= each.mean()
