"""A data set looked at before it is ingested: what is there, what is missing, what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from camray.adapters.datasets.manifest_files import load_manifest
from camray.commands.app import app
from camray.domain.errors import ManifestError
from camray.domain.geometry import Box
from camray.workflows.dataset_check.check import check_data
from tests.film_factory import FilmRecipe, film_dataset

NIH_HEAD = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,"
    "Height],OriginalImagePixelSpacing[x,y]\n"
)


def _nih(root: Path, boxes: str = "a_000.png,Mass,100,100,50,50,,,\n") -> None:
    """Three films of two patients, 64 px a side."""
    (root / "images").mkdir()
    rng = np.random.default_rng(1)
    rows = []
    for name, finding, patient in (("a_000", "Mass", 1), ("a_001", "No Finding", 1), ("b_000", "No Finding", 2)):
        Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(root / "images" / f"{name}.png")
        rows.append(f"{name}.png,{finding},0,{patient},50,M,PA,64,64,0.1,0.1\n")
    (root / "Data_Entry_2017_v2020.csv").write_text(NIH_HEAD + "".join(rows))
    (root / "BBox_List_2017.csv").write_text("Image Index,Finding Label,Bbox [x,y,w,h],,,\n" + boxes)


def _told(lines: list[str], words: str) -> bool:
    return any(words in line for line in lines)


def test_what_is_there_is_counted_and_what_is_published_stands_beside_it(tmp_path: Path) -> None:
    _nih(tmp_path)
    found = check_data("nih_chestxray14", tmp_path)
    assert found.exit_code == 0
    assert found.wrong == []
    assert {what: found.counts[what] for what in ("films", "rows", "boxes", "patients", "films_read_whole")} == {
        "films": 3,
        "rows": 3,
        "boxes": 1,
        "patients": 2,
        "films_read_whole": 3,
    }
    assert found.counts["labels"]["Mass"] == {"present": 1, "absent": 2, "uncertain": 0, "boxes": 1, "boxed_films": 1}
    assert _told(found.notes, "films: 3 here, 112,120 published")
    assert _told(found.notes, "no split list train_val_list.txt, test_list.txt")


def test_a_split_that_mixes_patients_is_wrong_and_is_counted_not_named(tmp_path: Path) -> None:
    _nih(tmp_path)
    (tmp_path / "train_val_list.txt").write_text("a_000.png\nb_000.png\n")
    (tmp_path / "test_list.txt").write_text("a_001.png\n")
    found = check_data("nih_chestxray14", tmp_path)
    assert found.counts["official_split"] == {"test": 1, "train": 2}
    assert found.wrong == ["1 patient(s) are in more than one official split: ingest.split=official is refused"]
    assert found.exit_code == 2


def test_boxes_outside_their_films_and_unknown_names_are_wrong(tmp_path: Path) -> None:
    _nih(tmp_path, "a_000.png,Mass,1100,100,50,50,,,\nb_000.png,Cyst,1,1,5,5,,,\n")
    found = check_data("nih_chestxray14", tmp_path)
    assert _told(found.wrong, "entirely outside their film")
    assert _told(found.wrong, "not in the manifest (line 3)")


def test_films_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    _nih(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    found = check_data("nih_chestxray14", tmp_path)
    assert _told(found.wrong, "not one of 3 films tried can be used")


def test_what_is_not_there_says_how_to_obtain_it(tmp_path: Path) -> None:
    found = check_data("siim_pneumothorax", tmp_path)
    assert (found.exit_code, found.counts["films"]) == (3, 0)
    assert _told(found.wrong, "no such label table")
    assert _told(found.wrong, "Kaggle competition")
    assert check_data("siim_pneumothorax", tmp_path / "nowhere").exit_code == 3
    with pytest.raises(ManifestError, match="did you mean"):
        check_data("siim_pneumothorx", tmp_path)


def test_the_command_speaks_to_machines_and_people(tmp_path: Path) -> None:
    _nih(tmp_path)
    spoken = CliRunner().invoke(app, ["data", "check", "nih_chestxray14", "--root", str(tmp_path), "--json"])
    assert spoken.exit_code == 0
    assert json.loads(spoken.stdout)["fits"] is True
    assert "Mass" in CliRunner().invoke(app, ["data", "check", "nih_chestxray14", "--root", str(tmp_path)]).stdout
    listed = json.loads(CliRunner().invoke(app, ["data", "list", "--json"]).stdout)
    assert {"vindr_cxr", "tbx11k", "chexpert"} <= {each["name"] for each in listed}


def _folder(root: Path, table: str) -> list[str]:
    """Four films and a label table of the manifest `folder`; what is wrong with it."""
    columns, rows = np.mgrid[:80, :72]
    for number in range(4):
        Image.fromarray((columns + rows + 9 * number).astype(np.uint8)).save(root / f"f{number}.png")
    (root / "labels.csv").write_text(table)
    found = check_data("folder", root)
    assert found.exit_code == (2 if found.wrong else 0)
    return found.wrong


def test_one_bad_cell_does_not_cost_its_column_unseen(tmp_path: Path) -> None:
    (wrong,) = _folder(tmp_path, "image_id,Mass,Cyst\nf0,0,1\nf1,1,maybe\nf2,0,0\nf3,,2\n")
    assert "'Cyst' has values other than" in wrong
    assert "'maybe', '2' (line 3, 5)" in wrong
    (wrong,) = _folder(tmp_path, "image_id,Mass\nf0,0\nf1,1\nf2,0\nf3,Canary\n")  # a name that slipped in
    assert "a text of 6 characters (line 5)" in wrong


def test_a_table_without_a_column_of_labels_does_not_fit(tmp_path: Path) -> None:
    (wrong,) = _folder(tmp_path, "image_id,stage,remark\nf0,3,fine\nf1,4,Canary\nf2,3,\nf3,3,\n")
    assert "no label column" in wrong
    assert "'stage' has '3' in line 2, 'remark' has a text of 4 characters in line 2" in wrong
    (wrong,) = _folder(tmp_path, "image_id,Mass\nf0,positive\nf1,negative\nf2,negative\nf3,\n")
    assert "'Mass' has values other than" in wrong
    assert _folder(tmp_path, "filename,Mass,remark\nf0.png,0,fine\nf1.png,1,\nf2.png,,\nf3.png,-1,\n") == []


def test_chexlocalize_from_its_polygons_is_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    findings = ",".join(finding.name for finding in load_manifest("chexlocalize").findings())
    marks = {}
    (tmp_path / "CheXlocalize").mkdir()
    for split, table, patient in (("val", "valid", "patient64541"), ("test", "test", "patient64741")):
        film = tmp_path / "CheXpert" / split / patient / "study1" / "view1_frontal.png"
        film.parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 255, (96, 72), dtype=np.uint8)).save(film)
        row = f"CheXpert-v1.0/{table}/{patient}/study1/view1_frontal.jpg,0,0,1" + ",0" * 11
        (tmp_path / "CheXpert" / f"{split}_labels.csv").write_text(f"Path,{findings}\n{row}\n")
        outline = [[10, 20], [40, 20], [40, 50], [10, 50]]
        marks[f"{patient}_study1_view1_frontal"] = {"img_size": [96, 72], "Cardiomegaly": [outline], "Edema": []}
        (tmp_path / "CheXlocalize" / f"gt_annotations_{split}.json").write_text(json.dumps(marks))
        marks = {}
    found = check_data("chexlocalize", tmp_path)
    assert found.wrong == []
    assert (found.counts["films"], found.counts["patients"], found.counts["boxes"]) == (2, 2, 2)
    assert found.counts["box_tables"] == ["gt_annotations_val.json", "gt_annotations_test.json"]
    assert found.counts["official_split"] == {"test": 1, "validation": 1}
    assert found.counts["labels"]["Cardiomegaly"]["boxed_films"] == 2


@pytest.mark.realdata
def test_real_samples_fit_and_no_identifier_is_told(real_data: Path) -> None:
    for name, folder, films, boxes in (
        ("tb_hemithorax", "tb_hemithorax", 1185, 902),
        ("rsna_pneumonia", "rsna_sample", 339, 205),
    ):
        found = check_data(name, real_data / folder)
        assert (found.wrong, found.counts["films"], found.counts["boxes"]) == ([], films, boxes)
        assert "canary" not in json.dumps(found.as_json()).lower()


def test_what_is_odd_about_a_folder_is_told(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    assert not _folder(root, "Image_ID;Mass\nf0;0\nF1.PNG;1\nf2.jpg;0\nf3;1\n")
    (root / "dead.png").symlink_to("nowhere")
    (root / ".hidden").write_text("")
    check = check_data("folder", root)
    assert check.counts["ignored"] == {"hidden": 1, "tables": 1}
    assert _told(check.notes, "dead.png: not read: a link to nothing")
    assert _told(check.notes, "columns read in another spelling: 'Image_ID' as 'image_id'")
    assert _told(check.notes, "rows that name their film in another form (another case)")
    assert _told(check.notes, "rows that name their film in another form (another ending of the file name)")
    assert not _told(check.notes, "are in no label table")


def test_one_patient_id(tmp_path: Path) -> None:
    for number in range(3):
        recipe = FilmRecipe(box=Box(8 + number, 30, 40 + number, 62))
        names = {"SOPInstanceUID": f"1.2.{number}", "StudyInstanceUID": f"1.9.{number}", "PatientID": "ANONYMOUS"}
        film_dataset(recipe, **names).save_as(tmp_path / f"f{number}.dcm", enforce_file_format=True)
    (tmp_path / "labels.csv").write_text("image_id,Mass\n1.2.0,0\n1.2.1,1\n1.2.2,0\n")
    check = check_data("folder", tmp_path)
    assert _told(check.notes, "one Patient ID on all films: is it a placeholder?")
    assert not _told([str(check.as_json())], "ANONYMOUS")


def test_same_stem_in_patient_folders(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"p{number}").mkdir()
        Image.fromarray(np.full((80, 72), 9 * number, np.uint8)).save(tmp_path / f"p{number}" / "view1.png")
    (tmp_path / "labels.csv").write_text("path,Mass\np0/view1.png,0\np1\\view1.png,1\nroot/p2/view1.png,0\n")
    check = check_data("folder", tmp_path)
    assert check.counts["labels"]["Mass"]["absent"] == 2
    assert check.counts["labels"]["Mass"]["present"] == 1
