"""Conflicts of identity and duplicates."""

import numpy as np
import pandas as pd

from camray.core.cohort.deduplication import (
    conflicting_patients,
    duplicate_ids,
    duplicate_pixels,
    image_ids_by_path,
    patient_split_key,
)
from camray.domain.records import RefusalReason


def _films(**columns: list[str]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    plain = {
        "image_id": [f"i{k}" for k in range(n)],
        "study_key": [""] * n,
        "patient_key": [f"p{k}" for k in range(n)],
        "patient_source": ["header"] * n,
        "pixel_sha256": [f"d{k}" for k in range(n)],
        "source": [f"f{k}.dcm" for k in range(n)],
    }
    return pd.DataFrame({**plain, **columns})


def test_a_study_under_two_patients_goes_as_a_whole() -> None:
    films = _films(study_key=["s", "s", "t", "t"], patient_key=["a", "b", "c", "c"])
    refused = conflicting_patients(films)
    assert [film.row for film in refused] == [0, 1]
    assert {film.reason for film in refused} == {RefusalReason.CONFLICTING_PATIENT}


def test_an_image_under_two_patients_goes_once() -> None:
    films = _films(image_id=["x", "x", "y"], patient_key=["a", "b", "c"], study_key=["s", "s", "s2"])
    assert [film.row for film in conflicting_patients(films)] == [0, 1]


def test_films_of_unknown_study_or_patient_do_not_conflict() -> None:
    films = _films(study_key=["", "", "s", "s"], patient_source=["header", "header", "file", "header"])
    assert conflicting_patients(films) == []


def test_the_first_of_equal_pixels_stays() -> None:
    refused = duplicate_pixels(_films(pixel_sha256=["d", "e", "d", "d"]))
    assert [(film.row, film.reason) for film in refused] == [
        (2, RefusalReason.DUPLICATE_PIXELS),
        (3, RefusalReason.DUPLICATE_PIXELS),
    ]
    assert "f0.dcm" in refused[1].message


def test_equal_ids_with_other_pixels_are_another_reason_than_a_copied_file() -> None:
    films = _films(image_id=["x", "x", "x"], pixel_sha256=["d", "e", "d"])
    refused = duplicate_ids(films)
    assert [(film.row, film.reason) for film in refused] == [
        (1, RefusalReason.DUPLICATE_ID),
        (2, RefusalReason.DUPLICATE_PIXELS),
    ]


def test_rows_are_named_by_the_index_not_by_position() -> None:
    films = _films(pixel_sha256=["d", "d", "e"]).iloc[[1, 2, 0]]
    assert [film.row for film in duplicate_pixels(films)] == [0]


def test_a_patient_is_keyed_by_its_first_film() -> None:
    names = patient_split_key(np.array(["k1", "k2", "k1"], object), np.array(["c", "b", "a"], object))
    assert names == ["a", "b", "a"]


def test_pictures_of_one_name_are_named_by_path_and_copies_and_objects_are_not() -> None:
    films = _films(
        image_id=["v", "v", "c", "c", "100", "100", "1.2.3", "1.2.3", "e", "e"],
        source=[
            "a/v.png",
            "b/v.png",
            "a/c.png",
            "b/c.png",
            "a/100.png",
            "b/100.png",
            "a/1.2.3.dcm",
            "b/1.2.3.dcm",
            "e.png",
            "e.jpg",
        ],
        pixel_sha256=["1", "2", "3", "3", "4", "5", "6", "7", "8", "9"],
        transfer_syntax=[""] * 6 + ["1.2.840.10008.1.2.1"] * 2 + [""] * 2,
    )
    assert image_ids_by_path(films, films["image_id"]).tolist() == [
        "a/v",
        "b/v",
        "c",
        "c",
        "a/100",
        "b/100",
        "1.2.3",
        "1.2.3",
        "e.png",
        "e.jpg",
    ]
