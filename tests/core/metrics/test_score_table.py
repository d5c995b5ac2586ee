import numpy as np
import pandas as pd
import pytest

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.score_table import LabelLogits, LabelValues, RowKey, score_table
from camray.domain.records import SCORE_COLUMNS


def values_of(patients: list[int], **rows: list[float]) -> LabelValues:
    found = LabelValues(np.array(patients, dtype=np.int64))
    for name, each in rows.items():
        found.values[RowKey("cam", name, None, "fixed")] = np.array(each)
    return found


def row(table: pd.DataFrame, label: str, metric: str) -> pd.Series:
    return table[(table.label == label) & (table.metric == metric)].iloc[0]


def test_values_and_the_plain_mean_over_labels() -> None:
    localization = {
        "a": values_of([0, 0, 1, 2], hit_rate=[1, 1, 0, 0]),
        "b": values_of([3], hit_rate=[1]),
        "c": values_of([], hit_rate=[]),
    }
    table = score_table("test", 4, {}, localization, Bootstrap(100, 0.95, 1))
    assert list(table.columns) == list(SCORE_COLUMNS)
    assert row(table, "a", "hit_rate")[["value", "n"]].tolist() == [0.5, 4]
    assert row(table, "c", "hit_rate").n == 0
    assert np.isnan(row(table, "c", "hit_rate").value)
    mean = row(table, "mean", "hit_rate")
    assert (mean.value, mean.n) == (0.75, 2)
    assert mean.low <= mean.value <= mean.high


def test_intervals_resample_patients_and_not_films() -> None:
    rng = np.random.default_rng(0)
    per_patient = (rng.random(60) < 0.5).astype(float)
    together = values_of(list(np.repeat(np.arange(60), 5)), hit_rate=list(np.repeat(per_patient, 5)))
    alone = values_of(list(range(60)), hit_rate=list(per_patient))
    wide, plain = (
        score_table("test", 60, {}, {"a": each}, Bootstrap(500, 0.95, 1)).iloc[0] for each in (together, alone)
    )
    # five equal films of a patient tell no more than one
    assert wide.low == pytest.approx(plain.low)
    assert wide.high == pytest.approx(plain.high)
    assert plain.high - plain.low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(60), rel=0.15)


def test_best_of_thresholds_is_chosen_in_every_resample() -> None:
    # two films, each right at its own threshold only: the best single threshold gets one of the two
    found = LabelValues(np.arange(2))
    key = RowKey("cam", "max_box_acc", 0.5, "oracle")
    found.values[key] = np.eye(2)[:, None, :]
    table = score_table("test", 2, {}, {"a": found}, Bootstrap(200, 0.95, 0))
    assert table.iloc[0].value == 0.5
    assert table.iloc[0].high == 1.0  # the same film drawn twice
    assert table.iloc[0].low == 0.5


def test_classification_rows_and_a_single_class() -> None:
    logits = {
        "a": LabelLogits(np.arange(4), np.array([2.0, 1.0, 0.0, -1.0]), np.array([True, True, False, False])),
        "b": LabelLogits(np.arange(4), np.arange(4.0), np.zeros(4, bool)),
    }
    table = score_table("test", 4, logits, {}, Bootstrap(50, 0.95, 0))
    assert row(table, "a", "auroc")["value"] == 1
    assert row(table, "a", "auroc")[["low", "high"]].isna().all()  # every resample says 1: nothing of the spread
    assert np.isnan(row(table, "b", "auroc")[["value", "low", "high"]].astype(float)).all()
    assert row(table, "b", "auprc").n == 4
    assert row(table, "mean", "auroc")[["value", "n"]].tolist() == [1, 1]
    assert set(table.method) == {"classifier"}
    assert set(table.threshold_source) == {""}


def test_same_seed_same_table_and_no_resample_no_interval() -> None:
    localization = {"a": values_of([0, 1, 2], hit_rate=[1, 0, 1])}
    first, again = (score_table("test", 3, {}, localization, Bootstrap(130, 0.9, 7)) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    none = score_table("test", 3, {}, localization, Bootstrap(0, 0.9, 7))
    assert none[["low", "high"]].isna().all(axis=None)


def test_an_empty_split_gives_an_empty_table() -> None:
    assert list(score_table("test", 0, {}, {}, Bootstrap(10, 0.95, 0)).columns) == list(SCORE_COLUMNS)


def test_films_may_come_in_any_order() -> None:
    rng = np.random.default_rng(3)
    patients, values, order = rng.integers(0, 9, 30), rng.random(30), rng.permutation(30)
    tables = [
        score_table(
            "test", 9, {}, {"a": values_of(list(patients[by]), mean_iou=list(values[by]))}, Bootstrap(60, 0.95, 2)
        )
        for by in (np.arange(30), order)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=False, rtol=1e-12)


@pytest.mark.slow
def test_a_thousand_resamples_of_a_whole_table_take_seconds() -> None:
    import time

    rng = np.random.default_rng(0)
    localization = {}
    for label in "abcde":
        found = LabelValues(rng.integers(0, 250, 150))
        for number in range(300):
            found.values[RowKey(f"m{number}", "hit_rate", None, "fixed")] = (rng.random(150) < 0.5).astype(float)
        localization[label] = found
    logits = {
        label: LabelLogits(np.arange(300) % 250, rng.normal(size=300), rng.random(300) < 0.4) for label in "abcde"
    }
    started = time.process_time()
    score_table("test", 250, logits, localization, Bootstrap(1000, 0.95, 0))
    assert time.process_time() - started < 10


def test_all_hits_of_few_patients_are_no_certainty() -> None:
    """Three films of three patients all hit, a fourth label has one patient: Wilson's 0.4385 to 1, 0.2065 to 1."""
    hits = {}
    for label, patients in {"three": [0, 1, 2], "one": [3, 3]}.items():
        hits[label] = LabelValues(np.array(patients))
        values = {("hit_rate", None): np.ones(len(patients)), ("mean_iou", None): np.full(len(patients), 0.4)}
        hits[label].add("cam", "fixed", values)
    table = score_table("test", 10, {}, hits, Bootstrap(200, 0.95, 1)).set_index(["label", "metric"])
    assert table.loc[("three", "hit_rate"), ["low", "high"]].tolist() == pytest.approx([0.4385, 1], abs=1e-4)
    assert table.loc[("one", "hit_rate"), ["low", "high"]].tolist() == pytest.approx([0.2065, 1], abs=1e-4)
    assert table.loc[("mean", "hit_rate"), "low"] == pytest.approx(0.2065, abs=1e-4)  # the fewest patients count
    assert table.loc[("one", "mean_iou"), ["low", "high"]].isna().all()  # a single patient's 0.4 has no spread
