"""Splits by patient: sizes, balance, independence of order, and the leak check."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camray.core.cohort.patient_splits import (
    SPLITS,
    assign_by_patient,
    check_no_leak,
    folders_warning,
    official_splits,
    patients_warning,
    seeded_splits,
    studies_warning,
)
from camray.domain.errors import ManifestError

FRACTIONS = (0.7, 0.1, 0.2)


def test_ten_single_films_are_dealt_seven_one_two() -> None:
    splits = seeded_splits([f"p{i}" for i in range(10)], ["x"] * 10, FRACTIONS, 1)
    assert Counter(splits) == {"train": 7, "validation": 1, "test": 2}


def test_every_label_combination_gets_its_share() -> None:
    patients = [f"p{i:03d}" for i in range(300)]
    signatures = ["rare" if i % 10 == 0 else "common" for i in range(300)]
    splits = seeded_splits(patients, signatures, FRACTIONS, 3)
    rare = Counter(s for s, kind in zip(splits, signatures, strict=True) if kind == "rare")
    assert abs(rare["train"] - 21) <= 1
    assert abs(rare["validation"] - 3) <= 1
    assert abs(rare["test"] - 6) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["", "a", "a,b"])), min_size=1, max_size=60),
    st.integers(0, 2**31),
)
def test_a_patient_never_stands_in_two_and_order_does_not_matter(films: list[tuple[int, str]], seed: int) -> None:
    patients, signatures = [f"p{p}" for p, _ in films], [s for _, s in films]
    splits = seeded_splits(patients, signatures, FRACTIONS, seed)
    check_no_leak(patients, splits)
    order = np.random.default_rng(seed).permutation(len(films))
    again = seeded_splits([patients[i] for i in order], [signatures[i] for i in order], FRACTIONS, seed)
    assert list(again) == [splits[i] for i in order]


def test_the_seed_changes_who_is_where() -> None:
    patients = [f"p{i}" for i in range(50)]
    first, second = (seeded_splits(patients, ["x"] * 50, FRACTIONS, seed) for seed in (1, 2))
    assert (first == seeded_splits(patients, ["x"] * 50, FRACTIONS, 1)).all()
    assert (first != second).any()


def test_a_part_without_a_share_gets_nobody() -> None:
    parts = assign_by_patient([str(i) for i in range(40)], [""] * 40, (0.5, 0.0, 0.5), 1)
    assert Counter(parts) == {0: 20, 2: 20}


@pytest.mark.parametrize("fractions", [(0, 0, 0), (0.5, -0.1, 0.6)])
def test_senseless_fractions_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="fractions"):
        assign_by_patient(["a"], [""], fractions, 1)


def test_no_films_give_no_parts() -> None:
    assert assign_by_patient([], [], FRACTIONS, 1).shape == (0,)


def test_official_lists_without_validation_lose_training_patients_to_it() -> None:
    official = ["train"] * 16 + ["test"] * 4
    patients = [f"p{i // 2}" for i in range(20)]
    splits = official_splits(official, patients, ["x"] * 20, FRACTIONS, 1)
    assert list(splits[16:]) == ["test"] * 4
    assert Counter(splits[:16]) == {"train": 14, "validation": 2}
    check_no_leak(patients, splits)


def test_official_lists_with_validation_stay_as_they_are() -> None:
    official = ["train", "validation", "test"]
    assert list(official_splits(official, ["a", "b", "c"], [""] * 3, FRACTIONS, 1)) == official


def test_a_patient_in_two_splits_is_an_error_that_counts() -> None:
    with pytest.raises(ManifestError, match="2 patient"):
        check_no_leak(["a", "a", "b", "b", "c"], ["train", "test", "train", "validation", "test"])


def test_split_names_are_those_of_the_tables() -> None:
    assert SPLITS == ("train", "validation", "test")


def test_one_patient_on_all_or_most_films_is_odd() -> None:
    header = ["header"] * 12
    assert "one Patient ID on all 2 films" in patients_warning(["p", "p"], ["train", "train"], header)
    assert "one patient on all 2 films" in patients_warning(["p", "p"], ["train", "train"], ["stem"] * 2)
    splits = [*["train"] * 8, "validation", "test", "test", "test"]
    most = patients_warning([*"ppppqrstuvwx"], splits, header)
    assert most.startswith("one Patient ID on 4 of 12 films")
    assert not patients_warning([*"pppqqrstuvwx"], splits, header)
    assert not patients_warning(["p"], ["train"], header), "a single film needs no test film"


def test_splits_without_films_are_odd() -> None:
    warning = patients_warning(["p", "q"], ["train", "validation"], ["header"] * 2)
    assert warning.startswith("no film is in test: 2 patients")


def test_films_without_a_patient_id_may_leak() -> None:
    sources, splits = ["study", "header", "study"], ["train", "test", "test"]
    assert studies_warning(sources, splits).startswith("2 of 3 films have no Patient ID, so each study counts as a")
    assert not studies_warning(sources, ["test"] * 3), "new films are never split"
    assert not studies_warning(["header", "file"], ["train", "test"])


def test_folders_with_several_films_may_be_patients() -> None:
    sources = [f"patient{n}/view{k}.png" for n in range(3) for k in range(2)]
    assert "3 of 3 folders hold several films" in folders_warning(sources, ["file"] * 6)
    assert not folders_warning(sources, ["header"] * 6)
    assert not folders_warning([f"train/{n}.png" for n in range(6)], ["file"] * 6)
    assert not folders_warning([f"{n}/view.png" for n in range(6)], ["file"] * 6)
