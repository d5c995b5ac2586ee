"""Rows that name films in another form: used where unambiguous, reported otherwise."""

import unicodedata

import numpy as np
import pandas as pd
import pytest

from camray.adapters.datasets.films_index import NOT_FOUND, FilmIndex
from camray.adapters.datasets.manifest import Key
from camray.adapters.datasets.near_names import NearMatches, match_nearly


def _films(*sources: str) -> FilmIndex:
    ids = [source.rsplit("/", 1)[-1].rsplit(".", 1)[0] for source in sources]
    return FilmIndex(pd.Series(ids), pd.Series(list(sources)), np.ones(len(sources), bool))


def _near(films: FilmIndex, *keys: str, key_is: Key = "any") -> NearMatches:
    series = pd.Series(list(keys))
    return match_nearly(series, films.match(series, key_is), films, key_is)


@pytest.mark.parametrize(
    ("source", "key", "difference"),
    [
        ("train/f01.png", "train\\f01.png", "backslashes"),
        ("train/f01.png", ".\\train\\f01.png", "backslashes"),
        ("100.png", "100.0", "decimals"),
        ("007.png", "7", "leading zeros"),
        ("7.png", "0007.png", "leading zeros"),
        ("f01.png", "F01.PNG", "case"),
        ("f01.PNG", "f01.png", "case"),
        ("f01.png", "f01.jpg", "ending"),
        ("f01.png", "sub/f01.dcm", "ending"),
        (unicodedata.normalize("NFD", "폐렴é.png"), unicodedata.normalize("NFC", "폐렴é.png"), "Unicode"),
        ("a b.png", "a\u00a0b\u200b.png", "invisible"),
    ],
)
def test_a_name_in_another_form_is_matched_and_the_form_named(source: str, key: str, difference: str) -> None:
    near = _near(_films(source, "other.png"), key, "no film of this name")
    assert near.films.tolist() == [0, NOT_FOUND]
    assert [rows for name, rows in near.rows.items() if difference in name] == [[0]]
    assert not near.unclear


def test_an_exact_name_wins_and_its_film_is_not_named_again() -> None:
    films = _films("7.png", "007.png")
    assert _near(films, "7", "007", "07").films.tolist() == [NOT_FOUND] * 3, "both films are named exactly"


def test_two_keys_or_two_films_of_one_form_are_not_matched() -> None:
    near = _near(_films("f1.png"), "F1.png", "f1.PNG")
    assert near.films.tolist() == [NOT_FOUND] * 2
    assert near.candidates == {0: [0, 1]}
    near = _near(_films("f1.png", "F1.png"), "f1.PnG")
    assert near.films.tolist() == [NOT_FOUND]
    assert near.candidates == {0: [0], 1: [0]}


def test_uids_and_versions_have_no_ending() -> None:
    assert _near(_films("1.2.3.png"), "1.2.4").films.tolist() == [NOT_FOUND]
    assert _near(_films("1.2.3.png"), "1.2").films.tolist() == [NOT_FOUND]


def test_a_path_of_another_folder_is_no_other_film_of_the_same_name() -> None:
    films = _films("patient1/view1.png")
    keys = pd.Series(["patient1/view1.png", "patient2/view1.png"])
    assert films.match(keys, "any").tolist() == [0, NOT_FOUND]
    assert films.match(keys[1:], "any").tolist() == [0], "the only path that ends so"
    assert films.match(pd.Series(["patient2/view1.png", "patient3/view1.png"]), "any").tolist() == [NOT_FOUND] * 2


def test_the_end_of_a_path_tells_films_of_one_name_apart() -> None:
    films = _films("patient1/view1.png", "patient2/view1.png")
    keys = pd.Series(["data/patient1/view1.png", "data/patient2/view1.png", "data/patient3/view1.png"])
    assert films.match(keys, "any").tolist() == [0, 1, -2]
