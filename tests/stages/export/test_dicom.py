"""DICOM objects of a run: every film once, the same objects twice, a changed result a new version."""

import csv
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from camray.adapters.run_folders.run_folder import RunFolder, write_json
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import ExportError
from camray.domain.film_results import on_export_grid
from camray.domain.geometry import Box, GridTransform
from camray.reporting import fonts
from camray.reporting.captured_film import CapturedFilm, CapturedFinding, EdgeMarkers
from camray.reporting.secondary_capture import display_shape, draw_capture, heat_on_film
from camray.stages.export import stage as export
from tests.adapters.dicom.read_back import read_gsps, read_sr
from tests.dicom_run import change_a_box, make_run, settings_of

FORMATS = ["sr", "gsps", "sc", "seg", "pdf"]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path, films=4)


def _export(folder: RunFolder, **more: Any) -> Any:
    return export.run(settings_of(folder.root.parent, **{"formats": FORMATS, **more}), folder, NullTracker())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Any]:
    """A run with all its objects, to be copied before it is changed; and what the stage returned."""
    folder = make_run(tmp_path_factory.mktemp("exported"), films=4)
    return folder, _export(folder)


def _rows(folder: RunFolder, name: str = "objects.csv") -> list[dict[str, str]]:
    with (folder.root / "export" / "dicom" / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _paths(folder: RunFolder) -> list[Path]:
    return sorted((folder.root / "export" / "dicom").glob("*.dcm"))


def _bytes(folder: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _paths(folder)}


def test_every_film_gets_its_objects(exported: tuple[RunFolder, Any]) -> None:
    run, result = exported
    rows = _rows(run)
    assert result.counts.n_done == 4
    assert (
        result.figures["dicom_objects"] == len(rows) == len(_bytes(run)) == 2 * 4 + 2 * 6
    )  # films 0 and 3 are negative
    ids = sorted({row["image_id"] for row in rows})
    assert len(ids) == 4
    for row in rows:
        ds = pydicom.dcmread(run.root / "export" / "dicom" / row["file"])
        assert ds.SOPInstanceUID == row["sop_instance_uid"]
    shown = _boxes_of(run)
    for image_id in ids:
        report = pydicom.dcmread(run.root / "export" / "dicom" / f"{image_id}.sr.dcm")
        found = [entry for entry in read_sr(report) if entry["box"] is not None]
        assert [entry["box"] for entry in found] == shown.get(image_id, [])  # none reaches the film's edge
        assert {(entry["finding"], entry["site"]) for entry in found} <= {
            (("4147007", "SCT", "Mass"), "Upper zone of lung")
        }
        state = pydicom.dcmread(run.root / "export" / "dicom" / f"{image_id}.gsps.dcm")
        assert [box for box, _ in read_gsps(state)] == shown.get(image_id, [])


def _boxes_of(run: RunFolder) -> dict[str, list[Box]]:
    """Reported boxes of the predictions table, best first."""
    import pandas as pd

    table = pd.read_parquet(run.root / "localize" / "predictions.parquet")
    images = pd.read_parquet(run.root / "ingest" / "images.parquet").set_index("image_id")
    shown: dict[str, list[Box]] = {}
    for row in table[table["reported"]].sort_values(["image_id", "rank"]).itertuples():
        box = on_export_grid(Box(row.x0, row.y0, row.x1, row.y1), *images.loc[row.image_id, ["rows", "cols"]])
        assert box is not None
        shown.setdefault(row.image_id, []).append(box)
    return shown


@pytest.mark.untraced
def test_twice_gives_the_same_objects_and_a_change_gives_successors(
    exported: tuple[RunFolder, Any], tmp_path: Path
) -> None:
    root = exported[0].root
    shutil.copytree(root.parent, tmp_path, dirs_exist_ok=True)
    run = RunFolder(tmp_path / root.name)
    first, rows = _bytes(run), _rows(run)
    os.utime(run.root / "localize" / "predictions.parquet", (2e9, 2e9))  # drawn again, with the same outcome
    _export(run)
    assert _bytes(run) == first
    changed = next(row["image_id"] for row in rows if row["kind"] == "seg-boxes")
    change_a_box(run, changed)
    _export(run)
    after = {(row["image_id"], row["kind"]): row for row in _rows(run)}
    for row in rows:
        now = after[row["image_id"], row["kind"]]
        if row["image_id"] != changed:
            continue
        assert (now["version"], now["predecessor"]) == ("2", row["sop_instance_uid"])
        assert now["sop_instance_uid"] != row["sop_instance_uid"]
    same = [row for row in rows if row["image_id"] != changed]
    assert all(after[row["image_id"], row["kind"]] == row for row in same)
    second = _bytes(run)
    _export(run)
    assert _bytes(run) == second


@pytest.mark.untraced
def test_a_copied_run_without_history_gives_the_same_bytes_at_the_recorded_time(run: RunFolder) -> None:
    """Whatever the files' times are: UIDs and times follow from film, result and its recorded time."""
    record = {"outputs": {}, "finished_at": "2025-06-07T08:09:10+09:00"}
    write_json(run.root / "localize" / "stage.json", record)
    _export(run)
    first = _bytes(run)
    for path in run.root.glob("exported.sqlite*"):
        path.unlink()
    os.utime(run.root / "localize" / "predictions.parquet", (2e9, 2e9))
    _export(run)
    assert _bytes(run) == first
    stated = {(ds.get("ContentDate"), ds.get("ContentTime")) for ds in map(pydicom.dcmread, _paths(run))}
    assert stated - {(None, None)} == {("20250607", "080910")}


def test_the_time_of_a_run_without_record_is_that_of_its_table(run: RunFolder) -> None:
    os.utime(run.root / "localize" / "predictions.parquet", (1.7e9, 1.7e9))
    _export(run, formats=["sr"])
    expected = datetime.fromtimestamp(1.7e9)
    assert {pydicom.dcmread(path).ContentTime for path in _paths(run)} == {expected.strftime("%H%M%S")}


def test_a_film_that_is_gone_or_changed_is_refused_by_name(run: RunFolder) -> None:
    films = sorted((run.root.parent / "films").iterdir())
    films[0].unlink()
    films[1].write_bytes(films[2].read_bytes())
    result = _export(run, formats=["sr"])
    assert (result.counts.n_done, result.counts.n_refused) == (2, 2)
    reasons = sorted(row["reason"].split(": ", 1)[1] for row in _rows(run, "refused.csv"))
    assert reasons[0].startswith("its source is not under")
    assert reasons[1].startswith("the film has changed since it was ingested")


def test_without_any_film_the_stage_stops(run: RunFolder) -> None:
    for path in (run.root.parent / "films").iterdir():
        path.unlink()
    with pytest.raises(ExportError, match="no film can have DICOM objects"):
        _export(run, formats=["sr"])


@pytest.mark.parametrize(("formats", "is_noted"), [(["sc"], True), (["sr"], False)])
def test_names_without_a_font_give_one_note_that_names_a_package(
    formats: list[str], is_noted: bool, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "letter_fonts", lambda text: None)
    figures = _export(run, formats=formats).figures
    assert ("fonts-noto" in figures.get("note_fonts", "")) == is_noted
    assert ("'Nodule/Mass', 'Effusion'" in figures.get("note_fonts", "")) == is_noted


def test_the_model_must_be_known(run: RunFolder) -> None:
    (run.root / "train" / "model.safetensors").unlink()
    with pytest.raises(ExportError, match="which model"):
        _export(run, formats=["sr"])


def test_heat_is_sampled_at_pixel_centres() -> None:
    """Two cells of 4 model px; the film covers the left half at twice the size. Worked by hand."""
    raw = np.array([[0.0, 8.0]], np.float32)
    whole = heat_on_film(raw, GridTransform(0.5, 0.5), (4, 8), (8, 16), (1, 16))
    # centres in cells: (c + 0.5) / 8 - 0.5, clipped to 0..1
    assert np.allclose(whole[0], np.clip((np.arange(16) + 0.5) / 8 - 0.5, 0, 1) * 8)
    half = heat_on_film(raw, GridTransform(0.5, 0.5), (4, 8), (8, 8), (1, 4))
    assert np.allclose(half[0], np.clip((np.arange(4) + 0.5) * 2 / 8 - 0.5, 0, 1) * 8)


def test_a_capture_has_its_boxes_where_they_are() -> None:
    shape = display_shape((200, 100), 1.0, 100)
    assert shape == (100, 50)
    film = CapturedFilm(np.full((200, 100), 0.2, np.float32), EdgeMarkers())
    mass = CapturedFinding("Mass", "0.90", "", (240, 228, 66), None, (Box(20, 80, 80, 160),))
    drawn = draw_capture(film, [mass], shape)
    # the colour is beside the name too, above the box
    frame = np.argwhere((drawn[40:100, :50] == mass.rgb).all(axis=-1)) + np.array((40, 0))
    assert (*frame.min(axis=0), *(frame.max(axis=0) + 1)) == (40, 10, 80, 40)


def test_the_export_grid_moves_nothing_by_more_than_half_a_step() -> None:
    box = Box(1.23456789, 0.001, 7.777, 9.999)
    rounded = on_export_grid(box, 10, 10)
    assert rounded is not None
    assert np.abs(np.array(rounded.as_tuple()) - box.as_tuple()).max() <= 1 / 512
    assert all(np.float32(side) == side for side in rounded.as_tuple())
    assert on_export_grid(Box(11, 0, 12, 1), 10, 10) is None
