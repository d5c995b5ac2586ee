"""The export stage on drawn films whose boxes the localize stage found."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table, write_table
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.geometry import Box, iou
from camray.domain.records import (
    ANNOTATION_COLUMNS,
    EXPLAINED_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    PREDICTION_COLUMNS,
    Counts,
    StageResult,
)
from camray.io.artifacts import artifacts_of
from camray.reporting.overlays import GAP_PX, PREDICTED_RGB
from camray.stages.export import stage as export
from camray.stages.localize import stage as localize
from tests.scored_run import make_run

LABELS = ("Mass", "Effusion")


@dataclass
class ListeningTracker(NullTracker):
    """Remembers what it was told."""

    told: list[tuple[str, Any]] = field(default_factory=list)
    described: str = ""

    def stage(self, name: str) -> Any:
        return nullcontext()

    def picture(self, path: Path, key: str, step: int = 0) -> None:
        self.told.append(("picture", (path, key, step)))

    def artifact(self, path: Path, folder: str = "") -> None:
        self.told.append(("artifact", path.name))

    def table(self, rows: pd.DataFrame, name: str, picture_column: str | None = None) -> None:
        self.told.append(("table", rows))

    def model(self, files: Sequence[Path], name: str, description: str = "") -> None:
        self.told.append(("model", name))
        self.described = description


def _settings(export_: dict[str, Any] | None = None, **sections: Any) -> Settings:
    sections["localize"] = {"report": "cutoff", **sections.get("localize", {})}  # its logits are chance
    return Settings.model_validate({"name": "drawn", "export": {"max_overlays": 2, **(export_ or {})}, **sections})


@pytest.fixture(scope="module")
def localized(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("runs") / "drawn", LABELS, films=60)
    localize.run(_settings(), folder, NullTracker())
    return folder


@pytest.fixture
def folder(localized: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy to export into."""
    root = tmp_path / "drawn"
    root.mkdir()
    for name in ("ingest", "explain", "localize"):
        (root / name).symlink_to(localized.root / name)
    return RunFolder(root)


def _predictions(folder: RunFolder) -> pd.DataFrame:
    """Calibrated CAM boxes on the test films."""
    table = read_table(folder.root / "localize" / "predictions.parquet", PREDICTION_COLUMNS)
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS)
    wanted = set(images.loc[images["split"] == "test", "image_id"])
    return table[table["threshold_id"].str.startswith("calibrated/cam/") & table["image_id"].isin(wanted)]


def test_the_tables_hold_the_reported_boxes_and_no_other(folder: RunFolder) -> None:
    result = export.run(_settings(), folder, NullTracker())
    told = pd.read_csv(folder.root / "export" / "boxes.csv", dtype={"image_id": str})
    wanted = _predictions(folder)
    wanted = wanted[wanted["reported"] & wanted["x0"].notna()]
    keys = ["image_id", "label", "rank"]
    both = told.merge(wanted, on=keys, suffixes=("", "_wanted"))
    assert len(both) == len(told) == len(wanted) == result.figures["boxes"] > 5
    for corner in ("x0", "y0", "x1", "y1"):
        assert np.array_equal(both[corner], both[corner + "_wanted"])
    assert set(told["threshold_source"]) == {"validation"}
    coco = json.loads((folder.root / "export" / "coco.json").read_text(encoding="utf-8"))
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS)
    assert len(coco["images"]) == (images["split"] == "test").sum() == result.counts.n_in
    assert [category["name"] for category in coco["categories"]] == list(LABELS)
    assert len(coco["annotations"]) == len(told)


def test_everything_is_told_on_request(folder: RunFolder) -> None:
    few = export.run(_settings(), folder, NullTracker()).figures["boxes"]
    everything = export.run(_settings(localize={"report": "all"}), folder, NullTracker()).figures["boxes"]
    assert everything == _predictions(folder)["x0"].notna().sum() > few


