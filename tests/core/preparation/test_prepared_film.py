"""Prepared films: what is painted and with what, what equalization forgets, and planted shortcuts that are gone."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from camray.core.imaging.film_statistics import film_area, image_statistics, quantise
from camray.core.imaging.resampling import resampled, to_model_grid
from camray.core.phantom.film import render_film
from camray.core.preparation.film_lungs import native_lungs
from camray.core.preparation.prepared_film import NO_LUNGS, ModelGrid, NativeLungs, cropped_grid, prepare_film
from camray.core.shortcuts.features import regions
from camray.core.shortcuts.probes import run_probes
from camray.domain.geometry import Box, box_from_mask
from camray.domain.preparation import UNCHANGED, FilmPreparation
from camray.io.film_lungs import shipped_lung_network

GRID = ModelGrid(96, 64, "letterbox")
SQUARE_PX = (None, None)


@cache
def _film(index: int) -> np.ndarray:
    return render_film(3, index, 128).image


def _with_text(film: np.ndarray, row: int = 4, col: int = 6) -> np.ndarray:
    """Burn in six white strokes, 2 px wide and 9 px high."""
    film = film.copy()
    for stroke in range(6):
        film[row : row + 9, col + 4 * stroke : col + 4 * stroke + 2] = 1.0
    return film


def _lungs(film: np.ndarray) -> NativeLungs | None:
    return native_lungs(film, SQUARE_PX, shipped_lung_network())


def _hull(film: np.ndarray) -> np.ndarray:
    lungs = _lungs(film)
    assert lungs is not None
    assert (lungs.hull | ~lungs.lungs).all()
    return lungs.hull


def _whole(film: np.ndarray, preparation: FilmPreparation) -> np.ndarray:
    """Prepare a film on its own grid, so that no resampling hides what is painted."""
    grid = ModelGrid(*film.shape, "stretch")
    return prepare_film(film, SQUARE_PX, grid, preparation, _lungs(film)).grey


def test_no_preparation_only_resamples() -> None:
    film = _film(0)
    prepared = prepare_film(film, (0.2, 0.16), GRID, UNCHANGED, None)
    grey, transform = to_model_grid(film, 96, 64, "letterbox", 0.2, 0.16)
    np.testing.assert_array_equal(prepared.grey, grey)
    assert (prepared.transform, prepared.note) == (transform, "")


def test_a_border_gets_the_median_of_the_rest_and_the_rest_stays() -> None:
    film = np.arange(200, dtype=np.float32).reshape(10, 20) / 400
    film[:2] = 1.0
    masked = _whole(film, FilmPreparation(mask_border=0.2))
    inner = (slice(2, 8), slice(4, 16))
    np.testing.assert_allclose(masked[inner], film[inner], atol=1e-6)
    outer = np.ones(film.shape, bool)
    outer[inner] = False
    np.testing.assert_allclose(masked[outer], np.median(film[inner]), atol=1e-6)


def test_text_outside_the_lungs_is_painted_and_nothing_else() -> None:
    film = _film(4)
    text = _with_text(film) != film
    plain, masked = (_whole(each, FilmPreparation(mask_markers=True)) for each in (film, _with_text(film)))
    assert np.abs(masked[text] - film[text]).max() < 0.2
    far = np.ones(film.shape, bool)
    far[:20, :40] = False
    np.testing.assert_array_equal(masked[far], plain[far])
    assert (plain != film).mean() < 0.02  # the generator's own letter


def test_bright_structures_in_the_lungs_are_no_markers() -> None:
    film = _film(1)
    hull = _hull(film)
    rows, cols = (int(centre) for centre in np.argwhere(hull).mean(axis=0))
    inside = _with_text(film, rows, cols - 12)
    masked = _whole(inside, FilmPreparation(mask_markers=True))
    np.testing.assert_allclose(masked[inside != film], 1.0, atol=1e-6)


def test_without_lungs_markers_stay_with_a_note() -> None:
    film = _with_text(np.full((100, 80), 0.6, np.float32))
    prepared = prepare_film(film, SQUARE_PX, GRID, FilmPreparation(mask_markers=True), _lungs(film))
    assert prepared.note == NO_LUNGS
    np.testing.assert_array_equal(prepared.grey, to_model_grid(film, 96, 64, "letterbox")[0])


def test_equalization_forgets_any_increasing_change_of_grey_levels() -> None:
    film = _film(2)
    flatter = (0.2 + 0.7 * film**1.1).astype(np.float32)
    first, second = (_whole(each, FilmPreparation(equalize=True)) for each in (film, flatter))
    assert np.abs(film - flatter).mean() > 0.05
    np.testing.assert_allclose(first, second, atol=4e-3)  # 16 bits merge a few levels
    assert first.mean() == pytest.approx(0.5, abs=1e-4)


def test_margins_stay_black_and_painted_parts_are_grey_in_an_equalized_film() -> None:
    film = np.random.default_rng(0).random((40, 80)).astype(np.float32)
    grey = prepare_film(film, SQUARE_PX, GRID, FilmPreparation(mask_border=0.25, equalize=True), None).grey
    assert grey.shape == (96, 64)
    assert not grey[:32].any()  # 64 px wide, 32 px high in the middle
    assert not grey[64:].any()
    np.testing.assert_array_equal(grey[32:40], 0.5)
    inner = grey[40:56, 16:48]
    assert np.unique(np.floor(inner * 8)).tolist() == list(range(8))
    assert inner.mean() == pytest.approx(0.5, abs=0.01)


def test_a_crop_shows_the_lungs_and_every_point_is_where_its_transform_says() -> None:
    hull = np.zeros((100, 140), bool)
    hull[30:70, 40:100] = True
    transform = cropped_grid(hull, 0.1, GRID, (0.2, 0.1))
    # 26..74 of the rows at 0.2 and 34..106 of the columns at 0.1: the columns decide
    assert transform.scale_y == pytest.approx(2 * transform.scale_x)
    shown = transform.box_to_model(Box(34, 26, 106, 74))
    assert (shown.x0, shown.x1) == pytest.approx((0, 64))
    assert shown.centre_xy == pytest.approx((32, 48))
    assert transform.box_to_native(transform.box_to_model(Box(1, 2, 3.5, 7))).as_tuple() == pytest.approx(
        (1, 2, 3.5, 7)
    )
    ramp = np.tile((np.arange(140) + 0.5).astype(np.float32), (100, 1))
    grey = resampled(ramp, 96, 64, transform)
    x_native = [transform.xy_to_native(col + 0.5, 0.0)[0] for col in range(64)]
    inner = [col for col, x in enumerate(x_native) if 1 < x < 139]
    assert len(inner) > 40
    np.testing.assert_allclose(grey[48, inner], np.array(x_native)[inner], atol=0.06)  # native pixels are steps


def test_a_cropped_film_fills_the_grid_with_its_lungs() -> None:
    film = _film(4)
    hull = _hull(film)
    preparation = FilmPreparation(crop_lungs=True, crop_margin=0.0)
    prepared = prepare_film(film, SQUARE_PX, GRID, preparation, _lungs(film))
    lungs = box_from_mask(hull)
    assert lungs is not None
    shown = prepared.transform.box_to_model(lungs)
    assert max((shown.x1 - shown.x0) / 64, (shown.y1 - shown.y0) / 96) == pytest.approx(1.0)
    assert shown.centre_xy == pytest.approx((32, 48))
    assert prepared.note == ""


def test_a_film_without_lungs_is_not_cropped() -> None:
    film = _with_text(np.full((100, 80), 0.6, np.float32))
    prepared = prepare_film(film, SQUARE_PX, GRID, FilmPreparation(crop_lungs=True), _lungs(film))
    assert prepared.note == NO_LUNGS
    assert prepared.transform == to_model_grid(film, 96, 64, "letterbox")[1]


def _bright_border(film: np.ndarray) -> np.ndarray:
    film = film.copy()
    film[:6] = film[-6:] = film[:, :6] = film[:, -6:] = 1.0
    return film


def _bright_edge(film: np.ndarray) -> np.ndarray:
    film = film.copy()
    film[:2] = film[-2:] = 1.0
    return film


@pytest.mark.parametrize(
    ("plant", "kind", "preparation"),
    [
        (_bright_border, "border", FilmPreparation(mask_border=0.1)),
        (_with_text, "corners (markers)", FilmPreparation(mask_markers=True)),
        (_bright_edge, "border", FilmPreparation(crop_lungs=True, crop_margin=0.0)),
        (lambda film: 0.3 + 0.6 * film, "grey-level histogram", FilmPreparation(equalize=True)),
    ],
)
def test_a_planted_shortcut_is_gone(
    plant: Callable[[np.ndarray], np.ndarray], kind: str, preparation: FilmPreparation
) -> None:
    planted = [plant(_film(index)) if index % 2 else _film(index) for index in range(60)]
    before, after = (_probe_auc(planted, kind, each) for each in (UNCHANGED, preparation))
    assert before > 0.9
    assert after < 0.65


def _probe_auc(films: list[np.ndarray], kind: str, preparation: FilmPreparation) -> float:
    rows = []
    for film in films:
        grid = ModelGrid(96, 64, "stretch") if preparation.crop_lungs else GRID  # no more of the film in the margins
        lungs = _lungs(film) if preparation.needs_lungs else None
        prepared = prepare_film(film, SQUARE_PX, grid, preparation, lungs)
        stored = quantise(prepared.grey, 8)[film_area((96, 64), film.shape, prepared.transform)]
        statistics = image_statistics(stored)
        tiles = statistics.tiles.reshape(2, 12, 12)
        rows.append(statistics.histogram if kind == "grey-level histogram" else tiles[:, regions(None)[kind]].ravel())
    labels = (np.arange(len(films)) % 2).astype(np.int8)[:, None]
    (probe,) = run_probes({kind: np.stack(rows)}, labels, ["planted"], [f"p{i}" for i in range(len(films))], 1)
    assert probe.auc is not None
    return probe.auc
