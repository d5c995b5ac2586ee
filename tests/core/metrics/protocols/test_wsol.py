"""The original's contours once more by labelling and filling, threshold by threshold, and pictures worked by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

from camray.core.localization.heat_maps import Placement, bicubic
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.rows import Geometry
from camray.core.metrics.protocols.wsol import original_sweep, pixel_average_precision, pixel_histograms, whole_px
from camray.core.metrics.protocols.wsol_rows import (
    CLEAN,
    ORIGINAL,
    MaskedFilms,
    film_heat,
    mask_on_map,
    max_box_acc_statistics,
    original_mask_on_map,
    overlaps_of,
    pixel_statistics,
)
from camray.core.metrics.statistics import statistics_table
from camray.domain.geometry import CropWindow, GridTransform
from tests.core.metrics import reference

CROSS = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
LEVELS = np.arange(100) / 100


def inclusive_iou(one: reference.Corners, two: reference.Corners) -> float:
    return reference.iou((*one[:2], one[2] + 1, one[3] + 1), (*two[:2], two[2] + 1, two[3] + 1))


def outline_area(region: np.ndarray) -> float:
    """Area within the polygon through the centres of the border pixels of a region without holes."""
    blocks = sum(np.roll(np.roll(region.astype(int), -r, 0), -c, 1)[:-1, :-1] for r in (0, 1) for c in (0, 1))
    return float((blocks == 4).sum() + (blocks == 3).sum() / 2)


def contours_of(hot: np.ndarray) -> list[tuple[tuple[int, int, int, int], float, int]]:
    """Corners (exclusive), area and first pixel of each region's outline."""
    found = []
    regions, count = label(hot, np.ones((3, 3)))
    for number in range(1, count + 1):
        region = regions == number
        rows, cols = np.nonzero(region)
        area = outline_area(np.pad(binary_fill_holes(region, CROSS), 1))
        first = int(np.flatnonzero(region)[0])
        found.append(((cols.min(), rows.min(), cols.max() + 1, rows.max() + 1), area, first))
    return found


def slow_largest(picture: np.ndarray, annotated: list[tuple[int, ...]], threshold: float) -> tuple[list[int], float]:
    found = contours_of(picture > int(threshold * picture.max()))
    box = [0, 0, 0, 0]
    if found:
        x0, y0, x1, y1 = max(found, key=lambda each: each[1:])[0]  # no hole's outline is larger than the one around it
        box = [x0, y0, min(x1, picture.shape[1] - 1), min(y1, picture.shape[0] - 1)]
    return box, max(inclusive_iou(box, other) for other in annotated)


