import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camray.domain.geometry import (
    Box,
    CropWindow,
    GridTransform,
    box_from_mask,
    boxes_to_array,
    cell_overlaps,
    interval_overlap,
    iobb_matrix,
    iou,
    iou_matrix,
    paired_iobb,
    paired_iou,
)

corner = st.integers(0, 12)


@st.composite
def integer_boxes(draw: st.DrawFn) -> Box:
    x0, y0 = draw(corner), draw(corner)
    return Box(x0, y0, x0 + draw(st.integers(1, 8)), y0 + draw(st.integers(1, 8)))


def painted(box: Box) -> np.ndarray:
    canvas = np.zeros((24, 24), bool)
    canvas[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
    return canvas


@given(integer_boxes(), integer_boxes())
def test_iou_equals_pixel_counting_and_is_symmetric(first: Box, second: Box) -> None:
    a, b = painted(first), painted(second)
    expected = (a & b).sum() / (a | b).sum()
    assert iou(first, second) == pytest.approx(expected, abs=1e-12)
    assert iou(first, second) == iou(second, first)
    assert iou(first, first) == 1.0


@given(integer_boxes(), integer_boxes())
def test_iobb_divides_by_the_first_box(first: Box, second: Box) -> None:
    a, b = painted(first), painted(second)
    found = iobb_matrix(boxes_to_array([first]), boxes_to_array([second]))[0, 0]
    assert found == pytest.approx((a & b).sum() / a.sum(), abs=1e-12)


def test_adjacent_boxes_do_not_overlap() -> None:
    assert iou(Box(0, 0, 4, 4), Box(4, 0, 8, 4)) == 0.0


def test_pairwise_results_are_first_by_second() -> None:
    first = boxes_to_array([Box(0, 0, 2, 2), Box(1, 0, 3, 2), Box(9, 9, 10, 10)])
    second = boxes_to_array([Box(0, 0, 2, 2), Box(0, 0, 4, 2)])
    np.testing.assert_allclose(iou_matrix(first, second), [[1, 0.5], [1 / 3, 0.5], [0, 0]])
    assert iou_matrix(boxes_to_array([]), second).shape == (0, 2)


def test_paired_results_are_the_diagonal_of_the_pairwise_ones() -> None:
    first = boxes_to_array([Box(0, 0, 2, 3), Box(1, 0, 3, 7)])
    second = boxes_to_array([Box(1, 1, 2, 9), Box(0, 0, 4, 2)])
    np.testing.assert_array_equal(paired_iou(first, second), np.diag(iou_matrix(first, second)))
    np.testing.assert_array_equal(paired_iobb(first, second), np.diag(iobb_matrix(first, second)))
    assert np.isnan(paired_iou(np.full(4, np.nan), second)).all()


def test_intervals_that_touch_or_miss_share_nothing() -> None:
    low, high = np.array([0.0, 2.0, 1.0, 5.0]), np.array([2.0, 4.0, 7.0, 6.0])
    np.testing.assert_array_equal(interval_overlap(low, high, np.array(2.0), np.array(3.5)), [0, 1.5, 1.5, 0])


def test_cell_overlaps_add_up_to_the_part_of_the_interval_on_the_grid() -> None:
    low, high = np.array([-0.5, 0.25, 1.5, np.nan]), np.array([1.25, 2.75, 9.0, 1.0])
    found = cell_overlaps(low, high, 3)
    np.testing.assert_array_equal(found[:3], [[1, 0.25, 0], [0.75, 1, 0.75], [0, 0.5, 1]])
    assert np.isnan(found[3]).all()


@given(integer_boxes())
def test_box_from_mask_inverts_painting(box: Box) -> None:
    assert box_from_mask(painted(box)) == box


def test_empty_mask_has_no_box() -> None:
    assert box_from_mask(np.zeros((3, 4), bool)) is None


@pytest.mark.parametrize("corners", [(0, 0, 0, 1), (0, 1, 1, 1), (2, 0, 1, 1), (0, 0, np.nan, 1), (0, 0, np.inf, 1)])
def test_impossible_boxes_are_refused(corners: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="box needs"):
        Box(*corners)


def test_clipping_keeps_the_part_inside() -> None:
    assert Box(-2, 1, 5, 9).clipped(rows=6, cols=4) == Box(0, 1, 4, 6)
    assert Box(5, 0, 6, 1).clipped(rows=6, cols=4) is None


def test_a_box_holds_its_first_corner_and_not_its_last() -> None:
    box = Box(1, 2, 3, 4)
    assert box.contains_xy(1, 2)
    assert not box.contains_xy(3, 2)
    assert not box.contains_xy(1, 4)
    assert box.centre_xy == (2, 3)


scale, shift, point = st.floats(0.01, 100), st.floats(-500, 500), st.floats(-1000, 1000)


@given(scale, scale, shift, shift, point, point)
def test_there_and_back_is_the_identity(sx: float, sy: float, ox: float, oy: float, x: float, y: float) -> None:
    transform = GridTransform(sx, sy, ox, oy)
    back = transform.xy_to_native(*transform.xy_to_model(x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-6 * (1 + abs(ox) + abs(oy)) / min(sx, sy))


def test_transform_by_hand() -> None:
    # a 100 x 50 px film (rows x cols) letterboxed into 64 x 64: half size is 0.64, 16 px of margin on each side
    transform = GridTransform(0.64, 0.64, 16.0, 0.0)
    assert transform.box_to_model(Box(0, 0, 50, 100)) == Box(16, 0, 48, 64)
    assert transform.box_to_native(Box(16, 32, 32, 64)) == Box(0, 50, 25, 100)
    assert transform.then(0.5, 0.25, 1.0, 2.0).xy_to_model(50, 100) == (25.0, 18.0)


def test_a_transform_cannot_flip() -> None:
    with pytest.raises(ValueError, match="positive"):
        GridTransform(-1.0, 1.0)


def test_window_is_rows_then_columns() -> None:
    window = CropWindow(1, 3, 2, 7)
    assert (window.rows, window.cols, window.area) == (2, 5, 10)
    grid = np.zeros((4, 9), bool)
    grid[window.slices] = True
    assert box_from_mask(grid) == Box(2.0, 1.0, 7.0, 3.0)
