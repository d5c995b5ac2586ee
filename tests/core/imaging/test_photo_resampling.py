"""Pictures in colour on the input grid, and maps back on the picture."""

import numpy as np
import pytest
from PIL import Image

from camray.core.imaging.photo_resampling import network_input, on_picture, to_input_grid
from camray.domain.geometry import Box

PICTURE = np.random.default_rng(0).integers(0, 256, (300, 421, 3), dtype=np.uint8)


def test_stretching_takes_all_of_the_picture() -> None:
    square, grid = to_input_grid(PICTURE, 224, "stretch")
    assert np.array_equal(square, np.asarray(Image.fromarray(PICTURE).resize((224, 224), Image.Resampling.BILINEAR)))
    assert grid.box_to_model(Box(0, 0, 421, 300)).as_tuple() == pytest.approx((0, 0, 224, 224))


@pytest.mark.parametrize("turned", [False, True])
def test_cropping_takes_the_middle_in_true_proportions(turned: bool) -> None:
    """300 x 421: to 256 x int(359.25) = 359; the middle 224 x 224 from 16 and round(67.5) = 68."""
    picture = PICTURE.transpose(1, 0, 2).copy() if turned else PICTURE
    square, grid = to_input_grid(picture, 224, "crop")
    size = (256, 359) if turned else (359, 256)
    resized = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    expected = resized[68:292, 16:240] if turned else resized[16:240, 68:292]
    assert np.array_equal(square, expected)
    x, y = (150.0, 210.5) if turned else (210.5, 150.0)
    offsets = (16, 68) if turned else (68, 16)
    assert grid.xy_to_model(x, y) == pytest.approx((size[0] / 2 - offsets[0], size[1] / 2 - offsets[1]))


def test_network_input_keeps_rows_columns_and_colours() -> None:
    given = network_input(PICTURE[:4, :6])
    assert given.shape == (1, 3, 4, 6)
    assert given[0, 2, 3, 5].item() == pytest.approx(PICTURE[3, 5, 2] / 255)


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_a_map_comes_back_where_its_pixels_were(fit: str) -> None:
    picture = np.zeros((200, 400, 3), np.uint8)
    picture[40:120, 180:260] = 255
    square, grid = to_input_grid(picture, 64, fit)
    back = on_picture((square[..., 0] / 255).astype(np.float32), grid, (200, 400))
    assert back.shape == (200, 400)
    rows, cols = np.mgrid[0:200, 0:400] + 0.5
    centre = (float((back * cols).sum() / back.sum()), float((back * rows).sum() / back.sum()))
    assert centre == pytest.approx((220, 80), abs=1.0)
    if fit == "crop":
        assert back[:, :90].max() == 0
