"""Rows by group in the whole stage: once more from the tables on disk, and no other row changed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.summary import headline, mean_figures
from camray.domain.records import GROUP_COLUMNS
from camray.io.artifacts import artifacts_of
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from tests.scored_run import make_run, settings_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("run"), ("nodule", "effusion"), 90, 3)
    files = artifacts_of(folder).ingest
    films = files.images.read()[["image_id"]]
    number = np.arange(len(films)) // 2  # two films of each patient
    films["sex"], films["site"] = np.where(number % 3 == 0, "F", "M"), ""
    films["maker"] = np.where(number % 2 == 0, "0a1b2c3d", "")
    files.groups.write(films.assign(age_years=20.0 + number)[list(GROUP_COLUMNS)])
    localize.run(settings_of(), folder, NullTracker())
    return folder


def _scored(folder: RunFolder, **settings: object) -> pd.DataFrame:
    score.run(settings_of(**settings), folder, NullTracker())
    return pd.read_csv(artifacts_of(folder).score.scores)


@pytest.fixture(scope="module")
def scores(run: RunFolder) -> pd.DataFrame:
    return _scored(run, group_patients=3)


def _value(scores: pd.DataFrame, metric: str, label: str = "nodule") -> float:
    found = scores[(scores["metric"] == metric) & (scores["label"] == label)]
    assert len(found) == 1
    return float(found["value"].iloc[0])


def test_numbers_of_a_group_once_more_from_the_tables(run: RunFolder, scores: pd.DataFrame) -> None:
    files = artifacts_of(run)
    images, labels = files.ingest.images.read(), files.ingest.labels.read()
    sex = files.ingest.groups.read().set_index("image_id")["sex"]
    explained = files.explain.images.read()
    logits = pd.Series(np.load(files.explain.logits)[:, 0], index=explained["image_id"])
    test = images.loc[images["split"] == "test", "image_id"]
    known = labels[(labels["label"] == "nodule") & labels["value"].isin(["0", "1"]) & labels["image_id"].isin(test)]
    values = known.assign(sex=sex.loc[known["image_id"]].to_numpy(), logit=logits.loc[known["image_id"]].to_numpy())
    women, men = (values[values["sex"] == name] for name in "FM")
    area = {name: roc_auc_score(of["value"] == "1", of["logit"]) for name, of in (("F", women), ("M", men))}
    assert _value(scores, "groups/sex=F/auroc") == pytest.approx(area["F"])
    assert _value(scores, "groups/sex=F/auroc_difference") == pytest.approx(area["F"] - area["M"])
    cutoff = files.localize.thresholds.read().logit_cutoff("nodule")
    shown = men[men["value"] == "1"]
    assert _value(scores, "groups/sex=M/sensitivity") == pytest.approx((shown["logit"] >= cutoff).mean())


def test_films_without_a_value_are_a_group_and_a_column_without_any_is_none(scores: pd.DataFrame) -> None:
    metrics = set(scores["metric"])
    assert {"groups/maker=0a1b2c3d/hit_rate", "groups/maker=unknown/iou_accuracy"} <= metrics
    assert not [metric for metric in metrics if metric.startswith(("groups/site", "groups/view"))]  # all PA


def test_shares_of_all_groups_add_up_to_the_row_of_all_films(scores: pd.DataFrame) -> None:
    overall = scores[(scores["metric"] == "hit_rate") & (scores["method"] == "cam") & (scores["label"] == "nodule")]
    parts = [
        scores[(scores["metric"] == f"groups/sex={name}/hit_rate") & (scores["label"] == "nodule")] for name in "FM"
    ]
    rows = pd.concat(parts)
    chosen = overall[overall["threshold_source"] == rows["threshold_source"].iloc[0]].iloc[0]
    assert rows["n"].sum() == chosen["n"]
    assert np.average(rows["value"], weights=rows["n"]) == pytest.approx(chosen["value"])


def test_all_other_rows_and_their_readers_are_the_same_without_groups(run: RunFolder, scores: pd.DataFrame) -> None:
    without = _scored(run, groups=())
    is_group = scores["metric"].str.startswith("groups/")
    assert is_group.any()
    pd.testing.assert_frame_equal(scores[~is_group].reset_index(drop=True), without)
    pd.testing.assert_frame_equal(headline(scores), headline(without))
    assert mean_figures(scores) == mean_figures(without)


def test_a_run_without_the_table_of_groups_is_scored_by_view_alone(run: RunFolder, tmp_path: Path) -> None:
    folder = make_run(tmp_path, ("nodule",), 40, 3)
    localize.run(settings_of(), folder, NullTracker())
    table = artifacts_of(folder).ingest.images.read()
    views = np.where(np.arange(len(table)) % 4 < 2, "PA", "AP")
    artifacts_of(folder).ingest.images.write(table.assign(view=views))
    metrics = _scored(folder, group_patients=2)["metric"]
    assert {name.split("=")[0] for name in metrics[metrics.str.startswith("groups/")]} == {"groups/view"}
