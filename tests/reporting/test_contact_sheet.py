"""Sheets of panels, pixel by pixel where it matters."""

import numpy as np
import pytest

from camray.domain.geometry import Box
from camray.reporting.contact_sheet import Panel, evidence_panel, panel_size, sheet
from camray.reporting.overlays import ANNOTATED_RGB, PAPER_RGB, PREDICTED_RGB

GREY = np.full((40, 60, 3), 100, np.uint8)


def test_boxes_and_outlines_lie_where_they_are_said_to() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 5:15] = True
    panel = evidence_panel(GREY, None, (80, 120), [Box(30, 10, 50, 30)], mask)
    assert panel.shape == (80, 120, 3)
    assert tuple(panel[20, 60]) == tuple(panel[59, 99]) == PREDICTED_RGB  # outermost pixels of the box, twice enlarged
    assert tuple(panel[40, 80]) == (100, 100, 100)
    green = np.argwhere((panel == ANNOTATED_RGB).all(axis=2))
    assert (green.min(axis=0) == (20, 10)).all()
    assert (green.max(axis=0) == (39, 29)).all()
    assert tuple(panel[30, 20]) == (100, 100, 100)  # inside the outline


def test_heat_tints_and_its_absence_does_not() -> None:
    heat = np.zeros((40, 60), np.float32)
    heat[:, 30:] = 1.0
    panel = evidence_panel(GREY, heat, (40, 60))
    assert (panel[:, :25] == 100).all()
    assert (panel[:, 40:] != 100).any(axis=2).all()


def test_a_sheet_holds_its_panels_unaltered() -> None:
    panels = [Panel(np.full((20, 30, 3), 10 * number, np.uint8), f"panel {number}") for number in range(1, 4)]
    page = sheet(panels, 2, "a note")
    assert (page == 10).all(axis=2).sum() == (page == 20).all(axis=2).sum() == (page == 30).all(axis=2).sum() == 600
    assert tuple(page[0, 0]) == PAPER_RGB
    first, second = (np.argwhere((page == value).all(axis=2)).min(axis=0) for value in (10, 20))
    assert first[0] == second[0]
    assert first[1] < second[1]
    for faulty in (([], 2), (panels, 0)):
        with pytest.raises(ValueError, match="expected at least one"):
            sheet(*faulty)


def test_the_longer_side_is_what_was_asked() -> None:
    assert panel_size((100, 200), 50) == (25, 50)
    assert panel_size((1000, 1), 50) == (50, 1)
