import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camray.core.metrics.protocols.top_k_errors import top_errors

# five films, three labels: highest logits first name label 2, 0, 1, 2, 0
LOGITS = np.array([[1.0, 0.0, 3.0], [5.0, 4.0, -1.0], [0.0, 2.0, 1.0], [-3.0, -2.0, -1.0], [9.0, 8.0, 7.0]])
PRESENT = np.array([[0, 0, 1], [0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
RIGHT = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=float)


@pytest.mark.parametrize(
    ("k", "classification", "localization"),
    [
        # the fifth film shows nothing and is left out
        (1, 2 / 4, 3 / 4),  # wrong: 2 (names 0), 4 (names 2); the third names label 1 rightly and misplaces it
        (2, 1 / 4, 2 / 4),  # the second film's label 1 comes second; the third's second is label 2: no help
        (3, 0.0, 0.0),
    ],
)
def test_errors_worked_by_hand(k: int, classification: float, localization: float) -> None:
    found = top_errors(LOGITS, PRESENT, RIGHT, k)
    assert (found.classification, found.localization, found.films) == (classification, localization, 4)


def test_a_right_box_of_a_label_that_is_not_named_does_not_help() -> None:
    found = top_errors(np.array([[2.0, 1.0]]), np.array([[True, True]]), np.array([[0.0, 1.0]]), 1)
    assert (found.classification, found.localization) == (0.0, 1.0)


def test_equal_logits_keep_the_order_of_the_labels() -> None:
    assert top_errors(np.zeros((1, 3)), np.array([[True, False, False]]), np.zeros((1, 3)), 1).classification == 0
    assert top_errors(np.zeros((1, 3)), np.array([[False, True, False]]), np.zeros((1, 3)), 1).classification == 1


def test_draws_at_random_count_by_their_share() -> None:
    found = top_errors(np.array([[2.0, 1.0]]), np.array([[True, True]]), np.array([[0.5, 0.2]]), 2)
    assert found.localization == pytest.approx(0.5 * 0.8)


def test_no_film_with_a_label_gives_nan() -> None:
    found = top_errors(LOGITS, np.zeros_like(PRESENT), np.zeros_like(RIGHT), 1)
    assert np.isnan(found.classification)
    assert np.isnan(found.localization)
    assert found.films == 0


@pytest.mark.parametrize("k", [0, 4])
def test_more_names_than_labels_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match="of 3 labels"):
        top_errors(LOGITS, PRESENT, RIGHT, k)


def test_a_right_box_of_an_absent_label_is_refused() -> None:
    with pytest.raises(ValueError, match="does not show"):
        top_errors(LOGITS, PRESENT, np.ones_like(RIGHT), 1)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes"):
        top_errors(LOGITS, PRESENT[:2], RIGHT, 1)


@given(st.integers(0, 2**32 - 1))
def test_localization_is_never_better_than_classification_and_more_names_never_hurt(seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((6, 5)) < 0.4
    right = present * (rng.random((6, 5)) < 0.5)
    logits = rng.normal(size=(6, 5)).round(1)
    found = [top_errors(logits, present, right.astype(float), k) for k in range(1, 6)]
    if found[0].films == 0:
        return
    assert all(each.localization >= each.classification for each in found)
    for name in ("classification", "localization"):
        errors = [getattr(each, name) for each in found]
        assert errors == sorted(errors, reverse=True)
    assert found[-1].classification == 0
