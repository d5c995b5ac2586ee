import numpy as np
import pytest

from camray.domain.geometry import Box
from camray.reporting.overlays import (
    ANNOTATED_RGB,
    GAP_PX,
    PREDICTED_RGB,
    SIDE_PX,
    draw_overlay,
    films_to_draw,
    heat01_of,
    tinted,
)


def test_heat01_by_hand() -> None:
    heat = np.array([[-3.0, 0.0], [2.0, 8.0]])
    assert np.array_equal(heat01_of(heat), np.array([[0, 0], [0.25, 1]], np.float32))


@pytest.mark.parametrize("heat", [np.zeros((2, 3)), np.full((2, 3), -1.0), np.full((2, 3), np.nan)])
def test_no_positive_evidence_is_no_tint(heat: np.ndarray) -> None:
    grey = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    shown = tinted(grey, heat01_of(heat))
    assert np.array_equal(shown[..., 0], np.rint(grey * 255))
    assert np.array_equal(shown[..., 0], shown[..., 1])
    assert np.array_equal(shown[..., 0], shown[..., 2])


def test_more_evidence_is_more_tint() -> None:
    heat01 = np.linspace(0, 1, 20, dtype=np.float32)[None]
    shown = tinted(np.full_like(heat01, 0.5), heat01).astype(int)
    spread = shown.max(axis=-1) - shown.min(axis=-1)
    assert spread[0, 0] == 0
    assert (spread[0, 1:] > 0).all()
    assert (np.diff(shown.sum(axis=-1)[0, 4:]) > 0).all()


def _pixels_of(picture: np.ndarray, rgb: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((picture == np.array(rgb)).all(axis=-1))


def test_boxes_are_drawn_where_they_are() -> None:
    """A film of 192 x 96 px is shown at twice its size; the marked panel begins one panel and one gap to the right."""
    film = np.full((SIDE_PX // 2, SIDE_PX // 4), 0.5, np.float32)
    picture = draw_overlay(film, None, [Box(10, 20, 30, 60)], [], "Mass 0.9")
    panel = picture[:SIDE_PX]
    assert picture.shape[1] == 2 * (SIDE_PX // 2) + GAP_PX
    found = _pixels_of(panel, PREDICTED_RGB)
    left = SIDE_PX // 2 + GAP_PX
    assert found.min(axis=0).tolist() == [40, left + 20]
    assert found.max(axis=0).tolist() == [119, left + 59]  # half-open: the last pixels of rows [40, 120), cols [20, 60)
    assert not len(_pixels_of(panel, ANNOTATED_RGB))


def test_predicted_is_solid_and_annotated_is_dashed() -> None:
    film, box = np.full((100, 100), 0.5, np.float32), [Box(20, 20, 80, 80)]
    solid = _pixels_of(draw_overlay(film, None, box, [], "x")[:SIDE_PX], PREDICTED_RGB)
    dashed = _pixels_of(draw_overlay(film, None, [], box, "x")[:SIDE_PX], ANNOTATED_RGB)
    top_solid, top_dashed = (np.sort(p[p[:, 0] == p[:, 0].min(), 1]) for p in (solid, dashed))
    assert (np.diff(top_solid) == 1).all()
    assert (np.diff(top_dashed) > 1).any()
    assert np.array_equal(solid.min(axis=0), dashed.min(axis=0))


def test_what_lies_outside_the_film_is_cut() -> None:
    film = np.full((50, 50), 0.5, np.float32)
    outside = draw_overlay(film, None, [Box(60, 60, 70, 70)], [], "x")
    assert not len(_pixels_of(outside[:SIDE_PX], PREDICTED_RGB))
    partly = draw_overlay(film, None, [Box(-10, -10, 25, 25)], [], "x")
    assert len(_pixels_of(partly[:SIDE_PX], PREDICTED_RGB))


def test_the_left_panel_is_the_untouched_film() -> None:
    film = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    plain = draw_overlay(film, None, [], [], "x")
    marked = draw_overlay(film, heat01_of(film), [Box(1, 1, 60, 60)], [Box(2, 2, 50, 50)], "x")
    assert np.array_equal(plain[:SIDE_PX, :SIDE_PX], marked[:SIDE_PX, :SIDE_PX])


def test_stretched_films_are_shown_in_true_proportions() -> None:
    film = np.zeros((100, 100), np.float32)
    picture = draw_overlay(film, None, [], [], "x", aspect=2.0)
    assert picture.shape[1] == SIDE_PX + GAP_PX
    wide = draw_overlay(film, None, [], [], "x", aspect=0.5)
    assert wide.shape[0] < SIDE_PX


def test_the_caption_is_there_whatever_it_says() -> None:
    film = np.zeros((64, 20), np.float32)
    short, long, odd = (draw_overlay(film, None, [], [], text) for text in ("A", "B" * 300, "line\nbreak \0 é <b>"))
    assert short.shape == long.shape == odd.shape
    assert not np.array_equal(short[SIDE_PX:], long[SIDE_PX:])


def test_the_same_film_gives_the_same_bytes() -> None:
    film = np.random.default_rng(1).random((40, 30)).astype(np.float32)
    first, second = (draw_overlay(film, heat01_of(film), [Box(1, 2, 9, 9)], [], "Mass 0.50") for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("film", "heat"), [((0, 4), None), ((4,), None), ((4, 4), (4, 5))])
def test_wrong_shapes_are_refused(film: tuple[int, ...], heat: tuple[int, ...] | None) -> None:
    with pytest.raises(ValueError, match="film"):
        draw_overlay(np.zeros(film, np.float32), None if heat is None else np.zeros(heat, np.float32), [], [], "x")


PROBABILITIES = {
    "Mass": [(0.9, "a"), (0.8, "b"), (0.7, "c"), (0.1, "n")],
    "Effusion": [(0.95, "a"), (0.6, "c"), (0.5, "b"), (0.2, "n")],
}


def test_labels_take_turns_and_no_film_comes_twice() -> None:
    chosen = films_to_draw(PROBABILITIES, [], 4, seed=0)
    assert chosen == [("a", "Mass"), ("c", "Effusion"), ("b", "Mass"), ("n", "Effusion")]
    assert films_to_draw(PROBABILITIES, [], 1, seed=0) == [("a", "Mass")]


def test_negatives_have_a_quarter_and_their_most_probable_label() -> None:
    assert films_to_draw(PROBABILITIES, ["n", "unseen"], 4, seed=0) == [
        ("a", "Mass"),
        ("c", "Effusion"),
        ("b", "Mass"),
        ("n", "Effusion"),
    ]
    many = {"Mass": [(0.5, f"p{i}") for i in range(20)] + [(0.1, f"n{i}") for i in range(20)]}
    negatives = [f"n{i}" for i in range(20)]
    drawn = films_to_draw(many, negatives, 8, seed=3)
    assert sum(image_id.startswith("n") for image_id, _ in drawn) == 2
    assert drawn == films_to_draw(many, reversed(negatives), 8, seed=3)
    assert drawn != films_to_draw(many, negatives, 8, seed=4)


def test_nothing_to_draw() -> None:
    assert films_to_draw({}, [], 5, seed=0) == []
    assert films_to_draw({"Mass": []}, ["n"], 5, seed=0) == []
    assert films_to_draw(PROBABILITIES, ["n"], 0, seed=0) == []
