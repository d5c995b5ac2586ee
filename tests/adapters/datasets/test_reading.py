"""Tables of every form to labels and boxes, worked by hand; faults in one report."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.reading import Dataset, read_tables, survey_tables
from camray.adapters.datasets.split_lists import read_split_lists
from camray.adapters.datasets.table_paths import TablePaths, table_paths
from camray.domain.errors import AnnotationError, ManifestError
from camray.domain.labels import Finding

ABOUT = {"name": "x", "title": "t", "licence": "l", "citation": "c", "how_to_obtain": "h"}
CORNERS = {"file": "b.csv", "key": "id", "label": "label", "corners": ["x0", "y0", "x1", "y1"]}
SIZES = np.array([[100, 50], [200, 100], [512, 512]])


def _manifest(**parts: object) -> Manifest:
    return Manifest.model_validate({**ABOUT, "labels": [{"name": "A"}, {"name": "B"}], **parts})


def _films(*sources: str) -> FilmIndex:
    names = sources or ("d/f0.dcm", "d/f1.dcm", "f2.png")
    ids = pd.Series([f"i{k}" for k in range(len(names))])
    return FilmIndex(ids, pd.Series(list(names)), np.ones(len(names), bool))


def _read(
    tmp_path: Path,
    manifest: Manifest,
    labels: str | None = None,
    boxes: str | None = None,
    fixed: tuple[Finding, ...] = (),
) -> Dataset:
    paths = []
    for name, text in (("l.csv", labels), ("b.csv", boxes)):
        if text is not None:
            (tmp_path / name).write_text(text)
        paths.append(None if text is None else tmp_path / name)
    return read_tables(manifest, TablePaths(*paths), _films(), SIZES, fixed)


WIDE = {"label_table": {"file": "l.csv", "key": "id"}}


def test_a_wide_table_keeps_absent_uncertain_and_unknown_apart(tmp_path: Path) -> None:
    data = _read(tmp_path, _manifest(**WIDE), "id,A,B\ni0,1,0\ni1,-1.0,\ni2,0.0,YES\n")
    assert data.labels.values.tolist() == [[1, 0], [2, -1], [0, 1]]
    assert data.labels.in_table.all()


def test_a_film_without_a_row_is_not_in_the_table(tmp_path: Path) -> None:
    data = _read(tmp_path, _manifest(**WIDE), "id,A,B\ni1,1,0\n")
    assert data.labels.values.tolist() == [[-1, -1], [1, 0], [-1, -1]]
    assert data.labels.in_table.tolist() == [False, True, False]


def test_derived_labels_are_any_of_their_parts(tmp_path: Path) -> None:
    labels = [{"name": "A"}, {"name": "B"}, {"name": "Any", "any_of": ["A", "B"]}, {"name": "Two", "any_of": ["Any"]}]
    boxes = "id,label,x0,y0,x1,y1\ni0,B,1,2,3,4\n"
    data = _read(
        tmp_path, _manifest(labels=labels, box_table=CORNERS, **WIDE), "id,A,B\ni0,0,1\ni1,0,0\ni2,0,\n", boxes
    )
    assert data.labels.values[:, 2].tolist() == [1, 0, -1]
    assert data.labels.values[:, 3].tolist() == [1, 0, -1]
    assert data.boxes["label"].tolist() == [1, 2, 3]
    assert (data.boxes[["x0", "y0", "x1", "y1"]] == [1, 2, 3, 4]).all(axis=None)


def test_an_uncertain_part_gives_no_information(tmp_path: Path) -> None:
    labels = [{"name": "A"}, {"name": "B"}, {"name": "Any", "any_of": ["A", "B"]}]
    data = _read(tmp_path, _manifest(labels=labels, **WIDE), "id,A,B\ni0,-1,0\ni1,-1,1\n")
    assert data.labels.values[:2, 2].tolist() == [-1, 1]


def test_a_joined_column_makes_everything_else_absent(tmp_path: Path) -> None:
    table = {"file": "l.csv", "key": "id", "form": "joined", "column": "found", "nothing": ["None"]}
    data = _read(tmp_path, _manifest(label_table=table), "id,found\ni0,A|b\ni1,None\ni2,B\n")
    assert data.labels.values.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_one_class_a_row_adds_up(tmp_path: Path) -> None:
    table = {"file": "l.csv", "key": "id", "form": "one_class", "column": "found", "nothing": ["None"]}
    data = _read(tmp_path, _manifest(label_table=table), "id,found\ni0,B\ni0,A\ni0,A\ni1,None\n")
    assert data.labels.values.tolist() == [[1, 1], [0, 0], [-1, -1]]


def test_repeated_rows_that_agree_count_once_and_boxes_come_from_the_same_table(tmp_path: Path) -> None:
    label_table = {"file": "l.csv", "key": "id", "key_is": "stem", "repeats": True, "ignore": ["x", "y", "w", "h"]}
    box_table = {
        "file": "l.csv",
        "key": "id",
        "key_is": "stem",
        "constant": "A",
        "size": ["x", "y", "w", "h"],
        "empty": "skip",
        "ignore": ["T"],
    }
    labels = [{"name": "A", "column": "T"}]
    text = "id,x,y,w,h,T\nf0,1,2,10,20,1\nf0,5,5,5,5,1\nf1,,,,,0\n"
    data = _read(tmp_path, _manifest(labels=labels, label_table=label_table, box_table=box_table), text, text)
    assert data.labels.values[:, 0].tolist() == [1, 0, -1]
    assert data.boxes[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[1, 2, 11, 22], [5, 5, 10, 10]]
    assert data.report.faults == []


def test_boxes_on_a_fixed_frame_are_scaled_to_each_film(tmp_path: Path) -> None:
    boxes = {**CORNERS, "frame": [1000, 1000]}
    text = "id,label,x0,y0,x1,y1\ni0,A,100,100,500,900\ni2,A,0,0,1000,1000\n"
    data = _read(tmp_path, _manifest(box_table=boxes), boxes=text)
    assert data.boxes[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[5, 10, 25, 90], [0, 0, 512, 512]]


def test_inclusive_corners_become_half_open(tmp_path: Path) -> None:
    data = _read(
        tmp_path, _manifest(box_table={**CORNERS, "inclusive": True}), boxes="id,label,x0,y0,x1,y1\ni0,A,3,4,3,4\n"
    )
    assert data.boxes[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[3, 4, 4, 5]]


def test_a_box_says_that_its_label_is_present_where_the_table_is_silent(tmp_path: Path) -> None:
    boxes = "id,label,x0,y0,x1,y1\ni0,B,1,1,5,5\ni1,A,1,1,5,5\n"
    data = _read(tmp_path, _manifest(box_table=CORNERS, **WIDE), "id,A,B\ni0,0,\ni1,0,0\n", boxes)
    assert data.labels.values[:2].tolist() == [[0, 1], [0, 0]]
    assert "marks as absent" in data.report.faults[0].what


def test_overhang_is_clipped_and_counted_beyond_one_pixel(tmp_path: Path) -> None:
    text = "id,label,x0,y0,x1,y1\ni0,A,-0.9,0,50.9,100\ni0,B,-3,-4,10,10\n"
    data = _read(tmp_path, _manifest(box_table=CORNERS), boxes=text)
    assert data.boxes[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[0, 0, 50, 100], [0, 0, 10, 10]]
    assert [(fault.count, fault.lines) for fault in data.report.faults] == [(1, (3,))]


def test_one_report_lists_all_faults_of_both_tables(tmp_path: Path) -> None:
    labels = "id,A,B,extra\ni0,1,0,q\ni0,0,0,q\ni1,maybe,0,q\n,1,1,q\nnowhere,1,1,q\n"
    boxes = "id,label,x0,y0,x1,y1\ni0,A,5,5,1,9\ni0,A,x,1,2,3\ni0,C,1,1,2,2\ni0,B,60,1,70,5\ni0,B,1,1,inf,2\n"
    with pytest.raises(ManifestError) as caught:
        _read(tmp_path, _manifest(box_table=CORNERS, **WIDE), labels, boxes)
    told = str(caught.value)
    for part in (
        "contradict each other on 'A'",
        "'A' has values other than",
        "(line 4)",
        "rows without a film (line 5)",
        "inverted",
        "not finite numbers (line 3, 6)",
        "not in the manifest (line 4)",
        "entirely outside their film",
        "unknown columns, not used: 'extra'",
        "duplicate keys (line 3)",
        "rows without a film under the root (line 6)",
    ):
        assert part in told
    assert "nowhere" not in told  # a key may be an identifier


def test_faults_of_boxes_alone_are_an_annotation_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"b\.csv"):
        _read(tmp_path, _manifest(box_table=CORNERS), boxes="id,label,x0,y0,x1,y1\ni0,A,5,5,5,9\n")


def test_a_missing_label_column_stops_unless_the_labels_are_another_runs(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no column for the label 'B'"):
        _read(tmp_path, _manifest(**WIDE), "id,A\ni0,1\n")
    data = _read(tmp_path, _manifest(**WIDE), "id,A\ni0,1\n", fixed=(Finding("B"), Finding("A")))
    assert data.labels.values[0].tolist() == [-1, 1]
    assert [finding.name for finding in data.findings] == ["B", "A"]


def test_auto_labels_are_the_columns_of_zeros_and_ones_and_the_boxes_names(tmp_path: Path) -> None:
    manifest = _manifest(
        labels="auto", label_table={"file": "l.csv", "key": ["image_id", "id"], "key_is": "any"}, box_table=CORNERS
    )
    labels = "id,Mass,age,remark,empty\nf0,1,61,fine,\nf2.png,0,7,,\n"
    data = _read(tmp_path, manifest, labels, "id,label,x0,y0,x1,y1\ni1,Cyst,1,1,2,2\n")
    assert [finding.name for finding in data.findings] == ["Mass", "Cyst"]
    assert data.labels.values.tolist() == [[1, -1], [-1, 1], [0, -1]]
    told = [fault.what for fault in data.report.faults]
    assert told == ["no column for the label 'Cyst'", "unknown columns, not used: 'age', 'remark', 'empty'"]


def test_films_are_found_by_id_path_file_name_and_stem() -> None:
    films = _films("a/f0.dcm", "b/f1.dcm", "c/f0.dcm")
    keys = pd.Series(["i1", "c/f0.dcm", "f1.dcm", "f1", "f0", "none"])
    assert films.match(keys, "any").tolist() == [1, 2, 1, 1, -2, -1]  # f0 fits two
    assert films.match(keys, "image_id").tolist() == [1, -1, -1, -1, -1, -1]


def test_refused_films_are_known_but_lose_against_usable_ones() -> None:
    films = FilmIndex(pd.Series(["x", "x", "y"]), pd.Series(["a", "b", "c"]), np.array([False, True, False]))
    assert films.match(pd.Series(["x", "y"]), "image_id").tolist() == [1, 2]


def test_compressed_tables_and_their_plain_twins_are_found(tmp_path: Path) -> None:
    manifest = _manifest(label_table={"file": "l.csv.gz", "key": "id"})
    (tmp_path / "l.csv").write_text("id,A,B\ni0,1,0\n")
    assert table_paths(manifest, tmp_path, None, None, own=True).labels == tmp_path / "l.csv"
    (tmp_path / "l.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfid,A,B\ni0,0,1\n"))  # with a byte order mark
    paths = table_paths(manifest, tmp_path, None, None, own=True)
    assert paths.labels == tmp_path / "l.csv.gz"
    assert read_tables(manifest, paths, _films(), SIZES).labels.values[0].tolist() == [0, 1]


def test_a_table_that_is_needed_and_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such label table"):
        table_paths(_manifest(**WIDE), tmp_path, None, None, own=True)
    with pytest.raises(ManifestError, match="no such table"):
        table_paths(_manifest(**WIDE), tmp_path, tmp_path / "other.csv", None, own=False)
    assert table_paths(_manifest(**WIDE), tmp_path, None, None, own=False) == TablePaths(None, None)
    (tmp_path / "l.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_tables(_manifest(**WIDE), TablePaths(tmp_path / "l.csv", None), _films(), SIZES)


def test_patient_view_and_sex_come_from_the_table(tmp_path: Path) -> None:
    table = {
        "file": "l.csv",
        "key": "id",
        "patient_id": "pid",
        "view": "v",
        "sex": "s",
        "age": "y",
        "site": "h",
        "split": "fold",
    }
    data = _read(tmp_path, _manifest(label_table=table), "id,A,B,pid,v,s,y,h,fold\ni1,1,0,7,AP,F,61,north,dev\n")
    assert data.labels.facts.loc[1].tolist() == ["7", "AP", "F", "61", "north", "dev"]
    assert data.labels.facts.loc[0].tolist() == [""] * 6
    assert "pid" not in repr(data)


def test_official_lists_name_splits_and_may_not_overlap(tmp_path: Path) -> None:
    manifest = _manifest(
        label_table={"file": "l.csv", "key": "id", "key_is": "file_name"}, splits={"train": "a.txt", "test": "b.txt"}
    )
    (tmp_path / "a.txt").write_text("f0.dcm\nelsewhere.dcm\n")
    (tmp_path / "b.txt").write_text("f1.dcm\n\n")
    assert read_split_lists(manifest, tmp_path, _films()).tolist() == ["train", "test", ""]
    (tmp_path / "b.txt").write_text("f0.dcm\n")
    with pytest.raises(ManifestError, match="another official list"):
        read_split_lists(manifest, tmp_path, _films())
    (tmp_path / "b.txt").unlink()
    with pytest.raises(ManifestError, match="no such split list"):
        read_split_lists(manifest, tmp_path, _films())
    with pytest.raises(ManifestError, match="no official split"):
        read_split_lists(_manifest(), tmp_path, _films())


def test_regions_to_ignore_annotate_nothing_and_imply_nothing(tmp_path: Path) -> None:
    manifest = _manifest(box_table={**CORNERS, "kind": "what"}, label_table={"file": "l.csv", "key": "id"})
    boxes = "id,label,x0,y0,x1,y1,what\ni0,A,0,0,10,10,\ni1,A,1,2,3,4,Ignore\ni2,B,0,0,5,5,box\n"
    data = _read(tmp_path, manifest, "id,A,B\ni0,,\ni1,,\ni2,,\n", boxes)
    assert data.boxes[["film", "label"]].to_numpy().tolist() == [[0, 0], [2, 1]]
    assert data.ignored[["film", "label", "x0", "y1"]].to_numpy().tolist() == [[1, 0, 1.0, 4.0]]
    assert data.labels.values.tolist() == [[1, -1], [-1, -1], [-1, 1]]
    assert not data.report.faults


def test_faults_of_regions_to_ignore_are_faults(tmp_path: Path) -> None:
    manifest = _manifest(box_table={**CORNERS, "kind": "what"})
    with pytest.raises(AnnotationError, match=r"inverted.*line 2"):
        _read(tmp_path, manifest, None, "id,label,x0,y0,x1,y1,what\ni0,A,10,0,0,10,ignore\n")


def _folder(tmp_path: Path, labels: str, boxes: str | None = None, kind: str = "csv") -> Dataset:
    (tmp_path / "labels.csv").write_text(labels)
    if boxes is not None:
        (tmp_path / f"boxes.{kind}").write_text(boxes)
    paths = TablePaths(tmp_path / "labels.csv", None if boxes is None else tmp_path / f"boxes.{kind}")
    return read_tables(load_manifest("folder"), paths, _films(), SIZES)


LABELS = "file_name,A\nf0.dcm,1\nf1.dcm,0\nf2.png,1\n"
BOX_HEADER = "file_name,label,x0,y0,x1,y1\n"


@pytest.mark.parametrize(
    "rows",
    [
        "f0.dcm,A,0.1,0.2,0.4,0.5\nf2.png,A,0,0,1,1\n",
        "f0.dcm,A,0.1,0.2,0.4,0.5\nf2.png,A,10,20,40,50\n",
        "f0.dcm,A,-0.001,0.2,1.001,0.5\n",
    ],
)
def test_boxes_normalised(tmp_path: Path, rows: str) -> None:
    with pytest.raises(AnnotationError, match=r"all numbers of the box are in 0-1.*line 2"):
        _folder(tmp_path, LABELS, BOX_HEADER + rows)


def test_boxes_normalised_in_other_forms(tmp_path: Path) -> None:
    rules = {"file": "b.csv", "key": "id", "label": "label", "size": ["x", "y", "w", "h"], "frame": ["r", "c"]}
    text = "id,label,x,y,w,h,r,c\ni0,A,0.5,0.5,0.2,0.3,100,50\n"
    with pytest.raises(AnnotationError, match="all numbers of the box are in 0-1"):
        _read(tmp_path, _manifest(box_table=rules), None, text)


def test_a_small_box_in_px_at_the_corner_is_legal(tmp_path: Path) -> None:
    data = _folder(tmp_path, LABELS, BOX_HEADER + "f0.dcm,A,0,0,1,1\nf2.png,A,0.5,0.5,1.5,2\n")
    assert len(data.boxes) == 2


def test_tables(tmp_path: Path) -> None:
    labels = "Filename;Tuberculosis\nf0.dcm;Yes\nf1.dcm;no\nf2.png;TRUE\n"
    boxes = "Filename;Label;X0;Y0;X1;Y1\nf0.dcm;tuberculosis;1,5;2;30,25;40\n"
    data = _folder(tmp_path, labels, boxes)
    assert data.labels.values[:, 0].tolist() == [1, 0, 1]
    assert data.boxes[["film", "x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[0, 1.5, 2, 30.25, 40]]
    assert str(data.report.faults[0]) == "  labels.csv: columns read in another spelling: 'Filename' as 'filename'"


def test_a_comma_that_may_separate_thousands_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="not finite numbers"):
        _folder(tmp_path, LABELS, BOX_HEADER + 'f2.png,A,1,2,"1,024",40\n')


def test_a_nameless_column_of_row_numbers_is_no_label(tmp_path: Path) -> None:
    data = _folder(tmp_path, ",file_name,A\n0,f0.dcm,1\n1,f1.dcm,0\n")
    assert [finding.name for finding in data.findings] == ["A"]


def test_missing_columns_are_told_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no column 'x0'.*the columns are 'file_name', 'label', 'x', 'y'"):
        _folder(tmp_path, LABELS, "file_name,label,x,y,w,h\nf0.dcm,A,1,2,3,4\n")
    with pytest.raises(ManifestError, match=r"for the film; the columns are 'picture', 'A'"):
        _folder(tmp_path, "picture,A\nf0.dcm,1\n")


def test_near_names_of_columns_and_findings(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no column .* for the film; did you mean 'flie_name'\?"):
        _folder(tmp_path, "flie_name,A\nf0.dcm,1\n")
    with pytest.raises(ManifestError, match=r"no column for the label 'A_long'; did you mean 'A_lonq'\?"):
        _read(tmp_path, _manifest(**WIDE | {"labels": [{"name": "A_long"}]}), "id,A_lonq\ni0,1\n")
    boxes = "id,lable,x0,y0,x1,y1\ni0,A,1,1,2,2\n"
    with pytest.raises(AnnotationError, match=r"no column 'label' with the names .*; did you mean 'lable'"):
        _read(tmp_path, _manifest(box_table=CORNERS), boxes=boxes)
    boxes = "id,label,x00,y0,x1,y1\ni0,A,1,1,2,2\n"
    with pytest.raises(AnnotationError, match=r"no column 'x0' with the corners; did you mean 'x00'"):
        _read(tmp_path, _manifest(box_table=CORNERS), boxes=boxes)


def test_the_first_key_column_that_names_films_is_taken(tmp_path: Path) -> None:
    data = _folder(tmp_path, "image_id,file_name,A\n1,f0.dcm,1\n2,f1.dcm,0\n")
    assert data.labels.in_table.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [], "categories": [], "annotations": [{"image_id": 1, "category_id": 1}]}', "1 annotation"),
        ('{"images": [{"id": 1}], "categories": [], "annotations": 3}', "cannot be read as COCO"),
        ("[]", "its JSON is a list; expected COCO"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"f0": 3}', "cannot be read as masks"),
    ],
)
def test_json_that_is_no_table_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        _folder(tmp_path, LABELS, content, "json")


def _coco(*images: tuple[str, int, int]) -> str:
    listed = [{"id": name, "file_name": name, "width": cols, "height": rows} for name, rows, cols in images]
    boxes = [{"image_id": image["id"], "category_id": 1, "bbox": [5, 10, 10, 20]} for image in listed]
    return json.dumps({"images": listed, "categories": [{"id": 1, "name": "A"}], "annotations": boxes})


def test_boxes_drawn_on_another_size_are_scaled_and_told_once(tmp_path: Path) -> None:
    text = _coco(
        ("f0.dcm", 50, 25), ("f1.dcm", 400, 201), ("f2.png", 512, 512)
    )  # films of 100 x 50, 200 x 100, 512 x 512 px
    data = _folder(tmp_path, LABELS, text, "json")
    corners = data.boxes.sort_values("film")[["x0", "y0", "x1", "y1"]].to_numpy()
    np.testing.assert_allclose(corners[[0, 2]], [[10, 20, 30, 60], [5, 10, 15, 30]])
    assert [(fault.what, fault.count, fault.stops) for fault in data.report.faults if "size" in fault.what] == [
        ("boxes of 2 film(s) were drawn on an image of another size; scaled by 0.4975 to 2", 2, False)
    ]


def test_boxes_drawn_on_another_shape_are_refused(tmp_path: Path) -> None:
    for image in (("f1.dcm", 100, 200), ("f1.dcm", 100, 53)):  # turned, and 3 px wider
        with pytest.raises(AnnotationError, match=r"drawn on an image of another shape.*line"):
            _folder(tmp_path, LABELS, _coco(("f0.dcm", 100, 50), image), "json")
    assert len(_folder(tmp_path, LABELS, _coco(("f0.dcm", 100, 50), ("f1.dcm", 100, 52)), "json").boxes) == 2


def test_voc_and_masks_are_read_without_a_manifest_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "voc").mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>21</xmax><ymax>42</ymax></bndbox>"
    size = "<size><width>25</width><height>50</height></size>"
    text = f"<annotation>{size}<object><name>A</name>{box}</object></annotation>"
    (tmp_path / "voc" / "f0.xml").write_text(text)
    (tmp_path / "labels.csv").write_text(LABELS)
    paths = TablePaths(tmp_path / "labels.csv", tmp_path / "voc")
    boxes = read_tables(load_manifest("folder"), paths, _films(), SIZES).boxes
    assert boxes[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[2, 4, 42, 84]]
    data = _folder(
        tmp_path, LABELS, '{"f0": {"img_size": [100, 50], "A": [[[2, 4], [2, 20], [12, 20], [12, 4]]]}}', "json"
    )
    assert data.boxes[["film", "x0", "y0"]].to_numpy().tolist() == [[0, 2, 4]]


def test_label_with_line_break(tmp_path: Path) -> None:
    labels = 'file_name,"Mass\n(left)"\nf0.dcm,1\nf1.dcm,0\nf2.png,1\n'
    data = _folder(tmp_path, labels, BOX_HEADER + 'f0.dcm,"mass\n(left)",10,20,30,40\n')
    assert [finding.name for finding in data.findings] == ["Mass (left)"]
    assert data.boxes["label"].tolist() == [0]


def test_labels_that_differ_in_case_alone_stop(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="labels that differ in case alone: 'Mass', 'mass'"):
        _folder(tmp_path, "file_name,Mass,mass\nf0.dcm,1,0\n")


def test_boxes_in_per_cent_give_a_note(tmp_path: Path) -> None:
    rows = "".join(f"f2.png,A,{x},10,{x + 20},60\n" for x in (5, 15, 25, 60))
    notes = [fault.what for fault in _folder(tmp_path, LABELS, BOX_HEADER + rows).report.faults]
    assert notes == ["all numbers are in 0-100 on films of more than 400 px: per cent of the sides? expected px"]
    assert not _folder(tmp_path, LABELS, BOX_HEADER + rows + "f2.png,A,5,10,200,60\n").report.faults


PATIENTS = {"file": "p.csv", "key": "id", "key_is": "stem", "patient_id": "who"}


def _read_with_patients(tmp_path: Path, text: str | None) -> Dataset:
    if text is not None:
        (tmp_path / "p.csv").write_text(text)
    (tmp_path / "l.csv").write_text("id,A,B\nf0,0,1\nf1,0,0\nf2,0,0\n")
    table = {**WIDE["label_table"], "key_is": "stem"}
    manifest = _manifest(films={"patient": "stem", "patient_table": PATIENTS}, label_table=table)
    paths = table_paths(manifest, tmp_path, None, None, own=True)
    return survey_tables(manifest, paths, _films(), SIZES)


def test_a_further_table_names_patients(tmp_path: Path) -> None:
    data = _read_with_patients(tmp_path, "id,who\nf0,7\nf1,7\n")
    assert data.labels.facts["patient_id"].tolist() == ["7", "7", ""]
    (fault,) = data.report.faults
    assert (fault.what, fault.stops) == ("films that it does not name: each counts as a patient of its own", False)


def test_a_missing_table_of_patients_is_noted(tmp_path: Path) -> None:
    data = _read_with_patients(tmp_path, None)
    assert data.labels.facts["patient_id"].tolist() == ["", "", ""]
    (fault,) = data.report.faults
    assert "films of one patient may be in two splits" in fault.what
    assert not fault.stops


@pytest.mark.parametrize("text", ["id,who\nf0,7\nf0,8\n", "id,patient\nf0,7\n", "film,who\nf0,7\n"])
def test_a_table_of_patients_that_is_wrong_stops(tmp_path: Path, text: str) -> None:
    assert any(fault.stops for fault in _read_with_patients(tmp_path, text).report.faults)
