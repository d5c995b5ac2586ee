"""Rows of what became of a promise: values by hand, and empty denominators."""

import numpy as np
import pandas as pd
import pytest

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.promise_scores import promise_statistic
from camray.core.metrics.score_table import LabelLogits
from camray.core.metrics.statistics import statistics_table
from camray.core.probability.promise import Promise, PromiseTerms
from camray.reporting.score_report.promise_table import promise_table

PROMISE = Promise("Mass", PromiseTerms(0.9, 0.5, 0.9), "validation", 98, 28, lower=0.2)
PRESENT = np.array([True, True, True, True, False, False])
FILMS = LabelLogits(np.arange(6), np.zeros(6), PRESENT)


def _table(is_reported: list[bool], is_unjudged: list[bool]) -> pd.DataFrame:
    statistic = promise_statistic(PROMISE, FILMS, np.array(is_reported), np.array(is_unjudged), "validation")
    return statistics_table("test", 6, [statistic], Bootstrap(0, 0.95, 1))


def test_shares_by_hand() -> None:
    # with it: reported, reported, not judged, denied; without: reported, not judged
    table = _table([True, True, False, False, True, False], [False, False, True, False, False, True])
    rows = table[table["label"] == "Mass"].set_index("metric")
    assert rows["value"].to_dict() == {
        "promise/sensitivity": 3 / 4,
        "promise/ppv": 2 / 3,
        "promise/not_judged": 2 / 6,
    }
    assert rows["n"].to_dict() == {"promise/sensitivity": 4, "promise/ppv": 3, "promise/not_judged": 6}
    assert rows.loc["promise/sensitivity", "criterion"] == pytest.approx(0.9)
    assert np.isnan(rows.loc["promise/ppv", "criterion"])  # not promised
    (line,) = promise_table(table, [PROMISE], ())
    assert [cell.value for cell in line.cells] == ["0.75", "0.67", "0.33"]
    assert line.promise.startswith("sensitivity 0.9 promised")
    assert promise_table(table, [PROMISE], {"Mass"}) == ()


def test_nothing_reported_has_no_ppv() -> None:
    table = _table([False] * 6, [False] * 6)
    rows = table[table["label"] == "Mass"].set_index("metric")["value"]
    assert np.isnan(rows["promise/ppv"])
    assert rows["promise/sensitivity"] == 0
