import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.imaging.resampling import Fit, plan_grid, to_model_grid
from camray.domain.geometry import Box, GridTransform

FITS: tuple[Fit, ...] = ("letterbox", "crop", "stretch")


def test_letterbox_by_hand() -> None:
    # 400 rows x 200 columns into 100 x 100: scale 1/4, 50 columns wide, 25 px margin on both sides
    assert plan_grid((400, 200), (100, 100), "letterbox") == GridTransform(0.25, 0.25, 25.0, 0.0)


def test_crop_by_hand() -> None:
    # the 200 columns fill 100: scale 1/2, 200 rows high, 50 px cut above and below
    assert plan_grid((400, 200), (100, 100), "crop") == GridTransform(0.5, 0.5, 0.0, -50.0)


def test_stretch_by_hand() -> None:
    assert plan_grid((400, 200), (100, 100), "stretch") == GridTransform(0.5, 0.25, 0.0, 0.0)


def test_letterbox_is_isotropic_in_mm() -> None:
    # rows 0.4 mm apart, columns 0.2: 100 x 200 px are 40 x 40 mm and fill a square grid
    assert plan_grid((100, 200), (50, 50), "letterbox", 0.4, 0.2) == GridTransform(0.25, 0.5, 0.0, 0.0)


def test_unit_of_the_spacing_does_not_matter() -> None:
    first = plan_grid((91, 200), (64, 48), "letterbox", 0.4, 0.3)
    second = plan_grid((91, 200), (64, 48), "letterbox", 4.0, 3.0)
    np.testing.assert_allclose(
        [first.scale_x, first.scale_y, first.offset_x, first.offset_y],
        [second.scale_x, second.scale_y, second.offset_x, second.offset_y],
    )


@pytest.mark.parametrize(
    ("native", "fit", "spacing"),
    [((0, 5), "crop", 1.0), ((5, 5), "fill", 1.0), ((5, 5), "crop", 0.0), ((5, 5), "crop", float("nan"))],
)
def test_nonsense_is_refused(native: tuple[int, int], fit: Fit, spacing: float) -> None:
    with pytest.raises(ValueError, match=r"must be positive|expected letterbox"):
        plan_grid(native, (10, 10), fit, spacing, 1.0)


def test_halving_averages_two_by_two() -> None:
    native = np.arange(16, dtype=np.float32).reshape(4, 4)
    model, _ = to_model_grid(native, 2, 2, "stretch")
    np.testing.assert_allclose(model, [[2.5, 4.5], [10.5, 12.5]])


def test_shrinking_by_a_fraction_weighs_by_area() -> None:
    # 3 px into 2: each model pixel covers one and a half
    model, _ = to_model_grid(np.array([[0, 3, 6]], np.float32), 1, 2, "stretch")
    np.testing.assert_allclose(model, [[(0 + 1.5) / 1.5, (1.5 + 6) / 1.5]], rtol=1e-6)


def test_enlarging_is_linear_between_centres() -> None:
    model, _ = to_model_grid(np.array([[0, 4]], np.float32), 1, 4, "stretch")
    np.testing.assert_allclose(model, [[0, 1, 3, 4]])


def test_same_grid_is_the_identity() -> None:
    native = np.random.default_rng(0).random((33, 21), dtype=np.float32)
    for fit in FITS:
        model, grid = to_model_grid(native, 33, 21, fit)
        np.testing.assert_array_equal(model, native)
        assert grid == GridTransform(1, 1, 0, 0)


