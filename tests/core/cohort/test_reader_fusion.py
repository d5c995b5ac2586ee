"""Readers' boxes combined, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from camray.core.cohort.reader_fusion import combined, fuse

COLUMNS = ["film", "label", "reader", "x0", "y0", "x1", "y1", "rle"]
# two readers agree roughly (IoU 100/120), a third sees something else
ROWS = [(0, 1, "R1", 0, 0, 10, 10, ""), (0, 1, "R2", 0, 0, 12, 10, ""), (0, 1, "R3", 50, 50, 60, 60, "")]
THREE = np.array([3])


def _table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({c: np.float64 for c in COLUMNS[3:7]})


def _corners(table: pd.DataFrame) -> list[list[float]]:
    return table[COLUMNS[3:7]].to_numpy().tolist()


def test_union_keeps_every_box() -> None:
    assert combined(_table(ROWS), THREE, "union").equals(_table(ROWS))


def test_fusion_averages_what_overlaps_and_majority_drops_what_one_saw() -> None:
    fused = combined(_table(ROWS), THREE, "fusion")
    assert _corners(fused) == [[0, 0, 11, 10], [50, 50, 60, 60]]
    assert fused["reader"].tolist() == ["fusion", "fusion"]
    assert _corners(combined(_table(ROWS), THREE, "majority")) == [[0, 0, 11, 10]]


def test_one_readers_two_boxes_are_one_voice() -> None:
    rows = [(0, 1, "R1", 0, 0, 10, 10, ""), (0, 1, "R1", 0, 0, 12, 10, "")]
    assert combined(_table(rows), THREE, "majority").empty
    assert len(combined(_table(rows), np.array([1]), "majority")) == 1


def test_readers_who_drew_count_where_the_number_is_unknown() -> None:
    assert _corners(combined(_table(ROWS), np.array([0]), "majority")) == [[0, 0, 11, 10]]


@pytest.mark.parametrize("policy", ["majority", "fusion"])
def test_masks_and_nameless_boxes_stay_and_the_order_of_rows_does_not_matter(policy: str) -> None:
    rows = [*ROWS, (0, 1, "R1", 3, 3, 4, 4, "13"), (0, 0, "", 1, 1, 2, 2, "")]
    found = combined(_table(rows), THREE, policy)
    assert {"13", ""} == set(found["rle"])
    assert [1, 1, 2, 2] in _corners(found)
    turned = combined(_table(rows[::-1]), THREE, policy)
    assert sorted(_corners(found)) == sorted(_corners(turned))


def test_boxes_side_by_side_stay_apart() -> None:
    assert [members for _, members in fuse(np.array([[0.0, 0, 10, 10], [10, 0, 20, 10]]))] == [[0], [1]]
    assert fuse(np.zeros((0, 4))) == []
