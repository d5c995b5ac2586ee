"""Foreign films: drawn chests stay in at the stated share; white, black, noise, other views and widths do not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from camray.core.imaging.film_range import (
    LEAST_TRAINING,
    LEAST_VALIDATION,
    FilmFacts,
    FilmRange,
    appearance_of,
    fit_film_range,
)
from camray.core.imaging.film_statistics import image_statistics, quantise

ROWS, COLS = 60, 48


def film(rng: np.random.Generator) -> NDArray[np.float32]:
    """A film of two dark lungs in a body, each film a bit different."""
    y, x = np.mgrid[0:ROWS, 0:COLS] / (ROWS - 1.0)
    grey = np.full((ROWS, COLS), 0.7 + 0.1 * rng.normal())
    for centre in (0.22, 0.58):
        place = centre + 0.02 * rng.normal(), 0.5 + 0.03 * rng.normal()
        grey -= 0.4 * (((x - place[0]) / 0.15) ** 2 + ((y - place[1]) / 0.3) ** 2 < 1)
    return np.clip(grey + 0.03 * rng.normal(size=grey.shape), 0, 1).astype(np.float32)


def facts(films: list[NDArray[np.float32]], view: str = "PA", width: float = 400.0) -> FilmFacts:
    looks = np.array([appearance_of(image_statistics(quantise(each, 8))) for each in films])
    return FilmFacts(looks, (view,) * len(films), np.full(len(films), width), np.arange(len(films)))


def drawn(n: int, seed: int) -> FilmFacts:
    rng = np.random.default_rng(seed)
    return facts([film(rng) for _ in range(n)])


@pytest.fixture(scope="module")
def known() -> FilmRange:
    return fit_film_range(drawn(120, 1), drawn(99, 2), 0.02)


def test_films_like_those_of_validation_stay_in_at_the_stated_share(known: FilmRange) -> None:
    assert known.share == pytest.approx(0.02)  # number 98 of 99
    inside = [why == "" for why in known.why_foreign(drawn(300, 3))]
    assert sum(inside) >= 300 * 0.94  # 0.02, and the limit itself varies from draw to draw
    validation = drawn(99, 2)
    assert sum(why != "" for why in known.why_foreign(validation)) == 1  # the farthest


@pytest.mark.parametrize("odd", ["white", "black", "grey", "noise", "faint", "ramp", "upside down", "negative"])
def test_pictures_that_are_no_such_film_are_foreign(known: FilmRange, odd: str) -> None:
    rng = np.random.default_rng(0)
    pictures = {
        "white": np.ones((ROWS, COLS)),
        "black": np.zeros((ROWS, COLS)),
        "grey": np.full((ROWS, COLS), 0.5),
        "noise": rng.random((ROWS, COLS)),
        "faint": np.clip(0.5 + 0.02 * rng.normal(size=(ROWS, COLS)), 0, 1),
        "ramp": np.tile(np.linspace(0, 1, COLS), (ROWS, 1)),
        "upside down": np.roll(film(rng), ROWS // 2, axis=0),
        "negative": 1 - film(rng),
    }
    assert known.why_foreign(facts([pictures[odd].astype(np.float32)])) == ["appearance unlike the training films'"]


def test_views_and_widths_beyond_those_of_training_are_foreign(known: FilmRange) -> None:
    one = [film(np.random.default_rng(9))]
    assert known.widths_mm == (320.0, 500.0)
    assert known.why_foreign(facts(one, view="LL")) == ["view LL, training films have PA"]
    assert known.why_foreign(facts(one, width=120.0)) == ["120 mm wide, training films 320 to 500 mm"]
    assert known.why_foreign(facts(one, view="", width=float("nan"))) == [""]  # nothing known is nothing foreign


def test_what_training_films_do_not_tell_is_not_compared() -> None:
    training = drawn(LEAST_TRAINING, 1)
    unknown = replace(training, views=("PA",) * 40 + ("",) * 10, widths_mm=np.full(LEAST_TRAINING, np.nan))
    known = fit_film_range(unknown, drawn(LEAST_VALIDATION, 2), 0.02)
    assert (known.views, known.widths_mm) == ((), None)
    assert known.share == pytest.approx(1 / 21)  # of 20 patients the farthest is the limit
    rare = replace(training, views=("PA",) * 48 + ("LL",) * 2)
    assert fit_film_range(rare, drawn(LEAST_VALIDATION, 2), 0.02).views == ("PA",)


@pytest.mark.parametrize(("training", "validation"), [(49, 99), (120, 19), (0, 0)])
def test_too_few_patients_compare_nothing_and_say_so(training: int, validation: int) -> None:
    nothing = FilmFacts(np.zeros((0, 85)), (), np.zeros(0), np.zeros(0, np.int64))
    parts = [drawn(n, n) if n else nothing for n in (training, validation)]
    known = fit_film_range(*parts, 0.02)
    assert known.reason == f"{training} training and {validation} validation patients; 50 and 20 are needed"
    assert known.why_foreign(facts([np.ones((ROWS, COLS), np.float32)])) == [""]
