"""The chest's mask, and heat held inside it, by hand."""

import numpy as np

from camray.core.lungs.chest import bounded_by, cells_inside, chest_mask
from camray.core.lungs.detection import DetectedLungs
from camray.domain.geometry import CropWindow, GridTransform
from camray.domain.zones import LungSource, Side

WINDOW = CropWindow(0, 50, 0, 100)


def _lungs(*sides: Side) -> DetectedLungs:
    """Right lung at columns 20-30, left at 70-80; rows 10-40."""
    masks = {side: np.zeros((50, 100), bool) for side in sides}
    for side, mask in masks.items():
        first = 20 if side is Side.RIGHT else 70
        mask[10:40, first : first + 10] = True
    return DetectedLungs(masks, LungSource.NETWORK)


def test_the_hull_joins_both_lungs_and_the_margin_is_of_the_longer_side() -> None:
    hull = chest_mask(_lungs(Side.RIGHT, Side.LEFT), WINDOW, margin=0.0)
    assert hull is not None
    expected = np.zeros((50, 100), bool)
    expected[10:40, 20:80] = True
    np.testing.assert_array_equal(hull, expected)
    wide = chest_mask(_lungs(Side.RIGHT, Side.LEFT), WINDOW, margin=0.05)
    assert wide is not None
    assert np.flatnonzero(wide[25]).tolist() == list(range(15, 85))  # 5 px of 100 to either side
    assert np.flatnonzero(wide[:, 50]).tolist() == list(range(5, 45))


def test_one_lung_is_a_chest_and_none_is_not() -> None:
    one = chest_mask(_lungs(Side.LEFT), WINDOW, margin=0.0)
    assert one is not None
    assert np.flatnonzero(one.any(axis=0)).tolist() == list(range(70, 80))
    assert chest_mask(DetectedLungs({}, LungSource.NONE), WINDOW) is None


def test_a_cell_is_inside_by_its_centre() -> None:
    """Model grid of 8 x 12 px; mask = model px / 2 + (2, 1): cell centres of 2 x 3 cells at x 2, 6, 10 and y 2, 6."""
    mask = np.zeros((6, 9), bool)
    mask[2, 3] = mask[4, 7] = True  # (x 3, y 2) is the centre of cell (0, 0); (x 7, y 4) that of cell (1, 2)
    to_mask = GridTransform(0.5, 0.5, 2.0, 1.0)
    assert cells_inside(mask, to_mask, (8, 12), (2, 3)).tolist() == [[True, False, False], [False, False, True]]
    beyond = cells_inside(np.ones((6, 9), bool), GridTransform(0.5, 0.5, 6.0, 1.0), (8, 12), (2, 3))
    assert beyond.tolist() == [[True, False, False], [True, False, False]]  # x 7, 9, 11 of 9 columns


def test_heat_outside_becomes_the_lowest_and_heat_inside_stays() -> None:
    heat = np.array([[[9.0, -1.0], [2.0, -3.0]], [[-5.0, -6.0], [-7.0, -4.0]]], np.float32)
    inside = np.array([[False, True], [True, False]])
    expected = [[[-3.0, -1.0], [2.0, -3.0]], [[-7.0, -6.0], [-7.0, -7.0]]]
    assert bounded_by(heat, inside).tolist() == expected
    np.testing.assert_array_equal(bounded_by(heat, np.zeros((2, 2), bool)), heat)
