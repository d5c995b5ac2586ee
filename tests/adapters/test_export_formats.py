import contextlib
import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from camray.adapters.datasets.markup import voc_cells
from camray.adapters.export_formats import BOX_COLUMNS, write_boxes_csv, write_coco, write_label_studio, write_voc
from camray.adapters.review.decisions import read_decisions
from camray.domain.errors import ExportError

IMAGES = pd.DataFrame(
    {"image_id": ["1.2", "1.3"], "source": ["a/1.dcm", "b.png"], "rows": [2048, 512], "cols": [1024, 256]}
)
LABELS = ("Mass", "Effusion, left")


def _boxes(**changes: object) -> pd.DataFrame:
    row = {
        "image_id": "1.3",
        "file": "b.png",
        "label": "Effusion, left",
        "probability": 0.75,
        "x0": 10.5,
        "y0": 20.0,
        "x1": 30.5,
        "y1": 60.0,
        "score": 1.25,
        "method": "cam",
        "threshold_id": "calibrated/cam/x",
        "threshold_source": "validation",
        "rank": 0,
        "zone": "left lower",
    }
    return pd.DataFrame([{**row, **changes}])


def test_csv_comes_back_as_it_went(tmp_path: Path) -> None:
    boxes = _boxes(x0=1 / 3)
    write_boxes_csv(tmp_path / "boxes.csv", boxes.assign(further=1))
    with (tmp_path / "boxes.csv").open(encoding="utf-8", newline="") as stream:
        (back,) = csv.DictReader(stream)
    assert list(back) == list(BOX_COLUMNS)
    assert {key: type(value)(back[key]) for key, value in boxes.to_dict("records")[0].items()} == boxes.iloc[
        0
    ].to_dict()


def test_csv_without_boxes_has_its_header(tmp_path: Path) -> None:
    write_boxes_csv(tmp_path / "boxes.csv", _boxes().iloc[:0])
    assert (tmp_path / "boxes.csv").read_text(encoding="utf-8") == ",".join(BOX_COLUMNS) + "\n"