def background_holes(hot: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Outlines of background parts, joined by sides, that do not reach the border."""
    parts, count = label(~hot, CROSS)
    found = []
    for number in range(1, count + 1):
        rows, cols = np.nonzero(parts == number)
        if rows.min() > 0 and cols.min() > 0 and rows.max() < hot.shape[0] - 1 and cols.max() < hot.shape[1] - 1:
            found.append((cols.min() - 1, rows.min() - 1, cols.max() + 2, rows.max() + 2))
    return found


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(2, 16), cols=st.integers(2, 16), sigma=st.sampled_from([0, 0.7, 2]))
def test_the_original_equals_contours_at_each_threshold(seed: int, rows: int, cols: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    heat = gaussian_filter(rng.random((rows, cols)), sigma) if sigma else rng.integers(0, 4, (rows, cols)) / 3.0
    annotated = [(0, 0, cols // 2, rows // 2), (cols // 3, rows // 3, cols - 1, rows - 1)]
    swept = original_sweep(heat.astype(np.float32), np.array(annotated, float), LEVELS)
    shifted = heat.astype(np.float32) - np.float32(heat.astype(np.float32).min())
    picture = (shifted / (shifted.max() or 1) * np.float32(255)).astype(np.uint8)
    for number in range(0, 100, 9):
        largest, of_largest = slow_largest(picture, annotated, LEVELS[number])
        assert swept.largest[number].tolist() == largest
        assert swept.iou_largest[number] == pytest.approx(of_largest)
        hot = picture > int(LEVELS[number] * picture.max())
        corners = [found[0] for found in contours_of(hot)] + background_holes(hot)
        held = [(x0, y0, min(x1, cols - 1), min(y1, rows - 1)) for x0, y0, x1, y1 in corners] or [(0, 0, 0, 0)]
        assert swept.iou_any[number] == pytest.approx(max(inclusive_iou(a, b) for a in held for b in annotated))


def picture_by_hand() -> np.ndarray:
    """Single pixels, and a square of 7 x 7 with a hole of 3 x 3 that holds an island; seen with OpenCV 4.8 and 5.0."""
    hot = np.zeros((20, 20), np.float32)
    for row, col in ((2, 2), (2, 10), (8, 5), (15, 1), (15, 15)):
        hot[row, col] = 1
    hot[5:12, 8:15] = 1
    hot[7:10, 10:13] = 0
    hot[8, 11] = 1
    return hot


def test_holes_are_contours_one_pixel_beyond_the_hole() -> None:
    # OpenCV: the square is (8, 5, 7, 7) with area 36, its hole's outline (9, 6, 5, 5)
    swept = original_sweep(picture_by_hand(), np.array([[9.0, 6.0, 14.0, 11.0]]), LEVELS)
    assert swept.largest[50].tolist() == [8, 5, 15, 12]  # exclusive corners, from here on inclusive
    assert swept.iou_largest[50] == pytest.approx(36 / 64)
    assert swept.iou_any[50] == 1.0


def test_of_equal_areas_the_last_in_reading_order_counts() -> None:
    hot = np.zeros((9, 9), np.float32)
    hot[1, 1] = hot[6, 2] = hot[6, 5] = 1  # no outline has any area
    swept = original_sweep(hot, np.array([[5.0, 6.0, 6.0, 7.0]]), LEVELS)
    assert swept.largest[0].tolist() == [5, 6, 6, 7]
    assert swept.iou_largest[0] == 1.0


def test_an_empty_map_is_a_pixel_at_the_origin() -> None:
    for heat in (np.full((6, 6), 2.0), np.full((6, 6), np.nan)):
        swept = original_sweep(heat, np.array([[0.9, 0.2, 1.9, 1.0]]), LEVELS)  # cut to (0, 0, 1, 1): 2 x 2 px
        assert (swept.largest == 0).all()
        assert (swept.iou_largest == 0.25).all()
        assert (swept.iou_any == 0.25).all()


def test_adjacent_boxes_overlap_by_the_original() -> None:
    # exclusive corners taken as inclusive: (0, 0, 4, 4) and (4, 0, 8, 4) are 5 x 5 and share a column of 5
    heat = np.zeros((12, 12), np.float32)
    heat[0:4, 0:4] = 1
    swept = original_sweep(heat, np.array([[4.0, 0.0, 8.0, 4.0]]), LEVELS)
    assert swept.iou_largest[0] == pytest.approx(5 / 45)


def test_the_threshold_is_strict_and_cut_to_eight_bits() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[2:5, 2:5], heat[3, 3] = 0.5, 1.0  # 0.5 becomes 127
    swept = original_sweep(heat, np.array([[2.0, 2.0, 5.0, 5.0]]), np.array([0.498, 0.4999, 0.5]))
    # int(0.498 * 255) = 126 < 127; int(0.4999 * 255) = 127 is not below 127
    assert swept.largest.tolist() == [[2, 2, 5, 5], [3, 3, 4, 4], [3, 3, 4, 4]]


def geometry_of(side: int, image_ids: tuple[str, ...]) -> Geometry:
    placed = Placement(GridTransform(1.0, 1.0), CropWindow(0, side, 0, side))
    return Geometry((side, side), {image_id: placed for image_id in image_ids})


def test_rows_by_hand() -> None:
    # two films: a hot square that fits, and one whose annotation lies elsewhere
    heat = np.zeros((10, 10), np.float32)
    heat[2:6, 2:6] = 1
    items = reference.items_of([(10, 10, [(2, 2, 6, 6)]), (10, 10, [(7, 7, 9, 9)])])
    found = overlaps_of(items, lambda _: heat, geometry_of(10, items.image_ids), LEVELS)
    table = statistics_table(
        "test", 2, max_box_acc_statistics(items, "cam", found, found, oracle=True), Bootstrap(20, 0.95, 1)
    )
    chosen = table[table.label == "a"].set_index(["metric", "threshold_source", "criterion"]).value
    for convention in (CLEAN, ORIGINAL):
        for source in ("fixed", "validation", "oracle"):
            assert chosen[f"{convention}/max_box_acc", source, 0.5] == 0.5
            assert chosen[f"{convention}/max_box_acc_v2", source, 0.7] == 0.5
    assert len(table) == 2 * 2 * 3 * 5  # label and mean, conventions, sources, rows
    assert found[CLEAN].largest[0, 50] == 1.0
    assert found[ORIGINAL].largest[0, 50] == 1.0
    assert (table.low <= table.value).all()
    assert (table.value <= table.high).all()


def test_pixel_precision_and_recall_by_hand() -> None:
    heat = np.array([[1.0, 0.6, 0.6, 0.1]])
    mask = np.array([[True, True, False, False]])
    thresholds = np.array([0.0, 0.5])
    inside, outside = pixel_histograms(heat, mask, np.zeros((1, 4), bool), thresholds)
    np.testing.assert_array_equal(inside, [0, 1, 1])
    np.testing.assert_array_equal(outside, [1, 1, 0])
    # half the mask at precision 1, the other half at 2/3
    np.testing.assert_allclose(pixel_average_precision(inside[None], outside[None]), [0.5 + 0.5 * 2 / 3])
    # the wrong pixel does not count where it is ignored; a mask goes before an ignored region
    inside, outside = pixel_histograms(heat, mask, np.array([[True, True, True, False]]), thresholds)
    np.testing.assert_allclose(pixel_average_precision(inside[None], outside[None]), [1.0])
    assert np.isnan(pixel_average_precision(np.zeros((1, 3)), np.ones((1, 3))))[0]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_pixel_average_precision_of_perfect_and_of_random_maps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((40, 40)) < 0.3
    nothing, thresholds = np.zeros_like(mask), np.arange(1000) / 1000
    perfect, noise, flat = (
        pixel_average_precision(*(part[None] for part in pixel_histograms(heat, mask, nothing, thresholds)))[0]
        for heat in (mask.astype(float), rng.random((40, 40)), np.zeros((40, 40)))
    )
    assert perfect == pytest.approx(1.0)
    assert flat == pytest.approx(mask.mean())
    assert noise == pytest.approx(mask.mean(), abs=0.1)


def test_the_pixel_row_takes_masks_to_the_map() -> None:
    mask = np.zeros((20, 20), bool)
    mask[4:12, 4:12] = True
    heat = np.zeros((10, 10), np.float32)
    heat[2:6, 2:6] = 1
    placed = Placement(GridTransform(0.5, 0.5), CropWindow(0, 10, 0, 10))
    parts = pixel_statistics(
        MaskedFilms("a", {"f": mask}, {}, {"f": 0}), "cam", lambda _: heat, Geometry((10, 10), {"f": placed}), LEVELS
    )
    assert [part.row.metric for part in parts] == ["wsol/pxap", "wsol_original/pxap"]
    for part in parts:
        np.testing.assert_allclose(part(np.ones((1, 1))), [[1.0]])


@pytest.mark.parametrize(
    ("side", "map_side", "corner"),
    [(880, 224, 605), (598, 224, 299), (1372, 224, 98), (1534, 224, 767), (2544, 224, 1272), (856, 224, 107)],
)
def test_an_annotated_corner_on_a_whole_px_of_the_map_stays_there(side: int, map_side: int, corner: int) -> None:
    truth = int(corner * map_side / side)  # as the original computes it
    heat = np.zeros((4, map_side), np.float32)
    heat[1:3, truth:] = 1
    items = reference.items_of([(4, side, [(corner, 1, side - 1, 2)])])
    placed = Placement(GridTransform(map_side / side, 1.0), CropWindow(0, 4, 0, map_side))
    found = overlaps_of(items, lambda _: heat, Geometry((4, map_side), {items.image_ids[0]: placed}), LEVELS)
    last = int((side - 1) * map_side / side)
    expected = inclusive_iou((truth, 1, map_side - 1, 3), (truth, 1, last, 2))
    assert found[ORIGINAL].largest[0, 50] == pytest.approx(expected)


def test_resize_corner() -> None:
    for side in range(256, 3001, 4):
        corners = np.arange(side + 1)
        exact = corners * 224 // side
        np.testing.assert_array_equal(whole_px(corners * (224 / side)), exact)
        np.testing.assert_array_equal((corners * 224 / side).astype(int), exact)  # the original's own arithmetic
        offset = 7.25  # a margin does not matter
        np.testing.assert_array_equal(whole_px(corners * (224 / side) + offset - offset), exact)


@pytest.mark.parametrize(("side", "map_side"), [(384, 224), (1600, 224), (672, 224), (300, 224), (100, 64)])
def test_masks_are_sampled_under_centres_and_by_the_original_at_first_corners(side: int, map_side: int) -> None:
    column = np.arange(map_side)
    transform = GridTransform(map_side / side, 1.0)
    for row in range(0, side, 7):
        mask = np.zeros((1, side), bool)
        mask[0, row] = True
        clean = mask_on_map(mask, transform, (1, map_side))[0]
        original = original_mask_on_map(mask, transform, (1, map_side))[0]
        np.testing.assert_array_equal(clean, (2 * column + 1) * side // (2 * map_side) == row)
        np.testing.assert_array_equal(original, np.floor(column * (1 / (map_side / side))) == row)


def test_pixel_precision_of_the_original_differs_where_a_mask_shifts_by_a_px() -> None:
    mask = np.zeros((1, 8), bool)
    mask[0, 0::2] = True  # even columns: what the first corners show of a map of 4 columns
    heat = np.array([[4.0, 3.0, 2.0, 1.0]], np.float32)
    placed = Geometry((1, 4), {"f": Placement(GridTransform(0.5, 1.0), CropWindow(0, 1, 0, 4))})
    clean, original = pixel_statistics(
        MaskedFilms("a", {"f": mask}, {}, {"f": 0}), "cam", lambda _: heat, placed, LEVELS
    )
    assert np.isnan(clean(np.ones((1, 1)))[0, 0])  # odd columns lie under the centres: no pixel of the mask
    np.testing.assert_allclose(original(np.ones((1, 1))), [[1.0]])


def test_an_ignored_region_on_the_film_takes_its_pixels_out_of_the_row() -> None:
    # heat by cell, native film twice as wide; the mask is the left column of the map
    heat = np.array([[1.0, 0.8], [0.5, 0.0]], np.float32)
    mask, ignored = np.zeros((2, 4, 4), bool)
    mask[:, :2] = True
    ignored[:2, :] = True  # the wrong pixel of 0.8, and the mask's own of 1.0, where the mask goes before
    placed = Geometry((2, 2), {"f": Placement(GridTransform(0.5, 0.5), CropWindow(0, 2, 0, 2))})
    values = [
        pixel_statistics(MaskedFilms("a", {"f": mask}, left_out, {"f": 0}), "cam", lambda _: heat, placed, LEVELS)[0](
            np.ones((1, 1))
        )[0, 0]
        for left_out in ({}, {"f": ignored}, {"g": ignored})
    ]
    # half the mask at precision 1; the other half at 2/3 if 0.8 counts as wrong, at 1 if it does not count
    np.testing.assert_allclose(values, [0.5 + 0.5 * 2 / 3, 1.0, 0.5 + 0.5 * 2 / 3])


@pytest.mark.parametrize(("cells", "shape"), [((6, 8), (96, 64)), ((7, 7), (224, 224)), ((1, 2), (5, 9))])
def test_bicubic_maps_are_opencvs_and_torchs(cells: tuple[int, int], shape: tuple[int, int]) -> None:
    heat = np.random.default_rng(3).normal(size=(2, *cells)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(heat)[None], shape, mode="bicubic")[0].numpy()
    np.testing.assert_allclose(bicubic(heat, shape), expected, atol=2e-5)
    window = CropWindow(1, shape[0] - 1, 2, shape[1])
    np.testing.assert_allclose(bicubic(heat, shape, window), expected[:, 1:-1, 2:], atol=2e-5)


def test_the_rows_take_the_interpolation_of_the_geometry() -> None:
    heat = np.zeros((3, 3), np.float32)
    heat[1, 1] = 1
    placed = Geometry((9, 9), {"f": Placement(GridTransform(1.0, 1.0), CropWindow(0, 9, 0, 9))}, "bicubic")
    assert film_heat(lambda _: heat, "f", placed)[0].min() < 0  # a cubic kernel undershoots
