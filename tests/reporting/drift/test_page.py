import numpy as np
import pytest

from camray.core.drift import shift
from camray.core.drift.features import Feature
from camray.core.drift.reference import RunReference, reference_of
from camray.core.drift.verdict import FolderDrift, Level, judge_folder
from camray.reporting.drift.charts import distribution_chart, trend_chart
from camray.reporting.drift.page import VERDICTS, drift_page
from tests.reporting.hostile_texts import TEXT, assert_escaped

PNG = b"\x89PNG"
REFERENCE = RunReference((), "", 300, 90, ())


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "DIVISIONS", 500)
    monkeypatch.setattr(shift, "RESAMPLES", 50)


def _features(films: int, moved: float, seed: int, name: str = "mean grey") -> list[Feature]:
    rng = np.random.default_rng(seed)
    views = rng.choice(["PA", "AP $x$"], size=films, p=[0.6, 0.4]).astype(object)
    return [
        Feature("appearance/grey_mean", name, rng.normal(moved, 1.0, films)),
        Feature("header/view", "view", views),
        Feature("output/Mass/area", "Mass: area of a box", np.full(films, np.nan)),
    ]


def _folder(name: str, films: int, moved: float, title: str = "mean grey") -> FolderDrift:
    references = [reference_of(each) for each in _features(300, 0.0, 1, title)]
    return judge_folder((name, "2026-01-31", films), references, _features(films, moved, 2, title), films, 1)


def test_the_page_shows_the_worst_feature_first_and_the_verdict_in_words() -> None:
    page = drift_page("run", REFERENCE, [_folder("findings", 80, 2.0)], ["a note"])
    assert VERDICTS[Level.ALARM] in page
    assert (
        0 < page.index("<th>mean grey</th>") < page.index("<th>view</th>") < page.index("<th>Mass: area of a box</th>")
    )
    assert "a note" in page
    assert page.count("data:image/png") == 1  # no trend of one folder
    assert "Folders over time" not in page
    assert "nan" not in page.lower().replace("finance", "")


def test_several_folders_have_a_trend_and_a_column_each() -> None:
    folders = [_folder("week-1", 80, 0.0), _folder("week-2", 80, 1.0), _folder("week-3", 10, 1.0)]
    page = drift_page("run", REFERENCE, folders, [])
    assert page.count("data:image/png") == 2
    assert all(f"PSI, {number}." in page for number in (1, 2, 3))
    assert VERDICTS[Level.TOO_FEW] in page  # of the last
    assert "no all-clear" in page


def test_names_are_escaped() -> None:
    assert_escaped(drift_page("run", REFERENCE, [_folder("f", 60, 2.0, TEXT)], []))
    assert_escaped(drift_page("run", REFERENCE, [_folder(TEXT, 60, 0.0)], []))


def test_charts_are_pictures_or_nothing() -> None:
    folder = _folder("week-1", 80, 0.0)
    assert (distribution_chart(folder.rows) or b"").startswith(PNG)
    assert distribution_chart([]) is None
    assert trend_chart([folder]) is None
    empty = FolderDrift("f", "", 0, 0, (), Level.TOO_FEW)
    assert trend_chart([empty, empty]) is None
    assert "too few" in drift_page("run", REFERENCE, [empty], [])
