"""Sections of protocols: what stands in the page is what stands in the table."""

import numpy as np
import pandas as pd
import pytest

from camray.core.metrics.bootstrap import Bootstrap
from camray.domain.records import SCORE_COLUMNS
from camray.reporting.score_report.page import SplitReport, report_page
from camray.reporting.score_report.protocol_sections import protocol_sections, protocols_without_rows
from camray.reporting.score_report.protocol_texts import PROTOCOLS
from tests.reporting.page_tables import PageTables

Row = tuple[str, str, str, float, str, float, float, float, int]


def scores_of(*rows: Row) -> pd.DataFrame:
    table = pd.DataFrame([("test", *row) for row in rows], columns=list(SCORE_COLUMNS))
    return table.astype(SCORE_COLUMNS)


def row(label: str, metric: str, value: float, method: str = "cam", at: float = np.nan, source: str = "fixed") -> Row:
    return method, label, metric, at, source, value, value - 0.1, value + 0.1, 7


def page_of(scores: pd.DataFrame, *protocols: str) -> str:
    split = SplitReport("test", 7, 7, 7, scores, {}, [], protocols=protocols)
    return report_page("name", [split], [], Bootstrap(1000, 0.95, 1))


def protocol_tables(page: str) -> list[tuple[str, list[list[str]]]]:
    """Return the tables with a caption: those of protocols."""
    return [(title, lines) for title, lines in PageTables(page).tables if title]


def test_both_conventions_stand_side_by_side_with_what_lies_between() -> None:
    scores = scores_of(
        row("A", "wsol/max_box_acc", 0.5, at=0.5),
        row("A", "wsol_original/max_box_acc", 0.25, at=0.5),
        row("A", "wsol/max_box_acc_v2", 0.4),
        row("A", "wsol_original/max_box_acc_v2", 0.4),
        row("A", "wsol/max_box_acc_v2", 0.9, at=0.3),
    )
    page = page_of(scores, "wsol")
    ((title, lines),) = protocol_tables(page)
    assert title == "Both sets of conventions"
    assert lines[0] == [
        "Finding",
        "Method",
        "Threshold",
        "MaxBoxAcc",
        "MaxBoxAcc, original",
        "MaxBoxAccV2",
        "MaxBoxAccV2, original",
        "films",
    ]
    assert lines[1] == [
        "A",
        "cam",
        "fixed",
        "0.50|0.40–0.60",
        "0.25|0.15–0.35",
        "0.40|0.30–0.50",
        "0.40|0.30–0.50",
        "7",
    ]
    assert "change 1 of 2 numbers, by -0.250 to -0.250" in page
    assert "PxAP has no rows" in page
    assert "Choe et al." in page


def test_equal_conventions_are_said_to_be_equal() -> None:
    scores = scores_of(
        row("A", "wsol/pxap", 0.5),
        row("A", "wsol/max_box_acc", 0.5, at=0.5),
        row("A", "wsol_original/max_box_acc", 0.5, at=0.5),
    )
    page = page_of(scores, "wsol")
    assert "Both sets of conventions give the same 1 numbers" in page
    assert "PxAP has no rows" not in page


def test_a_number_that_needs_no_threshold_stands_on_every_line() -> None:
    scores = scores_of(
        row("A", "wsol/max_box_acc", 0.2, at=0.5),
        row("A", "wsol/max_box_acc", 0.3, at=0.5, source="validation"),
        row("A", "wsol/pxap", 0.7),
        row("B", "wsol/max_box_acc", 0.4, at=0.5, source="validation"),
    )
    lines = protocol_tables(page_of(scores, "wsol"))[0][1]
    assert [line[2:5] for line in lines] == [
        ["Threshold", "MaxBoxAcc", "PxAP"],
        ["validation", "0.30|0.20–0.40", "0.70|0.60–0.80"],
        ["validation", "0.40|0.30–0.50", "–"],
    ]


def test_a_protocol_without_rows_names_what_is_missing() -> None:
    scores = scores_of(row("A", "wsol/max_box_acc", 0.5, at=0.5))
    assert list(protocols_without_rows(scores, ["wsol", "chexlocalize"])) == ["chexlocalize"]
    page = page_of(scores, "wsol", "chexlocalize")
    assert "Nothing to score: no film of this split has an annotated mask" in page
    assert page.count('<section class="protocol">') == 2
    assert protocol_sections(scores, []) == []
    assert "Published protocols" not in page_of(scores)


def test_findings_take_the_preferred_threshold_and_means_show_every_method() -> None:
    metric = "detection/coco_ap"
    scores = scores_of(
        row("A", metric, 0.1),
        row("A", metric, 0.2, source="validation"),
        row("A", metric, 0.9, source="oracle"),
        row("B <i>", metric, 0.3),
        row("A", metric, 0.05, "baseline:whole_image"),
        row("mean", metric, 0.15),
        row("mean", metric, 0.2, source="validation"),
        row("mean", metric, 0.9, source="oracle"),
        row("mean", metric, 0.05, "baseline:whole_image"),
    )
    page = page_of(scores, "detection")
    lines = protocol_tables(page)[0][1][1:]
    assert [(line[0], line[1], line[2], line[3][:4]) for line in lines] == [
        ("A", "cam", "validation", "0.20"),
        ("B <i>", "cam", "fixed", "0.30"),
        ("Mean of findings", "cam", "fixed", "0.15"),
        ("Mean of findings", "cam", "validation", "0.20"),
        ("Mean of findings", "cam", "oracle", "0.90"),
        ("Mean of findings", "baseline: whole film", "fixed", "0.05"),
    ]
    assert "B &lt;i&gt;" in page


def test_classifiers_numbers_of_all_sources_share_a_line() -> None:
    scores = scores_of(
        row("A", "classification/auroc_delong", 0.8, "classifier", source=""),
        row("A", "classification/sensitivity", 0.6, "classifier", at=0.5),
        row("A", "classification/sensitivity_youden", 0.7, "classifier", source="validation"),
    )
    lines = protocol_tables(page_of(scores, "classification"))[0][1]
    assert lines[0][3:] == ["AUROC, DeLong", "Sensitivity, Youden", "Sensitivity at p ≥ 0.5", "films"]
    assert [cell[:4] for cell in lines[1][3:6]] == ["0.80", "0.70", "0.60"]


def test_an_undefined_number_is_a_dash() -> None:
    scores = scores_of(row("A", "ceiling/mean_iou", np.nan))
    assert protocol_tables(page_of(scores, "ceiling"))[0][1][1][3] == "–"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_has_one_sentence_and_a_source(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.convention.endswith(".")
    assert ". " not in protocol.convention
    assert protocol.source
    assert protocol.missing_reason
