import numpy as np
import pytest

from camray.core.drift import shift
from camray.core.drift.features import Feature
from camray.core.drift.reference import reference_of
from camray.core.drift.verdict import Level, holm
from tests.core.drift.drawn_films import drawn, judged, references_of


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "DIVISIONS", 2000)
    monkeypatch.setattr(shift, "RESAMPLES", 20)


def test_resamples_stay_quiet_and_a_moved_feature_is_found() -> None:
    rng = np.random.default_rng(5)
    pool = drawn(rng, 600)
    references = references_of(pool)
    quiet = [judged(references, drawn(rng, 40)) for _ in range(15)]
    assert sum(folder.level == Level.ALARM for folder in quiet) == 0
    assert sum(folder.level == Level.WATCH for folder in quiet) <= 2
    # the usual rule, PSI of 0.25 without correction, calls every one of these folders an alarm
    usual = [max(row.shift.plain_psi for row in folder.rows if row.shift) > 0.25 for folder in quiet]
    assert sum(usual) > 12
    loud = [judged(references, drawn(rng, 50, moved=1.0)) for _ in range(6)]
    assert sum(folder.level == Level.ALARM for folder in loud) >= 5
    assert all(folder.rows[0].reference.key == "appearance/0" for folder in loud if folder.level == Level.ALARM)


def test_fewer_than_twenty_patients_have_no_level_however_strong_the_drift() -> None:
    rng = np.random.default_rng(6)
    references = references_of(drawn(rng, 200))
    folder = judged(references, drawn(rng, 19, moved=9.0))
    assert folder.level == Level.TOO_FEW
    assert all(row.shift is None and np.isnan(row.p) for row in folder.rows)
    assert judged(references, drawn(rng, 20, moved=9.0)).level == Level.ALARM


def test_a_small_reference_gives_no_level_either() -> None:
    rng = np.random.default_rng(7)
    assert judged(references_of(drawn(rng, 19)), drawn(rng, 500, moved=9.0)).level == Level.TOO_FEW


def test_a_sure_but_tiny_shift_is_no_alarm() -> None:
    rng = np.random.default_rng(8)
    folder = judged(references_of(drawn(rng, 20_000)), drawn(rng, 20_000, moved=0.15))
    moved = next(row for row in folder.rows if row.reference.key == "appearance/0")
    assert moved.p < 0.01
    assert moved.level == Level.NONE


def test_features_that_never_vary_do_not_weaken_the_others() -> None:
    rng = np.random.default_rng(9)
    constant = [Feature(f"header/c{n}", "c", np.array(["PA"] * 300, dtype=object)) for n in range(30)]
    features = drawn(rng, 300)
    alone = judged(references_of(features), drawn(np.random.default_rng(1), 40, 1.0))
    few = [Feature(each.key, each.title, each.values[:40]) for each in constant]
    beside = judged(references_of([*features, *constant]), [*drawn(np.random.default_rng(1), 40, 1.0), *few])
    assert alone.rows[0].p == beside.rows[0].p


def test_the_change_is_said_in_words() -> None:
    before = Feature("header/photometric", "photometric", np.array(["MONOCHROME2"] * 40, dtype=object))
    now = Feature(before.key, before.title, np.array(["MONOCHROME1"] * 30 + ["MONOCHROME2"] * 10, dtype=object))
    row = judged([reference_of(before)], [now]).rows[0]
    assert row.change == "MONOCHROME2: 100% → 25%"
    assert row.level == Level.ALARM


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
