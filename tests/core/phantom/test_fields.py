import numpy as np
import pytest

from camray.core.phantom.fields import AXIS_CM, dome, ramp, stretched, table_of, tube
from camray.core.phantom.grid import Grid, segment_distance


def grid_of(rows: int, cols: int, angle: float = 0.0) -> Grid:
    """A grid of 0.5 cm rows and 0.25 cm columns around the hila, turned by `angle`."""
    x = ((np.arange(cols, dtype=np.float32) + 0.5 - cols / 2) * 0.25)[None, :]
    y = ((np.arange(rows, dtype=np.float32) + 0.5 - rows / 2) * 0.5)[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return Grid(x * cos + y * sin, y * cos - x * sin, 0.5, 0.25)


def test_profiles_by_hand() -> None:
    depth = np.array([-1.0, 0.0, 0.5, 1.0, 3.0], np.float32)
    assert ramp(depth).tolist() == [0, 0, 0.5, 1, 1]
    assert dome(depth) == pytest.approx([0, 0, np.sqrt(0.75), 1, 1])


def test_a_bone_is_brightest_near_its_edge_and_ends_there() -> None:
    across = tube(np.array([0.0, 0.72, 1.0, 2.0], np.float32), 1.0)
    assert across[1] > across[0] > 0
    assert across[2:].tolist() == [0, 0]


def test_a_table_meets_its_knots_and_is_flat_beyond() -> None:
    table = table_of([(-1.0, 2.0), (1.0, 4.0)])
    assert np.interp([-50, -1, 0, 1, 50], AXIS_CM, table) == pytest.approx([2, 2, 3, 4, 4], abs=0.03)


def test_a_grid_looks_profiles_up_within_half_a_step() -> None:
    grid = grid_of(40, 30, 0.2)
    assert grid.by_u(AXIS_CM) == pytest.approx(grid.u, abs=0.0101)
    assert grid.by_v(AXIS_CM) == pytest.approx(grid.v, abs=0.0101)


def test_stretching_keeps_corners_and_straight_lines() -> None:
    small = np.array([[0, 1, 2], [3, 4, 5]], np.float32)
    wide = stretched(small, 4, 5)
    assert wide[0].tolist() == [0, 0.5, 1, 1.5, 2]
    assert wide[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("angle", [0.0, 0.15, -0.15])
def test_a_point_finds_its_pixel(angle: float) -> None:
    grid = grid_of(40, 30, angle)
    r, c = grid.to_rc(float(grid.u[7, 11]), float(grid.v[7, 11]))
    assert (r, c) == pytest.approx((7, 11), abs=1e-3)


@pytest.mark.parametrize("angle", [0.0, 0.15, -0.15])
def test_a_window_holds_all_that_was_asked_for(angle: float) -> None:
    grid = grid_of(60, 60, angle)
    wanted = (grid.u >= -2) & (grid.u <= 3) & (grid.v >= -4) & (grid.v <= 1)
    assert 0 < wanted.sum() == wanted[grid.window(-2, 3, -4, 1)].sum()


def test_a_window_beyond_the_film_is_empty() -> None:
    assert grid_of(20, 20).cropped(grid_of(20, 20).window(50, 60, 50, 60)).u.size == 0


def test_a_coarse_grid_stretches_back() -> None:
    grid = grid_of(41, 30, 0.1)
    coarse = grid.coarse(2)
    assert coarse.shape == (20, 15)
    assert stretched(coarse.u, 41, 30) == pytest.approx(grid.u, abs=1e-4)


def test_distance_from_a_segment_by_hand() -> None:
    grid = Grid(np.array([[0.0, 3.0, 5.0]], np.float32), np.array([[2.0, 0.0, 0.0]], np.float32), 1, 1)
    assert segment_distance(grid, (-1, 0), (2, 0)).tolist() == [[2, 1, 3]]


def test_distance_from_a_slanted_segment_by_hand() -> None:
    """From (1, 1) to (4, 5), 3 across and 4 down: its middle, a point beside it, one beyond each end."""
    grid = Grid(np.array([[2.5, 6.5, 1.0, 4.0]], np.float32), np.array([[3.0, 0.0, -1.0, 8.0]], np.float32), 1, 1)
    assert segment_distance(grid, (1, 1), (4, 5))[0].tolist() == pytest.approx([0, 5, 2, 3], abs=1e-6)
