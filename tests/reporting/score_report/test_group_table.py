"""The report's section on groups."""

import pandas as pd

from camray.core.metrics.bootstrap import Bootstrap
from camray.domain.records import SCORE_COLUMNS
from camray.reporting.score_report.page import SplitReport, report_page
from tests.reporting.hostile_texts import TEXT, assert_escaped

NAN = float("nan")


def _page(*rows: tuple[str, float, float, float], label: str = "Mass") -> str:
    filled = [("test", "classifier", label, metric, NAN, "", *numbers, 20) for metric, *numbers in rows]
    scores = pd.DataFrame(filled, columns=list(SCORE_COLUMNS))
    split = SplitReport("test", 40, 40, 0, scores, {}, [])
    return report_page("demo", [split], [], Bootstrap(1000, 0.95, 1))


def test_weaker_groups_are_named_in_words_and_too_small_ones_listed() -> None:
    page = _page(
        ("auroc", 0.8, 0.7, 0.9),
        ("groups/scanner=x/patients_with", 15, NAN, NAN),
        ("groups/scanner=x/patients_without", 25, NAN, NAN),
        ("groups/scanner=x/auroc", 0.6, 0.5, 0.7),
        ("groups/scanner=x/auroc_difference", -0.3, -0.5, -0.1),
        ("groups/scanner=y/auroc", NAN, NAN, NAN),
        ("groups/scanner=y/auroc_difference", NAN, NAN, NAN),
    )
    assert "scanner=x, Mass: AUROC 0.60, -0.30 (-0.50 to -0.10) to all other films" in page
    assert "15 / 25" in page
    assert page.index("scanner=x</th>") < page.index("scanner=y</th>")
    assert "too few</span>" in page


def test_without_a_shown_difference_the_page_says_so_and_without_groups_nothing() -> None:
    page = _page(("groups/sex=F/auroc", 0.8, 0.7, 0.9), ("groups/sex=F/auroc_difference", -0.02, -0.2, 0.16))
    assert "No group is shown to be weaker" in page
    assert "Groups of patients" not in _page(("auroc", 0.8, 0.7, 0.9))


def test_names_of_groups_are_escaped() -> None:
    page = _page(
        (f"groups/ward={TEXT}/auroc", 0.8, 0.7, 0.9), (f"groups/ward={TEXT}/auroc_difference", -0.2, -0.3, -0.1)
    )
    assert_escaped(page)
