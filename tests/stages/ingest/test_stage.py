"""Ingest: every input accounted for, nothing identifying written, the same bytes however often it was stopped."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camray.adapters.datasets.manifest_files import manifest_path
from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.imaging.resampling import to_model_grid
from camray.domain.errors import AnnotationError, InputRefusedError, ManifestError, PipelineError, SettingsError
from camray.domain.geometry import Box, GridTransform
from camray.domain.records import (
    ACQUISITION_COLUMNS,
    ANNOTATION_COLUMNS,
    GROUP_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    REFUSAL_COLUMNS,
    StageResult,
)
from camray.io.film_files import read_film
from camray.stages.ingest import stage as ingest
from camray.stages.ingest.film_worker import FilmPlan, FilmRow, read_row
from tests.film_factory import FilmRecipe, film_dataset

TABLES = {
    "images": IMAGE_COLUMNS,
    "labels": LABEL_COLUMNS,
    "groups": GROUP_COLUMNS,
    "acquisition": ACQUISITION_COLUMNS,
    "annotations": ANNOTATION_COLUMNS,
    "refusals": REFUSAL_COLUMNS,
}


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "key"))


def write_film(path: Path, number: int, **elements: Any) -> Path:
    """Write film `number`: its square lies elsewhere than any other's, and two films share a patient."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = FilmRecipe(box=Box(8 + number, 30, 40 + number, 62))
    names = {
        "SOPInstanceUID": f"1.2.3.{number}",
        "StudyInstanceUID": f"1.9.{number // 2}",
        "PatientID": f"CANARY-{number // 2}",
    }
    ds = film_dataset(recipe, **{**names, **elements})
    ds.save_as(path, enforce_file_format=True)
    return path


def write_root(root: Path, films: int = 12) -> Path:
    """Write films, a label table and a box table (manifest ``folder``)."""
    for number in range(films):
        write_film(root / f"sub{number % 3}" / f"film{number}", number)
    rows = [f"1.2.3.{n},{int(n % 3 == 0)},{int(n % 2)}" for n in range(films)]
    (root / "labels.csv").write_text("SOPInstanceUID,Mass,Cyst\n" + "\n".join(rows) + "\n")
    boxes = [f"1.2.3.{n},Mass,{8 + n},30,{40 + n},62" for n in range(0, films, 3)]
    (root / "boxes.csv").write_text("image_id,label,x0,y0,x1,y1\n" + "\n".join(boxes) + "\n")
    return root


def settings_for(root: Path, manifest: str = "folder", **options: Any) -> Settings:
    data = {"manifest": manifest, "root": str(root)}
    for name in ("labels", "boxes"):
        if name in options:
            data[name] = str(options.pop(name))
    grid = {"rows": 64, "cols": 48, "workers": 1, "shard_films": 5, "audit": False, **options}
    return parse_settings({"name": "t", "data": data, "ingest": grid}, "test")


def run(settings: Settings, out: Path, trained: Path | None = None) -> StageResult:
    return ingest.run(settings, RunFolder(out, trained), NullTracker())


def table(out: Path, name: str) -> pd.DataFrame:
    return read_table(out / "ingest" / f"{name}.parquet", TABLES[name])


def contents(out: Path) -> dict[str, bytes]:
    folder = out / "ingest"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reasons(out: Path) -> dict[str, str]:
    return dict(table(out, "refusals")[["source", "reason"]].itertuples(index=False))


