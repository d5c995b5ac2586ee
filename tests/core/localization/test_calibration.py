"""Recipes and cutoffs chosen on validation films."""

from dataclasses import replace

import numpy as np
import pytest

from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.calibration import _from_samples, calibrate
from camray.core.localization.located_boxes import RegionRules, locate
from camray.core.localization.recipe_grid import RecipeGrid, ValidationMaps
from camray.domain.geometry import CropWindow, iou_matrix

SHAPE, WINDOW = (128, 128), CropWindow(0, 128, 0, 128)
GRID = RecipeGrid()


def _maps(
    count: int, sigma_cells: float, side_px: float, seed: int, noise: float = 0.0, window: CropWindow = WINDOW
) -> ValidationMaps:
    """Blobs on 16 x 16 cells of 8 px, each annotated with a square about its centre."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:16, :16] + 0.5
    heat, boxes = np.empty((count, 16, 16), np.float32), []
    for number, (y, x) in enumerate(rng.uniform(5, 11, (count, 2))):
        blob = np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * sigma_cells**2))
        heat[number] = blob + noise * rng.normal(size=blob.shape)
        boxes.append(np.array([[x * 8 - side_px / 2, y * 8 - side_px / 2, x * 8 + side_px / 2, y * 8 + side_px / 2]]))
    return ValidationMaps(heat, [window] * count, boxes, np.zeros((16, 16), np.float32))


def _accuracy(maps: ValidationMaps, recipe: BoxRecipe, iou_threshold: float) -> float:
    found = locate(maps.heat, WINDOW, SHAPE, recipe, RegionRules(0.001), prior=maps.prior)
    first = found.rank == 0
    met = np.zeros(len(maps.heat))
    for number, box in zip(found.map_index[first], found.boxes[first], strict=True):
        met[number] = iou_matrix(box[None], maps.annotated[number]).max() >= iou_threshold
    return float(met.mean())


def _chosen(maps: ValidationMaps, grid: RecipeGrid = GRID, iou_threshold: float = 0.5):
    return calibrate({"a": maps}, SHAPE, grid, iou_threshold=iou_threshold, min_area=0.001, shrink_films=4)["a"]


@pytest.mark.parametrize("side_px", [24.0, 48.0])
def test_the_chosen_recipe_fits_boxes_of_either_size_and_holds_on_other_films(side_px: float) -> None:
    found = _chosen(_maps(20, 2.0, side_px, seed=1, noise=0.05))
    assert found.n == 20
    assert found.accuracy >= 0.9
    assert _accuracy(_maps(60, 2.0, side_px, seed=2, noise=0.05), found.recipe, 0.5) >= 0.85
    assert found.hit_rate == 1.0


def test_what_it_reports_is_what_locate_reaches() -> None:
    maps = _maps(30, 1.5, 30.0, seed=3, noise=0.25)
    found = _chosen(maps)
    assert _accuracy(maps, found.recipe, 0.5) == pytest.approx(found.accuracy, abs=0.11)  # compared on coarser samples
    assert found.accuracy > 0.3


def test_noise_asks_for_smoothing_of_the_hit_point() -> None:
    assert _chosen(_maps(40, 2.0, 20.0, seed=5, noise=0.6)).recipe.peak_smooth > 0
    assert _chosen(_maps(40, 2.0, 20.0, seed=5)).recipe.peak_smooth == 0


def test_a_plateau_beats_a_lone_spike() -> None:
    """One level alone is right by luck on all films; a run of levels is right on nearly all of them."""
    maps = _maps(12, 2.0, 40.0, seed=7)
    found = _chosen(maps, RecipeGrid(dilate=(1.0,), smooth=(0.0,)))
    levels = [
        each
        for each in GRID.levels
        if _accuracy(maps, BoxRecipe(found.recipe.reference, each), 0.5) >= found.accuracy - 1e-9
    ]
    assert found.recipe.level not in (min(levels), max(levels)) or len(levels) < 3


def test_few_boxes_lean_on_the_other_labels() -> None:
    many, few = _maps(40, 2.0, 40.0, seed=1), _maps(1, 2.0, 24.0, seed=9)
    alone = calibrate({"few": few}, SHAPE, GRID, iou_threshold=0.5, min_area=0.001, shrink_films=0)["few"]
    leaning = calibrate({"many": many, "few": few}, SHAPE, GRID, iou_threshold=0.5, min_area=0.001, shrink_films=1000)
    assert leaning["few"].recipe == leaning["many"].recipe
    assert leaning["few"].recipe != alone.recipe
    assert leaning["few"].n == 1


def test_labels_without_boxes_are_left_out() -> None:
    empty = ValidationMaps(np.empty((0, 16, 16), np.float32), [], [], np.zeros((16, 16), np.float32))
    assert calibrate({"a": empty}, SHAPE, GRID, iou_threshold=0.3, min_area=0.001, shrink_films=4) == {}
    both = calibrate(
        {"a": empty, "b": _maps(3, 2, 30, 1)}, SHAPE, GRID, iou_threshold=0.3, min_area=0.001, shrink_films=4
    )
    assert set(both) == {"b"}


def test_maps_without_localization_count_as_missed() -> None:
    maps = _maps(4, 2.0, 40.0, seed=1)
    maps.heat[0] = -1.0
    maps.heat[1] = 0.5
    found = _chosen(maps)
    assert found.accuracy == 0.5
    assert found.hit_rate == 0.5


def test_a_prior_is_used_where_it_helps() -> None:
    """Lesions lie about one place; the maps are full of sparks."""
    maps = _maps(40, 2.0, 40.0, seed=11, noise=0.45)
    centre = np.mean([box[0] for box in maps.annotated], axis=0)
    rows, cols = np.mgrid[:16, :16] + 0.5
    x, y = (centre[0] + centre[2]) / 16, (centre[1] + centre[3]) / 16
    prior = np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / 18).astype(np.float32)
    grid = RecipeGrid(prior=(0.0, 0.5, 1.0, 2.0), smooth=(0.0,))
    with_prior = ValidationMaps(maps.heat, maps.windows, maps.annotated, prior)
    found, plain = _chosen(with_prior, grid), _chosen(maps, RecipeGrid(smooth=(0.0,)))
    assert found.recipe.peak_prior > 0
    assert found.hit_rate > plain.hit_rate
    assert plain.recipe.peak_prior == plain.recipe.prior == 0


def test_raw_levels_are_tried_where_asked() -> None:
    """Films whose heat has one scale but whose maximum is a far away spark of varied height."""
    maps = _maps(16, 2.0, 40.0, seed=2)
    maps.heat[:, 0, 0] = np.linspace(1.1, 6.0, 16)
    grid = RecipeGrid(raw_quantiles=(0.5, 0.7, 0.8, 0.85, 0.9, 0.95), smooth=(0.0,))
    found = _chosen(maps, grid)
    assert found.recipe.reference == "raw"
    assert found.recipe.region in ("largest", "evidence")
    assert found.accuracy == 1.0


def test_windows_of_several_sizes_are_compared_together() -> None:
    tall = _maps(5, 2.0, 40.0, seed=1, window=CropWindow(0, 128, 16, 112))
    wide = _maps(5, 2.0, 40.0, seed=2, window=CropWindow(16, 112, 0, 128))
    mixed = ValidationMaps(
        np.concatenate([tall.heat, wide.heat]),
        [*tall.windows, *wide.windows],
        [*tall.annotated, *wide.annotated],
        tall.prior,
    )
    assert _chosen(mixed).accuracy == 1.0


def test_boxes_of_coarse_samples_keep_their_axes() -> None:
    # a window of 4 rows and 12 columns, sampled 2 x 4 times: a sample is 2 px high and 3 px wide
    window, boxes = CropWindow(10, 14, 30, 42), np.array([[1.0, 0.0, 3.0, 1.0], [0.0, 1.0, 4.0, 2.0]])
    found = _from_samples(boxes, window, (2, 4))
    np.testing.assert_array_equal(found, [[33.0, 10.0, 39.0, 12.0], [30.0, 12.0, 42.0, 14.0]])


def _with_start(maps: ValidationMaps, start: BoxRecipe) -> ValidationMaps:
    return replace(maps, start=start)


def test_the_recipe_from_labels_alone_is_kept_unless_another_is_better_beyond_chance() -> None:
    maps = _maps(20, 2.0, 48.0, seed=1)
    good, poor = BoxRecipe("max", 0.5), BoxRecipe("max", 0.95)
    assert _accuracy(maps, good, 0.5) == 1.0
    assert _accuracy(maps, poor, 0.5) == 0.0
    kept, beaten = _chosen(_with_start(maps, good)), _chosen(_with_start(maps, poor))
    assert kept.is_start
    assert replace(kept.recipe, peak_smooth=0.0) == good
    assert kept.accuracy == 1.0
    assert not beaten.is_start
    assert beaten.recipe == _chosen(maps).recipe


@pytest.mark.parametrize(("wrong", "is_kept"), [(1, True), (2, False)])
def test_the_margin_is_one_standard_error_film_by_film(wrong: int, is_kept: bool) -> None:
    """The start misses `wrong` of 10 films, all right otherwise: 0.1 against an error of 0.1, 0.2 against 0.133."""
    maps = _maps(10, 2.0, 48.0, seed=1)
    heat = maps.heat.copy()
    heat[:wrong] = 5 + heat[:wrong] * 5  # half of the maximum is everywhere
    found = _chosen(_with_start(replace(maps, heat=heat), BoxRecipe("max", 0.5)), RecipeGrid(smooth=(0.0,)))
    assert _chosen(replace(maps, heat=heat), RecipeGrid(smooth=(0.0,))).accuracy == 1.0
    assert found.is_start is is_kept
    assert found.accuracy == (1 - wrong / 10 if is_kept else 1.0)


def test_levels_are_also_tried_from_the_background_of_a_label() -> None:
    """All heat is far below zero, on films of different minimum: only the background sets them alike."""
    maps = _maps(12, 2.0, 48.0, seed=1)
    heat = maps.heat - 9
    heat[:, 0, 0] = np.linspace(-60, -10, 12)
    start = BoxRecipe("background", 0.9, background=-9.0)
    found = _chosen(_with_start(replace(maps, heat=heat), start))
    assert found.recipe.reference == "background"
    assert found.recipe.background == -9.0
    assert found.accuracy == 1.0
    assert _chosen(replace(maps, heat=heat)).accuracy < 1.0
