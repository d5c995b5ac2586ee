"""Threshold policies and the boxes they give, worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from camray.core.localization.box_recipes import BoxRecipe, fixed_recipe, recipe_from_json
from camray.core.localization.heat_maps import film_window
from camray.core.localization.located_boxes import (
    RegionRules,
    heat_thresholds,
    hit_points,
    holds_localization,
    locate,
    with_prior,
)
from camray.domain.errors import CheckpointError
from camray.domain.geometry import Box, CropWindow, GridTransform

WHOLE = CropWindow(0, 32, 0, 32)
PLAIN = BoxRecipe("max", 0.5)


def _bright(row: int, col: int, cells: int = 4, value: float = 1.0) -> np.ndarray:
    heat = np.zeros((1, cells, cells), np.float32)
    heat[0, row, col] = value
    return heat


def test_one_bright_cell_of_a_letterboxed_film_gives_its_exact_native_box() -> None:
    """Cells of 16 px; heat falls linearly to 0 over one cell: it is >= 0.5 within 8 px of the cell's centre line."""
    transform = GridTransform(0.16, 0.16, 16.0, 0.0)  # 400 x 200 px native, 16 px of margin left and right on 64 x 64
    window = film_window(transform, (400, 200), (64, 64))
    found = locate(_bright(1, 2), window, (64, 64), BoxRecipe("max", 0.5), RegionRules(0))
    # the heat is the product of two tents: half its maximum along an axis lies 8 px from the centre (40, 24); the
    # highest sample is (31/32)^2, half of that is crossed where one factor is 31/64, 8.25 px off: last centre 7.5
    assert found.boxes.tolist() == [[32.0, 16.0, 48.0, 32.0]]
    native = transform.box_to_native(Box(*found.boxes[0]))
    assert native.as_tuple() == pytest.approx((100.0, 100.0, 200.0, 200.0))
    assert transform.xy_to_native(*found.peaks_xy[0]) == pytest.approx((150.0, 150.0))
    assert found.score.tolist() == [pytest.approx((31 / 32) ** 2)]


def test_axes_break_the_test_when_swapped() -> None:
    found = locate(_bright(0, 3), WHOLE, (32, 32), PLAIN, RegionRules(0))
    assert found.boxes.tolist() == [[24.0, 0.0, 32.0, 8.0]]
    assert locate(_bright(3, 0), WHOLE, (32, 32), PLAIN, RegionRules(0)).boxes.tolist() == [[0.0, 24.0, 8.0, 32.0]]


def test_the_margin_holds_neither_region_nor_peak() -> None:
    heat = _bright(1, 0, value=9.0) + _bright(2, 2)
    window = CropWindow(0, 32, 16, 32)
    found = locate(heat, window, (32, 32), PLAIN, RegionRules(0))
    assert len(found.boxes) == 1
    assert found.boxes[0, 0] >= 16
    assert found.peaks_xy.tolist() == [[20.0, 20.0]]


_REFERENCES = ["max", "range", "raw", "quantile", "otsu", "background"]


@pytest.mark.parametrize("heat", [np.zeros((1, 4, 4)), np.full((1, 4, 4), 0.7), np.full((1, 4, 4), -3.0)])
@pytest.mark.parametrize("reference", _REFERENCES)
def test_constant_maps_hold_no_localization(heat: np.ndarray, reference: str) -> None:
    found = locate(heat.astype(np.float32), WHOLE, (32, 32), BoxRecipe(reference, 0.2), RegionRules(0))
    assert found.boxes.shape == (0, 4)
    assert np.isnan(found.peaks_xy).all()


@pytest.mark.parametrize("reference", _REFERENCES)
@pytest.mark.parametrize("peak_smooth", [0.0, 0.4])
def test_a_map_below_zero_has_its_peak_and_a_box_by_its_range_alone(reference: str, peak_smooth: float) -> None:
    heat = (_bright(2, 1) - 2.0).astype(np.float32)
    recipe = BoxRecipe(reference, 0.5, peak_smooth=peak_smooth)
    found = locate(heat, WHOLE, (32, 32), recipe, RegionRules(0))
    above = locate(heat + 5, WHOLE, (32, 32), BoxRecipe("range", 0.5, peak_smooth=peak_smooth), RegionRules(0))
    np.testing.assert_allclose(found.peaks_xy, above.peaks_xy, atol=0.51)  # rounding picks among equal pixels
    assert found.boxes.tolist() == (above.boxes.tolist() if reference == "range" else [])


