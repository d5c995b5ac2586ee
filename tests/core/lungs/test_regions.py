"""From masks to right and left lung, on shapes drawn by hand and on generated films."""

import numpy as np
import pytest
from numpy.typing import NDArray

from camray.core.lungs import thresholding
from camray.core.lungs.detection import find_lungs
from camray.core.lungs.regions import assign_sides, connected_regions, is_plausible, lung_parts
from camray.core.training.lung_segmenter import dice, lung_samples
from camray.domain.geometry import Box, CropWindow
from camray.domain.zones import LungSource, Side

WINDOW = CropWindow(0, 128, 0, 128)
Bools = NDArray[np.bool_]


def _mask(*ellipses: tuple[float, float, float, float]) -> Bools:
    """Union of upright ellipses (row, col, half height, half width)."""
    rows, cols = np.mgrid[:128, :128]
    return np.logical_or.reduce(
        [((rows - r) / a) ** 2 + ((cols - c) / b) ** 2 <= 1 for r, c, a, b in ellipses] or [np.zeros((128, 128), bool)]
    )


RIGHT, LEFT = (64, 36, 40, 17), (64, 92, 40, 17)
RAMP = np.linspace(0, 1, 128, dtype=np.float32)[None].repeat(128, axis=0)


def test_two_lungs_are_assigned_by_position() -> None:
    found = find_lungs(RAMP, _mask(RIGHT, LEFT).astype(np.float32), WINDOW)
    assert found.source is LungSource.NETWORK
    assert dice(found.masks[Side.RIGHT], _mask(RIGHT)) > 0.97
    assert dice(found.masks[Side.LEFT], _mask(LEFT)) > 0.97
    box = found.box()
    assert box is not None
    assert np.allclose(box.as_tuple(), Box(19, 24, 110, 105).as_tuple(), atol=1)


def test_specks_holes_and_small_third_regions_are_removed() -> None:
    mask = _mask(RIGHT, LEFT, (120, 64, 5, 4))
    mask[60:64, 30:34] = False
    mask[5, 64] = True
    parts = lung_parts(mask, WINDOW)
    assert len(parts) == 2
    assert np.logical_or(*parts)[60:64, 30:34].all()
    assert not np.logical_or(*parts)[110:].any()


def test_lungs_that_touch_are_cut_at_the_waist() -> None:
    mask = _mask(RIGHT, LEFT)
    mask[60:66, 50:80] = True
    parts = lung_parts(mask, WINDOW)
    assert is_plausible(parts, WINDOW)
    assert assign_sides(parts, WINDOW, None)[Side.RIGHT][64, 36]
    assert not assign_sides(parts, WINDOW, None)[Side.RIGHT][64, 92]


@pytest.mark.parametrize(
    ("mask", "fault"),
    [
        (_mask(), "nothing"),
        (_mask((64, 64, 8, 8)), "too small"),
        (_mask((64, 64, 14, 60)), "too flat"),
        (np.ones((128, 128), bool), "everything"),
        (_mask((35, 64, 25, 18), (95, 64, 25, 18)), "one above the other"),
        (_mask((64, 50, 50, 40)) & ~_mask((50, 62, 45, 38)), "a crescent"),
    ],
)
def test_what_cannot_be_lungs_is_refused(mask: Bools, fault: str) -> None:
    assert not is_plausible(lung_parts(mask, WINDOW), WINDOW), fault


def test_the_header_names_the_side_of_a_single_lung_and_not_of_two() -> None:
    (part,) = lung_parts(_mask(RIGHT), WINDOW)
    assert set(assign_sides([part], WINDOW, None)) == {Side.RIGHT}
    assert set(assign_sides([part], WINDOW, Side.LEFT)) == {Side.LEFT}
    both = lung_parts(_mask(RIGHT, LEFT), WINDOW)
    assert assign_sides(both, WINDOW, Side.LEFT)[Side.RIGHT][64, 36]


def test_a_single_lung_is_assigned_by_its_lean_and_an_upright_one_by_position() -> None:
    rows, cols = np.mgrid[:128, :128]
    for lean, side in ((-0.2, Side.RIGHT), (0.2, Side.LEFT)):  # columns per row: upper part right of, left of the lower
        for centre in (36, 92):
            part = ((rows - 64) / 40) ** 2 + ((cols - centre - lean * (rows - 64)) / 17) ** 2 <= 1
            assert set(assign_sides([part], WINDOW, None)) == {side}
    assert set(assign_sides([_mask(LEFT)], WINDOW, None)) == {Side.LEFT}


