"""Two runs' per-film values compared, by hand and in simulation."""

import numpy as np
import pytest

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.paired_tests import PairedValues, paired_classification, paired_localization
from camray.core.metrics.score_table import LabelLogits

HIT = ("hit_rate", None)


def _values(first: list[float], second: list[float], patients: list[int] | None = None) -> PairedValues:
    numbers = np.arange(len(first)) if patients is None else np.array(patients)
    return PairedValues(numbers, {HIT: np.array(first, float)}, {HIT: np.array(second, float)})


def test_means_and_difference_by_hand() -> None:
    labels = {"A": _values([1, 0, 0, 1], [1, 1, 1, 1]), "B": _values([0, 0], [1, 0])}
    found = paired_localization(labels, 4, Bootstrap(500, 0.95, 1)).set_index("label")
    assert found.loc["A", ["first", "second", "difference", "n"]].tolist() == [0.5, 1.0, 0.5, 4]
    assert found.loc["mean", ["first", "second", "difference", "n"]].tolist() == [0.25, 0.75, 0.5, 2]
    assert (found["low"] >= 0).all()  # no film got worse


def test_a_run_against_itself_does_not_differ() -> None:
    found = paired_localization({"A": _values([1, 0, 1], [1, 0, 1])}, 3, Bootstrap(200, 0.95, 1))
    assert found[["difference", "low", "high"]].to_numpy().tolist() == [[0, 0, 0]] * 2
    assert found["p"].tolist() == [1, 1]


def test_swapping_the_runs_turns_the_sign() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 2, 30).tolist() for _ in range(2))
    one = paired_localization({"A": _values(first, second)}, 30, Bootstrap(300, 0.9, 1))
    other = paired_localization({"A": _values(second, first)}, 30, Bootstrap(300, 0.9, 1))
    assert one["difference"].tolist() == [-value for value in other["difference"]]
    assert one["p"].tolist() == pytest.approx(other["p"].tolist())
    assert one["low"].tolist() == pytest.approx([-value for value in other["high"]])


def test_films_of_one_patient_are_one_voice() -> None:
    first, second = [0, 1] * 10, [1, 1] * 10
    alone = paired_localization({"A": _values(first, second)}, 20, Bootstrap(500, 0.95, 1))
    together = paired_localization({"A": _values(first, second, [0] * 18 + [1, 2])}, 3, Bootstrap(500, 0.95, 1))
    assert alone["p"].iloc[0] < 0.01 < together["p"].iloc[0]


def test_p_is_as_rare_as_it_says_where_nothing_differs() -> None:
    rng = np.random.default_rng(2)
    rounds, small = 200, 0
    for number in range(rounds):
        both = rng.random((2, 60)) < 0.6
        table = paired_localization({"A": _values(*both.astype(float).tolist())}, 60, Bootstrap(200, 0.95, number))
        small += table["p"].iloc[0] < 0.1
    assert 0.04 < small / rounds < 0.17


@pytest.mark.parametrize(("patients", "expected"), [(1, 1.0), (2, 0.5), (5, 2 / 32), (8, 2 / 256)])
def test_few_patients_who_all_agree_prove_little(patients: int, expected: float) -> None:
    """All signs alike: two of the 2 ** n ways to flip them go as far as what was seen."""
    found = paired_localization({"A": _values([0.0] * patients, [1.0] * patients)}, 20, Bootstrap(20_000, 0.95, 1))
    assert found["p"].tolist() == pytest.approx([expected] * 2, abs=0.012)
    assert found["difference"].tolist() == [1, 1]
    assert found[["low", "high"]].isna().to_numpy().all()  # every resample says 1: nothing is known of the spread


def test_p_keeps_its_level_with_few_patients() -> None:
    rng = np.random.default_rng(3)
    tables = [
        paired_localization({"A": _values(*rng.normal(size=(2, 6)).tolist())}, 6, Bootstrap(200, 0.95, n))
        for n in range(150)
    ]
    assert np.mean([table["p"].iloc[0] <= 0.1 for table in tables]) < 0.15


def test_auroc_goes_by_delong() -> None:
    present = np.array([True, True, False, False])
    one = LabelLogits(np.arange(4), np.array([3.0, 1.0, 2.0, 0.0]), present)
    other = LabelLogits(np.arange(4), np.array([3.0, 2.0, 1.0, 0.0]), present)
    found = paired_classification({"A": one}, {"A": other}, 0.95)
    assert found[["first", "second", "difference"]].to_numpy().tolist() == [[0.75, 1.0, 0.25]]
    assert found["test"].tolist() == ["DeLong"]


def test_nothing_annotated_gives_no_rows() -> None:
    assert paired_localization({}, 3, Bootstrap(100, 0.95, 1)).empty
