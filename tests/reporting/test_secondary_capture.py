"""Captures: words of boxes that lie at one place stay legible."""

import numpy as np

from camray.domain.geometry import Box
from camray.reporting.secondary_capture import LabelledBox, draw_capture

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
