"""Protocol rows of the whole stage on small films; the score table's own rows stay as they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.adapters.runs import RunFolder
from pipeline.adapters.tracking import NullTracker
from pipeline.domain.records import SCORE_COLUMNS
from pipeline.domain.run_lengths import coco_text, counts_of_mask
from pipeline.stages import localize, score
from tests.stages.scored_run import make_run, settings_of

LABELS = ("Cardiomegaly", "Effusion")
PROTOCOLS = ["wsol", "chestxray14", "detection", "ilsvrc", "classification", "containment", "ceiling"]
KEYS = ["split", "method", "label", "metric", "criterion", "threshold_source"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = make_run(tmp_path_factory.mktemp("run"), LABELS, 60)
    localize.run(settings_of(), made, NullTracker())
    return made


def scores_of(folder: RunFolder, **asked: object) -> pd.DataFrame:
    score.run(settings_of(wsol_thresholds=100, **asked), folder, NullTracker())
    return pd.read_csv(folder.root / "score" / "scores.csv")


@pytest.fixture(scope="module")
def scores(folder: RunFolder) -> pd.DataFrame:
    return scores_of(folder, protocols=PROTOCOLS)


def test_protocols_add_rows_and_change_none(folder: RunFolder, scores: pd.DataFrame) -> None:
    plain = scores_of(folder)
    assert list(scores.columns) == list(SCORE_COLUMNS)
    assert not scores.duplicated(KEYS).any()
    assert not plain.metric.str.contains("/").any()
    own = scores[~scores.metric.str.contains("/")].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, plain)
    assert {name.split("/")[0] for name in scores.metric if "/" in name} >= set(PROTOCOLS)


def test_values_lie_in_their_intervals(scores: pd.DataFrame) -> None:
    known = scores[scores.metric.str.contains("/")].dropna(subset=["value"])
    assert (known.low <= known.value + 1e-9).mean() > 0.99
    assert (known.value <= known.high + 1e-9).mean() > 0.99


def test_wsol_equals_the_tables_own_max_box_acc(scores: pd.DataFrame) -> None:
    by = scores.set_index(["method", "label", "threshold_source", "metric"]).value
    for source in ("fixed", "validation"):
        for metric in ("max_box_acc",):
            assert by["cam", LABELS[0], source, f"wsol/{metric}"] == by["cam", LABELS[0], source, metric]
    assert {"wsol_original/max_box_acc", "wsol_original/max_box_acc_v2"} <= set(scores.metric)


def test_without_films_there_are_no_rows(tmp_path: Path) -> None:
    made = make_run(tmp_path, LABELS, 30)
    localize.run(settings_of(), made, NullTracker())
    path = made.root / "ingest" / "annotations.parquet"
    pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)
    scores = scores_of(made, protocols=PROTOCOLS, oracle=True)
    assert set(scores[scores.metric.str.contains("/")].metric) <= {
        name for name in scores.metric if name.startswith("classification/")
    }


def test_masks_give_pixel_rows(tmp_path: Path) -> None:
    made = make_run(tmp_path, LABELS, 40)
    path = made.root / "ingest" / "annotations.parquet"
    sizes = pd.read_parquet(made.root / "ingest" / "images.parquet").set_index("image_id")
    table = pd.read_parquet(path)
    texts = []
    for row in table.itertuples(index=False):
        mask = np.zeros((sizes.loc[row.image_id, "rows"], sizes.loc[row.image_id, "cols"]), bool)
        mask[round(row.y0) : round(row.y1), round(row.x0) : round(row.x1)] = True
        texts.append(coco_text(counts_of_mask(mask)))
    table.assign(kind="mask", rle=texts).to_parquet(path, index=False)
    localize.run(settings_of(), made, NullTracker())
    human = {LABELS[0]: {"miou_all": 0.9}}
    scores = scores_of(made, protocols=["wsol", "chexlocalize"], human=human)
    value = (
        scores[(scores.method == "cam") & (scores.label == LABELS[0])].set_index(["metric", "threshold_source"]).value
    )
    assert 0.1 < value["wsol/pxap", "fixed"] <= 1
    assert value["chexlocalize/miou_true_positive", "validation"] > 0.2
    assert value["chexlocalize/pixel_specificity", "fixed"] > 0.5
    below = 100 * (0.9 - value["chexlocalize/miou_all", "fixed"]) / 0.9
    assert value["chexlocalize/miou_all_percent_below_human", "fixed"] == pytest.approx(below)
    assert ("chexlocalize/miou_all_cutoff", "validation") in value.index
