"""Every entry of a folder and every film of a table is counted once: as a film, a refusal, or something ignored."""

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table
from camray.adapters.settings.loading import parse_settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import ManifestError
from camray.domain.records import ANNOTATION_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS, REFUSAL_COLUMNS, StageResult
from camray.stages.ingest import stage as ingest


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "key"))


def write_pictures(root: Path, *names: str) -> None:
    """Write a picture of 72 x 64 px under each name, no two alike."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (72, 64), dtype=np.uint8)
        Image.fromarray(noise).save(path)


def run(root: Path, out: Path, **options: Any) -> StageResult:
    data = {"root": str(root), **{name: str(options.pop(name)) for name in ("labels", "boxes") if name in options}}
    grid = {"rows": 32, "cols": 24, "workers": 1, "audit": False, **options}
    train = {"pretext": {"epochs": 1}}
    settings = parse_settings({"name": "t", "data": data, "ingest": grid, "train": train}, "test")
    return ingest.run(settings, RunFolder(out), NullTracker())


def images(out: Path) -> pd.DataFrame:
    return read_table(out / "ingest" / "images.parquet", IMAGE_COLUMNS)


def annotations(out: Path) -> pd.DataFrame:
    return read_table(out / "ingest" / "annotations.parquet", ANNOTATION_COLUMNS)


def reasons(out: Path) -> dict[str, str]:
    refusals = read_table(out / "ingest" / "refusals.parquet", REFUSAL_COLUMNS)
    return dict(refusals[["source", "reason"]].itertuples(index=False))


def test_symlinked_folder(tmp_path: Path) -> None:
    names = [f"f{n:02}.png" for n in range(6)]
    write_pictures(tmp_path / "root", *names[:2])
    write_pictures(tmp_path / "elsewhere", *names[2:])
    rows = "".join(f"f{n:02},{n % 2}\n" for n in range(6))
    (tmp_path / "root" / "labels.csv").write_text("image_id,Mass\n" + rows)
    (tmp_path / "root" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "up").symlink_to(tmp_path)
    (tmp_path / "root" / "dead.png").symlink_to("nowhere.png")
    (tmp_path / "root" / ".hidden").write_text("")
    os.mkfifo(tmp_path / "root" / "pipe")
    result = run(tmp_path / "root", tmp_path / "run")
    assert result.counts.as_json() == {"in": 9, "done": 6, "refused": 3}
    assert reasons(tmp_path / "run") == {"dead.png": "not_a_file", "pipe": "not_a_file", "up": "unreadable_folder"}
    assert {k: v for k, v in result.figures.items() if k.startswith("ignored.")} == {
        "ignored.hidden": 1,
        "ignored.tables": 1,
    }
    assert result.figures["note_folders"] == "1 folder(s) are not read, refusals say why: up"


def _label_rows(root: Path, header: str, *rows: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "labels.csv").write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")


def test_boxes_of_refused_films_never_stop(tmp_path: Path) -> None:
    names = [f"f{n}.png" for n in range(4)]
    write_pictures(tmp_path / "in", *names)
    (tmp_path / "in" / "f1.png").write_bytes((tmp_path / "in" / "f1.png").read_bytes()[:200])
    shutil.copy(tmp_path / "in" / "f2.png", tmp_path / "in" / "f9.png")
    _label_rows(tmp_path / "in", "image_id,Mass", *(f"f{n},{n % 2}" for n in range(4)), "f9,1")
    boxes = ["f1,Mass,10,10,30,30", "f1,Mass,900,900,950,950", "f3,Mass,10,10,30,40", "f9,Mass,1,2,30,40"]
    (tmp_path / "in" / "boxes.csv").write_text("\n".join(("image_id,label,x0,y0,x1,y1", *boxes)) + "\n")
    result = run(tmp_path / "in", tmp_path / "run")
    assert result.counts.as_json() == {"in": 5, "done": 3, "refused": 2}
    assert annotations(tmp_path / "run")[["image_id", "x1", "y1"]].to_numpy().tolist() == [["f3", 30.0, 40.0]]
    faults = json.loads((tmp_path / "run" / "ingest" / "audit.json").read_text())["table_faults"]
    assert [(fault["what"], fault["lines"]) for fault in faults] == [
        ("rows about refused films; not used", [3]),
        ("rows about refused films; not used", [2, 3]),
        ("boxes of refused films; not used", []),
    ]


def test_same_stem_in_patient_folders(tmp_path: Path) -> None:
    names = [f"patient{n}/view1.png" for n in range(6)]
    write_pictures(tmp_path / "in", *names, "patient0/view2.png", "patient0/view2.jpeg")
    rows = [f"{name},{n % 2}" for n, name in enumerate((*names, "patient0/view2.png", "patient0/view2.jpeg"))]
    _label_rows(tmp_path / "in", "path,Mass", *rows)
    run(tmp_path / "in", tmp_path / "run")
    ids = [f"patient{n}/view1" for n in range(6)]
    assert sorted(images(tmp_path / "run")["image_id"]) == sorted([*ids, "patient0/view2.png", "patient0/view2.jpeg"])


def test_a_copy_in_another_folder_is_a_duplicate_and_keeps_its_name(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", "a/f0.png", "a/f1.png")
    (tmp_path / "in" / "b").mkdir()
    shutil.copy(tmp_path / "in" / "a" / "f0.png", tmp_path / "in" / "b" / "f0.png")
    _label_rows(tmp_path / "in", "image_id,Mass", "f0,1", "f1,0")
    run(tmp_path / "in", tmp_path / "run")
    assert images(tmp_path / "run")["image_id"].tolist() == ["f0", "f1"]
    assert reasons(tmp_path / "run") == {"b/f0.png": "duplicate_pixels"}


@pytest.mark.parametrize("end", ["\\", "/"])
def test_backslash_paths(tmp_path: Path, end: str) -> None:
    names = ["train/f1.png", "test/f0.png", "test/f2.png"]
    write_pictures(tmp_path / "in", *names)
    _label_rows(tmp_path / "in", "path,Mass", *(f"{name.replace('/', end)},{name[-5]}" for name in names[:2]), "x,1")
    (tmp_path / "in" / "boxes.csv").write_text(f"Path,Label,X0,Y0,X1,Y1\ntrain{end}f1.png,Mass,1,2,30,40\n")
    result = run(tmp_path / "in", tmp_path / "run")
    assert result.counts.as_json() == {"in": 3, "done": 2, "refused": 1}
    assert annotations(tmp_path / "run")["image_id"].tolist() == ["f1"]


def test_float_ids(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", *(f"{n}.png" for n in range(100, 106)))
    _label_rows(tmp_path / "in", "image_id,Mass", *(f"{n}.0,{n % 2}" for n in range(100, 106)))
    result = run(tmp_path / "in", tmp_path / "run")
    assert result.counts.as_json() == {"in": 6, "done": 6, "refused": 0}


def test_no_row_fits_and_both_forms_are_told(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", "img_100.png", "img_101.png")
    _label_rows(tmp_path / "in", "image_id,Mass", "Kim-100.0,1", "Lee-101.0,0")
    with pytest.raises(ManifestError, match=r"names like 'xxx-999\.9'; files are like 'xxx_999\.png'") as error:
        run(tmp_path / "in", tmp_path / "run")
    assert "Kim" not in str(error.value)


def test_a_film_whose_near_names_are_unclear_says_where(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", "f0.png", "f1.png")
    _label_rows(tmp_path / "in", "image_id,Mass", "f1,0", "F0,1", "f0.PNG,0")
    run(tmp_path / "in", tmp_path / "run")
    refusals = read_table(tmp_path / "run" / "ingest" / "refusals.parquet", REFUSAL_COLUMNS)
    assert refusals["message"].tolist() == ["the label table does not name it; labels.csv nearly does in line 3, 4"]


def test_films_without_a_row_are_kept_to_train_on_and_change_no_split(tmp_path: Path) -> None:
    names = [f"f{n:02}.png" for n in range(20)]
    write_pictures(tmp_path / "in", *names, "a_new.png", "z_new.png")
    shutil.copy(tmp_path / "in" / "f03.png", tmp_path / "in" / "a_copy.png")  # comes before the film that has a label
    _label_rows(tmp_path / "in", "image_id,Mass", *(f"f{n:02},{n % 2}" for n in range(20)))
    run(tmp_path / "in", tmp_path / "without")
    before = images(tmp_path / "without").set_index("image_id")["split"]
    result = run(tmp_path / "in", tmp_path / "with", keep_unlabelled=True)
    after = images(tmp_path / "with").set_index("image_id")["split"]
    assert after[before.index].equals(before)
    assert set(before) == {"train", "validation", "test"}
    assert after.drop(before.index).to_dict() == {"a_new": "train", "z_new": "train"}
    assert reasons(tmp_path / "with") == {"a_copy.png": "duplicate_pixels"}
    assert result.counts.as_json() == {"in": 23, "done": 22, "refused": 1}
    known = read_table(tmp_path / "with" / "ingest" / "labels.parquet", LABEL_COLUMNS)["image_id"]
    assert set(known) == set(before.index)


def test_split_column(tmp_path: Path) -> None:
    names = [f"f{n}.png" for n in range(6)]
    write_pictures(tmp_path / "in", *names)
    splits = ["train", "Training", "val", "test", "test", ""]
    _label_rows(tmp_path / "in", "image_id,Mass,Split", *(f"f{n},{n % 2},{splits[n]}" for n in range(6)))
    result = run(tmp_path / "in", tmp_path / "run", split="official")
    assert images(tmp_path / "run")["split"].tolist() == ["train", "train", "validation", "test", "test"]
    assert reasons(tmp_path / "run") == {"f5.png": "not_in_table"}
    assert "note_split" not in result.figures
    assert "ingest.split=official uses the column" in run(tmp_path / "in", tmp_path / "seeded").figures["note_split"]


def test_a_split_column_is_checked(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", "f0.png", "f1.png")
    _label_rows(tmp_path / "in", "image_id,Mass,split", "f0,1,train", "f1,0,fold 2")
    with pytest.raises(ManifestError, match=r"has 1 film\(s\) with another text than 'train'"):
        run(tmp_path / "in", tmp_path / "run", split="official")
    _label_rows(tmp_path / "in", "image_id,Mass,split", "f0,1,train", "f0,1,test", "f1,0,test")
    with pytest.raises(ManifestError, match="rows of one film differ in 'split'"):
        run(tmp_path / "in", tmp_path / "run", split="official")
    _label_rows(tmp_path / "in", "image_id,Mass,split,patient_id", "f0,1,train,p", "f1,0,test,p")
    with pytest.raises(ManifestError, match=r"1 patient\(s\) have films in more than one split"):
        run(tmp_path / "in", tmp_path / "run", split="official")
    _label_rows(tmp_path / "in", "image_id,Mass", "f0,1", "f1,0")
    with pytest.raises(ManifestError, match="no official split lists, and the label table no column 'split'"):
        run(tmp_path / "in", tmp_path / "run", split="official")


def test_one_patient_id(tmp_path: Path) -> None:
    names = [f"f{n}.png" for n in range(4)]
    write_pictures(tmp_path / "in", *names)
    _label_rows(tmp_path / "in", "image_id,Mass,PatientID", *(f"f{n},{n % 2},ANONYMOUS" for n in range(4)))
    note = run(tmp_path / "in", tmp_path / "run").figures["note_patients"]
    assert note.startswith("one Patient ID on all 4 films, so no film is in validation, test; is it a placeholder?")


def test_tables_a_three(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", "f0.png", "f1.png", "f2.png")
    _label_rows(tmp_path / "in", "filename,Mass", "f0.png,1", "f1.png,0", "f2.png,0")
    (tmp_path / "in" / "boxes.csv").write_text("filename,label,x0,y0,x1,y1\nf0.png,Mass,10,12,30,40\n")
    figures = run(tmp_path / "in", tmp_path / "run").figures
    assert (figures["films"], figures["boxes"]) == (3, 1)
    assert figures["note_patients"] == "no film is in validation: 3 patients are too few, or the lists name none"


def test_tables_b_onepatient(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", *(f"f{n}.png" for n in range(4)))
    _label_rows(tmp_path / "in", "filename,patient_id,Mass", *(f"f{n}.png,p1,{n % 2}" for n in range(4)))
    note = run(tmp_path / "in", tmp_path / "run").figures["note_patients"]
    assert note.startswith("one Patient ID on all 4 films, so no film is in validation, test")
    assert set(images(tmp_path / "run")["split"]) == {"train"}


def test_tables_d_allpositive(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", *(f"f{n}.png" for n in range(6)))
    _label_rows(tmp_path / "in", "filename,Mass", *(f"f{n}.png,1" for n in range(6)))
    note = run(tmp_path / "in", tmp_path / "run").figures["note_one_class"]
    assert note.endswith("so that nothing can be learnt of them and they have no AUROC: Mass (4 present, 0 absent)")


def test_boxes_coco_json(tmp_path: Path) -> None:
    names = [f"f{n}.png" for n in range(3)]
    write_pictures(tmp_path / "in", *names)
    _label_rows(tmp_path / "in", "image_id,Mass", "f0,0", "f1,1", "f2,1")
    marks = [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 12, 20, 30], "iscrowd": 0},
        {"id": 2, "image_id": 8, "category_id": 3, "bbox": [2, 4, 6, 8]},
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"id": 4, "image_id": 8, "category_id": 3, "segmentation": [[4, 6, 10, 6, 10, 17]]},
    ]
    films = [
        {"id": 7, "file_name": "f1.png", "width": 64, "height": 72},
        {"id": 8, "file_name": "images/f2.png", "width": 32, "height": 36},  # drawn on a smaller picture
    ]
    content = {"images": films, "categories": [{"id": 3, "name": "Mass"}], "annotations": marks}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    run(tmp_path / "in", tmp_path / "run", boxes=tmp_path / "coco.json")
    corners = annotations(tmp_path / "run")[["image_id", "x0", "y0", "x1", "y1"]].to_numpy().tolist()
    assert corners == [["f1", 10, 12, 30, 42], ["f2", 4, 8, 16, 24], ["f2", 8, 12, 20, 34]]