def test_margins_are_black_and_a_border_pixel_is_dimmed_by_its_part() -> None:
    # 4 rows x 3 columns into 4 x 8: margin of 2.5 columns
    model, grid = to_model_grid(np.ones((4, 3), np.float32), 4, 8, "letterbox")
    assert grid.offset_x == 2.5
    np.testing.assert_allclose(model, np.tile([0, 0, 0.5, 1, 1, 0.5, 0, 0], (4, 1)))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(64, 300),
    cols=st.integers(64, 300),
    model_rows=st.integers(16, 330),
    model_cols=st.integers(16, 330),
    fit=st.sampled_from(FITS),
    ratio=st.floats(0.5, 2.0),
    place=st.tuples(*[st.floats(0.2, 0.45), st.floats(0.55, 0.8)] * 2),
)
def test_box_lands_where_the_transform_says(
    rows: int, cols: int, model_rows: int, model_cols: int, fit: Fit, ratio: float, place: tuple[float, ...]
) -> None:
    x0, x1, y0, y1 = (int(part * side) for part, side in zip(place, (cols, cols, rows, rows), strict=True))
    native = np.zeros((rows, cols), np.float32)
    native[y0:y1, x0:x1] = 1
    model, grid = to_model_grid(native, model_rows, model_cols, fit, ratio, 1.0)
    there = grid.box_to_model(Box(x0, y0, x1, y1))
    back = grid.box_to_native(there)
    np.testing.assert_allclose(back.as_tuple(), (x0, y0, x1, y1), atol=1e-6)
    if there.clipped(model_rows, model_cols) != there or min(there.x1 - there.x0, there.y1 - there.y0) < 2:
        return
    # mass along each axis: where it lies, and how wide it is
    assert model.sum() == pytest.approx(there.area, rel=0.02)
    for profile, low, high in ((model.max(axis=0), there.x0, there.x1), (model.max(axis=1), there.y0, there.y1)):
        centres = np.arange(profile.size) + 0.5
        assert (profile * centres).sum() / profile.sum() == pytest.approx((low + high) / 2, abs=0.25)
        # the outermost pixels that are at least half covered
        lit = np.flatnonzero(profile >= 0.5 * profile.max())
        assert abs(lit[0] - low) <= 0.5 + 1e-6 + max(0.0, 0.5 * (1 - 1 / max(grid.scale_x, grid.scale_y, 1)))
        assert abs(lit[-1] + 1 - high) <= 0.5 + 1e-6 + max(0.0, 0.5 * (1 - 1 / max(grid.scale_x, grid.scale_y, 1)))


@settings(max_examples=30, deadline=None)
@given(st.integers(64, 200), st.integers(64, 200), st.integers(8, 300), st.integers(8, 300), st.sampled_from(FITS))
def test_constant_film_stays_constant_inside(rows: int, cols: int, high: int, wide: int, fit: Fit) -> None:
    model, grid = to_model_grid(np.full((rows, cols), 0.7, np.float32), high, wide, fit)
    inside = grid.box_to_model(Box(0, 0, cols, rows)).clipped(high, wide)
    assert inside is not None
    y0, y1, x0, x1 = (
        int(side) for side in (np.ceil(inside.y0), np.floor(inside.y1), np.ceil(inside.x0), np.floor(inside.x1))
    )
    np.testing.assert_allclose(model[y0:y1, x0:x1], 0.7, rtol=1e-5)
    assert model.max() <= 0.7 * (1 + 1e-5)
    assert model.min() >= 0


def test_left_right_flip_commutes() -> None:
    native = np.random.default_rng(1).random((120, 77), dtype=np.float32)
    model, _ = to_model_grid(native, 50, 64, "letterbox")
    flipped, _ = to_model_grid(np.ascontiguousarray(native[:, ::-1]), 50, 64, "letterbox")
    np.testing.assert_allclose(flipped[:, ::-1], model, atol=1e-6)


def test_area_weights_equal_a_plain_loop() -> None:
    native = np.random.default_rng(2).random((1, 37), dtype=np.float32)
    model, grid = to_model_grid(native, 1, 11, "stretch")
    for col in range(11):
        low, high = col / grid.scale_x, (col + 1) / grid.scale_x
        parts = [max(0.0, min(high, at + 1) - max(low, at)) for at in range(37)]
        assert model[0, col] == pytest.approx(sum(p * v for p, v in zip(parts, native[0], strict=True)) / sum(parts))
