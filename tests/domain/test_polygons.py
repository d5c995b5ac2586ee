"""Polygons by hand, and once more by a drawing library where no centre lies on an edge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon as library_polygon

from camray.domain.polygons import mask_of_polygons

SQUARE = np.array([[1.0, 2.0], [4.0, 2.0], [4.0, 5.0], [1.0, 5.0]])


def test_a_square_holds_its_pixels_whichever_way_it_runs() -> None:
    expected = np.zeros((8, 9), bool)
    expected[2:5, 1:4] = True
    for corners in (SQUARE, SQUARE[::-1], np.roll(SQUARE, 1, axis=0)):
        np.testing.assert_array_equal(mask_of_polygons([corners], 8, 9), expected)


def test_neighbours_share_an_edge_and_no_pixel() -> None:
    right = SQUARE + np.array([3.0, 0.0])
    both = mask_of_polygons([SQUARE], 8, 9).astype(int) + mask_of_polygons([right], 8, 9)
    assert both.max() == 1
    # an edge through the centres of a column gives them to the right one
    left, other = SQUARE - np.array([0.5, 0.0]), SQUARE + np.array([2.5, 0.0])
    assert mask_of_polygons([left], 8, 9)[3].astype(int).tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert mask_of_polygons([other], 8, 9)[3].astype(int).tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_a_triangle_by_hand_and_what_lies_beyond_the_film() -> None:
    triangle = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assert mask_of_polygons([triangle], 4, 4).sum(axis=1).tolist() == [3, 2, 1, 0]  # x + y < 4 at the centres
    beyond = mask_of_polygons([np.array([[-5.0, -5.0], [99.0, -5.0], [99.0, 1.2], [-5.0, 1.2]])], 3, 3)
    assert beyond.astype(int).tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert not mask_of_polygons([SQUARE + 100], 8, 9).any()


def test_several_polygons_are_united_and_lines_enclose_nothing() -> None:
    assert mask_of_polygons([SQUARE, SQUARE + 1], 8, 9).sum() == 9 + 9 - 4
    assert not mask_of_polygons([SQUARE[:2], np.zeros((0, 2))], 8, 9).any()


def test_what_is_no_corner_is_refused() -> None:
    for corners in (np.array([[0.0, np.nan]] * 3), np.zeros((3, 3))):
        with pytest.raises(ValueError, match="pairs of finite numbers"):
            mask_of_polygons([corners], 8, 9)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_a_drawing_library(seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(-4, 34, (int(seed) % 9 + 3, 2))
    expected = np.zeros((30, 25), bool)
    expected[library_polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, expected.shape)] = True
    np.testing.assert_array_equal(mask_of_polygons([corners], 30, 25), expected)
