"""Fusion of readers' boxes, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from camray.core.cohort.reader_fusion import fuse, fuse_readers

COLUMNS = ["film", "label", "reader", "x0", "y0", "x1", "y1", "rle"]
# two readers agree roughly (IoU 100/120), a third sees something else
ROWS = [(0, 1, "R1", 0, 0, 10, 10, ""), (0, 1, "R2", 0, 0, 12, 10, ""), (0, 1, "R3", 50, 50, 60, 60, "")]
THREE = np.array([3])


def _table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({c: np.float64 for c in COLUMNS[3:7]})


def _corners(table: pd.DataFrame) -> list[list[float]]:
    return table[COLUMNS[3:7]].to_numpy().tolist()


def test_union_keeps_every_box() -> None:
    assert fuse_readers(_table(ROWS), THREE, "union").equals(_table(ROWS))


def test_fusion_averages_overlapping_boxes_and_majority_drops_a_single_readers() -> None:
    fused = fuse_readers(_table(ROWS), THREE, "fusion")
    assert _corners(fused) == [[0, 0, 11, 10], [50, 50, 60, 60]]
    assert fused["reader"].tolist() == ["fusion", "fusion"]
    assert _corners(fuse_readers(_table(ROWS), THREE, "majority")) == [[0, 0, 11, 10]]


def test_two_boxes_of_one_reader_count_once() -> None:
    rows = [(0, 1, "R1", 0, 0, 10, 10, ""), (0, 1, "R1", 0, 0, 12, 10, "")]
    assert fuse_readers(_table(rows), THREE, "majority").empty
    assert len(fuse_readers(_table(rows), np.array([1]), "majority")) == 1


def test_readers_with_a_box_are_counted_where_the_number_is_unknown() -> None:
    assert _corners(fuse_readers(_table(ROWS), np.array([0]), "majority")) == [[0, 0, 11, 10]]


@pytest.mark.parametrize("policy", ["majority", "fusion"])
def test_masks_and_nameless_boxes_stay_and_the_order_of_rows_does_not_matter(policy: str) -> None:
    rows = [*ROWS, (0, 1, "R1", 3, 3, 4, 4, "13"), (0, 0, "", 1, 1, 2, 2, "")]
    fused = fuse_readers(_table(rows), THREE, policy)
    assert {"13", ""} == set(fused["rle"])
    assert [1, 1, 2, 2] in _corners(fused)
    reversed_rows = fuse_readers(_table(rows[::-1]), THREE, policy)
    assert sorted(_corners(fused)) == sorted(_corners(reversed_rows))


def test_boxes_side_by_side_stay_apart() -> None:
    assert [members for _, members in fuse(np.array([[0.0, 0, 10, 10], [10, 0, 20, 10]]))] == [[0], [1]]
    assert fuse(np.zeros((0, 4))) == []


@pytest.mark.parametrize(("n_readers", "kept"), [(1, 1), (2, 0), (3, 0)])
def test_half_of_the_readers_are_no_majority(n_readers: int, kept: int) -> None:
    rows = [(0, 1, "R1", 0, 0, 10, 4, "")]
    assert len(fuse_readers(_table(rows), np.array([n_readers]), "majority")) == kept


def test_overlap_counts_width_and_height() -> None:
    """Boxes of 10 x 4 px moved by 3 px: IoU 7/13 along x, 1/7 along y."""
    first, along_x, along_y = [0.0, 0, 10, 4], [3.0, 0, 13, 4], [0.0, 3, 10, 7]
    assert [members for _, members in fuse(np.array([first, along_x]))] == [[0, 1]]
    assert [members for _, members in fuse(np.array([first, along_y]))] == [[0], [1]]


def test_a_box_joins_the_cluster_that_it_overlaps_most() -> None:
    """The third box has an IoU of 7/13 with the first and of 8/12 with the second."""
    boxes = np.array([[0.0, 0, 10, 4], [5.0, 0, 15, 4], [3.0, 0, 13, 4]])
    fused = fuse(boxes)
    assert [members for _, members in fused] == [[0], [1, 2]]
    assert fused[1][0].tolist() == [4, 0, 14, 4]


def test_each_film_and_label_is_fused_by_itself() -> None:
    rows = [(film, label, reader, 0, 0, 10, 4, "") for film in (0, 1) for label in (0, 1) for reader in ("R1", "R2")]
    fused = fuse_readers(_table(rows), np.array([2, 5]), "majority")
    assert fused[["film", "label"]].to_numpy().tolist() == [[0, 0], [0, 1]]


def test_an_iou_of_one_half_joins_no_cluster() -> None:
    half, more = [0.0, 0, 20, 4], [0.0, 0, 19, 4]  # 40/80 and 40/76 with the first
    assert [members for _, members in fuse(np.array([[0.0, 0, 10, 4], half]))] == [[0], [1]]
    assert [members for _, members in fuse(np.array([[0.0, 0, 10, 4], more]))] == [[0, 1]]