def test_every_input_is_done_or_refused_and_no_identifier_is_written(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in")
    (root / "notes.txt").write_text("no film")
    (root / ".hidden").write_text("no input")
    (root / "DICOMDIR").write_text("no input")
    (root / "empty.dcm").write_bytes(b"")
    write_film(root / "z_copy.dcm", 3)
    write_film(root / "z_other.dcm", 30, SOPInstanceUID="1.2.3.4", PatientID="CANARY-2", StudyInstanceUID="1.9.2")
    write_film(root / "z_ct.dcm", 31, Modality="CT")
    result = run(settings_for(root, audit=True), tmp_path / "run")
    assert result.counts.as_json() == {"in": 17, "done": 12, "refused": 5}
    assert reasons(tmp_path / "run") == {
        "empty.dcm": "not_dicom",
        "notes.txt": "not_dicom",
        "z_copy.dcm": "duplicate_pixels",
        "z_ct.dcm": "wrong_modality",
        "z_other.dcm": "duplicate_id",
    }
    assert len(table(tmp_path / "run", "images")) == 12
    for name, content in contents(tmp_path / "run").items():
        assert b"canary" not in content.lower(), name
        assert str(tmp_path).encode() not in content, name
    assert not (tmp_path / "run" / "ingest" / "parts").exists()


def test_each_row_of_the_store_is_the_film_it_says(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in")
    write_film(root / "sub0" / "film00copy", 0)  # leaves a hole in the first shard
    run(settings_for(root, keep_duplicates=False), tmp_path / "run")
    images = table(tmp_path / "run", "images")
    store = PixelStore(tmp_path / "run" / "ingest" / "store")
    assert sorted(images.groupby("shard").size()) == [3, 4, 5]
    for row in images.itertuples():
        grey, grid = to_model_grid(read_film(root / row.source, None).pixels, 64, 48, "letterbox", 0.2, 0.16)
        assert np.array_equal(store.shard(row.shard)[row.index], np.rint(grey * 255).astype(np.uint8))
        assert grid == GridTransform(row.scale_x, row.scale_y, row.offset_x, row.offset_y)
    assert images.groupby(["shard", "index"]).ngroups == len(images)
    assert sum(len(store.shard(shard)) for shard in images["shard"].unique()) == len(images)


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    run(settings_for(write_root(tmp_path / "in", 4), bits=16), tmp_path / "run")
    store = PixelStore(tmp_path / "run" / "ingest" / "store")
    assert store.shard(0).dtype == np.uint16
    assert len(np.unique(store.shard(0)[0])) > 256


def test_labels_and_boxes_follow_their_films(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in")
    run(settings_for(root), tmp_path / "run")
    labels = table(tmp_path / "run", "labels").set_index(["image_id", "label"])["value"]
    assert labels["1.2.3.3", "Mass"] == "1"
    assert labels["1.2.3.4", "Mass"] == "0"
    assert len(labels) == 24
    boxes = table(tmp_path / "run", "annotations").set_index("image_id")
    assert boxes.loc["1.2.3.9", ["x0", "y0", "x1", "y1"]].tolist() == [17, 30, 49, 62]
    assert boxes["label"].eq("Mass").all()


def test_findings_that_are_left_out_leave_no_label_and_no_box(tmp_path: Path) -> None:
    settings = settings_for(write_root(tmp_path / "in"))

    def leave_out(*names: str) -> Settings:
        return settings.model_copy(update={"data": settings.data.model_copy(update={"leave_out": names})})

    run(leave_out("Mass"), tmp_path / "cysts")
    assert set(table(tmp_path / "cysts", "labels")["label"]) == {"Cyst"}
    assert len(table(tmp_path / "cysts", "annotations")) == 0
    run(leave_out("Cyst"), tmp_path / "masses")
    boxes = table(tmp_path / "masses", "annotations").set_index("image_id")
    assert boxes.loc["1.2.3.9", ["label", "x0"]].tolist() == ["Mass", 17]
    contract = json.loads((tmp_path / "masses" / "ingest" / "contract.json").read_text())
    assert contract["labels"] == ["Mass"]
    with pytest.raises(SettingsError, match=r"leave_out: no finding \['Nodule'\]; the findings are"):
        run(leave_out("Nodule"), tmp_path / "typo")
    with pytest.raises(SettingsError, match="keep at least one"):
        run(leave_out("Mass", "Cyst"), tmp_path / "nothing")


def test_patients_stay_together_and_the_split_does_not_depend_on_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(write_root(tmp_path / "in", 20))
    run(settings, tmp_path / "a")
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "another key"))
    run(settings, tmp_path / "b")
    first, second = table(tmp_path / "a", "images"), table(tmp_path / "b", "images")
    assert first.groupby("patient_key")["split"].nunique().max() == 1
    assert first["patient_key"].nunique() == 10
    assert Counter(first["split"]) == {"train": 14, "validation": 2, "test": 4}
    assert first["split"].equals(second["split"])
    assert not set(first["patient_key"]) & set(second["patient_key"])


def test_stopped_after_any_number_of_films_it_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(write_root(tmp_path / "in"), audit=True)
    run(settings, tmp_path / "whole")
    read: list[str] = []

    def stop_after(count: int) -> None:
        def stopping(plan: FilmPlan, source: str) -> FilmRow:
            if len(read) == count:
                raise KeyboardInterrupt
            read.append(source)
            return read_row(plan, source)

        monkeypatch.setattr(ingest, "read_row", stopping)

    stop_after(7)  # two films into the second shard of five
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "cut")
    read.clear()
    stop_after(-1)
    run(settings, tmp_path / "cut")
    assert len(read) == 7  # the first shard was kept
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_stopped_while_the_store_is_made_it_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(write_root(tmp_path / "in"))
    run(settings, tmp_path / "whole")

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run(settings, tmp_path / "cut")
    run(settings, tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def _interrupted(settings: Settings, out: Path) -> None:
    """Run an ingest that is interrupted when all chunks are read."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("camray.stages.ingest.stage.admit", killed)
        with pytest.raises(KeyboardInterrupt):
            run(settings, out)


def test_an_ingest_resumed_with_another_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(write_root(tmp_path / "in"))
    _interrupted(settings, tmp_path / "cut")
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "another key"))
    with pytest.raises(SettingsError, match=r"begun with another key .*CAMRAY_KEY_FILE, or delete .*parts"):
        run(settings, tmp_path / "cut")
    (tmp_path / "cut" / "ingest" / "parts" / "key.txt").write_text("junk")  # whose chunks these are is unknown
    run(settings, tmp_path / "cut")
    run(settings, tmp_path / "whole")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_cut_part_is_read_again(tmp_path: Path) -> None:
    settings = settings_for(write_root(tmp_path / "in"))
    run(settings, tmp_path / "whole")
    _interrupted(settings, tmp_path / "cut")
    part = tmp_path / "cut" / "ingest" / "parts" / "films-00001.npy"
    part.write_bytes(part.read_bytes()[:-7])
    (part.parent / "facts-00002.parquet").unlink()
    facts = part.parent / "facts-00000.parquet"
    facts.write_bytes(facts.read_bytes()[:-9])
    run(settings, tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_many_processes_give_the_same_bytes_as_one(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in")
    (root / "bad").write_bytes(b"\0" * 300)
    run(settings_for(root), tmp_path / "one")
    run(settings_for(root, workers=2), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_chunk_without_any_film_leaves_no_shard(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in", 6)
    for number in range(5):
        (root / f"a{number}").write_text("no film")  # sorts before the films: the whole first chunk
    run(settings_for(root), tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run" / "ingest" / "store").iterdir())
    assert names == ["films-00001.npy", "films-00002.npy"]


def test_nothing_usable_is_an_error_that_counts_reasons(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InputRefusedError, match="no file matches"):
        run(settings_for(tmp_path / "in"), tmp_path / "run")
    (tmp_path / "in" / "a").write_text("x")
    with pytest.raises(InputRefusedError, match="1 x not_dicom"):
        run(settings_for(tmp_path / "in"), tmp_path / "run")
    assert reasons(tmp_path / "run") == {"a": "not_dicom"}


def test_one_study_under_two_patients_is_refused_whole(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in", 6)
    write_film(root / "sub1" / "film1", 1, PatientID="CANARY-other")
    run(settings_for(root), tmp_path / "run")
    assert reasons(tmp_path / "run") == {"sub0/film0": "conflicting_patient", "sub1/film1": "conflicting_patient"}


def test_films_outside_the_label_table_do_not_train(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in", 6)
    write_film(root / "z", 20)
    run(settings_for(root), tmp_path / "run")
    assert reasons(tmp_path / "run") == {"z": "not_in_table"}


def test_duplicates_stay_on_request(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in", 4)
    write_film(root / "z", 1, SOPInstanceUID="1.2.3.99")
    with (root / "labels.csv").open("a") as stream:
        stream.write("1.2.3.99,0,0\n")
    assert run(settings_for(root), tmp_path / "a").counts.n_refused == 1
    assert run(settings_for(root, keep_duplicates=True), tmp_path / "b").counts.n_refused == 0


def _write_tb(root: Path) -> Path:
    for number in range(8):
        write_film(root / "dicom" / f"{number}.dcm", number)
    lines = [f"1.2.3.{n},CANARY-{n // 2},R,{n % 2},{int(n == 4)}" for n in range(9)]
    head = "SOPInstanceUID,PatientID,ImageLaterality,Active Tuberculosis,Obsolete Tuberculosis\n"
    (root / "labels.csv").write_text(head + "\n".join(lines) + "\n")
    (root / "boxes.csv").write_text("SOPInstanceUID,label,x0,y0,x1,y1\n1.2.3.4,Obsolete Tuberculosis,1,2,3,4\n")
    return root


def test_a_complete_data_set_misses_what_its_tables_name(tmp_path: Path) -> None:
    result = run(settings_for(_write_tb(tmp_path / "in"), "tb_hemithorax"), tmp_path / "run")
    assert result.counts.as_json() == {"in": 9, "done": 8, "refused": 1}
    assert reasons(tmp_path / "run") == {"labels.csv:10": "missing_file"}
    labels = table(tmp_path / "run", "labels").set_index(["image_id", "label"])["value"]
    assert labels["1.2.3.4", "Tuberculosis"] == "1"  # derived
    assert labels["1.2.3.2", "Tuberculosis"] == "0"
    boxes = table(tmp_path / "run", "annotations")
    assert boxes["label"].tolist() == ["Obsolete Tuberculosis", "Tuberculosis"]
    assert result.figures["boxes"] == 1


def test_a_refused_film_of_a_complete_data_set_is_counted_once(tmp_path: Path) -> None:
    root = _write_tb(tmp_path / "in")
    cut = root / "dicom" / "3.dcm"
    cut.write_bytes(cut.read_bytes()[:-2000])  # its header tells who it is
    (root / "dicom" / "5.dcm").write_bytes(bytes(4000))  # nothing does
    (root / "dicom" / "notes.txt").write_text("no film")
    with (root / "boxes.csv").open("a") as stream:
        stream.write("1.2.3.3,Active Tuberculosis,700,700,800,800\n")
    result = run(settings_for(root, "tb_hemithorax"), tmp_path / "run")
    assert result.counts.as_json() == {"in": 10, "done": 6, "refused": 4}
    refusals = table(tmp_path / "run", "refusals").set_index("source")
    assert refusals["reason"].to_dict() == {
        "dicom/3.dcm": "truncated",
        "dicom/5.dcm": "not_dicom",
        "dicom/notes.txt": "not_dicom",
        "labels.csv:7": "missing_file",
    }
    assert "or is 1 of 1 refused file(s)" in refusals["message"]["labels.csv:7"]


def test_pictures_take_patient_and_view_from_the_table_and_boxes_from_its_frame(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(6):
        pixels = rng.integers(0, 255, (128, 128), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number:08d}_000.png")
    head = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    head += "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
    ages = (50, 50, 91, 90, 411, 50, 50)  # of published tables, some cannot be
    lines = [
        f"{n:08d}_000.png,{'Mass|Edema' if n else 'No Finding'},0,{n // 3},{years},M,{'LL' if n == 5 else 'PA'},9,9,1,1"
        for n, years in enumerate(ages)
    ]
    (root / "Data_Entry_2017_v2020.csv").write_text(head + "\n".join(lines) + "\n")
    boxes = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000001_000.png,Mass,512,256,128,64,,,\n"
    (root / "BBox_List_2017.csv").write_text(boxes)
    result = run(settings_for(root, "nih_chestxray14"), tmp_path / "run")
    assert result.counts.as_json() == {"in": 6, "done": 5, "refused": 1}
    assert set(reasons(tmp_path / "run").values()) == {"wrong_view"}
    images = table(tmp_path / "run", "images")
    assert images["patient_key"].nunique() == 2
    assert images["view"].eq("PA").all()
    groups = table(tmp_path / "run", "groups")
    assert groups["age_years"].fillna(0).tolist() == [50, 50, 90, 90, 0]
    assert groups["sex"].eq("M").all()
    box = table(tmp_path / "run", "annotations").loc[0]
    assert box[["x0", "y0", "x1", "y1"]].tolist() == [64, 32, 80, 40]
    assert "labels" not in (tmp_path / "run" / "ingest" / "refusals.parquet").name


def test_official_lists_are_taken_and_unnamed_films_left_out(tmp_path: Path) -> None:
    text = manifest_path("folder").read_text().replace("labels: auto", "")
    (tmp_path / "m.yaml").write_text(text + "labels: auto\nsplits: {train: train.txt, test: test.txt}\n")
    root = write_root(tmp_path / "in", 12)
    (root / "train.txt").write_text("\n".join(f"1.2.3.{n}" for n in range(8)))
    (root / "test.txt").write_text("1.2.3.8\n1.2.3.9\n")
    run(settings_for(root, str(tmp_path / "m.yaml"), split="official"), tmp_path / "run")
    images = table(tmp_path / "run", "images").set_index("image_id")["split"]
    assert images["1.2.3.8"] == images["1.2.3.9"] == "test"
    assert set(reasons(tmp_path / "run").values()) == {"not_in_table"}
    (root / "test.txt").write_text("1.2.3.7\n1.2.3.8\n")
    (root / "train.txt").write_text("\n".join(f"1.2.3.{n}" for n in range(7)))
    with pytest.raises(ManifestError, match="more than one split"):
        run(settings_for(root, str(tmp_path / "m.yaml"), split="official"), tmp_path / "leak")


def test_wrong_boxes_stop_and_the_report_names_lines(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in", 6)
    with (root / "boxes.csv").open("a") as stream:
        stream.write("1.2.3.3,Mass,700,700,800,800\n")
    with pytest.raises(AnnotationError, match=r"boxes\.csv: boxes entirely outside their film.*line 4"):
        run(settings_for(root), tmp_path / "run")


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Path]:
    run(settings_for(_write_tb(tmp_path / "tb"), "tb_hemithorax"), tmp_path / "trained")
    return tmp_path / "trained"


def test_new_films_take_the_trained_runs_grid_and_labels_and_are_all_test(tmp_path: Path, trained: Path) -> None:
    new = tmp_path / "new"
    for number in range(20, 24):
        write_film(new / f"{number}", number)
    settings = settings_for(new, "tb_hemithorax", rows=32, cols=32)
    result = run(settings, tmp_path / "out", trained)
    images = table(tmp_path / "out", "images")
    assert result.counts.as_json() == {"in": 4, "done": 4, "refused": 0}
    assert images["split"].eq("test").all()
    assert PixelStore(tmp_path / "out" / "ingest" / "store").shard(0).shape == (4, 64, 48)
    assert len(table(tmp_path / "out", "labels")) == 0
    assert (tmp_path / "out" / "ingest" / "contract.json").read_text().count("Active Tuberculosis")


def test_how_films_were_made_and_look_is_kept_of_new_films_too(tmp_path: Path, trained: Path) -> None:
    new = tmp_path / "new"
    write_film(new / "20", 20, Manufacturer="Canary Imaging")
    write_film(new / "21", 21, WindowCenter=2000, WindowWidth=3000, Manufacturer="Other")
    write_film(new / "22", 22, Manufacturer="Canary Imaging ")
    run(settings_for(new, "tb_hemithorax"), tmp_path / "out", trained)
    kept, images = (table(tmp_path / "out", name).set_index("image_id") for name in ("acquisition", "images"))
    assert kept.index.tolist() == images.index.tolist()
    assert kept["voi"].tolist() == ["none", "window", "none"]
    assert kept["maker"].nunique() == 2
    assert kept.loc["1.2.3.20", "maker"] == kept.loc["1.2.3.22", "maker"]
    assert set(kept["maker_key"]) == set(table(tmp_path / "trained", "acquisition")["maker_key"])
    store = PixelStore(tmp_path / "out" / "ingest" / "store").shard(0) / 255.0
    inside = store[0][:, store[0].any(axis=0)]  # without the letterbox's margins
    assert kept.loc["1.2.3.20", "grey_mean"] == pytest.approx(inside.mean(), abs=0.02)
    assert (kept["border_mean"] < kept["grey_high"]).all()
    assert kept["local_contrast"].between(0, 0.5, inclusive="neither").all()


def test_new_films_with_tables_get_derived_labels_and_may_lack_rows(tmp_path: Path, trained: Path) -> None:
    new = tmp_path / "new"
    for number in range(20, 23):
        write_film(new / f"{number}", number)
    head = "SOPInstanceUID,PatientID,ImageLaterality,Active Tuberculosis,Obsolete Tuberculosis\n"
    (new / "labels.csv").write_text(head + "1.2.3.20,x,R,0,1\n1.2.3.99,x,R,0,0\n")
    (new / "b.csv").write_text("SOPInstanceUID,label,x0,y0,x1,y1\n1.2.3.20,Obsolete Tuberculosis,1,2,3,4\n")
    settings = settings_for(new, "tb_hemithorax", labels=new / "labels.csv", boxes=new / "b.csv")
    result = run(settings, tmp_path / "out", trained)
    assert result.counts.as_json() == {"in": 3, "done": 3, "refused": 0}
    labels = table(tmp_path / "out", "labels")
    assert dict(labels[["label", "value"]].itertuples(index=False)) == {
        "Active Tuberculosis": "0",
        "Obsolete Tuberculosis": "1",
        "Tuberculosis": "1",
    }
    assert len(table(tmp_path / "out", "annotations")) == 2


def test_one_film_may_be_named_itself(tmp_path: Path, trained: Path) -> None:
    path = write_film(tmp_path / "new" / "x.dcm", 20)
    (tmp_path / "new" / "labels.csv").write_text("not read")
    assert run(settings_for(path, "tb_hemithorax"), tmp_path / "out", trained).counts.n_done == 1


def test_a_trained_run_without_its_contract_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"contract\.json"):
        run(settings_for(tmp_path), tmp_path / "out", tmp_path / "nowhere")


@pytest.mark.realdata
def test_the_variety_of_real_files_is_accounted_for(tmp_path: Path, real_data: Path) -> None:
    result = run(settings_for(real_data / "dicom_variety"), tmp_path / "run")
    assert result.counts.as_json() == {"in": 13, "done": 6, "refused": 7}
    assert Counter(reasons(tmp_path / "run").values()) == {
        "wrong_body_part": 4,
        "duplicate_pixels": 2,
        "wrong_modality": 1,
    }


@pytest.mark.realdata
def test_no_identifier_of_real_films_is_written(tmp_path: Path, real_data: Path) -> None:
    (tmp_path / "in" / "dicom").mkdir(parents=True)
    films = sorted((real_data / "tb_hemithorax" / "dicom").iterdir())[:12]
    for film in films:
        (tmp_path / "in" / "dicom" / film.name).symlink_to(film)
    for name in ("labels.csv", "boxes.csv"):
        (tmp_path / "in" / name).symlink_to(real_data / "tb_hemithorax" / name)
    result = run(settings_for(tmp_path / "in", "tb_hemithorax"), tmp_path / "run")
    assert result.counts.as_json() == {"in": 1185, "done": 12, "refused": 1173}
    for name, content in contents(tmp_path / "run").items():
        assert b"canary" not in content.lower(), name


@pytest.mark.realdata
@pytest.mark.slow
def test_the_audit_finds_the_nih_samples_brightness_shortcut(tmp_path: Path, real_data: Path) -> None:
    result = run(settings_for(real_data / "nih_sample", "nih_chestxray14", audit=True), tmp_path / "run")
    assert result.counts.as_json() == {"in": 1000, "done": 999, "refused": 1}
    audit = json.loads((tmp_path / "run" / "ingest" / "audit.json").read_text())
    probes = {(probe["label"], probe["features"]): probe for probe in audit["probes"]}
    assert 0.75 < probes["Pneumonia", "grey-level histogram"]["auc"] < 0.87
    assert probes["Pneumonia", "grey-level histogram"]["warning"]
    assert any(warning.startswith("Pneumonia: grey-level histogram") for warning in audit["warnings"])


def test_films_that_look_like_none_and_labels_of_one_class_are_kept_and_told(tmp_path: Path) -> None:
    root = write_root(tmp_path / "in")
    noise = np.random.default_rng(1).integers(0, 256, (90, 80), dtype=np.uint8)
    Image.fromarray(noise).save(root / "noise.png")
    lines = (root / "labels.csv").read_text().splitlines()
    rows = [f"{line},0,{int(number % 2)}" for number, line in enumerate([*lines[1:], "noise,0,1"])]
    (root / "labels.csv").write_text("\n".join([f"{lines[0]},Scar,Odd", *rows]) + "\n")
    figures = run(settings_for(root, audit=True), tmp_path / "run").figures
    assert "noise" in set(table(tmp_path / "run", "images")["image_id"])
    audit = json.loads((tmp_path / "run" / "ingest" / "audit.json").read_text())
    (noisy,) = [film for film in audit["doubtful"] if film["image_id"] == "noise"]
    assert "as in noise" in noisy["why"]
    assert figures["note_doubtful"].startswith(f"{len(audit['doubtful'])} film(s) do not look like chest films")
    n_train = int((table(tmp_path / "run", "images")["split"] == "train").sum())
    assert audit["one_class"] == [f"Scar (0 present, {n_train} absent)"]
    assert figures["note_one_class"].endswith(audit["one_class"][0])
    for told in (noisy["why"], audit["one_class"][0]):
        assert told in (tmp_path / "run" / "ingest" / "audit.html").read_text()