def test_a_map_is_boxed_above_a_background_below_zero() -> None:
    heat = (_bright(2, 1) - 2.0).astype(np.float32)
    found = locate(heat, WHOLE, (32, 32), BoxRecipe("background", 0.5, background=-2.0), RegionRules(0))
    expected = locate(heat, WHOLE, (32, 32), BoxRecipe("range", 0.5), RegionRules(0))
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_a_constant_map_stays_constant_under_uneven_interpolation() -> None:
    heat = np.full((1, 7, 13), np.float32(0.1), np.float32)
    assert not len(locate(heat, CropWindow(0, 50, 0, 37), (50, 37), PLAIN, RegionRules(0)).boxes)


def test_not_a_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        locate(np.full((1, 4, 4), np.nan, np.float32), WHOLE, (32, 32), PLAIN, RegionRules(0))


def test_thresholds_by_hand() -> None:
    heat = np.array([[[-4, 0, 1, 2, 4, 4, 4, 4, 4, 6]]], np.float32)
    levels = np.array([0.25, 0.5])
    assert heat_thresholds(heat, "max", levels).tolist() == [[1.5, 3.0]]
    assert heat_thresholds(heat, "range", levels).tolist() == [[-1.5, 1.0]]
    assert heat_thresholds(heat, "raw", levels).tolist() == [[0.25, 0.5]]
    assert heat_thresholds(heat, "quantile", levels).tolist() == [[1.25, 4.0]]
    assert heat_thresholds(heat, "otsu", levels[:1])[0, 0] == pytest.approx(threshold_otsu(heat), rel=1e-6)


def test_no_threshold_takes_in_what_speaks_against_a_label_or_the_whole_film() -> None:
    rectified = np.zeros((1, 4, 4), np.float32)
    rectified[0, 1, 1] = 2
    for reference, level in (("raw", 0.0), ("quantile", 0.5), ("raw", -5.0), ("range", 0.0)):
        cut = heat_thresholds(rectified, reference, np.array([level]))
        assert 0 < cut[0, 0] <= 2
    signed = rectified - 1
    assert heat_thresholds(signed, "raw", np.array([-5.0]))[0, 0] > 0
    assert -1 < heat_thresholds(signed, "range", np.array([0.0]))[0, 0] < -0.99


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9), st.floats(0.01, 0.09))
def test_a_higher_level_gives_boxes_inside_the_lower_ones(seed: int, level: float, more: float) -> None:
    heat = np.random.default_rng(seed).normal(size=(1, 6, 6)).astype(np.float32)
    low, high = (
        locate(heat, WHOLE, (32, 32), BoxRecipe("range", each), RegionRules(0)).boxes for each in (level, level + more)
    )
    for box in high:
        assert ((low[:, :2] <= box[:2]) & (low[:, 2:] >= box[2:])).all(axis=1).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_stack_equals_its_maps_one_by_one_and_cam_equals_gradcam_relative_to_the_maximum(seed: int) -> None:
    heat = np.random.default_rng(seed).normal(size=(5, 6, 6)).astype(np.float32)
    recipe = BoxRecipe("max", 0.4, smooth=0.7, dilate=1.2, region="largest")
    whole = locate(heat, WHOLE, (32, 32), recipe, RegionRules(0.01))
    for number in range(5):
        alone = locate(heat[number : number + 1], WHOLE, (32, 32), recipe, RegionRules(0.01))
        mine = whole.map_index == number
        np.testing.assert_array_equal(whole.boxes[mine], alone.boxes)
        np.testing.assert_array_equal(whole.rank[mine], np.arange(len(alone.rank)))
        np.testing.assert_array_equal(whole.peaks_xy[number], alone.peaks_xy[0])
    plain = BoxRecipe("max", 0.4)
    np.testing.assert_array_equal(
        locate(heat, WHOLE, (32, 32), plain, RegionRules(0)).boxes,
        locate(heat * 2.0**-8, WHOLE, (32, 32), plain, RegionRules(0)).boxes,
    )


