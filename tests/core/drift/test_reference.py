import numpy as np
import pytest

from camray.core.drift.features import Feature
from camray.core.drift.reference import OTHER, Reference, reference_of


def _numbers(values: object, key: str = "appearance/grey_mean") -> Feature:
    return Feature(key, "mean grey", np.asarray(values, np.float64))


def _texts(values: list[str]) -> Feature:
    return Feature("header/view", "view", np.array(values, dtype=object))


def test_common_values_have_cells_and_rare_ones_share_the_last_with_all_others() -> None:
    reference = reference_of(_texts(["AP"] * 6 + ["PA"] * 9 + ["LL"] * 4))
    assert reference.names == ("PA", "AP")
    assert reference.counts == (9, 6, 4)
    assert reference.bin_titles == ("PA", "AP", OTHER)
    assert reference.count(_texts(["PA", "LL", "RL", "AP", "PA"])).tolist() == [2, 1, 2]


def test_quantile_cells_have_equal_counts_and_nest_in_the_bins() -> None:
    reference = reference_of(_numbers(np.arange(1000.0)))
    assert len(reference.counts) == 50
    assert set(reference.counts) == {20}
    assert reference.in_bins(np.array(reference.counts)).tolist() == [100] * 10
    assert list(reference.bins) == sorted(reference.bins)
    assert reference.median == 499.5


def test_cells_are_half_open_and_unknown_numbers_count_nowhere() -> None:
    reference = Reference("a/b", "b", (), (1.0, 2.0), (0, 1, 1), (0, 0, 0))
    assert reference.count(_numbers([0.5, 1.0, 1.5, 2.0, np.nan, np.inf, -3.0])).tolist() == [2, 2, 1]
    assert reference.bin_titles == ("< 1", "1 +")


def test_numbers_with_few_values_are_compared_value_by_value() -> None:
    reference = reference_of(_numbers([0.143] * 30 + [0.2] * 10))
    assert reference.names == ("0.143", "0.2")
    assert not reference.is_continuous
    # another detector lies between two known ones, and is neither of them
    assert reference.count(_numbers([0.175, 0.143, np.nan])).tolist() == [1, 0, 1]


def test_tied_numbers_share_a_bin_and_lower_ones_have_their_own() -> None:
    reference = reference_of(_numbers([0.0] * 500 + list(np.linspace(1, 2, 100))))
    assert reference.in_bins(np.array(reference.counts)).tolist() == [0, 540, 60]
    assert reference.in_bins(reference.count(_numbers([-1.0, 0.0, 0.0]))).tolist() == [1, 2, 0]
    assert sorted(set(reference.bins)) == list(range(max(reference.bins) + 1))


@pytest.mark.parametrize("feature", [_numbers([]), _numbers([np.nan, np.nan]), _texts([])])
def test_films_of_which_nothing_is_known_make_an_empty_reference(feature: Feature) -> None:
    reference = reference_of(feature)
    assert reference.films == 0
    assert reference.median is None
    assert reference.count(feature).tolist() == [0]
