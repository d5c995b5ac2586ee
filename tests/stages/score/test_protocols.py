"""Protocol rows of the whole stage on small films; the score table's own rows stay as they are."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as coco

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.localization.baselines import CENTRE_BOX
from camray.core.metrics.summary import BASELINE_NAMES
from camray.domain.records import SCORE_COLUMNS
from camray.domain.run_lengths import coco_text, counts_of_mask
from camray.reporting.score_report.protocol_texts import PROTOCOLS as PROTOCOL_TEXTS
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from tests.reporting.page_tables import PageTables
from tests.scored_run import make_run, settings_of

LABELS = ("Cardiomegaly", "Effusion")
PROTOCOLS = ["wsol", "chestxray14", "detection", "rodeo", "ilsvrc", "classification", "containment", "ceiling"]
KEYS = ["split", "method", "label", "metric", "criterion", "threshold_source"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = make_run(tmp_path_factory.mktemp("run"), LABELS, 60)
    localize.run(settings_of(), made, NullTracker())
    return made


def scores_of(folder: RunFolder, **asked: object) -> pd.DataFrame:
    score.run(settings_of(wsol_thresholds=100, **asked), folder, NullTracker())
    return pd.read_csv(folder.root / "score" / "scores.csv")


def _with_page(folder: RunFolder, **asked: object) -> tuple[pd.DataFrame, str]:
    scores = scores_of(folder, **asked)
    return scores, (folder.root / "score" / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scored(folder: RunFolder) -> tuple[pd.DataFrame, str]:
    """Table and page with all protocols, the last without a film."""
    return _with_page(folder, protocols=[*PROTOCOLS, "chexlocalize"])


@pytest.fixture(scope="module")
def scores(scored: tuple[pd.DataFrame, str]) -> pd.DataFrame:
    return scored[0]


@pytest.fixture(scope="module")
def plain(folder: RunFolder) -> tuple[pd.DataFrame, str]:
    """Table and page as they are by default."""
    return _with_page(folder)


def test_protocols_add_rows_and_change_none(scores: pd.DataFrame, plain: tuple[pd.DataFrame, str]) -> None:
    without = plain[0]
    assert list(scores.columns) == list(SCORE_COLUMNS)
    assert not scores.duplicated(KEYS).any()
    always = without[without.metric.str.contains("/")]
    assert set(always.metric.str.split("/").str[0]) == {"ceiling", "promise"}
    own = scores[~scores.metric.str.contains("/")].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, without[~without.metric.str.contains("/")].reset_index(drop=True))
    assert {name.split("/")[0] for name in scores.metric if "/" in name} >= set(PROTOCOLS)


def test_values_lie_in_their_intervals(scores: pd.DataFrame) -> None:
    known = scores[scores.metric.str.contains("/")].dropna(subset=["value", "low"])
    assert (known.low <= known.value + 1e-9).mean() > 0.99
    assert (known.value <= known.high + 1e-9).mean() > 0.99


def test_wsol_equals_the_tables_own_max_box_acc(scores: pd.DataFrame) -> None:
    by = scores.set_index(["method", "label", "threshold_source", "metric"]).value
    for source in ("fixed", "validation"):
        for metric in ("max_box_acc",):
            assert by["cam", LABELS[0], source, f"wsol/{metric}"] == by["cam", LABELS[0], source, metric]
    assert {"wsol_original/max_box_acc", "wsol_original/max_box_acc_v2"} <= set(scores.metric)


def test_false_positives_are_counted_per_annotated_box_of_any_label(folder: RunFolder, scores: pd.DataFrame) -> None:
    images = pd.read_parquet(folder.root / "ingest" / "images.parquet")
    boxes = pd.read_parquet(folder.root / "ingest" / "annotations.parquet")
    boxes = boxes[boxes["image_id"].isin(images.image_id[images.split == "test"])]
    assert set(boxes["label"]) == set(LABELS)
    rows = scores[scores.metric.isin(["chestxray14/iou_afp", "chestxray14/iobb_afp"]) & scores.label.isin(LABELS)]
    assert set(rows["n"]) == {len(boxes)}
    false_boxes = rows["value"] * len(boxes)
    np.testing.assert_allclose(false_boxes, false_boxes.round(), atol=1e-9)
    whole = rows[(rows.method == "whole_image") & (rows.criterion == 0.9) & (rows.metric == "chestxray14/iou_afp")]
    np.testing.assert_allclose(whole["value"], boxes["image_id"].nunique() / len(boxes))


def test_without_films_there_are_no_rows(tmp_path: Path) -> None:
    made = make_run(tmp_path, LABELS, 30)
    localize.run(settings_of(), made, NullTracker())
    path = made.root / "ingest" / "annotations.parquet"
    pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)
    scores = scores_of(made, protocols=PROTOCOLS, oracle=True)
    assert set(scores[scores.metric.str.contains("/")].metric) <= {
        name for name in scores.metric if name.startswith(("classification/", "promise/"))
    }


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools under NumPy 2
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
    written = json.loads((made.root / "score" / "segmentations-test.json").read_text())
    films = pd.read_parquet(made.root / "ingest" / "images.parquet")
    marked = set(table.image_id[table.label == LABELS[0]]) & set(films.image_id[films.split == "test"])
    assert {image_id for image_id, masks in written.items() if LABELS[0] in masks} == marked
    drawn = {image_id: coco.decode(masks[LABELS[0]]) for image_id, masks in written.items() if LABELS[0] in masks}
    assert all(mask.shape == tuple(sizes.loc[image_id, ["rows", "cols"]]) for image_id, mask in drawn.items())
    truth = dict(zip(table.image_id[table.label == LABELS[0]], np.array(texts)[table.label == LABELS[0]], strict=True))
    ious = []
    for image_id, mask in drawn.items():
        shown = {"size": list(mask.shape), "counts": str(truth[image_id]).encode()}
        ious.append(coco.iou([coco.encode(np.asfortranarray(mask))], [shown], [0])[0, 0])
    assert value["chexlocalize/miou_annotated", "validation"] == pytest.approx(np.mean(ious))
    # all pixels outside the masks of one label are left out: what is left is right; other labels and numbers stay
    left_out = table[table.label == LABELS[0]].assign(kind="ignore", rle="", x0=0.0, y0=0.0, x1=512.0, y1=512.0)
    left_out.to_parquet(made.root / "ingest" / "ignored.parquet", index=False)
    again = scores_of(made, protocols=["wsol", "chexlocalize"], human=human)
    same = ~scores.metric.isin(["wsol/pxap", "wsol_original/pxap"]) | ~scores.label.isin([LABELS[0], "mean"])
    pd.testing.assert_frame_equal(again[same], scores[same])
    pixels = again[(again.metric == "wsol/pxap") & (again.label == LABELS[0])]
    assert pixels.value.tolist() == pytest.approx([1.0] * len(pixels))


def test_the_page_shows_every_protocol_with_the_tables_own_numbers(scored: tuple[pd.DataFrame, str]) -> None:
    scores, page = scored
    rows: dict[tuple[str, str, str], list[Any]] = {}
    for row in scores.itertuples():
        rows.setdefault((row.label, row.method, row.metric), []).append(row)
    for name in PROTOCOLS:
        assert PROTOCOL_TEXTS[name].title in unescape(page)
    assert "Nothing to score: no film of this split has an annotated mask" in page
    by_title = {title: lines for title, lines in PageTables(page).tables if title}
    compared = 0
    for name in PROTOCOLS:
        for table in PROTOCOL_TEXTS[name].tables:
            head, *lines = by_title[table.title]
            columns = {column.title: column for column in table.columns}
            for line in lines:
                label = {"Mean of findings": "mean", "All findings": "all"}.get(line[0], line[0])
                label = "mean without Cardiomegaly" if line[0].startswith("Mean, without") else label
                method = {"centre box": CENTRE_BOX, **{name: key for key, name in BASELINE_NAMES.items()}}.get(
                    line[1].removeprefix("baseline: "), line[1]
                )
                for title, cell in zip(head[3:-1], line[3:-1], strict=True):
                    at = columns[title].criterion
                    fitting = [
                        row.value
                        for row in rows.get((label, method, columns[title].metric), [])
                        if (np.isnan(row.criterion) if at is None else np.isclose(row.criterion, at))
                        and (not line[2] or row.threshold_source == line[2])
                    ]
                    value = fitting[0] if fitting else np.nan
                    assert cell.split("|")[0] == (f"{value:.2f}" if np.isfinite(value) else "–"), (title, line)
                    compared += 1
    assert compared > 200
    headline, probabilities, methods = (lines for _, lines in PageTables(page).tables[:3])
    assert [line[0] for line in headline[2:]] == [*LABELS, "Mean of findings"]
    assert [line[0] for line in probabilities[1:]] == list(LABELS)
    assert not [line for line in methods[1:] if set(line[2:-1]) == {"–"}]
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower()


def test_the_terminal_is_told_of_a_protocol_without_rows(folder: RunFolder) -> None:
    asked = settings_of(wsol_thresholds=100, protocols=["chexlocalize"])
    told = score.run(asked, folder, NullTracker()).figures
    assert told["test: chexlocalize"].startswith("no film of this split has an annotated mask")


def test_the_ceiling_stands_in_the_headline_of_every_page(plain: tuple[pd.DataFrame, str]) -> None:
    scores, page = plain[0], PageTables(plain[1])
    rows = scores[(scores.metric == "ceiling/iou_accuracy") & np.isclose(scores.criterion, 0.3)].set_index("label")
    headline = page.tables[0][1]
    shown = {line[0]: line[-1] for line in headline[2:]}
    for label, name in ((LABELS[0], LABELS[0]), (LABELS[1], LABELS[1]), ("mean", "Mean of findings")):
        assert shown[name].startswith(f"{rows.value[label]:.2f}")


@pytest.mark.untraced
def test_settings_give_the_numbers_of_other_tools(folder: RunFolder, scores: pd.DataFrame) -> None:
    protocols = ["wsol", "detection"]
    changed = scores_of(folder, protocols=protocols, resample="film", wsol_interpolation="bicubic", coco_ious=[0.1])
    key = [*KEYS]
    both = changed.merge(scores, on=key, suffixes=("", "_before"))
    own = both[~both.metric.str.startswith("wsol")]
    pd.testing.assert_series_equal(own["value"], own["value_before"], check_names=False)
    assert (own["low"] != own["low_before"]).any()  # two films per patient: other draws
    assert (both.value != both.value_before)[both.metric.str.startswith("wsol")].any()
    page = (folder.root / "score" / "report.html").read_text(encoding="utf-8")
    films, patients = map(int, re.findall(r"(\d+) films of (\d+) patients", page)[0])
    assert films / 2 <= patients < films  # what is drawn does not change who they are
    assert "95 % intervals by film" in page
    assert "by patient" not in page
    low_iou = changed[(changed.metric == "detection/coco_ap") & (changed.criterion == 0.1)]
    half = changed[(changed.metric == "detection/coco_ap") & (changed.criterion == 0.5)]
    assert len(low_iou) == len(half) > 0
    assert (low_iou["value"].to_numpy() >= half["value"].to_numpy()).all()
