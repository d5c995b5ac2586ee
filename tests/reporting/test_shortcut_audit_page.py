"""The audit's page stands alone and escapes what comes from outside."""

import re

import numpy as np

from camray.reporting.shortcut_audit_page import audit_page

HOSTILE = "<script>alert(1)</script> $x$"


def _found() -> dict:
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
        "manifest": HOSTILE, "films": 4, "patients": 2, "refused": 1, "inputs": 5, "label_names": [HOSTILE],
        "warnings": [HOSTILE], "probes": [probe, {**probe, "auc": None, "skipped": "few", "warning": False}],
        "labels": {"train": {HOSTILE: counts}}, "films_by": {"view": {HOSTILE: 4}}, "refusals": {"colour": 1},
        "spread": {"rows": {"n": 4, "min": 1, "p05": 1, "median": 2, "p95": 3, "max": 3}, "row_spacing_mm": {"n": 0}},
        "table_faults": [{"table": HOSTILE, "what": "rows", "count": 9, "lines": [2, 3]}],
        "one_class": [HOSTILE], "doubtful": [{"image_id": HOSTILE, "why": HOSTILE}],
    }  # fmt: skip


def _page(found: dict) -> str:
    values = np.array([[1], [1], [0], [0]], np.int8)
    return audit_page(found, values, np.full((4, 32), 1 / 32, np.float32), np.full((4, 64), 0.5, np.float32))


def test_nothing_from_outside_becomes_markup_or_mathematics() -> None:
    page = _page(_found())
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5


def test_the_page_refers_to_no_other_file_and_is_the_same_each_time() -> None:
    page = _page(_found())
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert page.count("data:image/png;base64,") == 2
    assert page == _page(_found())


def test_an_empty_audit_is_a_page_too() -> None:
    empty = {
        **_found(),
        "label_names": [],
        "warnings": [],
        "probes": [],
        "labels": {},
        "refusals": {},
        "table_faults": [],
    }
    page = audit_page(empty, np.zeros((4, 0), np.int8), np.zeros((4, 32), np.float32), np.zeros((4, 64), np.float32))
    assert "No faults." in page
    assert "base64" not in page
