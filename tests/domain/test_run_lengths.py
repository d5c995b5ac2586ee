"""Run lengths worked by hand, and their round trips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.domain.geometry import box_from_mask
from camray.domain.run_lengths import (
    absolute_counts,
    box_of_counts,
    coco_counts,
    coco_text,
    counts_of_mask,
    mask_of_counts,
    relative_counts,
    scaled_counts,
)


def test_relative_pairs_start_where_the_run_before_ended() -> None:
    # 3 x 3, down the columns: skip 1, two hot; skip 3, one hot
    mask = mask_of_counts(relative_counts("1 2 3 1", 9), 3, 3)
    assert mask.astype(int).tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
    assert (mask_of_counts(absolute_counts("2 2 7 1", 9), 3, 3) == mask).all()


@pytest.mark.parametrize("text", ["1 2 3", "1 20", "-1", "1 2 x 1", "5 -1"])
def test_pairs_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|fill"):
        relative_counts(text, 9)


def test_a_run_over_a_columns_end_takes_all_rows() -> None:
    assert box_of_counts(np.array([2, 2, 5]), 3) == (0.0, 0.0, 2.0, 3.0)
    assert box_of_counts(np.array([4, 1, 4]), 3) == (1.0, 1.0, 2.0, 2.0)
    assert box_of_counts(np.array([9]), 3) is None


def test_scaling_by_two_doubles_the_box() -> None:
    counts = relative_counts("4 1", 9)
    assert box_of_counts(scaled_counts(counts, (3, 3), (6, 6)), 6) == (2.0, 2.0, 4.0, 4.0)
    assert (scaled_counts(counts, (3, 3), (3, 3)) == counts).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 1), st.integers(0, 1000))
def test_round_trips_and_the_box_of_the_mask(rows: int, cols: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, cols)) < share
    counts = counts_of_mask(mask)
    assert (mask_of_counts(counts, rows, cols) == mask).all()
    assert coco_counts(coco_text(counts), rows * cols).tolist() == counts.tolist()
    box = box_from_mask(mask)
    assert box_of_counts(counts, rows) == (None if box is None else box.as_tuple())
