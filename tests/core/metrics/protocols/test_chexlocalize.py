import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from camray.core.localization.heat_maps import upsampled
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.protocols.chexlocalize import (
    OTSU,
    TUNED_THRESHOLDS,
    MaskCounts,
    count_film,
    native_heat01,
    predicted_mask,
    published_mask,
    published_name,
    tuned_column,
    tuned_cutoff,
)
from camray.core.metrics.protocols.chexlocalize_rows import mask_statistics, means_below_human, percent_below
from camray.core.metrics.statistics import statistics_table
from camray.domain.geometry import GridTransform, iou_matrix


def counts_by_hand() -> MaskCounts:
    """Films of 100 px: IoU 4/8; nothing predicted; and one without the label, on which 10 px are predicted."""
    columns = len(TUNED_THRESHOLDS) + 1
    both, predicted = np.array([4.0, 0, 0]), np.array([6.0, 0, 10])
    return MaskCounts(
        patients=np.arange(3),
        annotated=np.array([6.0, 20, 0]),
        pixels=np.full(3, 100.0),
        both=np.tile(both[:, None], columns),
        predicted=np.tile(predicted[:, None], columns),
        hit=np.array([True, False, False]),
        probability=np.array([0.3, 0.9, 0.4]),
    )


def test_rows_by_hand() -> None:
    human = {"miou_all": 0.5}
    parts = mask_statistics("a", "cam", counts_by_hand(), {"fixed": OTSU, "validation": 2}, 0.35, human)
    table = statistics_table("test", 3, parts, Bootstrap(10, 0.95, 1))
    value = table[table.label == "a"].set_index(["metric", "threshold_source"]).value
    assert value["chexlocalize/miou_true_positive", "fixed"] == 0.5
    assert value["chexlocalize/miou_annotated", "fixed"] == 0.25
    assert value["chexlocalize/miou_all", "fixed"] == pytest.approx(0.5 / 3)  # the third film's mask is false: a 0
    assert value["chexlocalize/hit_rate", "fixed"] == 0.5
    assert value["chexlocalize/pixel_sensitivity", "fixed"] == pytest.approx(4 / 26)
    assert value["chexlocalize/pixel_precision", "fixed"] == pytest.approx(4 / 16)
    # outside pixels: 94 - 2 false, 80, 100 - 10 false
    assert value["chexlocalize/pixel_specificity", "fixed"] == pytest.approx((92 + 80 + 90) / 274)
    assert value["chexlocalize/miou_all_percent_below_human", "fixed"] == pytest.approx(100 * (0.5 - 0.5 / 3) / 0.5)
    # the first film falls below the cutoff: nothing is predicted on it any more
    assert value["chexlocalize/miou_all_cutoff", "validation"] == 0
    assert np.isnan(value["chexlocalize/miou_true_positive_cutoff", "validation"])
    assert value["chexlocalize/pixel_specificity_cutoff", "validation"] == pytest.approx((94 + 80 + 90) / 274)


def test_the_published_thresholds_reach_to_0_8() -> None:
    np.testing.assert_allclose(TUNED_THRESHOLDS, np.arange(0.2, 0.8, 0.1))  # seven: the last one by rounding


def test_the_cutoff_gives_the_highest_mean_iou_of_all_films() -> None:
    """IoU 0.5 at p 0.3, nothing at 0.9, a false mask at 0.4: no cutoff parts the first from the last; alone it does."""
    counts = counts_by_hand()
    assert tuned_cutoff(counts) == 0  # 0.5 / 3 up to 0.3; above it 0
    counts.probability[:] = [0.6, 0.9, 0.4]
    assert tuned_cutoff(counts) == 0.5  # the false mask goes, 0.5 / 2; the lowest of equals is above 0.4
    counts.annotated[:] = 0
    assert tuned_cutoff(counts) is None


def test_the_means_percent_is_one_of_means() -> None:
    """0.25 of 0.5 and 0.25 of 0.75: each lies 50 and 66.7 % below, the mean 0.25 lies 60 % below the mean 0.625."""
    columns, labels = {"fixed": OTSU}, {"a": 0.5, "b": 0.75}
    parts = [
        part
        for label, human in labels.items()
        for part in mask_statistics(label, "cam", counts_by_hand(), columns, None, {"miou_annotated": human})
    ]
    table = statistics_table("test", 3, parts + means_below_human(parts), Bootstrap(10, 0.95, 1))
    below = table[table.metric == "chexlocalize/miou_annotated_percent_below_human"].set_index("label")
    assert below.value.to_dict() == pytest.approx({"a": 50, "b": 100 * 0.5 / 0.75, "mean": 60})
    assert below.n["mean"] == 2


