import pytest

from camray.core.reader_study.finding_names import FindingNames
from camray.domain.labels import Finding
from camray.domain.reader_decisions import ReportMark


@pytest.mark.parametrize(
    "comment",
    [
        "Mass 0.91, right upper zone (AI, not verified)",
        "Mass 0.05 (AI, not verified): below the cutoff of 0.30",
        "Mass reported (AI, not verified): no probability: 9 validation patients with the finding",
        "Mass reported, left middle zone (AI, not verified)",
        "Mass not reported (AI, not verified): below the cutoff",
        "mass",
    ],
)
def test_a_finding_is_known_by_what_exports_write_of_it(comment: str) -> None:
    mark = ReportMark("film", "", None, texts=(comment,))
    assert FindingNames([Finding("Mass"), Finding("Cyst")]).label(mark) == ("Mass", [])


def test_other_words_are_no_finding() -> None:
    mark = ReportMark("film", "", None, texts=("Mass effect reported",))
    assert FindingNames([Finding("Mass")]).label(mark) == (None, ["Mass effect reported"])
