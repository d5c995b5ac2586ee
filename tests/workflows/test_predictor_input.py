"""Input of a predictor as a program or a client of a server may send it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from camray.domain.errors import SettingsError
from camray.domain.predicted_films import RefusedFilm
from camray.workflows.predictor_input import GreyFilm, films_of


def _films(given: Any) -> list[GreyFilm]:
    return [film for film in films_of(given) if isinstance(film, GreyFilm)]


@pytest.mark.parametrize("given", [[[0.0, 1.0, 0.5]], [[[0.0, 1.0, 0.5]]], np.array([[0.0, 1.0, 0.5]], dtype=object)])
def test_numbers_in_any_nesting_are_films(given: Any) -> None:
    (film,) = _films(given)
    assert film.pixels.tolist() == [[0.0, 1.0, 0.5]]


def test_a_list_of_arrays_of_bytes_is_divided_by_255() -> None:
    (film,) = _films([np.array([[0, 255, 51]], np.uint8)])
    np.testing.assert_allclose(film.pixels, [[0, 1, 0.2]], rtol=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        [["/etc/passwd"]],
        np.array([["/etc/passwd"]]),
        [[0.1, 0.2], [0.3]],
        [[0.1, None]],
        [[0.1, float("nan")]],
        [[0.1, 2.0]],
        [[0.1, 10**400]],
        None,
        [{"path": "a.dcm"}],
        [[]],
        0.5,
        "a.dcm",
        {"path": ["a.dcm"]},
        pd.DataFrame({"file": ["a.dcm"]}),
    ],
)
def test_what_is_no_film_is_refused(given: Any) -> None:
    with pytest.raises(SettingsError, match="films: "):
        _films(given)


@pytest.mark.parametrize("given", [[], np.zeros((0, 4, 4)), pd.DataFrame({"path": []})])
def test_nothing_gives_nothing(given: Any) -> None:
    assert _films(given) == []


def test_a_strip_is_refused_by_name() -> None:
    rows = list(films_of(np.zeros((2, 1, 11))))
    assert [(row.image_id, row.reason) for row in rows if isinstance(row, RefusedFilm)] == [
        ("0", "too_small"),
        ("1", "too_small"),
    ]
    assert len(_films(np.zeros((2, 1, 10)))) == 2