def test_a_run_that_trained_has_a_model_card_which_describes_the_registered_model(folder: RunFolder) -> None:
    files, tracker = artifacts_of(folder), ListeningTracker()
    folder.stage("train")
    contract = files.ingest.contract.read()
    network = NetworkSpec(stride=8)
    cells = (contract.rows // 8, contract.cols // 8)
    files.train.contract.write(
        ModelContract(LABELS, contract.rows, contract.cols, "letterbox", 8, network, *cells, "d", 1, "0.2.0")
    )
    files.train.weights.write_bytes(b"weights")
    folder.finish("train", {}, StageResult(Counts(1, 1)))
    export.run(_settings({"formats": ["csv"]}), folder, tracker)
    card = (folder.root / "export" / "card.md").read_text(encoding="utf-8")
    assert tracker.described == card
    assert card.startswith("# Model card: drawn\n")
    assert hashlib.sha256(b"weights").hexdigest() in card
    assert [name for kind, name in tracker.told if kind == "artifact"] == ["boxes.csv", "card.md", "card.html"]
    assert not any(image_id in card for image_id in files.ingest.images.read()["image_id"])


def test_without_calibration_the_fixed_threshold_is_told(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "drawn", LABELS, films=30)
    settings = _settings(localize={"policies": ["fraction_of_max"]})
    localize.run(settings, folder, NullTracker())
    export.run(settings, folder, NullTracker())
    told = pd.read_csv(folder.root / "export" / "boxes.csv")
    assert set(told["threshold_source"]) == {"fixed"}


def test_overlays_show_the_boxes_where_they_are(folder: RunFolder) -> None:
    """The model pixels that a film covers, in true proportions: 96 x 58 and 60 x 64, enlarged to `SIDE_PX` = 384 px."""
    tracker = ListeningTracker()
    export.run(_settings({"max_overlays": 8}), folder, tracker)
    files = sorted((folder.root / "export" / "overlays").glob("*.png"))
    assert len(files) == 8
    (table,) = [told for what, told in tracker.told if what == "table"]
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS).set_index("image_id")
    checked: list[bool] = []
    for row in table.to_dict("records"):
        if not row["prediction"]:
            continue
        x0, y0, x1, y1 = _first_box(row["prediction"])
        is_portrait = images.loc[row["image_id"], "rows"] == 512
        height, width, enlarged, covered_from = (384, 232, 4, 3) if is_portrait else (360, 384, 6, 0)
        scale_x, scale_y, offset_x = (0.15, 0.1875, 3.2) if is_portrait else (0.125, 0.15625, 0.0)
        picture = np.asarray(Image.open(row["overlay"]).convert("RGB"))[:height]
        left = width + GAP_PX
        low, high = _frame(picture)
        across = [(x * scale_x + offset_x - covered_from) * enlarged for x in (x0, x1)]
        down = [y * scale_y * enlarged for y in (y0, y1)]
        assert np.allclose([low[1] - left, high[1] - left], across, atol=1.6)
        assert np.allclose([low[0], high[0]], down, atol=1.6)
        checked.append(is_portrait)
    assert len(checked) >= 4
    assert set(checked) == {True, False}


