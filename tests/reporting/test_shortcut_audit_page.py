"""The audit's page stands alone and escapes what comes from outside."""

import re

import numpy as np

from camray.reporting.shortcut_audit_page import audit_page
from tests.reporting.hostile_texts import TEXT, assert_escaped

HOSTILE = f"{TEXT} $x$"


def _audit() -> dict:
    counts = {"present": 2, "absent": 2, "uncertain": 0, "no_information": 0}
    probe = {
        "label": HOSTILE,
        "features": "8x8 thumbnail",
        "n": 4,
        "n_present": 2,
        "skipped": "",
        "auc": 0.9,
        "warning": True,
    }
    return {
        "manifest": HOSTILE,
        "films": 4,
        "patients": 2,
        "refused": 1,
        "inputs": 5,
        "label_names": [HOSTILE],
        "warnings": [HOSTILE],
        "suggestions": [HOSTILE],
        "probes": [probe, {**probe, "auc": None, "skipped": "few", "warning": False}],
        "labels": {"train": {HOSTILE: counts}},
        "films_by": {"view": {HOSTILE: 4}},
        "refusals": {"colour": 1},
        "spread": {"rows": {"n": 4, "min": 1, "p05": 1, "median": 2, "p95": 3, "max": 3}, "row_spacing_mm": {"n": 0}},
        "table_faults": [{"table": HOSTILE, "what": "rows", "count": 9, "lines": [2, 3]}],
        "one_class": [HOSTILE],
        "doubtful": [{"image_id": HOSTILE, "why": HOSTILE}],
    }


def _page(audit: dict) -> str:
    values = np.array([[1], [1], [0], [0]], np.int8)
    return audit_page(audit, values, np.full((4, 32), 1 / 32, np.float32), np.full((4, 64), 0.5, np.float32))


def test_texts_from_outside_are_escaped() -> None:
    assert_escaped(_page(_audit()))


def test_rows_with_a_warning_are_highlighted_and_missing_numbers_are_dashes() -> None:
    page = _page(_audit())
    assert page.count('<tr class="warn">') == 1
    assert '<td class="n">0.900</td><td class="n">4</td><td class="n">2</td>' in page
    assert "<td>–</td>" in page
    assert "(line 2, 3, ...)" in page
    assert "Settings that may help" in page


def test_the_page_refers_to_no_other_file_and_is_the_same_each_time() -> None:
    page = _page(_audit())
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert page.count("data:image/png;base64,") == 2
    assert page == _page(_audit())


def test_an_empty_audit_is_a_page_too() -> None:
    empty = {
        **_audit(),
        "label_names": [],
        "warnings": [],
        "suggestions": [],
        "probes": [],
        "labels": {},
        "refusals": {},
        "table_faults": [],
    }
    page = audit_page(empty, np.zeros((4, 0), np.int8), np.zeros((4, 32), np.float32), np.zeros((4, 64), np.float32))
    assert "No faults." in page
    assert "Settings that may help" not in page
    assert "base64" not in page
