import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.imaging.grayscale import grey_note, is_blank, to_unit_scale
from camray.domain.films import GreyScale, LookupTable, VoiWindow


def scaled(values: list[float], **grey: object) -> list[float]:
    stored = np.array([values], np.int32)
    return [round(float(value), 6) for value in to_unit_scale(stored, GreyScale(**grey))[0]]


def test_linear_window_by_hand() -> None:
    # C.11.2.1.2.1: centre 5, width 5: dark up to 5 - .5 - 2 = 2.5, bright beyond 6.5, (x - 4.5)/4 + .5 between
    assert scaled([2, 3, 4, 5, 6, 7], windows=(VoiWindow(5, 5),)) == [0, 0.125, 0.375, 0.625, 0.875, 1]


def test_linear_window_of_width_one_is_a_step() -> None:
    assert scaled([3, 4, 5, 6], windows=(VoiWindow(5, 1),)) == [0, 0, 1, 1]


def test_linear_exact_window_by_hand() -> None:
    assert scaled([2, 3, 5, 7, 8], windows=(VoiWindow(5, 4, "LINEAR_EXACT"),)) == [0, 0, 0.5, 1, 1]


def test_sigmoid_window_by_hand() -> None:
    # 1 / (1 + exp(-4 (x - c) / w)) with x - c = w / 4 gives 1 / (1 + 1/e)
    assert scaled([10, 14, 6], windows=(VoiWindow(10, 16, "SIGMOID"),)) == [0.5, 0.731059, 0.268941]


def test_far_ends_of_a_sigmoid_do_not_overflow() -> None:
    assert scaled([-32768, 0, 32767], windows=(VoiWindow(0, 0.01, "SIGMOID"),)) == [0, 0.5, 1]


def test_first_window_counts_and_an_invalid_one_is_passed_over() -> None:
    both = (VoiWindow(5, 4, "LINEAR_EXACT"), VoiWindow(50, 100))
    assert scaled([3, 7], windows=both) == [0, 1]
    assert scaled([3, 7], windows=(VoiWindow(100, 0), both[0])) == [0, 1]


def test_rescale_comes_before_the_window() -> None:
    # 2 x - 1000 : 500 -> 0, 510 -> 20
    window = (VoiWindow(10, 20, "LINEAR_EXACT"),)
    assert scaled([500, 505, 510], slope=2.0, intercept=-1000.0, windows=window) == [0, 0.5, 1]


def test_modality_lut_takes_the_place_of_the_rescale() -> None:
    lut = LookupTable(2, np.array([100, 300, 200], np.uint16), 16)
    window = (VoiWindow(200, 200, "LINEAR_EXACT"),)
    assert scaled([0, 2, 3, 4, 9], modality_lut=lut, slope=7.0, windows=window) == [0, 0, 1, 0.5, 0.5]


def test_voi_lut_comes_before_windows_and_is_divided_by_its_bits() -> None:
    lut = LookupTable(-1, np.array([0, 1023, 4095], np.uint16), 12)
    shown = scaled([-5, -1, 0, 1, 5], voi_luts=(lut,), windows=(VoiWindow(5, 4),))
    assert shown == [0, 0, round(1023 / 4095, 6), 1, 1]


@pytest.mark.parametrize("turned", [{"photometric": "MONOCHROME1"}, {"presentation_lut_shape": "INVERSE"}])
def test_inversion_is_of_the_output_range_and_not_of_the_films_maximum(turned: dict[str, str]) -> None:
    window = (VoiWindow(50, 100, "LINEAR_EXACT"),)
    assert scaled([0, 10, 40], windows=window, **turned) == [1, 0.9, 0.6]


def test_padding_is_darkest_after_inversion_and_left_out_of_the_percentiles() -> None:
    film = [-2000] * 50 + [100, 150, 200]
    plain = scaled(film, padding=(-2000, -2000))
    turned = scaled(film, padding=(-2000, -2000), photometric="MONOCHROME1")
    assert plain == [0] * 50 + [0, 0.5, 1]
    assert turned == [0] * 50 + [1, 0.5, 0]


def test_padding_range_includes_both_ends_in_either_order() -> None:
    window = (VoiWindow(5, 10, "LINEAR_EXACT"),)
    for padding in ((2, 4), (4, 2)):
        assert scaled([1, 2, 3, 4, 5], padding=padding, windows=window) == [0.1, 0, 0, 0, 0.5]


def test_percentiles_cut_half_a_percent_at_each_end() -> None:
    film = np.arange(1001, dtype=np.uint16).reshape(1, -1)  # 0.5 % is the 6th of 1001, 99.5 % the 996th
    shown = to_unit_scale(film, GreyScale())[0]
    assert (shown[[5, 6]] == np.float32([0, 1 / 990])).all()
    assert shown[995] == 1 > shown[994]


