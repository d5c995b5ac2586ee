"""Readers against the AI and one another, on six films worked by hand."""

import math

import pandas as pd
import pytest

from camray.core.metrics.agreement import wilson_interval
from camray.core.reader_study.agreement_table import COLUMNS, AgreementPlan, Claim, agreement_rows
from camray.core.reader_study.consensus import merge
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, Phase, Reading

BOX, NEAR, FAR = Box(0, 0, 10, 10), Box(0, 0, 10, 8), Box(50, 50, 60, 60)
PLAN = AgreementPlan({str(film): f"p{film // 2}" for film in range(6)}, iou_thresholds=(0.5,), resamples=200)
CLAIMS = {
    (str(film), "Mass"): Claim(film < 3, (BOX,) if film < 3 else ()) for film in range(6)
}  # reported on films 0, 1, 2


def _decisions(
    reader: str, values: str, boxes: dict[int, tuple[Box, ...]], phase: Phase = Phase.FINAL
) -> list[Decision]:
    named = {"1": "1", "0": "0", "?": "uncertain"}
    return [
        Decision(reader, str(film), "Mass", named[value], boxes.get(film, ()), phase)
        for film, value in enumerate(values)
    ]


A = _decisions("A", "110010", {0: (BOX,), 1: (FAR,), 4: (NEAR,)})
B = _decisions("B", "10?010", {0: (NEAR,), 4: (NEAR,)})


def _row(table: pd.DataFrame, metric: str, reader: str, other: str, interval: str | None = None) -> pd.Series:
    rows = table[(table["metric"] == metric) & (table["reader"] == reader) & (table["other"] == other)]
    rows = rows if interval is None else rows[rows["interval"] == interval]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    readings = [Reading("A", "0", True, 10.0), Reading("A", "1", True, 20.0, 5.0), Reading("A", "2", False, 99.0)]
    return agreement_rows([*A, *B], CLAIMS, readings, PLAN)


def test_a_reader_against_the_ai(table: pd.DataFrame) -> None:
    assert list(table.columns) == list(COLUMNS)
    kappa = _row(table, "cohen_kappa", "A", "AI")
    # says 110010, AI 111000: p_o = 4/6, p_e = 1/2
    assert (kappa["value"], kappa["n"]) == (pytest.approx(1 / 3), 6)
    assert kappa["low"] <= kappa["value"] <= kappa["high"]
    assert _row(table, "claim_ppv", "A", "AI")["value"] == pytest.approx(2 / 3)
    assert _row(table, "claim_npv", "A", "AI")["value"] == pytest.approx(2 / 3)
    # boxes on films 0 (equal) and 1 (apart)
    assert _row(table, "box_iou", "A", "AI")["value"] == pytest.approx(0.5)


def test_uncertain_answers_are_counted_and_left_out(table: pd.DataFrame) -> None:
    assert _row(table, "uncertain", "B", "AI")[["value", "n"]].tolist() == [1.0, 6]
    assert _row(table, "cohen_kappa", "B", "AI")["n"] == 5


def test_the_predictive_value_of_boxes(table: pd.DataFrame) -> None:
    wilson = _row(table, "box_ppv", "A", "AI", "wilson")  # right on film 0, apart on 1, absent on 2
    assert (wilson["value"], wilson["n"], wilson["criterion"]) == (pytest.approx(1 / 3), 3, 0.5)
    assert (wilson["low"], wilson["high"]) == pytest.approx(wilson_interval(1, 3, 0.95))
    assert _row(table, "box_ppv", "A", "AI", "patients")["value"] == wilson["value"]
    other = _row(table, "box_ppv", "B", "AI", "wilson")  # film 0 with IoU 0.8, film 1 absent, film 2 uncertain
    assert (other["value"], other["n"]) == (0.5, 2)


def test_a_finding_called_present_without_a_box_says_nothing_of_boxes() -> None:
    table = agreement_rows(_decisions("A", "1", {}), CLAIMS, [], PLAN)
    assert _row(table, "box_ppv", "A", "AI", "wilson")["n"] == 0
    assert _row(table, "claim_ppv", "A", "AI")["value"] == 1.0


