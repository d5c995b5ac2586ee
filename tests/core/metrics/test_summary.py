import io

import numpy as np
import pandas as pd
import pytest

from camray.core.metrics.summary import (
    BaselineComparison,
    Estimate,
    finding_values,
    headline,
    headline_rows,
    mean_figures,
)
from camray.domain.records import SCORE_COLUMNS


def table_of(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    """Rows of method, label, metric, criterion, source, value, low, high, n in the split 'test'."""
    return pd.DataFrame([("test", *row) for row in rows], columns=list(SCORE_COLUMNS)).astype(SCORE_COLUMNS)


SCORES = table_of(
    [
        ("classifier", "a", "auroc", np.nan, "", 0.9, 0.85, 0.95, 40),
        ("cam", "a", "hit_rate", np.nan, "fixed", 0.5, 0.3, 0.6, 20),
        ("cam", "a", "hit_rate", np.nan, "validation", 0.6, 0.55, 0.7, 20),
        ("cam", "a", "iou_accuracy", 0.3, "fixed", 0.4, 0.3, 0.5, 20),
        ("cam", "a", "iou_accuracy", 0.5, "validation", 0.2, 0.1, 0.3, 20),
        ("cam", "a", "iou_accuracy", 0.3, "oracle", 0.9, 0.8, 1.0, 20),
        ("baseline:centre", "a", "hit_rate", np.nan, "fixed", 0.52, 0.4, 0.6, 20),
        ("baseline:random", "a", "hit_rate", np.nan, "fixed", 0.1, 0.0, 0.2, 20),
        ("baseline:centre", "a", "iou_accuracy", 0.3, "validation", 0.45, 0.4, 0.5, 20),
        ("baseline:centre", "a", "iou_accuracy", 0.3, "oracle", 0.99, 0.9, 1.0, 20),
        ("classifier", "mean", "auroc", np.nan, "", 0.9, 0.85, 0.95, 1),
        ("cam", "mean", "hit_rate", np.nan, "validation", 0.6, 0.55, 0.7, 1),
    ]
)


@pytest.mark.parametrize("read_back", [False, True])
def test_validation_comes_before_fixed_and_the_oracle_never(read_back: bool) -> None:
    scores = pd.read_csv(io.StringIO(SCORES.to_csv(index=False))) if read_back else SCORES
    row = headline_rows(scores)[0]
    assert row.auroc is not None
    assert row.auroc.value == 0.9
    assert row.hit_rate.ours is not None
    assert row.hit_rate.ours.value == 0.6
    assert row.hit_rate.baseline is not None
    assert (row.hit_rate.baseline.value, row.hit_rate.baseline.method) == (0.52, "baseline:centre")
    assert row.hit_rate.verdict == "clearly above"
    assert row.iou_accuracy.ours is not None
    assert (row.iou_accuracy.ours.value, row.iou_accuracy.ours.threshold_source) == (0.4, "fixed")
    assert row.iou_accuracy.baseline is not None
    assert row.iou_accuracy.baseline.value == 0.45
    assert row.iou_accuracy.verdict == "not above"


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (0.6, 0.55, 0.7, "clearly above"),
        (0.6, 0.5, 0.7, "above"),  # its lower end does not exceed the baseline's number
        (0.6, 0.45, 0.7, "above"),
        (0.6, np.nan, np.nan, "above"),
        (0.5, 0.45, 0.7, "not above"),
        (np.nan, np.nan, np.nan, "–"),
    ],
)
def test_clearly_above_takes_the_lower_end_of_the_interval(value: float, low: float, high: float, verdict: str) -> None:
    ours = Estimate(value, low, high, 20, "cam", "validation")
    baseline = Estimate(0.5, 0.3, 0.9, 20, "baseline:centre", "fixed")
    assert BaselineComparison(ours, baseline).verdict == verdict


def test_the_terminal_gets_short_texts() -> None:
    shown = headline(SCORES)
    assert shown["finding"].tolist() == ["a", "mean"]
    assert shown["hit rate"][0] == "0.60 (0.55–0.70)"
    assert shown["best baseline"][0] == "0.52 centre Gaussian"
    assert shown["IoU >= 0.3"][1] == "–"
    assert "split" not in shown
    both = pd.concat([SCORES, SCORES.assign(split="validation")])
    assert headline(both)["split"].tolist() == ["test", "test", "validation", "validation"]


def test_figures_leave_out_what_is_undefined() -> None:
    assert mean_figures(SCORES) == {"mean_auroc": 0.9, "mean_hit_rate": 0.6}


def test_both_numbers_are_given_where_thresholds_come_from_validation_boxes() -> None:
    rows: list[tuple[object, ...]] = [
        ("cam", label, "iou_accuracy", 0.3, source, value, value - 0.1, value + 0.1, n)
        for label, n in (("a", 20), ("mean", 1))
        for source, value in (("fixed", 0.4), ("validation", 0.8), ("oracle", 0.9))
    ]
    assert "without boxes" not in headline(table_of(rows[:1]))  # the one number there is
    both = table_of(rows)
    assert headline(both)[["IoU >= 0.3", "without boxes"]].to_numpy().tolist() == [["0.80 (0.70–0.90)", "0.40"]] * 2
    assert mean_figures(both) == {"mean_iou_accuracy_0.3": 0.8, "mean_iou_accuracy_0.3_without_boxes": 0.4}
    oracle = headline_rows(table_of(rows[1:3]))[0]
    assert oracle.without_boxes is None


