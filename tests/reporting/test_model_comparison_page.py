"""The comparison page: every row of the table, what cells are sorted by, and escaped texts."""

import re

import numpy as np
import pytest

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.model_comparison import compare_table, empty_row
from camray.domain.geometry import Box
from camray.reporting.model_comparison_page import THUMB_PX, Strip, compare_page, draw_strip
from tests.reporting.hostile_texts import TEXT, assert_escaped

PATIENTS = Bootstrap(1000, 0.95, 1)


def _page(**changes: object) -> str:
    row = {**empty_row(), "network": "resnet18", "pool": "gap", "method": "cam", "threshold_source": "validation"}
    return compare_page("name", compare_table([{**row, **changes}]), [], PATIENTS)


def test_a_cell_shows_its_digits_and_sorts_by_more_of_them() -> None:
    page = _page(mean_iou=0.45678912, mean_iou_low=0.4, mean_iou_high=0.5, films=12)
    assert '<td data-value="0.456789" title="0.40–0.50">0.46</td>' in page
    assert '<td data-value="12">12</td>' in page


def test_the_page_says_what_its_intervals_are() -> None:
    assert "with 95 % intervals by patient (hold" in _page()
    for bootstrap, title in (
        (Bootstrap(20, 0.8, 1, "film"), "with 80 % intervals by film (hold the pointer over a number)."),
        (Bootstrap(0, 0.8, 1), "with no intervals."),
    ):
        page = compare_page("name", compare_table([empty_row()]), [], bootstrap)
        assert title in page
        assert "by patient" not in page


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_missing_is_an_empty_cell(value: float) -> None:
    assert _page(mean_iou=value).count('<td data-value=""></td>') == _page().count('<td data-value=""></td>')
    assert "nan" not in _page(mean_iou=value)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, ""),
        ({"threshold_source": "fixed"}, "fixed"),
        ({"network": "baseline", "method": "baseline:whole_image", "threshold_source": "fixed"}, "baseline"),
    ],
)
def test_rows_of_baselines_and_fixed_thresholds_are_marked(changes: dict[str, str], kind: str) -> None:
    page = _page(**changes)
    assert re.findall(r'<tr class="(\w*)">', page) == [kind]
    assert ("whole film" in page) == (kind == "baseline")


def test_texts_from_outside_are_escaped() -> None:
    row = {**empty_row(), "network": TEXT, "pool": TEXT, "method": TEXT, "threshold_source": TEXT, "reason": TEXT}
    page = compare_page(TEXT, compare_table([row]), [Strip(TEXT, (TEXT, TEXT), b"jpeg")], PATIENTS)
    assert page.count("{{ 7 * 7 }}") == 11
    assert_escaped(page)


def test_a_strip_shows_the_film_and_then_each_map() -> None:
    grey = np.zeros((48, 64), np.float32)
    heats = {"cam": np.eye(6, 8), "none": np.zeros((6, 8))}
    strip = draw_strip(grey, heats, [Box(32, 0, 64, 24)], "title")
    assert strip.names == ("film", "cam", "none")
    assert THUMB_PX == 96
    assert strip == draw_strip(grey, heats, [Box(32, 0, 64, 24)], "title")