def test_coco_by_hand(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco.json", IMAGES, _boxes(), LABELS)
    found = json.loads((tmp_path / "coco.json").read_text(encoding="utf-8"))
    assert found["images"] == [
        {"id": 1, "file_name": "a/1.dcm", "width": 1024, "height": 2048, "film": "1.2"},
        {"id": 2, "file_name": "b.png", "width": 256, "height": 512, "film": "1.3"},
    ]
    assert found["categories"] == [{"id": 1, "name": "Mass"}, {"id": 2, "name": "Effusion, left"}]
    (box,) = found["annotations"]
    assert (box["image_id"], box["category_id"], box["iscrowd"]) == (2, 2, 0)
    assert box["bbox"] == [10.5, 20.0, 20.0, 40.0]
    assert box["area"] == 800.0
    assert box["attributes"] == {"zone": "left lower"}
    assert box["probability"] == 0.75


def test_coco_has_no_null(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco.json", IMAGES, _boxes(probability=float("nan")), LABELS)
    text = (tmp_path / "coco.json").read_text(encoding="utf-8")
    assert "null" not in text
    assert "NaN" not in text
    assert "probability" not in json.loads(text)["annotations"][0]


def test_pycocotools_reads_it_and_finds_no_box_on_a_negative(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    write_coco(tmp_path / "coco.json", IMAGES, _boxes(), LABELS)
    with contextlib.redirect_stdout(io.StringIO()):
        read = coco.COCO(str(tmp_path / "coco.json"))
    assert sorted(read.getImgIds()) == [1, 2]
    assert read.getAnnIds(imgIds=[1]) == []
    assert [box["bbox"] for box in read.loadAnns(read.getAnnIds(imgIds=[2], catIds=[2]))] == [[10.5, 20.0, 20.0, 40.0]]


def test_all_negative_is_a_valid_file(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco.json", IMAGES, _boxes().iloc[:0], LABELS)
    found = json.loads((tmp_path / "coco.json").read_text(encoding="utf-8"))
    assert len(found["images"]) == 2
    assert found["annotations"] == []


@pytest.mark.parametrize("corners", [{"x1": 10.5}, {"y1": 19.0}, {"x0": float("nan")}])
def test_what_is_no_box_is_refused(tmp_path: Path, corners: dict[str, float]) -> None:
    with pytest.raises(ExportError, match="no positive width"):
        write_coco(tmp_path / "coco.json", IMAGES, _boxes(**corners), LABELS)
    with pytest.raises(ExportError, match="no positive width"):
        write_boxes_csv(tmp_path / "boxes.csv", _boxes(**corners))


@pytest.mark.parametrize("stray", [{"image_id": "9.9"}, {"label": "Unknown"}])
def test_a_box_of_no_film_or_label_is_refused(tmp_path: Path, stray: dict[str, str]) -> None:
    with pytest.raises(ExportError, match="not listed"):
        write_coco(tmp_path / "coco.json", IMAGES, _boxes(**stray), LABELS)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="score"):
        write_boxes_csv(tmp_path / "boxes.csv", _boxes().drop(columns="score"))


def test_label_studio_reads_back_as_the_same_boxes(tmp_path: Path) -> None:
    """A reader who accepts all predictions exports them as annotations: they are our boxes."""
    write_label_studio(tmp_path / "ls.json", IMAGES, _boxes(x0=1 / 3), LABELS)
    tasks = json.loads((tmp_path / "ls.json").read_text(encoding="utf-8"))
    assert [task["data"] for task in tasks] == [
        {"image": "1.2.png", "image_id": "1.2", "file": "a/1.dcm"},
        {"image": "1.3.png", "image_id": "1.3", "file": "b.png"},
    ]
    (result,) = tasks[1]["predictions"][0]["result"]
    assert (result["original_width"], result["original_height"]) == (256, 512)
    assert result["value"]["y"] == 100 * 20 / 512
    assert (result["from_name"], result["to_name"], result["type"]) == ("label", "image", "rectanglelabels")
    for task in tasks:
        task["annotations"] = [{"completed_by": 7, "result": task["predictions"][0]["result"]}]
    (tmp_path / "done.json").write_text(json.dumps(tasks), encoding="utf-8")
    read = read_decisions(tmp_path / "done.json", LABELS)
    (marked,) = [decision for decision in read.decisions if decision.boxes]
    assert (marked.image_id, marked.label) == ("1.3", "Effusion, left")
    assert marked.boxes[0].as_tuple() == pytest.approx((1 / 3, 20.0, 30.5, 60.0), abs=1e-9)
    view = ElementTree.parse(tmp_path / "ls.xml")
    assert [each.get("value") for each in view.iter("Label")] == list(LABELS)
    assert view.find("Image").get("value") == "$image"  # type: ignore[union-attr]


def test_label_studio_fits_its_schema(tmp_path: Path) -> None:
    """What Label Studio's import asks of a rectangle: all sides there, and within 0 to 100."""
    write_label_studio(tmp_path / "ls.json", IMAGES, _boxes(x0=0.0, y0=0.0, x1=256.0, y1=512.0), LABELS)
    for task in json.loads((tmp_path / "ls.json").read_text(encoding="utf-8")):
        assert set(task) == {"data", "predictions"}
        for result in task["predictions"][0]["result"]:
            value = result["value"]
            assert set(value) == {"x", "y", "width", "height", "rotation", "rectanglelabels"}
            assert all(0 <= value[side] <= 100 for side in ("x", "y", "width", "height"))
            assert value["x"] + value["width"] <= 100


def test_voc_reads_back_as_the_same_boxes(tmp_path: Path) -> None:
    write_voc(tmp_path / "voc", IMAGES, _boxes(x0=1 / 3), LABELS, {"1.2": "1.2", "1.3": "b"})
    cells = voc_cells(tmp_path / "voc" / "Annotations")
    (row,) = cells.to_dict("records")
    assert (row["stem"], row["width"], row["height"], row["name"]) == ("b", "256", "512", "Effusion, left")
    assert [float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")] == [1 / 3, 20.0, 30.5, 60.0]
    assert (tmp_path / "voc" / "Annotations" / "1.2.xml").is_file()  # looked at, nothing found
    assert (tmp_path / "voc" / "ImageSets" / "Main" / "default.txt").read_text(encoding="utf-8") == "1.2\nb\n"


@pytest.mark.parametrize("changes", [{"image_id": "9.9"}, {"label": "Unheard of"}])
def test_the_other_forms_lose_no_box_either(changes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="not listed"):
        write_label_studio(tmp_path / "ls.json", IMAGES, _boxes(**changes), LABELS)
    with pytest.raises(ExportError, match="not listed"):
        write_voc(tmp_path / "voc", IMAGES, _boxes(**changes), LABELS, {"1.2": "a", "1.3": "b"})


def test_label_with_line_break(tmp_path: Path) -> None:
    labels = ["Mass\n(left)", "Mass (left)", "Opacity: right", "#1 nodule"]
    boxes = pd.concat([_boxes().iloc[:1].assign(label=label) for label in labels])
    write_voc(tmp_path, IMAGES, boxes, labels, {"1.2": "a", "1.3": "b"})
    lines = (tmp_path / "labelmap.txt").read_text().splitlines()
    named = [line.split(":")[0] for line in lines if not line.startswith("#")]
    assert named == ["Mass (left)_", "Mass (left)", "Opacity_ right", "_1 nodule"]
    assert "# _1 nodule stands for '#1 nodule'" in lines
    written = [ElementTree.parse(path) for path in (tmp_path / "Annotations").glob("*.xml")]
    assert sorted(item.text or "" for tree in written for item in tree.iter("name")) == sorted(named)


def test_names_of_findings_break_no_file(tmp_path: Path) -> None:
    labels = ("=1+1", "a<b>&\"c'", "line\x0bfeed\x00", "x]]>")
    for label in labels:
        write_boxes_csv(tmp_path / "boxes.csv", _boxes(label=label))
        with (tmp_path / "boxes.csv").open(encoding="utf-8", newline="") as stream:
            (row,) = csv.DictReader(stream)
        assert not row["label"].startswith("=")
        write_voc(tmp_path / "voc", IMAGES, _boxes(label=label), labels, {"1.2": "a", "1.3": "b"})
        write_label_studio(tmp_path / "tasks.json", IMAGES, _boxes(label=label), labels)
        for path in (tmp_path / "voc" / "Annotations" / "b.xml", tmp_path / "tasks.xml"):
            ElementTree.parse(path)
