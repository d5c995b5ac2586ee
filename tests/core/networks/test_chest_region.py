"""Maps held inside the chest of generated films."""

import numpy as np
import torch

from camray.core.imaging.resampling import to_model_grid
from camray.core.localization.heat_maps import film_window
from camray.core.networks.chest_region import find_chests
from camray.core.phantom.film import render_film
from camray.io.film_lungs import read_lung_network

ROWS, COLS, CELLS = 96, 128, (12, 16)


def test_heat_outside_the_lungs_hull_is_lowered_on_letterboxed_films() -> None:
    film = render_film(31, 0, 192)
    grey, transform = to_model_grid(film.image, ROWS, COLS, "letterbox")
    window = film_window(transform, film.image.shape, (ROWS, COLS))
    batch = torch.from_numpy(np.stack([grey, np.full_like(grey, 0.5)]))[:, None]
    chest, blank = find_chests(read_lung_network(None, torch.device("cpu")), batch, [window, window])
    lungs, _ = to_model_grid(
        (film.lung_masks["lung_right"] | film.lung_masks["lung_left"]).astype(np.float32), ROWS, COLS, "letterbox"
    )

    flat = torch.ones(2, *CELLS)
    flat[:, 0, 0] = -1.0
    kept = chest.bound(flat)[0].numpy() > 0  # shape (12, 16)
    share = lungs.reshape(CELLS[0], ROWS // CELLS[0], CELLS[1], COLS // CELLS[1]).mean(axis=(1, 3))
    assert kept[share > 0.9].all()  # every cell inside a lung
    rows, cols = np.nonzero(share > 0.1)
    assert not kept[:, : cols.min() - 1].any()
    assert not kept[:, cols.max() + 2 :].any()
    assert not kept[: rows.min() - 1].any()

    assert blank.mask is None  # no lung: nothing is lowered
    torch.testing.assert_close(blank.bound(flat), flat)
