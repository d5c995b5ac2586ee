"""The few-shot head by hand: a fit in closed form, cells that boxes cover, and films that are held out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from camray.core.localization.heat_maps import Placement
from camray.core.metrics.localization.annotated_films import AnnotatedFilms
from camray.core.metrics.localization.few_shot import (
    MAX_CELLS,
    BoxedCells,
    covered_shares,
    principal_axes,
    train_box_head,
    trainable_patients,
)
from camray.core.metrics.localization.rows import Geometry
from camray.domain.geometry import CropWindow, GridTransform


def cells_of(features: NDArray[np.floating], covered: NDArray[np.floating], patients: list[int]) -> BoxedCells:
    return BoxedCells("a", features.astype(np.float32), covered.astype(np.float64), np.array(patients))


def alike(films: int = 5) -> BoxedCells:
    """Films of two cells: feature 1 is covered by 3/4, feature -1 by 1/4."""
    features = np.tile(np.array([1.0, -1.0]).reshape(1, 1, 2, 1), (films, 1, 1, 1))
    return cells_of(features, np.tile([[[0.75, 0.25]]], (films, 1, 1)), list(range(films)))


def test_the_head_by_hand() -> None:
    """The mean loss is flat at the weight w where 3/4 - p = penalty * w, with p = 2/3 at w = ln 2."""
    penalty = (3 / 4 - 2 / 3) / np.log(2)
    head = train_box_head(alike(), seed=1, penalties=(penalty,))
    assert head.model.weights[0] == pytest.approx(np.log(2), abs=1e-6)
    assert head.model.offset == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(head.held_out, np.tile([[[2 / 3, 1 / 3]]], (5, 1, 1)), atol=1e-6)


def test_the_penalty_is_that_of_the_lowest_loss_on_held_out_films_and_the_strongest_of_equals() -> None:
    assert train_box_head(alike(), seed=1, penalties=(100.0, 1e-6)).penalty == 1e-6
    nothing = alike()
    flat = cells_of(np.ones_like(nothing.features), nothing.covered, list(nothing.patients))
    assert train_box_head(flat, seed=1, penalties=(10.0, 1.0)).penalty == 10.0


def test_no_film_has_a_part_in_its_own_held_out_map() -> None:
    """Each patient has a channel that tells the covered cell of his two films alone: others cannot know it."""
    features = np.zeros((10, 1, 4, 5))
    for film in range(10):
        features[film, 0, 1, film // 2] = 1.0
    covered = np.zeros((10, 1, 4))
    covered[:, 0, 1] = 1.0
    cells = cells_of(features, covered, [film // 2 for film in range(10)])
    head = train_box_head(cells, seed=1, penalties=(1e-4,))
    assert (head.held_out[:, 0, 1] < 0.5).all()
    np.testing.assert_allclose(head.held_out[:, 0, 1], head.held_out[:, 0, 0], atol=1e-6)
    assert (head.model.logits(cells.features)[:, 0, 1] > 1).all()  # with all films it is known


def test_cells_off_the_film_have_no_part() -> None:
    cells = alike()
    features = np.concatenate([cells.features, np.full((5, 1, 1, 1), 50.0)], axis=2)
    covered = np.concatenate([cells.covered, np.full((5, 1, 1), np.nan)], axis=2)
    head, same = (train_box_head(each, 1, (0.1,)) for each in (cells_of(features, covered, [*range(5)]), cells))
    assert head.model.weights[0] == same.model.weights[0]


def test_a_choice_of_cells_stands_for_all() -> None:
    """Feature and cover are as frequent among the picked cells, by their counts, as among all."""
    films, side = 10, 60
    features = np.tile(np.array([1.0, 1.0, -1.0]), films * side * side // 3).reshape(films, side, side, 1)
    covered = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], films * side * side // 6).reshape(films, side, side)
    assert covered.size > MAX_CELLS
    head = train_box_head(cells_of(features, covered, [*range(films)]), seed=1, penalties=(1e-9,))
    inside = 1 / (1 + np.exp(-(head.model.weights[0] + head.model.offset)))
    assert inside == pytest.approx(
        1 / 4, abs=0.01
    )  # two cells in three have the feature, one in four of them is inside


def test_covered_shares_by_hand() -> None:
    """A grid of 2 x 4 cells of 10 x 5 px; the film has its last row of cells' lower half, and its last column, off."""
    placed = Placement(GridTransform(0.5, 0.5), CropWindow(0, 15, 0, 15))
    boxes = np.array(
        [[0.0, 0.0, 20.0, 10.0], [5.0, 0.0, 10.0, 20.0]]
    )  # on the model grid (0, 0, 10, 5), (2.5, 0, 5, 10)
    items = AnnotatedFilms("a", ("f",), np.array([0]), np.array([[30.0, 30.0]]), boxes, np.array([0]))
    found = covered_shares(items, Geometry((20, 20), {"f": placed}), (2, 4))
    np.testing.assert_allclose(found, [[[0.5, 0.5, 0.0, np.nan], [np.nan] * 4]])
    whole = Placement(GridTransform(0.5, 0.5), CropWindow(0, 20, 0, 15))
    found = covered_shares(items, Geometry((20, 20), {"f": whole}), (2, 4))
    np.testing.assert_allclose(found, [[[0.5, 0.5, 0.0, np.nan], [0.0, 0.0, 0.0, np.nan]]])


def test_patients_that_a_head_can_learn_from() -> None:
    items = AnnotatedFilms("a", ("f", "g", "h"), np.array([0, 0, 1]), np.ones((3, 2)), np.zeros((3, 4)), np.arange(3))
    assert trainable_patients(items, np.full((3, 1, 2), 0.5)) == 2
    assert trainable_patients(items, np.ones((3, 1, 2))) == 0  # nothing is outside
    assert trainable_patients(items, np.array([[[1.0, 0.0]], [[1.0, 0.0]], [[1.0, np.nan]]])) == 1
    none = AnnotatedFilms("a", (), np.zeros(0, int), np.zeros((0, 2)), np.zeros((0, 4)), np.zeros(0, int))
    assert trainable_patients(none, np.zeros((0, 1, 2))) == 0


def test_few_channels_stay_and_many_become_the_axes_of_the_largest_squares() -> None:
    np.testing.assert_array_equal(principal_axes(iter([np.ones((3, 2))]), most=2), np.eye(2))
    cells = np.array([[3.0, 4.0, 0.0], [-6.0, -8.0, 0.0], [0.0, 0.0, 1.0]])  # along (3, 4, 0) / 5
    axes = principal_axes(iter([cells[:1], cells[1:]]), most=1)
    np.testing.assert_allclose(np.abs(axes), [[0.6], [0.8], [0.0]], atol=1e-12)
