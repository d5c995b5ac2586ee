"""Scores by group: numbers by hand, order, too small groups, planted weak groups, and quiet without one."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.group_metric import GroupMetric
from camray.core.metrics.group_scores import group_table
from camray.core.metrics.score_table import RowKey
from camray.domain.records import SCORE_COLUMNS

AUROC, HIT = RowKey("classifier", "auroc", None, ""), RowKey("cam", "hit_rate", None, "fixed")
SCANNERS = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}


def _table(
    seed: int, films: int, kept: float = 1.0, labels: tuple[str, ...] = ("one", "two"), resamples: int = 200
) -> pd.DataFrame:
    """Draw films of four scanners and two sexes; on those of scanner c only a share of the signal is `kept`."""
    rng = np.random.default_rng(seed)
    scanner = rng.choice(list(SCANNERS), films, p=list(SCANNERS.values())).astype(object)
    groups = {"sex": rng.choice(["F", "M"], films).astype(object), "scanner": scanner}
    signal, patients = np.where(scanner == "c", kept, 1.0), np.arange(films)
    metrics = []
    for label in labels:
        present = rng.random(films) < 0.3
        logits = 1.5 * signal * present + rng.normal(0, 1, films)
        metrics.append(GroupMetric(label, AUROC, patients, patients, logits, present))
        rows = np.flatnonzero(present)
        hits = (rng.random(films) < 0.6 * signal)[rows].astype(np.float64)
        metrics.append(GroupMetric(label, HIT, rows, rows, hits))
    return group_table("test", films, metrics, groups, 10, Bootstrap(resamples, 0.95, seed))


def _clear(table: pd.DataFrame) -> pd.DataFrame:
    differences = table[table["metric"].str.endswith("_difference")]
    return differences[(differences["high"] < 0) | (differences["low"] > 0)]


def test_numbers_are_those_of_the_films_of_the_group() -> None:
    sex = np.array(list("FMFMFMFM" * 4), dtype=object)
    rng = np.random.default_rng(5)
    present, logits, patients = rng.random(32) < 0.5, rng.normal(0, 1, 32), np.arange(32) // 2
    metric = GroupMetric("one", AUROC, np.arange(32), patients, logits, present)
    table = group_table("test", 16, [metric], {"sex": sex}, 2, Bootstrap(0, 0.95, 1)).set_index("metric")
    of = {name: float(roc_auc_score(present[sex == name], logits[sex == name])) for name in "FM"}
    assert table.loc["groups/sex=F/auroc", "value"] == pytest.approx(of["F"])
    assert table.loc["groups/sex=M/auroc_difference", "value"] == pytest.approx(of["M"] - of["F"])
    assert table.loc["groups/sex=F/patients_with", "value"] == (present & (sex == "F")).sum()  # each of own patients
    assert table.loc["groups/sex=F/auroc", "n"] == 16
    assert table.loc["groups/sex=F/auroc", ["low", "high"]].isna().all()  # no resamples


@pytest.mark.parametrize(("most_with", "is_defined"), [(10, True), (9, False), (31, False)])
def test_an_auroc_needs_patients_with_the_finding_and_without(most_with: int, is_defined: bool) -> None:
    sex, films = np.repeat(np.array(["F", "M"], dtype=object), 40), np.arange(80)
    present = np.concatenate([np.arange(40) < most_with, np.arange(40) < 20])
    metric = GroupMetric("one", AUROC, films, films, np.sin(films), present)
    table = group_table("test", 80, [metric], {"sex": sex}, 10, Bootstrap(0, 0.95, 1)).set_index("metric")
    assert np.isfinite(table.loc["groups/sex=F/auroc", "value"]) == is_defined
    assert table.loc["groups/sex=F/patients_with", "value"] == most_with


def test_the_mean_is_over_the_findings_that_can_be_compared() -> None:
    group = np.repeat(np.array(["x", "y"], dtype=object), 20)
    films, hits = np.arange(40), np.tile([1.0, 1.0, 0.0, 1.0], 10)
    rare = np.array([0, 1, 20, 21])
    both = [GroupMetric("one", HIT, films, films, hits), GroupMetric("rare", HIT, rare, rare, np.ones(4))]
    table = group_table("test", 40, both, {"ward": group}, 10, Bootstrap(100, 0.95, 1))
    table = table.set_index(["metric", "label"])
    assert table.loc[("groups/ward=x/hit_rate", "mean"), "value"] == pytest.approx(0.75)
    assert table.loc[("groups/ward=x/hit_rate", "mean"), "n"] == 1
    small = table.loc[("groups/ward=x/hit_rate", "rare")]
    assert np.isnan(small["value"])
    assert small["n"] == 2  # too few, and listed


def test_rows_have_the_columns_of_the_table_and_the_worst_group_comes_first() -> None:
    table = _table(1, 400, kept=0.2)
    assert list(table.columns) == list(SCORE_COLUMNS)
    assert not table.duplicated(["split", "method", "label", "metric", "criterion", "threshold_source"]).any()
    is_chosen = table["metric"].str.fullmatch(r"groups/scanner=./auroc_difference") & (table["label"] == "mean")
    differences = table.loc[is_chosen]
    assert differences["metric"].iloc[0] == "groups/scanner=c/auroc_difference"
    assert differences["value"].is_monotonic_increasing


def test_one_group_alone_or_no_films_make_no_rows() -> None:
    films = np.arange(20)
    metric = GroupMetric("one", HIT, films, films, np.ones(20))
    alike = {"view": np.array(["PA"] * 20, dtype=object)}
    assert group_table("test", 20, [metric], alike, 5, Bootstrap(10, 0.95, 1)).empty
    assert group_table("test", 20, [], {}, 5, Bootstrap(10, 0.95, 1)).empty


def test_a_group_that_misses_all_by_chance_is_no_finding() -> None:
    group = np.repeat(np.array(["x", "y"], dtype=object), [10, 90])
    hits = np.concatenate([np.zeros(10), np.tile([1.0, 0, 0, 0, 0], 18)])  # 0 of 10 where 1 of 5 is usual: once in 9
    metric = GroupMetric("one", HIT, np.arange(100), np.arange(100), hits)
    table = group_table("test", 100, [metric], {"ward": group}, 10, Bootstrap(400, 0.95, 1)).set_index("metric")
    row = table.loc["groups/ward=x/hit_rate_difference"]
    assert row["value"] == pytest.approx(-0.2)
    assert row["high"] > 0


def test_a_planted_weak_group_is_found_and_others_are_not_blamed() -> None:
    for seed in range(3):
        found = _clear(_table(seed, 800, kept=0.4))
        assert found["metric"].str.contains("scanner=c").any()
        assert (found.loc[found["metric"].str.contains("scanner=c"), "high"] < 0).all()
        assert not found["metric"].str.contains("sex=").any()


def test_false_alarms_are_rarer_than_promised() -> None:
    alarms = sum(len(_clear(_table(seed, 150, labels=("one",), resamples=100))) > 0 for seed in range(40))
    assert alarms <= 5  # of 40 tables; at 5 % more have a chance of 1 in 70
