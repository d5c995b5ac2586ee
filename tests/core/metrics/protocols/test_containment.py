import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.localization.heat_maps import Placement
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.component_tree import region_tree
from camray.core.metrics.localization.rows import Geometry
from camray.core.metrics.protocols.containment import (
    _boxes_of_one_peak,
    ceiling_ious,
    ceiling_statistic,
    containment_statistic,
    covered_cells,
    holds,
    holds_at_random,
)
from camray.core.metrics.protocols.ilsvrc import top_errors_statistic
from camray.core.metrics.statistics import statistics_table
from camray.domain.geometry import CropWindow, GridTransform
from tests.core.metrics import reference


def test_rows_by_hand() -> None:
    # centres (10, 10) and (60, 60) on the first film, (50, 50) on the second
    items = reference.items_of([(100, 100, [(8, 8, 12, 12), (50, 50, 70, 70)]), (100, 100, [(45, 45, 55, 55)])])
    predicted = np.array([[0.0, 0, 20, 20], [np.nan] * 4])
    part = containment_statistic(items, predicted, np.array([0.6, 0.6]), np.full((2, 2), 16.0), "cam", "fixed")
    table = statistics_table("test", 2, [part], Bootstrap(0, 0.95, 1))
    chosen = table[table.label == "a"].set_index("metric")
    assert chosen.value["containment/centre"] == pytest.approx(1 / 3)
    assert chosen.value["containment/centre_small"] == pytest.approx(1 / 2)
    assert chosen.n["containment/centre_small"] == 2
    # the box of 20 moves over 80 px: (10, 10) is held from 0 to 10, (60, 60) from 40 to 60
    expected = (10 / 80) ** 2 + (20 / 80) ** 2
    assert chosen.value["containment/centre_random"] == pytest.approx(expected / 3)
    assert chosen.value["containment/centre_fixed_point"] == pytest.approx(1 / 3)  # about (60, 60)
    without = containment_statistic(items, predicted, np.full(2, np.nan), np.full((2, 2), 16.0), "cam", "fixed")
    assert not any("fixed_point" in row.metric for row in without.rows)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_chance_equals_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, sides, point = np.array([50.0, 80.0]), rng.uniform(5, 60, 2), rng.uniform(0, 50, 2)
    box = np.array([0.0, 0.0, *np.minimum(sides, size)])
    room = size - box[2:]
    corners = rng.uniform(0, 1, (4000, 2)) * room
    drawn = holds(np.concatenate([corners, corners + box[2:]], axis=1), np.tile(point, (4000, 1))).mean()
    assert holds_at_random(box[None], point[None], size[None])[0] == pytest.approx(drawn, abs=0.04)


def test_covered_cells_by_hand() -> None:
    # cells of 10 px across and 5 px down: half of column 0, all of column 1, a fifth of row 4
    cells = covered_cells(np.array([5.0, 0.0, 20.0, 21.0]), GridTransform(0.1, 0.2), (6, 3))
    np.testing.assert_allclose(cells, np.outer([1, 1, 1, 1, 0.2, 0], [0.5, 1, 0]), atol=1e-12)


def geometry_of(side: int, count: int) -> Geometry:
    placed = Placement(GridTransform(1.0, 1.0), CropWindow(0, side, 0, side))
    return Geometry((side, side), {f"film{number:04d}": placed for number in range(count)})


def test_the_ceiling_falls_with_the_grid_and_hardly_binds_large_boxes() -> None:
    large, small = (16.0, 16.0, 48.0, 48.0), (21.0, 21.0, 24.0, 24.0)
    items = reference.items_of([(64, 64, [large, small])])
    fine, coarse = (ceiling_ious(items, geometry_of(64, 1), (cells, cells)) for cells in (64, 8))
    np.testing.assert_allclose(fine, [1.0, 1.0])
    assert coarse[0] > 0.85
    assert coarse[1] < 0.5
    part = ceiling_statistic(items, geometry_of(64, 1), (8, 8))
    value = dict(zip([(row.metric, row.criterion) for row in part.rows], part(np.ones((1, 1)))[0], strict=True))
    assert value["ceiling/iou_accuracy", 0.7] == 1.0  # the film's best box
    assert value["ceiling/mean_iou", None] == pytest.approx(coarse[0])


def test_a_box_along_the_cells_of_an_oblong_grid_can_be_reached() -> None:
    # model grid of 24 x 16 px, cells of 1 px down and 2 px across; native px are halved across and quartered down,
    # and shifted. The box covers columns 4 to 12 and rows 5 to 11 of the model grid: whole cells both ways.
    transform, window = GridTransform(0.5, 0.25, 1.0, 2.0), CropWindow(2, 24, 1, 15)
    items = reference.items_of([(88, 28, [(6.0, 12.0, 22.0, 36.0)])])
    geometry = Geometry((24, 16), {items.image_ids[0]: Placement(transform, window)})
    np.testing.assert_allclose(ceiling_ious(items, geometry, (24, 8)), [1.0])


def test_top_errors_as_rows() -> None:
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    present = np.array([[True, False, False], [True, False, False], [False, False, False]])
    right = np.array([[0.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0]])
    part = top_errors_statistic(logits, present, right, np.arange(3), "cam", "fixed")
    value = dict(zip([(row.metric, row.criterion) for row in part.rows], part(np.ones((1, 3)))[0], strict=True))
    # of two films with a label, top 1 names the first's; all three name both, and place the second's
    assert value == {
        ("ilsvrc/classification_error", 1.0): 0.5,
        ("ilsvrc/localization_error", 1.0): 1.0,
        ("ilsvrc/classification_error", 3.0): 0.0,
        ("ilsvrc/localization_error", 3.0): 0.5,
    }
    assert {row.n for row in part.rows} == {2}
    assert set(statistics_table("test", 3, [part], Bootstrap(0, 0.95, 1)).label) == {"all"}


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 12), cols=st.integers(1, 12))
def test_the_boxes_of_one_peak_are_those_of_the_tree(seed: int, rows: int, cols: int) -> None:
    rng = np.random.default_rng(seed)
    down, across = (np.minimum(np.sort(rng.integers(0, 6, n)), rng.permutation(n) * 6) for n in (rows, cols))
    for levels in (np.minimum.outer(down, across), rng.integers(-1, 4, (rows, cols))):
        boxes, tree = _boxes_of_one_peak(levels.astype(np.int16)), region_tree(levels.astype(np.int16), 40)
        counts = [len(tree.at(level)) for level in range(40)]
        if len(boxes):
            assert max(counts) == 1
            assert {tuple(box) for box in boxes.tolist()} == {tuple(box) for box in tree.boxes.tolist()}
        else:
            assert levels.max() < 0 or (np.diff(levels, axis=0).any() or np.diff(levels, axis=1).any())
    hill = np.minimum.outer(np.array([0, 2, 5, 5, 1]), np.array([1, 4, 3])).astype(np.int16)
    np.testing.assert_array_equal(_boxes_of_one_peak(hill)[[0, 3, 4]], [[0, 0, 3, 5], [1, 2, 3, 4], [1, 2, 2, 4]])
    assert not len(_boxes_of_one_peak(np.array([[2, 0, 2]], np.int16)))
