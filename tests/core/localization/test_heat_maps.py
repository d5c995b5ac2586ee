"""Windows, interpolation, peaks and boxes, worked by hand."""

import numpy as np
import pytest
import torch

from camray.core.localization.connected_components import find_regions
from camray.core.localization.heat_maps import (
    film_window,
    peak_xy,
    peaks_xy,
    scaled_about_centre,
    upsampled,
)
from camray.domain.geometry import Box, CropWindow, GridTransform


def boxes_from_heat(heat: np.ndarray, heat_threshold: float, min_area_px: int) -> list[Box]:
    """Boxes of the regions of one map, hottest first."""
    regions = find_regions(heat[None], np.array([heat_threshold], np.float32), min_area_px)
    return [Box(*map(float, regions.boxes[number])) for number in regions.ranked("hottest")]


def test_boxes_of_regions_by_hand() -> None:
    heat = np.zeros((4, 6), np.float32)
    heat[1:3, 2:5] = 0.75
    assert boxes_from_heat(heat, 0.5, 1) == [Box(2.0, 1.0, 5.0, 3.0)]
    assert boxes_from_heat(heat, 0.75, 1) == [Box(2.0, 1.0, 5.0, 3.0)]
    assert boxes_from_heat(heat, 0.76, 1) == []
    assert boxes_from_heat(heat, 0.5, 7) == []
    heat[0, 0] = 0.9
    assert boxes_from_heat(heat, 0.5, 1) == [Box(0.0, 0.0, 1.0, 1.0), Box(2.0, 1.0, 5.0, 3.0)]


def test_axes_and_flips_are_kept() -> None:
    """An L of hot pixels: a transposed or mirrored heat gives a transposed or mirrored box and no other."""
    heat = np.zeros((5, 8), np.float32)
    heat[1, 1:4] = heat[1:4, 1] = 1
    assert boxes_from_heat(heat, 0.5, 1) == [Box(1, 1, 4, 4)]
    heat[1, 4] = 1
    assert boxes_from_heat(heat, 0.5, 1) == [Box(1, 1, 5, 4)]
    assert boxes_from_heat(heat.T.copy(), 0.5, 1) == [Box(1, 1, 4, 5)]
    assert boxes_from_heat(heat[:, ::-1].copy(), 0.5, 1) == [Box(3, 1, 7, 4)]
    assert boxes_from_heat(heat[::-1].copy(), 0.5, 1) == [Box(1, 1, 5, 4)]


@pytest.mark.parametrize(("cells", "side"), [((7, 5), (14, 20)), ((16, 8), (256, 128)), ((13, 13), (224, 224))])
def test_upsampling_equals_torch_with_the_corner_origin(cells: tuple[int, int], side: tuple[int, int]) -> None:
    heat = np.random.default_rng(0).normal(size=(3, *cells)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(heat)[:, None], size=side, mode="bilinear", align_corners=False
    )[:, 0]
    np.testing.assert_allclose(upsampled(heat, side), expected, rtol=0, atol=2e-5)
    window = CropWindow(1, side[0] - 2, 3, side[1])
    np.testing.assert_array_equal(upsampled(heat, side, window), upsampled(heat, side)[:, 1:-2, 3:])


def test_interpolation_by_hand() -> None:
    heat = np.array([[[0.0, 8.0], [4.0, 4.0]]], np.float32)
    assert upsampled(heat, (4, 4))[0].tolist() == [
        [0.0, 2.0, 6.0, 8.0],
        [1.0, 2.5, 5.5, 7.0],
        [3.0, 3.5, 4.5, 5.0],
        [4.0, 4.0, 4.0, 4.0],
    ]
    one = upsampled(np.array([[[3.0]]], np.float32), (2, 5))
    assert one.tolist() == [[[3.0] * 5] * 2]