def test_many_boxes_are_ranked_by_the_recipe_and_small_ones_dropped() -> None:
    heat = _bright(0, 0, 8, 1.0) + _bright(4, 4, 8, 0.8) + _bright(4, 5, 8, 0.8) + _bright(7, 1, 8, 0.6)
    shape, window = (64, 64), CropWindow(0, 64, 0, 64)
    hottest = locate(heat, window, shape, BoxRecipe("max", 0.5), RegionRules(0))
    assert hottest.rank.tolist() == [0, 1, 2]
    assert hottest.score.tolist() == sorted(hottest.score, reverse=True)
    assert hottest.boxes[0].tolist()[:2] == [0, 0]
    largest = locate(heat, window, shape, BoxRecipe("max", 0.5, region="largest"), RegionRules(0))
    assert largest.boxes[0].tolist() == hottest.boxes[1].tolist()
    at_least_60_px = RegionRules(60 / 4096)  # of regions of 58, 72 and 10 px
    assert len(locate(heat, window, shape, BoxRecipe("max", 0.5), at_least_60_px).boxes) == 1
    mean = locate(heat, window, shape, BoxRecipe("max", 0.5), RegionRules(0, "mean"))
    assert (mean.score < hottest.score).all()


def test_a_widened_box_keeps_its_centre_and_the_hit_point_has_its_own_smoothing() -> None:
    heat = _bright(1, 1, 8, 1.2) + _bright(5, 5, 8, 0.9) + _bright(5, 6, 8, 0.9) + _bright(6, 5, 8, 0.9)
    window = CropWindow(0, 64, 0, 64)
    plain = locate(heat, window, (64, 64), BoxRecipe("max", 0.5), RegionRules(0))
    wide = locate(heat, window, (64, 64), BoxRecipe("max", 0.5, dilate=2.0, peak_smooth=1.0), RegionRules(0))
    centre = (plain.boxes[0, :2] + plain.boxes[0, 2:]) / 2
    np.testing.assert_allclose((wide.boxes[0, :2] + wide.boxes[0, 2:]) / 2, centre)
    np.testing.assert_allclose(wide.boxes[0, 2:] - wide.boxes[0, :2], 2 * (plain.boxes[0, 2:] - plain.boxes[0, :2]))
    np.testing.assert_allclose(plain.peaks_xy, hit_points(heat, window, (64, 64), 0.0))
    assert (plain.peaks_xy[0] < 13).all()
    assert (wide.peaks_xy[0] > 40).all()
    np.testing.assert_array_equal(wide.peaks_xy, hit_points(heat, window, (64, 64), 1.0))


def test_the_prior_moves_boxes_but_makes_none() -> None:
    heat = np.concatenate([_bright(0, 0) + _bright(3, 3, value=0.9), np.zeros((1, 4, 4), np.float32)])
    prior = _bright(3, 3, value=0.4)[0]
    recipe = BoxRecipe("max", 0.5, prior=0.5, peak_prior=0.5)
    found = locate(heat, WHOLE, (32, 32), recipe, RegionRules(0), prior=prior)
    assert found.peaks_xy[0].tolist() == [30.0, 30.0]
    assert np.isnan(found.peaks_xy[1]).all()
    assert found.map_index.tolist() == [0, 0]
    np.testing.assert_allclose(with_prior(heat, prior, 0.5)[0, 3, 3], 1.1, rtol=1e-6)
    assert with_prior(heat, None, 0.0) is heat
    with pytest.raises(ValueError, match="no prior"):
        locate(heat, WHOLE, (32, 32), recipe, RegionRules(0))


def test_recipes_travel_as_json_and_fixed_policies_have_theirs() -> None:
    recipe = BoxRecipe("range", 0.55, smooth=0.5, peak_smooth=1.0, prior=0.25, dilate=1.25, region="evidence")
    assert recipe_from_json(recipe.as_json()) == recipe
    with pytest.raises(CheckpointError, match="not a recipe"):
        recipe_from_json({"reference": "max", "level": 0.2, "colour": 1})
    assert fixed_recipe("fraction_of_max", 0.2, 0.0, "hottest") == BoxRecipe("max", 0.2)
    assert fixed_recipe("otsu", 0.3, 1.0, "largest") == BoxRecipe("otsu", 0.0, 1.0, 1.0, region="largest")
    with pytest.raises(ValueError, match="calibrated"):
        fixed_recipe("calibrated", 0.2, 0.0, "hottest")


def test_nothing_in_nothing_out() -> None:
    assert holds_localization(np.empty((0, 3, 3), np.float32)).tolist() == []
    found = locate(np.empty((0, 4, 4), np.float32), WHOLE, (32, 32), PLAIN, RegionRules(0))
    assert found.boxes.shape == (0, 4)
    assert found.peaks_xy.shape == (0, 2)