def test_percentiles_with_a_falling_rescale() -> None:
    assert scaled([0, 1, 2], slope=-1.0) == [1, 0.5, 0]


def test_window_that_shows_one_grey_only_gives_way_to_the_percentiles() -> None:
    assert scaled([1000, 1500, 2000], windows=(VoiWindow(40, 80),)) == [0, 0.5, 1]
    padded = scaled([-2000, 1000, 1500, 2000], windows=(VoiWindow(40, 80),), padding=(-2000, -2000))
    assert padded == [0, 0, 0.5, 1]


BRIGHT = np.arange(3000, 3600, dtype=np.uint16).reshape(20, 30)
BRIGHT[0, 0] = 0  # one dark pixel
LINEAR_DARK = LookupTable(0, np.r_[np.arange(100), np.full(3900, 99)].astype(np.uint16), 12)


@pytest.mark.parametrize(
    "useless",
    [
        {"windows": (VoiWindow(400, 800),)},  # all white but one pixel
        {"windows": (VoiWindow(9000, 1000),)},  # all black
        {"windows": (VoiWindow(60000, 9000, "SIGMOID"),)},  # all black, with differences of 1e-11
        {"windows": (VoiWindow(1e9, 2e9, "LINEAR_EXACT"),)},  # all in one grey
        {"windows": (VoiWindow(3300, 0),)},
        {"voi_luts": (LINEAR_DARK,)},
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_film_that_its_window_shows_in_one_grey_is_shown_by_percentiles(
    useless: dict[str, object], photometric: str
) -> None:
    grey = GreyScale(photometric=photometric, **useless)
    plain = to_unit_scale(BRIGHT, GreyScale(photometric=photometric))
    np.testing.assert_array_equal(to_unit_scale(BRIGHT, grey), plain)
    assert np.ptp(plain[1:]) > 0.9
    assert "percentiles" in grey_note(BRIGHT, grey)


def test_a_usable_window_or_none_needs_no_note() -> None:
    assert grey_note(BRIGHT, GreyScale(windows=(VoiWindow(3300, 600),))) == ""
    assert grey_note(BRIGHT, GreyScale(windows=(VoiWindow(3300, 0), VoiWindow(3300, 600)))) == ""
    assert grey_note(BRIGHT, GreyScale()) == ""


def test_rare_values_are_shown_although_percentiles_coincide() -> None:
    shown = scaled([7] * 999 + [9])
    assert shown[0] == 0
    assert shown[-1] == 1


def test_constant_film_and_padding_throughout_are_dark() -> None:
    assert scaled([5, 5, 5]) == [0, 0, 0]
    assert scaled([5, 5], padding=(5, 5)) == [0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32])
def test_all_integer_types_agree(dtype: type) -> None:
    values = np.array([[0, 3, 60, 127]])
    expected = to_unit_scale(values, GreyScale(windows=(VoiWindow(50, 90),)))
    found = to_unit_scale(values.astype(dtype), GreyScale(windows=(VoiWindow(50, 90),)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_wide_range_of_32_bits_equals_the_formula() -> None:
    stored = np.array([[0, 2**31 - 1, 2**30]], np.int32)
    window = VoiWindow(2.0**30, 2.0**31, "LINEAR_EXACT")
    np.testing.assert_allclose(to_unit_scale(stored, GreyScale(windows=(window,))), [[0, 1, 0.5]], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-100, 4000), st.floats(1, 5000))
def test_inverted_twin_gives_equal_pixels(seed: int, centre: float, width: float) -> None:
    stored = np.random.default_rng(seed).integers(0, 4096, (9, 11)).astype(np.uint16)
    plain = to_unit_scale(stored, GreyScale(windows=(VoiWindow(centre, width, "LINEAR_EXACT"),)))
    # the twin's window is mirrored with its values
    mirrored = GreyScale(photometric="MONOCHROME1", windows=(VoiWindow(4095 - centre, width, "LINEAR_EXACT"),))
    np.testing.assert_allclose(to_unit_scale(4095 - stored, mirrored), plain, atol=1e-6)
    assert plain.min() >= 0
    assert plain.max() <= 1


def test_blank_films() -> None:
    flat = np.full((200, 200), 7, np.uint16)
    assert is_blank(flat, GreyScale())
    assert is_blank(flat + np.arange(200, dtype=np.uint16) % 3, GreyScale())
    assert is_blank(flat, GreyScale(padding=(7, 7)))
    spotted = flat.copy()
    spotted[0, :30] = 4000  # 30 hot pixels of 40 000
    assert is_blank(spotted, GreyScale())
    marked = flat.copy()
    marked[100:120, 100:120] = 4000
    assert not is_blank(marked, GreyScale())
    assert is_blank(marked, GreyScale(padding=(4000, 4000)))
