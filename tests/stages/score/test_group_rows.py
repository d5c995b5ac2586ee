"""Rows by group in the whole stage: once more from the tables on disk, and no other row changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.model_comparison import auroc_figures, boxed_labels, placed_figures
from camray.core.metrics.seed_spread import spread_of
from camray.core.metrics.summary import headline, headline_rows, main_method, mean_figures
from camray.domain.records import GROUP_COLUMNS
from camray.io.artifacts import artifacts_of
from camray.reporting.score_report.headline_table import headline_table
from camray.reporting.score_report.method_table import method_table
from camray.reporting.score_report.probability_table import probability_table
from camray.reporting.score_report.protocol_sections import protocol_sections
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from camray.workflows.multi_seed import headline_of
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


READERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "headline": lambda scores: headline(scores).to_dict(),
    "headline rows": headline_rows,
    "figures of the stage": mean_figures,
    "main method": main_method,
    "headline of the report": headline_table,
    "methods of the report": method_table,
    "protocols of the report": lambda scores: protocol_sections(scores, ["chestxray14", "wsol"]),
    "probabilities of the report": lambda scores: probability_table(scores, ()),
    "seeds": lambda scores: headline_of(spread_of({1: scores, 2: scores})),
    "compared methods": lambda scores: placed_figures(scores, "cam", "fixed"),
    "compared network": lambda scores: auroc_figures(scores, 1),
    "compared boxes": lambda scores: boxed_labels(scores, "cam"),
}


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
    cutoff = files.localize.thresholds.read().logit_cutoff("nodule", "judged")
    shown = men[men["value"] == "1"]
    assert _value(scores, "groups/sex=M/sensitivity") == pytest.approx((shown["logit"] >= cutoff).mean())
    without = men[men["value"] == "0"]
    assert _value(scores, "groups/sex=M/specificity") == pytest.approx((without["logit"] < cutoff).mean())


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
    groups_first = pd.concat([scores[is_group], scores[~is_group]], ignore_index=True)
    for name, read in READERS.items():
        assert repr(read(_read(groups_first))) == repr(read(_read(without))), name


def _read(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.fillna({"threshold_source": ""})


def test_a_run_without_the_table_of_groups_is_scored_by_view_alone(run: RunFolder, tmp_path: Path) -> None:
    folder = make_run(tmp_path, ("nodule",), 40, 3)
    localize.run(settings_of(), folder, NullTracker())
    table = artifacts_of(folder).ingest.images.read()
    views = np.array(["pa", "AP", "DOE^JANE/1950"])[np.arange(len(table)) % 3]  # the last is nobody's business
    artifacts_of(folder).ingest.images.write(table.assign(view=views))
    metrics = _scored(folder, group_patients=2)["metric"]
    groups = metrics[metrics.str.startswith("groups/")].str.split("/").str[1]
    assert set(groups) == {"view=PA", "view=AP", "view=other"}
    for path in artifacts_of(folder).score.scores.parent.rglob("*"):
        assert not path.is_file() or b"DOE" not in path.read_bytes()
