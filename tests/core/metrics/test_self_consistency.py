"""Consistency of boxes with themselves: the rule, and what is painted over."""

import numpy as np
import pytest

from camray.core.metrics.self_consistency import judge, mirrored_box, painted_over, removed_share
from camray.domain.geometry import Box, CropWindow

GAINS = np.array([0.3, 0.1, 0.2, -0.1, 0.3, 0.0, 0.2, 0.1, 0.1])


def test_a_gain_must_exceed_two_standard_errors_of_the_paired_difference() -> None:
    before = np.linspace(0.1, 0.9, len(GAINS))
    error = GAINS.std(ddof=1) / 3
    verdict = judge(before, before + GAINS)
    assert (verdict.difference, verdict.standard_error) == (pytest.approx(GAINS.mean()), pytest.approx(error))
    assert verdict.is_kept
    barely = judge(before, before + GAINS - GAINS.mean() + 1.9 * error)
    assert (barely.is_kept, barely.reason) == (False, "no clear gain")
    assert judge(before, before - GAINS).reason == "less consistent"
    assert not judge(before, before).is_kept


def test_few_films_keep_nothing_whatever_their_gain() -> None:
    verdict = judge(np.zeros(7), np.ones(7))
    assert (verdict.is_kept, verdict.difference, verdict.reason) == (False, 1.0, "fewer than 8 validation films")
    assert np.isnan(judge(np.zeros(0), np.zeros(0)).difference)


def test_a_box_and_its_mirrored_place_are_painted_within_the_film_alone() -> None:
    window, film = CropWindow(1, 7, 2, 10), np.zeros((8, 12), np.float32)
    film[1:7, 2:10] = 0.5
    film[2:4, 3:5] = 1.0
    box = Box(3.0, 2.0, 5.0, 4.0)
    mirrored = mirrored_box(box, window)
    assert mirrored.as_tuple() == (7.0, 2.0, 9.0, 4.0)
    without = painted_over(film, box, window)
    assert without[2:4, 3:5].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert without.sum() == 6 * 8 * 0.5  # the margin stays black, all else as it is
    assert np.array_equal(painted_over(film, mirrored, window), film)
    whole = painted_over(film, Box(0.0, 0.0, 12.0, 8.0), window)
    assert set(np.unique(whole)) == {0.0, 0.5}


def test_without_films_that_lack_the_label_nothing_is_removed() -> None:
    logits = np.array([3.0, -1.0])
    assert removed_share(logits, logits - 9, absent=float("inf")).tolist() == [0.0, 0.0]