def test_nothing_scored_is_an_empty_headline() -> None:
    assert headline(SCORES.iloc[:0]).empty
    assert mean_figures(SCORES.iloc[:0]) == {}


def test_the_means_baselines_are_over_the_same_findings() -> None:
    """Ours knows a alone; the centre's mean over a and b, 0.5, is 0.2 on a; a box that lacks a is no baseline."""
    rows = [
        ("cam", "a", "hit_rate", np.nan, "validation", 0.4, 0.3, 0.5, 9),
        ("cam", "b", "hit_rate", np.nan, "fixed", 0.9, 0.8, 1.0, 9),
        ("baseline:centre", "a", "hit_rate", np.nan, "fixed", 0.2, 0.1, 0.3, 9),
        ("baseline:centre", "b", "hit_rate", np.nan, "fixed", 0.8, 0.7, 0.9, 9),
        ("baseline:class_mean_box", "b", "hit_rate", np.nan, "fixed", 0.7, 0.6, 0.8, 9),
        ("cam", "mean", "hit_rate", np.nan, "validation", 0.4, 0.3, 0.5, 1),
        ("baseline:centre", "mean", "hit_rate", np.nan, "fixed", 0.5, 0.4, 0.6, 2),
        ("baseline:class_mean_box", "mean", "hit_rate", np.nan, "fixed", 0.7, 0.6, 0.8, 1),
    ]
    columns = ["method", "label", "metric", "criterion", "threshold_source", "value", "low", "high", "n"]
    scores = pd.DataFrame(rows, columns=columns).assign(split="test")[list(SCORE_COLUMNS)].astype(SCORE_COLUMNS)
    found = headline_rows(scores)[-1].hit_rate
    assert found.baseline is not None
    assert (found.baseline.method, found.baseline.value) == ("baseline:centre", pytest.approx(0.2))
    assert found.verdict == "clearly above"
    assert headline(scores)["boxed films"].tolist() == ["9", "9", "1 finding"]


FEW_SHOT = (
    ("baseline:few_shot", "a", "hit_rate", np.nan, "validation", 0.95, 0.9, 1.0, 20),
    ("baseline:few_shot", "b", "hit_rate", np.nan, "validation", 0.55, 0.5, 0.6, 20),
    ("baseline:few_shot", "mean", "hit_rate", np.nan, "validation", 0.75, 0.7, 0.8, 2),
    ("baseline:few_shot", "a", "iou_accuracy", 0.3, "validation", 0.8, 0.7, 0.9, 20),
    ("baseline:few_shot", "a", "iou_accuracy", 0.3, "oracle", 1.0, 0.7, 0.9, 20),
)


def test_few_shot_is_beside_the_trivial_baselines_and_never_the_best_of_them() -> None:
    scores = pd.concat([SCORES, table_of(list(FEW_SHOT))], ignore_index=True)
    row = headline_rows(scores)[0]
    assert row.hit_rate.baseline is not None
    assert row.hit_rate.baseline.method == "baseline:centre"
    assert row.hit_rate.verdict == "clearly above"
    assert row.hit_rate.few_shot is not None
    assert row.hit_rate.few_shot.value == 0.95
    assert row.iou_accuracy.few_shot is not None
    assert row.iou_accuracy.few_shot.value == 0.8
    shown = headline(scores)
    assert (shown["few-shot"][0], shown["its few-shot"][0]) == ("0.95", "0.80")
    assert "few-shot" not in headline(SCORES)


def test_the_few_shot_mean_is_over_the_findings_of_ours() -> None:
    """Ours knows a alone: few-shot is 0.95 there; where few-shot lacks a, it has no mean."""
    scores = pd.concat([SCORES, table_of(list(FEW_SHOT))], ignore_index=True)
    assert mean_figures(scores)["few_shot_hit_rate"] == pytest.approx(0.95)
    without_a = scores[~((scores["method"] == "baseline:few_shot") & (scores["label"] == "a"))]
    assert "few_shot_hit_rate" not in mean_figures(without_a)


def test_values_of_findings_have_their_intervals_beside_them() -> None:
    values = finding_values(SCORES)
    auroc = [values[f"test/auroc{end}/a"] for end in ("", "_low", "_high")]
    assert auroc == [0.9, 0.85, 0.95]
    assert [values[f"test/hit_rate{end}/a"] for end in ("", "_low", "_high")] == [0.6, 0.55, 0.7]
    assert [values[f"test/iou_accuracy_0.3{end}/a"] for end in ("", "_low", "_high")] == [0.4, 0.3, 0.5]
    assert values["test/auroc/mean"] == 0.9
    assert len(values) == 15
    assert finding_values(SCORES.iloc[:0]) == {}
    without = finding_values(SCORES.assign(low=np.nan, high=np.nan))
    assert set(without) == {key for key in values if "_low" not in key and "_high" not in key}
