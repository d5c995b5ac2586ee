"""Patient coordinates of a film with unequal spacing, an offset and a rotation."""

import math
from dataclasses import replace

import numpy as np
import pytest

from camray.core.phantom.framing import Frame, open_field, patient_grid

FRAME = Frame(
    rows=96,
    cols=64,
    row_cm=0.4,
    col_cm=0.5,
    scale=0.8,
    offset_x=2.0,
    offset_y=-3.0,
    angle=0.0,
    field=None,
    is_field_dark=True,
)


def test_spacing_and_offset_by_hand() -> None:
    grid = patient_grid(FRAME)
    assert (grid.cm_per_row, grid.cm_per_col) == pytest.approx((0.5, 0.625))
    # the first pixel's centre is 15.75 cm left of and 19 cm above the film's centre
    assert grid.u[0, 0] == pytest.approx((-15.75 - 2.0) / 0.8, rel=1e-6)
    assert grid.v[0, 0] == pytest.approx((-19.0 + 3.0) / 0.8, rel=1e-6)
    assert np.diff(grid.u[0]) == pytest.approx(0.625, rel=1e-5)
    assert np.diff(grid.v[:, 0]) == pytest.approx(0.5, rel=1e-5)


def test_a_positive_angle_turns_the_patient_clockwise() -> None:
    grid = patient_grid(replace(FRAME, angle=0.1))
    (row0, col0), (row, col) = grid.to_rc(0.0, 0.0), grid.to_rc(8.0, 0.0)
    assert row - row0 == pytest.approx(8.0 * math.sin(0.1) / 0.5, rel=1e-3)  # the patient's left side moves down
    assert col - col0 == pytest.approx(8.0 * math.cos(0.1) / 0.625, rel=1e-3)


def test_the_field_is_cut_by_its_own_rows_and_columns() -> None:
    rows, cols = open_field(replace(FRAME, field=(-8.0, -4.0, 10.0, 12.0)))
    assert (rows.start, rows.stop) == (38, 78)  # -4 to 12 cm of 0.4 cm rows about row 48
    assert (cols.start, cols.stop) == (16, 52)  # -8 to 10 cm of 0.5 cm columns about column 32