def test_smoothing_keeps_the_sum_the_sign_and_the_place() -> None:
    heat = np.zeros((1, 9, 9), np.float32)
    heat[0, 3, 5] = 1
    smooth = upsampled(heat, (9, 9), smooth=1.0)[0]
    np.testing.assert_allclose(smooth.sum(), 1, atol=1e-4)
    assert np.unravel_index(smooth.argmax(), smooth.shape) == (3, 5)
    np.testing.assert_allclose(smooth[3, 4], smooth[3, 6], rtol=1e-5)
    np.testing.assert_allclose(smooth[3, 6] / smooth[3, 5], np.exp(-0.5), rtol=1e-3)


def test_coarse_samples_see_the_same_place() -> None:
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 2, 5] = 1
    fine, coarse = upsampled(heat, (64, 64)), upsampled(heat, (64, 64), step_px=4)
    assert coarse.shape == (1, 16, 16)
    np.testing.assert_allclose(peaks_xy(coarse) * 4, peaks_xy(fine), atol=2)
    np.testing.assert_allclose(peaks_xy(fine), [[44, 20]], atol=0.51)


def test_the_window_is_the_film_without_its_margin() -> None:
    # 400 x 200 px native to 64 x 64: scale 0.16, 32 columns wide, 16 px of margin left and right
    assert film_window(GridTransform(0.16, 0.16, 16.0, 0.0), (400, 200), (64, 64)) == CropWindow(0, 64, 16, 48)
    # a crop: the film is larger than the model grid
    assert film_window(GridTransform(0.5, 0.5, -10.0, -3.0), (200, 200), (64, 64)) == CropWindow(0, 64, 0, 64)
    # half a pixel of film does not make a pixel, a little more does
    assert film_window(GridTransform(1.0, 1.0, 0.5, 0.51), (4, 4), (8, 8)) == CropWindow(1, 5, 0, 4)
    with pytest.raises(ValueError, match="outside the model grid"):
        film_window(GridTransform(1.0, 1.0, 100.0, 0.0), (4, 4), (8, 8))


def test_the_peak_is_the_centre_of_the_highest_pixel() -> None:
    heat = np.random.default_rng(1).normal(size=(4, 6, 9)).astype(np.float32)
    heat[0, 2, 7] = 10
    assert peaks_xy(heat)[0].tolist() == [7.5, 2.5]
    for number, each in enumerate(heat):
        row, col = np.unravel_index(int(each.argmax()), each.shape)
        assert peaks_xy(heat)[number].tolist() == [col + 0.5, row + 0.5]
    assert peaks_xy(np.empty((0, 3, 3), np.float32)).shape == (0, 2)


def test_tied_peaks_lowest_row_then_column() -> None:
    heat = np.zeros((2, 5, 7), np.float32)
    heat[0, 3, 1] = heat[0, 1, 6] = heat[0, 1, 3] = 2
    heat[1, 1:3, 4:6] = 2  # one plateau: its middle
    heat[1, 4, 0] = 2
    assert peaks_xy(heat).tolist() == [[3.5, 1.5], [5.0, 2.0]]


def test_a_peak_in_a_corner_cell_is_not_pushed_to_the_very_corner() -> None:
    heat = np.zeros((1, 4, 4), np.float32)
    heat[0, 0, 0] = 1
    assert peaks_xy(upsampled(heat, (64, 64))).tolist() == [[4.0, 4.0]]  # held from 0 to 8 in both directions


def test_scaling_about_the_centre() -> None:
    boxes = np.array([[2.0, 4.0, 6.0, 10.0]])
    assert scaled_about_centre(boxes, 1.5).tolist() == [[1.0, 2.5, 7.0, 11.5]]
    many = scaled_about_centre(boxes[:, None], np.array([1.0, 0.5]))
    assert many.tolist() == [[[2, 4, 6, 10], [3, 5.5, 5, 8.5]]]


def test_one_maps_peak_is_that_of_the_stack_with_and_without_ties() -> None:
    rng = np.random.default_rng(4)
    for levels in (2, 4, 10**6):
        for _ in range(20):
            heat = rng.integers(0, levels, (6, 7)).astype(np.float32)
            assert peak_xy(heat).tolist() == peaks_xy(heat[None])[0].tolist()