def test_percent_below() -> None:
    assert percent_below(0.8, 0.6) == pytest.approx(25)
    assert percent_below(0.5, 0.6) == pytest.approx(-20)


def test_masks_lie_strictly_above_and_flat_maps_are_empty() -> None:
    heat = np.array([[0.0, 0.5, 1.0]], np.float32)
    np.testing.assert_array_equal(predicted_mask(heat, 0.5), [[False, False, True]])
    two = np.array([[0.0, 0.02, 0.1, 0.9, 1.0]], np.float32)
    np.testing.assert_array_equal(predicted_mask(two, None), [[False, False, False, True, True]])
    assert not predicted_mask(np.zeros((2, 2), np.float32), None).any()


def test_a_film_by_hand() -> None:
    heat = np.array([[0.0, 0.25, 0.55, 1.0]], np.float32)
    both, predicted, hit = count_film(heat, np.array([[False, False, True, False]]))
    np.testing.assert_array_equal(predicted[:OTSU], [3, 2, 2, 2, 1, 1, 1])
    np.testing.assert_array_equal(both[:OTSU], [1, 1, 1, 1, 0, 0, 0])
    assert not hit
    assert count_film(heat, np.array([[False, False, False, True]]))[2]
    assert count_film(heat, None)[0].sum() == 0


def test_the_threshold_is_tuned_on_true_positives() -> None:
    counts = counts_by_hand()
    counts.both[0, :OTSU] = [1, 2, 5, 5, 2, 0, 0]
    counts.predicted[1, 5] = 50  # a true positive with IoU 0 there
    assert tuned_column(counts) == 2
    nothing = MaskCounts(
        counts.patients, np.zeros(3), counts.pixels, counts.both * 0, counts.predicted, counts.hit, counts.probability
    )
    assert tuned_column(nothing) is None


def test_the_map_is_resized_before_it_is_rescaled() -> None:
    heat = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    # at scale 1 it is the product's own interpolation
    same = upsampled(heat[None], (40, 30))[0]
    expected = (same - same.min()) / (same.max() - same.min())
    np.testing.assert_allclose(native_heat01(heat, GridTransform(1.0, 1.0), (40, 30), (40, 30)), expected, atol=1e-5)
    # the letterbox margin is not on the film: rows 10 to 30 of the model grid
    film = native_heat01(heat, GridTransform(0.5, 0.5, 0.0, 10.0), (40, 60), (40, 30))
    assert film.shape == (40, 60)
    assert (film.min(), film.max()) == (0.0, 1.0)
    assert not native_heat01(np.ones((3, 3)), GridTransform(1.0, 1.0), (9, 9), (9, 9)).any()


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools under NumPy 2
def test_masks_in_the_published_form() -> None:
    mask = np.zeros((8, 9), bool)
    mask[2:5, 1:4] = True
    found = published_mask(mask)
    assert found["size"] == [8, 9]
    np.testing.assert_array_equal(coco.decode(found).astype(bool), mask)
    assert published_name("valid/patient1/study1/view1_frontal") == "patient1_study1_view1_frontal"
    assert published_name("1.2.840.1") == "1.2.840.1"


@settings(max_examples=30, deadline=None)
@given(corners=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), min_size=4, max_size=4))
def test_the_iou_of_boxes_is_symmetric_bounded_and_equals_counted_pixels(corners: list[tuple[int, int]]) -> None:
    (x0, w0), (y0, h0), (x1, w1), (y1, h1) = corners
    boxes = np.array([[x0, y0, x0 + w0, y0 + h0], [x1, y1, x1 + w1, y1 + h1]], float)
    masks = [np.zeros((16, 16), bool) for _ in boxes]
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int), strict=True):
        mask[top:bottom, left:right] = True
    iou = iou_matrix(boxes, boxes)
    assert iou[0, 1] == iou[1, 0]
    assert 0 <= iou[0, 1] <= 1
    assert iou[0, 1] == pytest.approx((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())
    assert iou[0, 0] == 1
