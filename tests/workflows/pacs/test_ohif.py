"""camray's reports in the real OHIF viewer: opened, edited by mouse, saved to a PACS and imported."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from typer.testing import CliRunner

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.adapters.tracking.interface import NullTracker
from camray.commands.app import app
from camray.domain.geometry import Box
from camray.domain.records import PREDICTION_COLUMNS
from camray.stages.export import stage as export
from tests.adapters.dicom.edited_reports import film_of
from tests.adapters.dicom.object_films import phantom
from tests.adapters.dicom.read_back import box_around, read_sr
from tests.chromium import browsing
from tests.dicom_run import LABELS, make_run, settings_of
from tests.workflows.pacs import ohif, orthanc
from tests.workflows.pacs.ohif import Radiologist
from tests.workflows.pacs.orthanc import Orthanc

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not orthanc.is_installed(), reason="Orthanc and its DICOMweb plugin are not installed"),
    pytest.mark.skipif(
        not ohif.is_installed(), reason="OHIF (make test-server) or chromium and chromedriver are missing"
    ),
]
ROWS, COLS = 303, 249
NEGATIVE, MIXED, POSITIVE = 0, 1, 2  # a film's number modulo 3; films 3-5 are MONOCHROME1
CASES = [
    (photometric, kind) for photometric in ("MONOCHROME2", "MONOCHROME1") for kind in ("negative", "mixed", "positive")
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Of each photometric type: a negative film, a mixed one, and one with boxes of all findings at its edges."""
    root = tmp_path_factory.mktemp("ohif")
    sources = [root / f"{number}.dcm" for number in range(6)]
    for number, path in enumerate(sources):  # square pixels: OHIF 3.13 misplaces boxes on others
        name = "dx-mono2" if number < 3 else "dx-mono1"
        path.write_bytes(phantom(name, (ROWS, COLS), index=number, spacing_mm=(0.2, 0.2)))
    folder = make_run(root, 6, sources)
    path = folder.root / "localize" / "predictions.parquet"
    table = pd.read_parquet(path)
    film = table.groupby("image_id", sort=False).ngroup().to_numpy()
    table.loc[film % 3 == POSITIVE, ["probability", "reported"]] = [0.9, True]
    corners, first = ["x0", "y0", "x1", "y1"], (film % 3 == POSITIVE) & (table["rank"] == 0)
    table.loc[first & (table["label"] == LABELS[0]), corners] = [0.0, 0.0, 41.5, 60.25]
    table.loc[first & (table["label"] == LABELS[1]), corners] = [COLS - 77.25, ROWS - 60.5, COLS, ROWS]
    write_table(path, table, PREDICTION_COLUMNS)
    settings = settings_of(root, formats=["sr"])
    export.run(settings, folder, NullTracker())
    write_json(folder.root / "settings.json", {**settings.model_dump(mode="json"), "track": {"enabled": False}})
    return folder


@pytest.fixture(scope="module")
def reports(run: RunFolder) -> list[pydicom.Dataset]:
    """In the order of the films."""
    ids = pd.read_parquet(run.root / "ingest" / "images.parquet")["image_id"]
    return [pydicom.dcmread(run.root / "export" / "dicom" / f"{image_id}.sr.dcm") for image_id in ids]


@pytest.fixture
def server(run: RunFolder, tmp_path: Path) -> Iterator[Orthanc]:
    with orthanc.running(tmp_path) as found:
        for path in (*(run.root.parent / "films").iterdir(), *(run.root / "export" / "dicom").glob("*.sr.dcm")):
            found.rest("/instances", path.read_bytes())
        yield found


@pytest.fixture
def reader(server: Orthanc, tmp_path: Path) -> Iterator[Radiologist]:
    with ohif.serving(server.http_port) as address, browsing(tmp_path) as browser:
        yield Radiologist(browser, address)


def _boxes(report: pydicom.Dataset) -> list[Box]:
    return [row["box"] for row in read_sr(report) if row["box"] is not None]


