"""Masks, VOC files, several tables and several readers: tables of the published form, generated."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.markup import mask_cells
from camray.adapters.datasets.reading import Dataset, read_tables
from camray.adapters.datasets.split_lists import read_split_lists
from camray.adapters.datasets.table_paths import table_paths
from camray.domain.errors import AnnotationError, ManifestError
from camray.domain.records import CORNERS
from camray.domain.run_lengths import coco_counts, coco_text, counts_of_mask, mask_of_counts


def _films(*sources: str) -> FilmIndex:
    ids = pd.Series([source.rsplit(".", 1)[0] for source in sources])
    return FilmIndex(ids, pd.Series(list(sources)), np.ones(len(sources), bool))


def _read(name: str, root: Path, films: FilmIndex, side: int, readers: str | None = None) -> Dataset:
    manifest = load_manifest(name)
    manifest = manifest if readers is None else manifest.model_copy(update={"readers": readers})
    sizes = np.full((len(films.usable), 2), side)
    return read_tables(manifest, table_paths(manifest, root, None, None, own=True), films, sizes)


def _voc(folder: Path, name: str, objects: str, head: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    size = "<size><width>2000</width><height>3000</height><depth>3</depth></size>"
    (folder / name).write_text(f"{head}<annotation><filename>{name}</filename>{size}{objects}</annotation>")


def _object(name: str, *corners: float) -> str:
    inside = "".join(f"<{c}>{v}</{c}>" for c, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name><bndbox>{inside}</bndbox></object>"


def test_voc_boxes_of_the_original_picture_land_on_the_resized_film(tmp_path: Path) -> None:
    boxes = _object("ActiveTuberculosis", 1000, 1500, 1500.5, 3000) + _object("PulmonaryTuberculosis", 0, 0, 200, 300)
    _voc(tmp_path / "annotations" / "xml", "tb0001.xml", boxes)
    films = _films("imgs/tb/tb0001.png", "imgs/health/h0001.png", "imgs/test/t1.png")
    data = _read("tbx11k", tmp_path, films, 512)
    own = data.boxes[data.boxes["label"] != 3]
    assert own[CORNERS].to_numpy() == pytest.approx(np.array([[256, 256, 384.128, 512], [0, 0, 51.2, 51.2]]))
    # present, absent and derived; the healthy film is absent of all; a test film says nothing
    assert data.labels.values.tolist() == [[1, 0, 1, 1], [0, 0, 0, 0], [-1, -1, -1, -1]]
    assert data.has_label_table


def test_tbx11k_lists_name_films_by_folder_and_file(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "TBX11K_train.txt").write_text("health/h0001.png\n")
    (tmp_path / "lists" / "TBX11K_val.txt").write_text("tb/tb0001.png\n")
    films = _films("imgs/tb/tb0001.png", "imgs/health/h0001.png")
    assert read_split_lists(load_manifest("tbx11k"), tmp_path, films).tolist() == ["test", "train"]


@pytest.mark.parametrize(
    ("objects", "head"),
    [("<object><name>x</name>", ""), ("", "<!DOCTYPE annotation [<!ENTITY a 'aaaa'>]>")],
    ids=["unclosed", "document type"],
)
def test_xml_that_is_no_annotation_is_named(tmp_path: Path, objects: str, head: str) -> None:
    _voc(tmp_path / "annotations" / "xml", "bad.xml", objects, head)
    with pytest.raises(ManifestError, match=r"1 XML file.*bad\.xml"):
        _read("tbx11k", tmp_path, _films("imgs/tb/bad.png"), 512)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize(
    "head", ["<!DOCTYPE a [<!ENTITY x 'y'>]>", "<!DOCTYPE a SYSTEM 'file:///etc/hostname'>", "<!DOCTYPE a>"]
)
def test_hostile_document_type_in_every_encoding(tmp_path: Path, encoding: str, head: str) -> None:
    folder = tmp_path / "annotations" / "xml"
    _voc(folder, "bad.xml", "", head)
    text = (folder / "bad.xml").read_text(encoding="utf-8")
    (folder / "bad.xml").write_bytes(text.encode(encoding))
    with pytest.raises(ManifestError, match=r"1 XML file.*bad\.xml"):
        _read("tbx11k", tmp_path, _films("imgs/tb/bad.png"), 512)


def test_siim_masks_are_relative_and_go_down_the_columns(tmp_path: Path) -> None:
    # from column 2, row 3: two runs of 4 px in neighbouring columns, 1020 px apart; a second row is a second mask
    table = f"ImageId, EncodedPixels\na, {2 * 1024 + 3} 4 1020 4\na,{1024 * 1024 - 1} 1\nb, -1\n"
    (tmp_path / "train-rle.csv").write_text(table)
    films = _films("dicom-images-train/x/a.dcm", "dicom-images-train/y/b.dcm")
    data = _read("siim_pneumothorax", tmp_path, films, 1024)
    assert data.boxes[CORNERS].to_numpy().tolist() == [[2, 3, 4, 7], [1023, 1023, 1024, 1024]]
    assert data.labels.values[:, 0].tolist() == [1, 0]
    halved = _read("siim_pneumothorax", tmp_path, films, 512)
    assert halved.boxes[CORNERS].to_numpy().tolist()[0] == [1, 1, 2, 3]
    assert set(data.boxes["rle"]) != {""}


def test_masks_of_another_encoding_stop_everything(tmp_path: Path) -> None:
    (tmp_path / "train-rle.csv").write_text(f"ImageId,EncodedPixels\na,{1024 * 1024} 4\n")
    with pytest.raises(AnnotationError, match="run lengths do not fill"):
        _read("siim_pneumothorax", tmp_path, _films("dicom-images-train/a.dcm"), 1024)


CHEXPERT = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,\
Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,\
Support Devices\n"


def _chexpert(root: Path) -> FilmIndex:
    rest = "," * 11
    train = f"CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,-1.0,0.0{rest}\n"
    (root / "train.csv").write_text(CHEXPERT + train)
    valid = f"CheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,PA,0.0,0.0,1.0{rest}\n"
    (root / "valid.csv").write_text(CHEXPERT + valid)
    mask = np.zeros((40, 20), bool)
    mask[10:20, 5:15] = True
    found = {
        "patient64541_study1_view1_frontal": {
            "Cardiomegaly": {"size": [40, 20], "counts": coco_text(counts_of_mask(mask))},
            "Airspace Opacity": {"size": [40, 20], "counts": coco_text(counts_of_mask(np.zeros_like(mask)))},
        }
    }
    (root / "gt_segmentations_val.json").write_text(json.dumps(found))
    names = ("train/patient00001", "valid/patient64541")
    return _films(*(f"{name}/study1/view1_frontal.jpg" for name in names))


def test_chexpert_tables_of_several_parts_and_masks_brought_onto_the_films(tmp_path: Path) -> None:
    films = _chexpert(tmp_path)
    data = _read("chexpert", tmp_path, films, 20)  # the films at hand are 20 x 20, the masks 40 x 20
    names = [finding.name for finding in data.findings]
    first = dict(zip(names, data.labels.values[0].tolist(), strict=True))
    # present, uncertain, absent; what is not mentioned is absent
    assert [first[n] for n in ("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Edema")] == [1, 2, 0, 0]
    assert data.boxes[["film", *CORNERS]].to_numpy().tolist() == [[1, 5, 5, 15, 10]]
    assert names[data.boxes["label"].iloc[0]] == "Cardiomegaly"
    assert data.labels.facts["view"].tolist() == ["AP", "PA"]
    manifest = load_manifest("chexpert")
    with pytest.raises(ManifestError, match=r"test_labels\.csv"):
        read_split_lists(manifest, tmp_path, films)
    (tmp_path / "test_labels.csv").write_text(CHEXPERT)
    assert read_split_lists(manifest, tmp_path, films).tolist() == ["train", "validation"]


POLYGONS = {
    "patient64541_study1_view1_frontal": {
        "img_size": [40, 20],
        "Cardiomegaly": [[[5.0, 10.0], [15.0, 10.0], [15.0, 20.0], [5.0, 20.0]]],
        "Airspace Opacity": [],
        "Support Devices": [[[0, 0], [2, 0], [2, 2], [0, 2]], [[18, 38], [20, 38], [20, 40], [18, 40]]],
    }
}


def test_the_readers_polygons_stand_in_for_masks_that_are_not_there(tmp_path: Path) -> None:
    films = _chexpert(tmp_path)
    masks = _read("chexpert", tmp_path, films, 20).boxes
    (tmp_path / "gt_annotations_val.json").write_text(json.dumps(POLYGONS))
    pd.testing.assert_frame_equal(_read("chexpert", tmp_path, films, 20).boxes, masks)  # the masks go before
    (tmp_path / "gt_segmentations_val.json").unlink()
    data = _read("chexpert", tmp_path, films, 20)  # the films at hand are 20 x 20, drawn on 40 x 20
    names = [data.findings[label].name for label in data.boxes["label"]]
    assert names == ["Cardiomegaly", "Support Devices"]
    assert data.boxes[CORNERS].to_numpy().tolist() == [[5, 5, 15, 10], [0, 0, 20, 20]]
    assert data.boxes["rle"].iloc[0] == masks["rle"].iloc[0]
    two = mask_of_counts(coco_counts(data.boxes["rle"].iloc[1], 400), 20, 20)
    assert (two.sum(), two[0, :2].all(), two[19, 18:].all()) == (4, True, True)


def test_polygons_with_their_outline_are_the_published_masks(tmp_path: Path) -> None:
    films = {
        "film": {
            "img_size": [6, 8],
            "square": [[[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]]],
            "both": [[[0, 0], [1, 0], [1, 1]], [[6, 4], [7, 4], [7, 5], [6, 5]]],
        }
    }
    counted = []
    for outline in (False, True):
        cells = mask_cells("a.json", films, outline)
        masks = [mask_of_counts(coco_counts(text, 48), 6, 8) for text in cells["counts"]]
        counted.append([int(mask.sum()) for mask in masks])
    # by centers 3 x 2 px (the triangle's one is on its left edge, which is its own); with the outline 4 x 3 px
    assert counted == [[6, 1 + 1], [12, 3 + 4]]
    manifest = load_manifest("chexlocalize")
    assert not manifest.box_table.paints_outline
    mask = manifest.box_table.mask.model_copy(update={"outline": True})
    assert manifest.box_table.model_copy(update={"mask": mask}).paints_outline


@pytest.mark.parametrize("size", [[40], [0, 20], [10**6, 10**6], ["a", 3]])
def test_polygons_on_no_film_are_named(tmp_path: Path, size: list[object]) -> None:
    films = _chexpert(tmp_path)
    (tmp_path / "gt_segmentations_val.json").write_text(json.dumps({"x_y_z": {"img_size": size, "Edema": []}}))
    with pytest.raises(ManifestError, match=r"gt_segmentations_val\.json.*img_size"):
        _read("chexpert", tmp_path, films, 20)


SQUARE = [[128, 256], [256, 256], [256, 512], [128, 512]]  # on 1024 x 1024


def test_chestx_det_has_a_polygon_for_each_finding_and_films_without_one(tmp_path: Path) -> None:
    train = [{"file_name": "00000261_002.png", "syms": ["Effusion", "Mass"], "polygons": [SQUARE, SQUARE[:3]]}]
    empty = [{"file_name": "00000310_001.png", "syms": [], "polygons": [], "boxes": []}]
    (tmp_path / "ChestX_Det_train.json").write_text(json.dumps(train))
    (tmp_path / "ChestX_Det_test.json").write_text(json.dumps(empty))
    films = _films("images/00000261_002.jpg", "images/00000310_001.png")  # a copy as .jpg is the same film
    data = _read("chestx_det", tmp_path, films, 512)
    assert [data.findings[label].name for label in data.boxes["label"]] == ["Effusion", "Mass"]
    assert data.boxes[CORNERS].to_numpy()[0].tolist() == [64, 128, 128, 256]
    areas = [mask_of_counts(coco_counts(text, 512**2), 512, 512).sum() for text in data.boxes["rle"]]
    assert areas[0] == 64 * 128
    assert areas[1] == pytest.approx(64 * 128 / 2, rel=0.02)
    assert data.labels.values.sum(axis=1).tolist() == [2, 0]  # both films were read for all findings
    assert (data.labels.values >= 0).all()


@pytest.mark.parametrize("polygons", [[SQUARE], [SQUARE, [[1, 2, 3]]], "none"])
def test_chestx_det_without_a_polygon_for_each_finding_is_refused(tmp_path: Path, polygons: object) -> None:
    film = {"file_name": "00000261_002.png", "syms": ["Effusion", "Mass"], "polygons": polygons}
    (tmp_path / "ChestX_Det_train.json").write_text(json.dumps([film]))
    (tmp_path / "ChestX_Det_test.json").write_text(json.dumps([]))
    with pytest.raises(ManifestError, match=r"ChestX_Det_train\.json.*one list of \[x, y\] per finding"):
        _read("chestx_det", tmp_path, _films("images/00000261_002.png"), 512)


def test_nih_films_may_be_copies_with_another_ending(tmp_path: Path) -> None:
    head = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    rows = "00000006_000.png,Mass|Edema,0,6,81,M,PA\n00000007_000.png,No Finding,0,7,82,M,PA\n"
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(f"{head}\n{rows}")
    (tmp_path / "BBox_List_2017.csv").write_text(
        'Image Index,Finding Label,"Bbox [x",y,w,h]\n00000006_000.png,Mass,100,200,50,60\n'
    )
    films = _films("images/00000006_000.jpg", "images/00000007_000.jpeg")
    data = _read("nih_boxed", tmp_path, films, 512)
    assert data.boxes[CORNERS].to_numpy().tolist() == [[50, 100, 75, 130]]
    assert data.labels.values.sum() == 1  # Edema has no boxes in NIH's table: no finding of this manifest
    assert len(data.findings) == 8


def test_chexlocalize_as_downloaded_names_films_by_other_folders_than_its_tables(tmp_path: Path) -> None:
    (tmp_path / "CheXpert").mkdir()
    (tmp_path / "CheXlocalize").mkdir()
    head = CHEXPERT.replace("Sex,Age,Frontal/Lateral,AP/PA,", "")
    row = "CheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg,0.0,0.0,1.0" + "," * 11 + "\n"
    (tmp_path / "CheXpert" / "val_labels.csv").write_text(head + row)
    row = "test/patient64741/study1/view1_frontal.jpg,1.0,0.0,0.0" + "," * 11 + "\n"
    (tmp_path / "CheXpert" / "test_labels.csv").write_text(head + row)
    (tmp_path / "CheXlocalize" / "gt_annotations_val.json").write_text(json.dumps(POLYGONS))
    films = _films(
        "CheXpert/val/patient64541/study1/view1_frontal.jpg", "CheXpert/test/patient64741/study1/view1_frontal.jpg"
    )
    data = _read("chexlocalize", tmp_path, films, 40)
    present = {(film, data.findings[label].name) for film, label in np.argwhere(data.labels.values == 1)}
    assert present == {(0, "Cardiomegaly"), (1, "No Finding")}
    assert data.boxes["film"].tolist() == [0, 0]
    assert not data.missing
    assert read_split_lists(load_manifest("chexlocalize"), tmp_path, films).tolist() == ["validation", "test"]


def test_broken_mask_json_is_named(tmp_path: Path) -> None:
    films = _chexpert(tmp_path)
    (tmp_path / "gt_segmentations_val.json").write_text('{"a": {"Edema": {"size": 3}}}')
    with pytest.raises(ManifestError, match=r"gt_segmentations_val\.json.*KeyError|TypeError"):
        _read("chexpert", tmp_path, films, 20)


def test_vindr_readers_count_once_each(tmp_path: Path) -> None:
    rows = [
        "f,Cardiomegaly,3,R1,10,10,20,20",
        "f,Cardiomegaly,3,R1,10,10,21,20",
        "f,No finding,14,R2,,,,",
        "f,Pneumothorax,12,R2,1,1,5,5",
        "f,Pneumothorax,12,R3,1,1,5,5",
        "g,No finding,14,R1,,,,",
    ]
    (tmp_path / "train.csv").write_text(
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n" + "\n".join(rows)
    )
    films = _films("train/f.dicom", "train/g.dicom")
    union, majority = (_read("vindr_cxr", tmp_path, films, 100, policy) for policy in ("union", "majority"))
    names = [finding.name for finding in union.findings]
    heart, air = names.index("Cardiomegaly"), names.index("Pneumothorax")
    assert union.labels.values[:, [heart, air]].tolist() == [[1, 1], [0, 0]]
    assert majority.labels.values[:, [heart, air]].tolist() == [[0, 1], [0, 0]]  # R1's two boxes are one voice of three
    assert union.readers.tolist() == [3, 1]
    assert union.report.faults == []