def _frame(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the end (row, col) of what is drawn in the predictions' colour."""
    drawn = np.argwhere((picture == np.array(PREDICTED_RGB)).all(axis=-1))
    return drawn.min(axis=0), drawn.max(axis=0) + 1


def test_stretched_films_are_drawn_in_true_proportions(localized: RunFolder, tmp_path: Path) -> None:
    """256 x 153.6 mm on 384 x 230 px, 192 x 204.8 mm on 360 x 384; the model grid has other proportions."""
    folder = RunFolder(tmp_path / "stretched")
    shutil.copytree(localized.root, folder.root)
    path = folder.root / "ingest" / "images.parquet"
    images = read_table(path, IMAGE_COLUMNS)
    images["scale_x"], images["scale_y"] = 64 / images["cols"], 96 / images["rows"]
    images["offset_x"] = images["offset_y"] = 0.0
    write_table(path, images, IMAGE_COLUMNS)
    tracker = ListeningTracker()
    contract = artifacts_of(folder).ingest.contract
    contract.write(replace(contract.read(), fit="stretch"))
    export.run(_settings({"max_overlays": 8}), folder, tracker)
    (table,) = [told for what, told in tracker.told if what == "table"]
    shapes = images.set_index("image_id")["rows"]
    checked = []
    for row in table[table["prediction"] != ""].to_dict("records"):
        is_portrait = bool(shapes[row["image_id"]] == 512)
        height, width = (384, 230) if is_portrait else (360, 384)
        rows, cols = (512, 384) if is_portrait else (384, 512)
        low, high = _frame(np.asarray(Image.open(row["overlay"]).convert("RGB"))[:height])
        x0, y0, x1, y1 = _first_box(row["prediction"])
        drawn = [low[1] - width - GAP_PX, high[1] - width - GAP_PX, low[0], high[0]]
        expected = [x0 * width / cols, x1 * width / cols, y0 * height / rows, y1 * height / rows]
        assert np.allclose(drawn, expected, atol=1.6)
        checked.append(is_portrait)
    assert set(checked) == {True, False}


def _first_box(told: str) -> tuple[float, ...]:
    return tuple(float(side) for side in told.split(";")[0].strip("() ").split(","))


def test_the_tracker_gets_cards_a_table_with_iou_and_the_model(folder: RunFolder) -> None:
    tracker = ListeningTracker()
    export.run(_settings({"max_overlays": 10}, track={"overlays": 4}), folder, tracker)
    cards = [told for what, told in tracker.told if what == "picture"]
    assert [(key, step) for _, key, step in cards] == [("overlay", step) for step in range(4)]
    assert [told for what, told in tracker.told if what == "artifact"] == ["boxes.csv", "coco.json", "overlays"]
    assert ("model", "drawn") in tracker.told
    (rows,) = [told for what, told in tracker.told if what == "table"]
    assert len(rows) == 4
    with_both = [row for row in rows.to_dict("records") if row["prediction"] and row["annotation"]]
    assert with_both
    best = _predictions(folder).set_index(["image_id", "label", "rank"])
    annotations = read_table(folder.root / "ingest" / "annotations.parquet", ANNOTATION_COLUMNS)
    for row in with_both:
        found = Box(*(float(best.loc[(row["image_id"], row["label"], 0), side]) for side in ("x0", "y0", "x1", "y1")))
        marks = annotations[(annotations["image_id"] == row["image_id"]) & (annotations["label"] == row["label"])]
        overlaps = [iou(found, Box(*map(float, mark))) for mark in marks[["x0", "y0", "x1", "y1"]].to_numpy()]
        assert row["iou"] == pytest.approx(max(overlaps), abs=1e-4)


def test_a_run_on_new_films_registers_no_model(folder: RunFolder) -> None:
    for settings, run in (
        (_settings(track={"register_model": False}), folder),
        (_settings(), RunFolder(folder.root, trained=folder.root)),
    ):
        tracker = ListeningTracker()
        export.run(settings, run, tracker)
        assert "model" not in {what for what, _ in tracker.told}


def test_twice_gives_the_same_bytes(folder: RunFolder) -> None:
    def bytes_of() -> dict[str, bytes]:
        export.run(_settings(), folder, NullTracker())
        target = folder.root / "export"
        return {
            str(path.relative_to(target)): path.read_bytes() for path in sorted(target.rglob("*")) if path.is_file()
        }

    assert bytes_of() == bytes_of()


@pytest.mark.parametrize(
    ("asked", "files"),
    [
        ({"formats": ["csv"]}, {"boxes.csv"}),
        ({"formats": ["coco"]}, {"coco.json"}),
        ({"formats": ["labelstudio"]}, {"labelstudio.json", "labelstudio.xml"}),
        ({"formats": []}, set()),
        ({"formats": ["overlays"], "max_overlays": 0}, set()),
        ({"splits": ["nowhere"]}, {"boxes.csv", "coco.json"}),
    ],
)
def test_only_what_was_asked_for(folder: RunFolder, asked: dict[str, Any], files: set[str]) -> None:
    export.run(_settings(asked), folder, NullTracker())
    assert {path.name for path in (folder.root / "export").rglob("*") if path.is_file()} == files


def test_ids_never_choose_where_we_write(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "deep" / "runs" / "drawn", LABELS, films=20)
    for stage, name, columns in (
        ("ingest", "images", IMAGE_COLUMNS),
        ("ingest", "labels", LABEL_COLUMNS),
        ("ingest", "annotations", ANNOTATION_COLUMNS),
        ("explain", "images", EXPLAINED_COLUMNS),
    ):
        path = folder.root / stage / f"{name}.parquet"
        table = read_table(path, columns)
        table["image_id"] = "../../../" + table["image_id"] + "/x"
        write_table(path, table, columns)
    settings = _settings({"splits": ["train", "validation", "test"], "max_overlays": 64})
    localize.run(settings, folder, NullTracker())
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    export.run(settings, folder, NullTracker())
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    explained = read_table(folder.root / "explain" / "images.parquet", EXPLAINED_COLUMNS)
    assert len(written) == len(explained) + 2 > 5
    assert all(path.is_relative_to(folder.root / "export") for path in written)