def test_every_report_opens_and_every_box_is_hydrated(reader: Radiologist, reports: list[pydicom.Dataset]) -> None:
    for (photometric, kind), report in zip(CASES, reports, strict=True):
        text = reader.open_report(report.StudyInstanceUID)
        if kind == "negative":
            assert all(f"{label} 0.20 (AI, not verified): below the cutoff of 0.50" in text for label in LABELS)
            assert text.count("Not detected") == len(LABELS)
            continue
        rows = reader.hydrate()
        boxes = [row for row in read_sr(report) if row["box"] is not None]
        assert len(rows) == len(boxes) > 0, (photometric, kind)
        for row in boxes:  # the comment names the side, which OHIF does not show of a finding site
            assert sum(row["comment"] in text.replace("\n", " ") for text in rows) > 0, (photometric, kind)


def _saved(server: Orthanc, study_uid: str) -> pydicom.Dataset:
    """The report that the viewer put into a study."""
    files = [pydicom.dcmread(io.BytesIO(server.file(each))) for each in server.instances().values()]
    (report,) = (ds for ds in files if ds.StudyInstanceUID == study_uid and ds.get("Manufacturer") == "Unspecified")
    return report


def _regions(report: pydicom.Dataset) -> list[Box]:
    found: list[Box] = []

    def walk(item: pydicom.Dataset) -> None:
        if item.get("ValueType") == "SCOORD":
            found.append(box_around(np.reshape(item.GraphicData, (-1, 2))))
        for child in item.get("ContentSequence", []):
            walk(child)

    walk(report)
    return found


def test_what_a_reader_saves_is_imported_exactly(
    reader: Radiologist, server: Orthanc, run: RunFolder, reports: list[pydicom.Dataset], tmp_path: Path
) -> None:
    """One film with a dragged corner, one saved as it was: with boxes at all edges of the film."""
    dragged, untouched = reports[MIXED], reports[3 + POSITIVE]
    reader.open_report(dragged.StudyInstanceUID)
    reader.hydrate()
    corner = reader.drag_corner(LABELS[0], 31, 23)
    reader.save()
    reader.open_report(untouched.StudyInstanceUID)
    reader.hydrate()
    reader.save()
    edited = _regions(_saved(server, dragged.StudyInstanceUID))
    assert len(edited) == len(_boxes(dragged)) == 2
    assert len(_regions(_saved(server, untouched.StudyInstanceUID))) == len(_boxes(untouched)) == 4

    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.root, copy.root)
    words = ["review", "import", str(copy.root), "--from", "dicomweb", server.web, "--resamples", "0", "--json"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    counts = json.loads(told.output[told.output.index("{") :])["counts"]
    assert (counts["films"], counts["readers"]) == (2, 1)
    decisions = pd.read_parquet(copy.root / "reviewed" / "decisions.parquet").set_index(["image_id", "label"])
    claims = pd.read_parquet(run.root / "localize" / "predictions.parquet").set_index(["image_id", "label", "rank"])

    def imported(report: pydicom.Dataset, label: str) -> tuple[str, list[Box]]:
        row: Any = decisions.loc[(film_of(report)[1], label)]
        return row["verdict"], [Box(*corners) for corners in json.loads(row["boxes"])]

    def claimed(report: pydicom.Dataset, label: str, rank: int) -> Box:
        row: Any = claims.loc[(film_of(report)[1], label, rank)]
        return Box(*(float(row[corner]) for corner in ("x0", "y0", "x1", "y1")))

    verdict, boxes = imported(dragged, LABELS[0])
    assert verdict == "adjust"
    moved = next(box for box in boxes if box in edited)  # to the last bit as OHIF stored it
    np.testing.assert_allclose((moved.x1, moved.y1), corner, atol=1e-4)
    before = claimed(dragged, LABELS[0], 0)
    np.testing.assert_allclose((moved.x0, moved.y0), (before.x0, before.y0), atol=1 / 256)
    assert moved.x1 > before.x1 + 1
    assert [box for box in boxes if box != moved] == [claimed(dragged, LABELS[0], 1)]  # unrounded, as the run has it
    for label in LABELS:
        verdict, boxes = imported(untouched, label)
        assert (verdict, boxes) == ("confirm", [claimed(untouched, label, rank) for rank in (0, 1)])
