"""Zones of boxes on hand-made lungs."""

import numpy as np
import pytest

from camray.core.lungs.detection import DetectedLungs
from camray.core.lungs.zones import zones_of_boxes
from camray.domain.zones import ZONES, LungSource, Side, side_of_laterality


def _lungs(*sides: Side) -> DetectedLungs:
    """Right lung at columns 10-40, left at 60-90; rows 0-60 and 30-90: thirds of 20 rows, the left one 30 lower."""
    masks = {side: np.zeros((100, 120), bool) for side in sides}
    for side, mask in masks.items():
        top, first = (0, 10) if side is Side.RIGHT else (30, 60)
        mask[top : top + 60, first : first + 30] = True
    return DetectedLungs(masks, LungSource.NETWORK)


def _zone(box: tuple[float, float, float, float], lungs: DetectedLungs) -> str:
    return zones_of_boxes(np.array([box]), lungs)[0]


@pytest.mark.parametrize(
    ("box", "zone"),
    [
        ((12, 2, 20, 18), "right upper"),
        ((12, 22, 20, 38), "right mid"),
        ((12, 42, 20, 58), "right lower"),
        ((65, 32, 70, 45), "left upper"),
        ((65, 55, 70, 65), "left mid"),
        ((65, 75, 70, 95), "left lower"),
        ((12, 15, 20, 24), "right upper"),  # 5 rows above the cut, 4 below
        ((12, 16, 20, 24.5), "right mid"),  # 4 above, 4.5 below
        ((12, 18, 20, 22), "right upper"),  # equal: the upper one
        ((30, 32, 68, 38), "right mid"),  # 10 columns of the right lung, 8 of the left
        ((41, 10, 59, 60), "outside"),  # between the lungs
        ((36, 0, 86, 20), "outside"),  # 4 of its 50 columns on the right lung, nothing on the left one's rows
        ((35, 0, 85, 20), "right upper"),  # 5 of 50: exactly the required tenth
    ],
)
def test_the_zone_that_holds_most_of_the_box(box: tuple[float, float, float, float], zone: str) -> None:
    assert _zone(box, _lungs(Side.RIGHT, Side.LEFT)) == zone


def test_a_hole_in_a_lung_still_lies_on_it() -> None:
    lungs = _lungs(Side.RIGHT)
    lungs.masks[Side.RIGHT][20:40, 15:35] = False  # a consolidation that the generator did not take for lung
    assert _zone((18, 25, 32, 35), lungs) == "right mid"


def test_one_lung_has_no_zones_of_the_other_side() -> None:
    assert _zone((65, 40, 70, 50), _lungs(Side.RIGHT)) == "outside"
    assert _zone((65, 40, 70, 45), _lungs(Side.LEFT)) == "left upper"


def test_without_lungs_and_without_a_box() -> None:
    boxes = np.array([[1.0, 1, 2, 2], [np.nan] * 4])
    assert zones_of_boxes(boxes, DetectedLungs({}, LungSource.NONE)) == ["unknown", ""]
    assert zones_of_boxes(boxes, _lungs(Side.RIGHT)) == ["outside", ""]
    assert zones_of_boxes(np.empty((0, 4)), _lungs(Side.RIGHT)) == []


def test_names_and_laterality() -> None:
    assert ZONES == ("right upper", "right mid", "right lower", "left upper", "left mid", "left lower")
    assert [side_of_laterality(code) for code in ("R", "L", "B", "U", "")] == [Side.RIGHT, Side.LEFT, None, None, None]
