"""Backgrounds and the boxes measured from them, worked by hand."""

import numpy as np
import pytest

from camray.core.localization.background import Background, BackgroundRules, background_of, recipe_above
from camray.core.localization.box_recipes import BoxRecipe, recipe_from_json
from camray.core.localization.located_boxes import RegionRules, heat_thresholds, locate
from camray.domain.geometry import CropWindow

WHOLE = CropWindow(0, 32, 0, 32)
RULES = BackgroundRules(level=0.5, clipped_level=0.2, dilate=1.0)


def _maps(background: float, *hot: tuple[int, int, float]) -> np.ndarray:
    """One map of 4 x 4 cells of 8 px."""
    heat = np.full((1, 4, 4), background, np.float32)
    for row, col, value in hot:
        heat[0, row, col] = value
    return heat


def test_the_background_is_the_median_of_all_cells_of_all_films() -> None:
    films = np.concatenate([_maps(-4.0, (0, 0, 7.0)), _maps(-3.0), _maps(-2.0, (1, 1, -9.0))])
    assert background_of(films) == Background(-3.0, is_clipped=False, n=3)


def test_the_background_of_bounded_maps_is_that_inside() -> None:
    bounded = np.array([[[-9, -9, -9, -2, 3]], [[-7, -7, -7, -7, -1]]], np.float32)
    assert background_of(bounded, is_bounded=True) == Background(-1.0, is_clipped=False, n=2)  # of -2, 3 and -1
    assert background_of(np.full((1, 2, 2), -4, np.float32), is_bounded=True).heat == -4
    assert background_of(_maps(0.0, (1, 1, 2.0)), is_bounded=True) == Background(0.0, is_clipped=True, n=1)


def test_only_maps_with_a_background_of_zero_and_nothing_below_are_clipped() -> None:
    assert background_of(_maps(0.0, (1, 1, 2.0))).is_clipped
    assert not background_of(_maps(0.0, (1, 1, -2.0))).is_clipped
    assert not background_of(_maps(0.5, (1, 1, 2.0))).is_clipped


def test_the_recipe_takes_the_level_of_its_kind_of_map() -> None:
    rules = BackgroundRules(0.5, 0.2, dilate=1.4, smooth=0.5, region="largest")
    signed = BoxRecipe("background", 0.5, smooth=0.5, peak_smooth=0.5, dilate=1.4, region="largest", background=-3.0)
    assert recipe_above(Background(-3.0, is_clipped=False, n=2), rules) == signed
    assert recipe_above(Background(0.0, is_clipped=True, n=2), rules).level == 0.2


@pytest.mark.parametrize("heat", [np.zeros((0, 4, 4), np.float32), _maps(np.nan)])
def test_a_background_needs_films_with_finite_heat(heat: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"at least one film|NaN"):
        background_of(heat)


def test_the_box_encloses_what_is_above_half_of_the_height_over_the_background() -> None:
    """One cell of 5 on -3: the heat is -3 + 8 (1 - u)(1 - v), u and v the distances from the cell's centre in cells.

    The nearest pixel centres are 1/16 cell off, so the peak is -3 + 8 (15/16)^2 = 4.03, and halfway from -3 is 0.516.
    On the peak's row that is crossed where 7.5 (1 - u) = 3.516: u = 0.531, 4.25 px; the last pixel centre is at 3.5 px.
    """
    found = locate(
        _maps(-3.0, (1, 2, 5.0)), WHOLE, (32, 32), recipe_above(Background(-3.0, False, 1), RULES), RegionRules(0)
    )
    assert found.boxes.tolist() == [[16.0, 8.0, 24.0, 16.0]]
    assert found.score.tolist() == [pytest.approx(-3 + 8 * 225 / 256)]
    smaller = locate(_maps(-3.0, (1, 2, 5.0)), WHOLE, (32, 32), BoxRecipe("max", 0.5), RegionRules(0))
    assert (smaller.boxes[0, :2] > found.boxes[0, :2]).all()


def test_a_constant_added_to_all_maps_changes_no_box() -> None:
    film, without = _maps(-3.0, (1, 1, 5.0), (1, 2, 4.0)), _maps(-3.0, (3, 3, -1.0))
    boxes = [
        locate(film + add, WHOLE, (32, 32), recipe_above(background_of(without + add), RULES), RegionRules(0)).boxes
        for add in np.array([0.0, 8.0, -16.0], np.float32)
    ]
    assert boxes[0].shape == (1, 4)
    for other in boxes[1:]:
        np.testing.assert_array_equal(other, boxes[0])
    cam_paper = [locate(film + add, WHOLE, (32, 32), BoxRecipe("max", 0.2), RegionRules(0)).boxes for add in (0.0, 8.0)]
    assert cam_paper[0].tolist() != cam_paper[1].tolist()


def test_two_peaks_with_the_background_between_them_are_two_boxes() -> None:
    found = locate(
        _maps(-3.0, (0, 0, 5.0), (3, 3, 4.0)),
        WHOLE,
        (32, 32),
        recipe_above(Background(-3.0, False, 1), RULES),
        RegionRules(0),
    )
    assert found.rank.tolist() == [0, 1]
    # beyond the corner's cell centre the heat is held, so halfway, 1, is crossed at u = 0.5 (4 px) about the first peak
    # and at u = 3/7 (3.43 px) about the second
    assert found.boxes.tolist() == [[0.0, 0.0, 8.0, 8.0], [25.0, 25.0, 32.0, 32.0]]


def test_thresholds_by_hand_and_no_region_at_or_below_the_background() -> None:
    heat = np.array([[[-4, -2, 0, 6]], [[-4, -3, -3, -2]], [[-4, -3.5, -3, -3]], [[-2, -1, -1, 6]]], np.float32)
    cuts = heat_thresholds(heat, "background", np.array([0.25, 0.5]), background=-3.0)
    assert cuts[:2].tolist() == [[-0.75, 1.5], [-2.75, -2.5]]
    assert np.isinf(cuts[2]).all()
    assert heat_thresholds(heat[3:], "background", np.array([0.01]), background=-3.0)[0, 0] > -2  # never the whole film
    np.testing.assert_array_equal(
        heat_thresholds(heat, "max", np.array([0.5]), background=-3.0), heat_thresholds(heat, "max", np.array([0.5]))
    )


def test_recipes_of_other_references_are_written_without_a_background() -> None:
    recipe = BoxRecipe("background", 0.5, background=-3.25)
    assert recipe_from_json(recipe.as_json()) == recipe
    assert "background" not in BoxRecipe("max", 0.2).as_json()
    assert recipe_from_json({"reference": "max", "level": 0.2}) == BoxRecipe("max", 0.2)