def test_an_implausible_answer_falls_back_to_thresholds_and_then_to_none() -> None:
    rng = np.random.default_rng(1)
    film = (np.where(_mask(RIGHT, LEFT), 0.2, 0.8) + rng.normal(0, 0.02, (128, 128))).astype(np.float32)
    film[:, :4] = 0.05  # air beside the patient
    for probability in (None, np.zeros((128, 128), np.float32), np.ones((128, 128), np.float32)):
        found = find_lungs(film, probability, WINDOW)
        assert found.source is LungSource.CLASSICAL
        assert dice(found.masks[Side.RIGHT] | found.masks[Side.LEFT], _mask(RIGHT, LEFT)) > 0.95
    nothing = find_lungs(np.full((128, 128), 0.5, np.float32), np.zeros((128, 128), np.float32), WINDOW)
    assert (nothing.source, nothing.masks, nothing.box()) == (LungSource.NONE, {}, None)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_film_of_one_grey_has_no_lungs_whatever_the_segmenter_says(level: float) -> None:
    film = RAMP.copy()
    film[:, 32:96] = level
    likely = _mask((64, 64, 40, 17)).astype(np.float32)
    assert find_lungs(film, likely, WINDOW).source is LungSource.NETWORK
    nothing = find_lungs(film, likely, CropWindow(0, 128, 32, 96))  # the ramp is outside the film
    assert (nothing.source, nothing.masks) == (LungSource.NONE, {})


def test_outside_the_film_there_is_no_lung() -> None:
    window = CropWindow(0, 128, 32, 96)
    found = find_lungs(RAMP, _mask((64, 92, 50, 30)).astype(np.float32), window)
    assert not np.logical_or.reduce(list(found.masks.values()))[:, 96:].any()


def test_the_classical_way_finds_most_of_generated_lungs() -> None:
    overlaps = []
    for index in range(8):
        whole, _ = lung_samples(21, index)
        found = find_lungs(whole.grey, None, WINDOW)
        overlaps.append(dice(np.logical_or.reduce([np.zeros((128, 128), bool), *found.masks.values()]), whole.lung))
    assert np.median(overlaps) > 0.5


@pytest.mark.parametrize("window", [CropWindow(0, 128, 20, 108), CropWindow(24, 104, 0, 128)])
def test_limits_are_fractions_of_the_films_own_rows_and_columns(window: CropWindow) -> None:
    """Two lungs a seventh of the film's width apart pass on the narrow film and fail on the wide one."""
    height = 0.3 * window.rows / 2
    middle = (window.row0 + window.row1) / 2
    parts = lung_parts(_mask((middle, 54, height, 8), (middle, 72, height, 8)), window)
    assert len(parts) == 2
    assert is_plausible(parts, window) is (window.cols == 88)
    assert is_plausible(parts[:1], window)
    short = lung_parts(_mask((middle, 54, 0.1 * window.rows, 14)), window)
    assert not is_plausible(short, window)  # a fifth of the film's rows


def test_an_uneven_grid_keeps_rows_and_columns_apart() -> None:
    """A grid of 96 x 160 px: the closing, the fallback and the box use each axis's own size."""
    rows, cols = np.mgrid[:96, :160]
    lungs = [((rows - 48) / 30) ** 2 + ((cols - col) / 20) ** 2 <= 1 for col in (45, 115)]
    film = np.where(lungs[0] | lungs[1], 0.2, 0.8).astype(np.float32)
    window = CropWindow(0, 96, 0, 160)
    for probability in (np.where(film < 0.5, 1, 0).astype(np.float32), None):
        detected = find_lungs(film, probability, window)
        assert dice(detected.masks[Side.RIGHT], lungs[0]) > 0.95
        assert dice(detected.masks[Side.LEFT], lungs[1]) > 0.95
        box = detected.box()
        assert box is not None
        assert np.allclose(box.as_tuple(), (25, 18, 136, 79), atol=1.5)


def test_regions_join_through_edges_and_come_largest_first() -> None:
    """Of 1, 4, 2 and 1 px; the last two touch through a corner alone."""
    mask = np.array([[1, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 0]], bool)
    regions = connected_regions(mask, 0)
    assert [int(region.sum()) for region in regions] == [4, 2, 1, 1]
    assert np.array_equal(np.logical_or.reduce(regions), mask)
    assert regions[1].nonzero()[1].tolist() == [0, 1]
    assert [int(region.sum()) for region in connected_regions(mask, 2)] == [4, 2]


def test_connected_lungs_are_split_by_the_width_of_their_own_film() -> None:
    """A region of 60 px is as wide as two lungs on a film of 80 x 128 px, and not on one of 128 x 80 px."""
    tall, wide = CropWindow(0, 128, 24, 104), CropWindow(24, 104, 0, 128)
    mask = _mask((64, 49, 30, 15), (64, 79, 30, 15))
    mask[62:66, 44:84] = True
    assert len(lung_parts(mask, tall)) == 2
    assert len(lung_parts(mask, wide)) == 1


@pytest.mark.parametrize(("window", "searches"), [(CropWindow(0, 128, 0, 80), 1), (CropWindow(0, 80, 0, 128), 2)])
def test_only_a_film_wide_enough_for_two_lungs_is_searched_in_its_local_contrast(
    monkeypatch: pytest.MonkeyPatch, window: CropWindow, searches: int
) -> None:
    searched = []

    def nothing(values: NDArray[np.float32], window: CropWindow, shape: tuple[int, ...]) -> list[Bools]:
        searched.append(values.shape)
        return []

    monkeypatch.setattr(thresholding, "_at_falling_thresholds", nothing)
    assert thresholding.lungs_by_threshold(np.zeros((128, 128), np.float32), window) == []
    assert searched == [(window.rows, window.cols)] * searches
