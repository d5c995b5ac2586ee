"""The choice of films, the baselines and the tables."""

import numpy as np
import pytest

from camray.core.map_sanity.deletion_insertion import Curves
from camray.core.map_sanity.method_figures import Cascade, MethodFigures
from camray.core.map_sanity.table import baseline_heat, cascade_table, choose_pairs, curve_table, sanity_table
from camray.core.metrics.localization.baselines import CENTRE, RANDOM


def _figures() -> MethodFigures:
    curves = Curves(np.array([0.0, 0.5, 1.0]), np.array([[0.8, 0.4, 0.0], [np.nan] * 3]), np.ones((2, 3)))
    ranks = np.array([[0.5, np.nan], [0.1, 0.3]])
    return MethodFigures(
        "cam",
        "",
        np.array([False, True]),
        curves,
        np.array([0.8, 0.6]),
        np.array([0.5, np.nan]),
        np.array([0.0, np.nan]),
        np.array([[0.1, 0.2], [0.3, 0.4]]),
        Cascade(("head", "stem"), ranks, ranks, ranks),
        4.0,
    )


def test_films_are_shared_out_among_labels_by_turns() -> None:
    targets = np.array([[1, 0], [1, 1], [np.nan, 1], [0, 1], [0, 1]], np.float32)
    pairs = choose_pairs(targets, 99, seed=0)
    assert len(pairs) == len(set(pairs)) == 6  # every positive once
    assert all(targets[film, label] == 1 for film, label in pairs)
    assert [label for _, label in pairs] == [0, 1, 0, 1, 1, 1]
    assert choose_pairs(targets, 3, seed=0) == pairs[:3]
    assert {label for _, label in choose_pairs(targets, 3, 0, label=1)} == {1}
    assert choose_pairs(np.zeros((3, 2), np.float32), 4, 0) == []


def test_baselines_know_nothing_of_the_film() -> None:
    centre = baseline_heat(CENTRE, 0, ["a", "b"], ["x", "x"], (5, 7))
    assert np.unravel_index(centre[0].argmax(), (5, 7)) == (2, 3)
    np.testing.assert_allclose(centre[0], centre[1][::-1, ::-1], rtol=1e-12)
    noise = baseline_heat(RANDOM, 0, ["a", "b"], ["x", "x"], (5, 7))
    assert (noise[0] != noise[1]).any()
    np.testing.assert_array_equal(noise[1:], baseline_heat(RANDOM, 0, ["b"], ["x"], (5, 7)))
    with pytest.raises(ValueError, match="no baseline"):
        baseline_heat("other", 0, ["a"], ["x"], (2, 2))


def test_means_are_over_what_is_defined_and_counts_tell() -> None:
    table = sanity_table([_figures(), MethodFigures("guided_backprop", "no ReLU")])
    row = table.iloc[0]
    assert (row["films"], row["constant"], row["checked_films"]) == (2, 1, 2)
    assert row["deletion_auc"] == pytest.approx(0.4)
    assert row["insertion_auc"] == 1
    assert row["probability"] == pytest.approx(0.7)
    assert row["average_drop"] == 0.5
    assert row["rank_head"] == 0.5
    assert row["rank_all"] == pytest.approx(0.2)
    assert row["noise_max"] == pytest.approx(0.35)
    assert row["noise_mean"] == pytest.approx(0.25)
    assert table.iloc[1]["reason"] == "no ReLU"
    assert table.iloc[1]["films"] == 0
    cascades = cascade_table([_figures()])
    head = cascades[(cascades["step"] == 1) & (cascades["measure"] == "rank")].iloc[0]
    assert (head["block"], head["value"], head["films"]) == ("head", 0.5, 1)
    curves = curve_table([_figures()])
    assert curves[curves["kind"] == "deletion"]["probability"].tolist() == [0.8, 0.4, 0.0]
    assert curves[curves["kind"] == "deletion"]["films"].tolist() == [1, 1, 1]
    assert curves[curves["kind"] == "insertion"]["films"].tolist() == [2, 2, 2]