def test_readers_among_themselves(table: pd.DataFrame) -> None:
    kappa = _row(table, "cohen_kappa", "A", "B")
    # without film 2: 11010 and 10010: p_o = 4/5, p_e = 3/5 * 2/5 + 2/5 * 3/5 = 12/25
    assert (kappa["value"], kappa["n"]) == (pytest.approx((0.8 - 0.48) / 0.52), 5)
    assert _row(table, "box_iou", "A", "B")["value"] == pytest.approx((0.8 + 1.0) / 2)
    fleiss = _row(table, "fleiss_kappa", "all readers", "all readers")
    # five films: P = 4/5, shares of presence 5/10: (0.8 - 0.5) / 0.5
    assert (fleiss["value"], fleiss["n"]) == (pytest.approx(0.6), 5)


def test_blind_answers_are_measured_apart() -> None:
    blind = _decisions("A", "111000", {}, Phase.BLIND)
    table = agreement_rows([*A, *blind], CLAIMS, [], PLAN)
    found = table[table["metric"] == "cohen_kappa"].set_index("phase")["value"]
    assert found["blind"] == 1.0
    assert found["final"] == pytest.approx(1 / 3)


def test_reading_times(table: pd.DataFrame) -> None:
    assert _row(table, "films_read", "A", "")["value"] == 2
    median = _row(table, "median_seconds", "A", "")
    assert median[["value", "low", "high", "n"]].tolist() == [15.0, 12.5, 17.5, 2]  # the unfinished film is no reading
    assert _row(table, "total_seconds_blind", "A", "")["value"] == 5.0


def test_one_patient_gives_no_interval() -> None:
    table = agreement_rows(A, CLAIMS, [], AgreementPlan(dict.fromkeys(map(str, range(6)), "p"), resamples=50))
    assert math.isnan(_row(table, "cohen_kappa", "A", "AI")["low"])


def test_the_majority_decides_and_boxes_are_fused() -> None:
    c = _decisions("C", "101000", {0: (BOX,), 2: (FAR,)})
    merged = merge([*A, *B, *c], "majority")
    assert {key[0]: one.value for key, one in merged.items()} == {
        "0": "1",
        "1": "0",
        "2": "uncertain",
        "3": "0",
        "4": "1",
        "5": "0",
    }
    ((who, box),) = merged["0", "Mass"].boxes  # the mean of three boxes of height 10, 8, 10
    assert (who, box.as_tuple()) == ("majority", pytest.approx((0, 0, 10, 28 / 3)))
    assert len(merged["4", "Mass"].boxes) == 1


def test_a_box_that_few_drew_goes() -> None:
    answers = [
        Decision("A", "0", "Mass", "1", (BOX, FAR)),
        Decision("B", "0", "Mass", "1", (BOX,)),
        Decision("C", "0", "Mass", "1", (NEAR,)),
    ]
    assert [box.x0 for _, box in merge(answers, "majority")["0", "Mass"].boxes] == [0.0]
    assert [who for who, _ in merge(answers, "union")["0", "Mass"].boxes] == ["A", "A", "B", "C"]


def test_one_reader_stays_as_he_is() -> None:
    merged = merge([Decision("A", "0", "Mass", "1", (BOX, NEAR)), Decision("A", "1", "Mass", "uncertain")], "majority")
    assert merged["0", "Mass"].boxes == (("A", BOX), ("A", NEAR))
    assert merged["1", "Mass"].value == "uncertain"


def test_a_reader_called_as_the_ai_is_not_taken_for_it() -> None:
    namesake = _decisions("AI", "110010", {})
    table = agreement_rows([*A, *namesake], CLAIMS, [Reading("AI", "0", True, 1.0)], PLAN)
    assert set(table["reader"]) == {"A", "AI (a reader)", "all readers"}
    keys = ["phase", "reader", "other", "label", "metric", "criterion", "interval"]
    assert not table.duplicated(keys).any()
    assert _row(table, "agreement", "A", "AI (a reader)")["value"] == 1.0
