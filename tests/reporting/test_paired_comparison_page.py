"""The comparison page: numbers as given, a verdict only where the whole interval is on one side, texts escaped."""

from typing import Any

import pytest

from camray.reporting.paired_comparison_page import comparison_lines, comparison_page


def _comparison(**changes: Any) -> dict[str, Any]:
    row = {"label": "Mass <b>", "metric": "iou_accuracy", "criterion": 0.3, "first": 0.5, "second": 0.625}
    numbers = {"difference": 0.125, "low": 0.01, "high": 0.24, "p": 0.0004, "n": 40}
    shared = {"films": 60, "patients": 30, "confidence": 0.95, "annotations_agree": True}
    only = {"films_only_in_first": 0, "films_only_in_second": 2}
    return {"first": "a", "second": "b", **shared, **only, "rows": [{**row, **numbers, **changes}]}


def test_lines_by_hand() -> None:
    (line,) = comparison_lines(_comparison())
    assert line == ("Mass <b>", "iou_accuracy >= 0.3", "0.500", "0.625", "+0.125 (+0.010 to +0.240)", "< 0.001", "40")
    (line,) = comparison_lines(_comparison(criterion=None, first=None, p=None, low=None, p_value=None))
    assert line[1:3] == ("iou_accuracy", "–")
    assert line[4:6] == ("+0.125 (– to +0.240)", "–")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.2, "B higher"), (-0.2, -0.01, "A higher"), (0.0, 0.2, ""), (-0.1, 0.2, ""), (None, None, "")],
)
def test_a_verdict_needs_the_whole_interval(low: float | None, high: float | None, verdict: str) -> None:
    page = comparison_page(_comparison(low=low, high=high))
    assert [word in page for word in ("B higher", "A higher")] == [verdict == "B higher", verdict == "A higher"]


def test_the_page_escapes_names_and_says_what_is_omitted() -> None:
    page = comparison_page(_comparison())
    assert "Mass &lt;b&gt;" in page
    assert "2 film(s) of this split are only in B" in page
    assert "only in A" not in page
    assert "different boxes" not in page
    assert "different boxes" in comparison_page({**_comparison(), "annotations_agree": False})
    assert comparison_page({**_comparison(), "rows": []}).count("<tr>") == 1
