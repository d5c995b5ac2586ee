"""Lines and sentences about groups, from rows written by hand."""

import numpy as np
import pandas as pd
import pytest

from camray.core.metrics.group_summary import group_figures, group_lines, group_values, overall_lines, weaker_texts
from camray.domain.records import SCORE_COLUMNS

NAN = float("nan")


def _row(metric: str, label: str, value: float, low: float = NAN, high: float = NAN, n: int = 40) -> tuple[object, ...]:
    return "test", "classifier", label, metric, NAN, "", value, low, high, n


def _scores() -> pd.DataFrame:
    rows = [
        _row("auroc", "Mass", 0.8, 0.7, 0.9),
        _row("groups/sex=F/patients_with", "Mass", 12),
        _row("groups/sex=F/patients_without", "Mass", 30),
        _row("groups/sex=F/auroc", "Mass", 0.7, 0.6, 0.8),
        _row("groups/sex=F/auroc_difference", "Mass", -0.2, -0.35, 0.05),
        _row("groups/ward=ER/ICU/auroc", "Mass", 0.75, 0.6, 0.8),  # a value of the table with a slash
        _row("groups/ward=ER/ICU/auroc_difference", "Mass", -0.1, -0.18, -0.02),
        _row("groups/sex=M/auroc", "Mass", 0.9, 0.8, 0.95),
        _row("groups/sex=M/auroc_difference", "Mass", 0.2, 0.05, 0.35),
        _row("groups/age=80+/auroc", "Mass", NAN, n=3),
        _row("groups/age=80+/auroc_difference", "Mass", NAN, n=3),
    ]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def test_what_is_shown_weaker_comes_first_and_too_small_groups_last() -> None:
    lines = group_lines(_scores())
    assert [line.group for line in lines] == ["ward=ER/ICU", "sex=F", "sex=M", "age=80+"]
    assert not any(number.value.is_defined for number in lines[3].numbers)
    assert (lines[1].patients_with, lines[1].patients_without) == (12, 30)
    assert not lines[1].numbers[0].is_weaker  # its interval holds 0, however large the difference
    assert lines[2].numbers[0].is_stronger


def test_sentences_name_group_finding_and_measure() -> None:
    assert weaker_texts(group_lines(_scores())) == [
        "ward=ER/ICU, Mass: AUROC 0.75, -0.10 (-0.18 to -0.02) to all other films"
    ]


def test_figures_count_the_differences_that_have_a_number() -> None:
    figures = group_figures(group_lines(_scores()))
    assert (figures["group_differences"], figures["group_differences_shown_weaker"]) == (3, 1)
    assert str(figures["note_groups"]).startswith("weaker in a group of films: ward=ER/ICU")
    assert group_figures([]) == {}


def test_the_tracker_gets_the_mean_or_the_only_finding() -> None:
    values = group_values(group_lines(_scores()))
    assert values["groups/sex=F/auroc"] == pytest.approx(0.7)
    assert values["groups/sex=F/auroc_difference"] == pytest.approx(-0.2)
    assert np.isnan(values["groups/age=80+/auroc"])
    means = pd.concat([_scores(), _scores().assign(label="mean", value=0.5)])
    lines = overall_lines(group_lines(means))
    assert {line.label for line in lines} == {"mean"}
    assert group_values(group_lines(means))["groups/sex=F/auroc"] == pytest.approx(0.5)


def test_a_table_without_groups_has_no_lines() -> None:
    scores = _scores()
    assert group_lines(scores[~scores["metric"].str.startswith("groups/")]) == []
