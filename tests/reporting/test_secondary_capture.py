"""Captures: heat, boxes and proportions where they belong, and labels at one corner legible."""

import numpy as np
import pytest

from camray.domain.geometry import Box, GridTransform
from camray.reporting.overlays import PREDICTED_RGB
from camray.reporting.secondary_capture import LabelledBox, display_shape, draw_capture, heat_on_film

SHAPE = (400, 500)


def _touched(words: list[str], box: Box) -> int:
    """Count the film's pixels that frames and words of boxes at one place take."""
    film = np.full(SHAPE, 0.5, np.float32)
    drawn = draw_capture(film, None, [LabelledBox(box, each) for each in words], [], SHAPE)
    return int((drawn[: SHAPE[0], : SHAPE[1]] != drawn[390, 490]).any(axis=2).sum())


def test_words_of_boxes_at_one_corner_do_not_cover_one_another() -> None:
    box, words = Box(150, 200, 300, 320), "Pleural effusion 0.80"
    frame, one, three = (_touched(list(texts), box) for texts in ([""], [words], [words] * 3))
    assert one > frame
    assert three - one > 1.6 * (one - frame)  # two more, but for where they cross the frame


def _value_at(raw: np.ndarray, row: float, col: float) -> float:
    """Interpolate between the four nearest cells, those of the border repeated outwards; plain."""
    row, col = min(max(row, 0), raw.shape[0] - 1), min(max(col, 0), raw.shape[1] - 1)
    r, c = int(row), int(col)
    below, right = min(r + 1, raw.shape[0] - 1), min(c + 1, raw.shape[1] - 1)
    upper = raw[r, c] * (1 - (col - c)) + raw[r, right] * (col - c)
    lower = raw[below, c] * (1 - (col - c)) + raw[below, right] * (col - c)
    return float(upper * (1 - (row - r)) + lower * (row - r))


def test_heat_is_sampled_through_both_axes_of_the_transform() -> None:
    """A film of 60 x 40 px on 18 of 40 rows and 16 of 20 columns of the model grid, whose cells are 8 x 4 px."""
    raw = np.random.default_rng(4).normal(size=(5, 5)).astype(np.float32)
    transform = GridTransform(scale_x=0.4, scale_y=0.3, offset_x=1.0, offset_y=9.0)
    drawn = heat_on_film(raw, transform, (40, 20), (60, 40), (30, 10))
    for row in range(30):
        for col in range(10):
            y_model, x_model = (row + 0.5) * 2 * 0.3 + 9.0, (col + 0.5) * 4 * 0.4 + 1.0
            expected = _value_at(raw, y_model / 8 - 0.5, x_model / 4 - 0.5)
            assert drawn[row, col] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("native", "aspect", "longest", "expected"),
    [
        ((100, 200), 1.0, 1000, (100, 200)),
        ((100, 200), 2.0, 1000, (200, 200)),  # pixels twice as high as wide: rows are doubled
        ((100, 200), 0.5, 1000, (100, 400)),  # twice as wide: columns are
        ((100, 200), 0.5, 200, (50, 200)),
        ((300, 200), 2.0, 150, (150, 50)),
    ],
)
def test_a_film_is_shown_in_true_proportions(
    native: tuple[int, int], aspect: float, longest: int, expected: tuple[int, int]
) -> None:
    assert display_shape(native, aspect, longest) == expected


def test_boxes_are_scaled_on_each_axis_of_its_own() -> None:
    """100 x 50 px of a film shown on 200 x 300."""
    film, box = np.full((100, 50), 0.2, np.float32), Box(10, 30, 40, 80)
    drawn = draw_capture(film, None, [LabelledBox(box, "")], [], (200, 300))
    frame = np.argwhere((drawn[:200, :300] == PREDICTED_RGB).all(axis=2))
    assert (*frame.min(axis=0), *(frame.max(axis=0) + 1)) == (60, 60, 160, 240)
