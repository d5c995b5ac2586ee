"""What is reported by a run's cutoffs."""

import numpy as np
import pytest

from camray.core.localization.box_thresholds import ReportCutoff, Thresholds

STORED = Thresholds((), (ReportCutoff("Mass", 0.5, None, "", 0), ReportCutoff("Cyst", 0.5, None, "", 0, "too few")))


@pytest.mark.parametrize(
    ("label", "report", "expected"),
    [
        ("Mass", "judged", [False, True, True]),
        ("Mass", "all", [True, True, True]),
        ("Cyst", "judged", [False, False, False]),
        ("Cyst", "cutoff", [False, True, True]),
        ("Cyst", "all", [True, True, True]),
    ],
)
def test_a_finding_is_reported_from_its_cutoff_on(label: str, report: str, expected: list[bool]) -> None:
    assert STORED.reported(label, np.array([-0.1, 0.0, 3.0]), report).tolist() == expected
