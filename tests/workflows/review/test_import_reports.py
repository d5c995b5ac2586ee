"""A report out, edited as a reader's viewer does it, and back: coordinates and verdicts to the last bit."""

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pandas as pd
import pydicom
import pytest

from camray.adapters.dicom.write.source_header import read_source
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box
from camray.stages.export import stage as export
from tests.adapters.dicom.edited_reports import (
    UNNAMED,
    by_highdicom,
    edited_by_ohif,
    film_of,
    ohif_mark,
    with_free_text_site,
)
from tests.adapters.dicom.read_back import read_sr
from tests.dicom_run import LABELS, make_run, settings_of
from tests.workflows.review.imported_reports import EFFUSION, MASS, SUMMARY, boxes_of, imported, reports_of, saved

MASS_CODE = ("4147007", "SCT", "Mass")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("reports"), 8)
    export.run(settings_of(folder.root.parent, formats=["sr", "gsps"]), folder, NullTracker())
    return folder


def _claimed(run: RunFolder, image_id: str) -> list[Box]:
    table = pd.read_parquet(run.root / "localize" / "predictions.parquet")
    rows = table[(table["image_id"] == image_id) & (table["label"] == MASS) & table["reported"]].sort_values("rank")
    return [Box(*map(float, corners)) for corners in rows[["x0", "y0", "x1", "y1"]].to_numpy()]


def _exported(report: pydicom.Dataset) -> list[Box]:
    """Boxes as camray's report has them, which a viewer reads."""
    return [row["box"] for row in read_sr(report) if row["box"] is not None]


def test_ohif_report_comes_back_exactly(run: RunFolder, tmp_path: Path) -> None:
    reports = reports_of(run)
    films = list(reports)
    negative, two, one, third = films[0], films[1], films[2], films[5]  # by the run's making
    assert [len(_claimed(run, film)) for film in (negative, two, one, third)] == [0, 2, 1, 2]
    moved = Box(20.5, 30.25, 60.0, 71.75)
    added = Box(5.0, 8.0, 30.0, 40.5)
    folder = tmp_path / "from the PACS"
    edits = {
        # untouched, with its code
        one: [ohif_mark(film_of(reports[one]), _exported(reports[one])[0], SUMMARY, MASS_CODE)],
        # the first moved, the second left as it was; the code is lost, the label kept
        two: [
            ohif_mark(film_of(reports[two]), moved, SUMMARY),
            ohif_mark(film_of(reports[two]), _exported(reports[two])[1], SUMMARY),
        ],
        # both of the AI's deleted, another finding drawn under a label of the reader's own
        third: [ohif_mark(film_of(reports[third]), added, "effusion")],
        # the AI said nothing here; drawn, with a free text that is no finding
        negative: [
            ohif_mark(film_of(reports[negative]), added, MASS),
            ohif_mark(film_of(reports[negative]), moved, "Kerley lines?"),
        ],
    }
    for image_id, marks in edits.items():
        saved(edited_by_ohif(reports[image_id], marks), folder / f"{image_id}.dcm")
        saved(reports[image_id], folder / f"{image_id}.ai.dcm")  # the PACS hands out the whole series
    found, rows = imported(run, folder)
    reader = folder.name  # OHIF names nobody
    assert {key[0] for key in rows} == {reader}
    assert len(rows) == 4 * len(LABELS)

    def said(image_id: str, label: str) -> tuple[str, str, bool, list[Box]]:
        row = rows[reader, image_id, label]
        return row.value, row.verdict, bool(row.is_explicit), boxes_of(row)

    assert said(one, MASS) == ("1", "confirm", True, _claimed(run, one))  # unrounded, as the run has it
    assert said(two, MASS)[:3] == ("1", "adjust", True)
    drawn, kept = said(two, MASS)[3]
    assert kept == _claimed(run, two)[1]
    np.testing.assert_allclose(drawn.as_tuple(), moved.as_tuple(), atol=1e-5, rtol=0)
    assert drawn.as_tuple() == tuple(
        float(np.float32(np.float32(side) * np.float32(1 + 1e-7))) for side in moved.as_tuple()
    )
    assert said(third, MASS) == ("0", "reject", True, [])
    assert said(third, EFFUSION)[:3] == ("1", "adjust", True)
    assert said(negative, MASS)[:3] == ("1", "adjust", True)
    assert said(one, EFFUSION) == ("0", "", False, [])
    told = pd.read_csv(found.folder / "problems.csv", keep_default_na=False)
    assert sum("4 of its reports are camray's own" in what for what in told["what"]) == 1
    assert sum("names no finding" in what for what in told["what"]) == 1
    assert len(told) == 2
    assert "Kerley" not in (found.folder / "problems.csv").read_text(encoding="utf-8")  # this goes to MLflow
    unread = pd.read_csv(found.folder / "unread.csv")
    assert unread["words"].tolist() == ["Kerley lines?"]
    np.testing.assert_allclose(unread.loc[0, ["x0", "y0", "x1", "y1"]].to_numpy(float), moved.as_tuple(), atol=1e-5)
    merged = pd.read_csv(found.folder / "boxes.csv")
    assert len(merged) == 1 + 2 + 1 + 1
    measured = found.agreement.query("other == 'AI' and label == @MASS and metric == 'claim_ppv'")
    assert measured["value"].tolist() == [2 / 3]  # one and two of one, two, third
    assert measured["n"].tolist() == [3]


def test_words_lost_by_the_viewer_are_found_by_overlap(run: RunFolder, tmp_path: Path) -> None:
    reports = reports_of(run)
    image_id = list(reports)[2]
    box = _claimed(run, image_id)[0]
    shifted = Box(box.x0 + 2, box.y0, box.x1 + 2, box.y1)
    far = Box(0, 0, 3, 3)
    marks = [ohif_mark(film_of(reports[image_id]), each) for each in (shifted, far)]
    found, rows = imported(run, saved(edited_by_ohif(reports[image_id], marks), tmp_path / "1.2.3"))
    row = rows["1.2", image_id, MASS]
    assert (row.value, row.verdict, len(boxes_of(row))) == ("1", "adjust", 1)
    told = [problem.what for problem in found.problems]
    assert any("taken for this finding" in what for what in told)
    assert any("names no finding" in what for what in told)
    assert len(pd.read_csv(found.folder / "unread.csv")) == 1


def test_the_later_report_of_a_reader_counts_and_two_readers_stay_two(run: RunFolder, tmp_path: Path) -> None:
    reports = reports_of(run)
    image_id = list(reports)[2]
    film, box = film_of(reports[image_id]), _exported(reports[image_id])[0]
    kept = [ohif_mark(film, box, SUMMARY)]
    added = [*kept, ohif_mark(film, Box(1, 2, 30, 40), "Effusion")]
    for name, marks, observer, time in (
        ("a", added, "Reader^One", "120000"),
        ("b", kept, "Reader^One", "110000"),
        ("c", kept, UNNAMED, ""),
    ):
        saved(edited_by_ohif(reports[image_id], marks, observer, time), tmp_path / "read" / f"{name}.dcm")
    found, rows = imported(run, tmp_path / "read")
    assert {key[0] for key in rows} == {"Reader One", "read"}  # whoever is not named has the folder's name
    assert rows["Reader One", image_id, EFFUSION].value == "1"
    assert rows["read", image_id, EFFUSION].value == "0"
    (problem,) = found.problems
    assert (problem.source, problem.reader) == ("b.dcm", "Reader One")
    assert "a later report" in problem.what
    kappa = found.agreement.query("metric == 'fleiss_kappa'")
    assert len(kappa)
    _, named = imported(run, tmp_path / "read", reader="me")  # said on the command line
    assert {key[0] for key in named} == {"me"}


def test_reports_that_name_nobody_are_never_merged(run: RunFolder, tmp_path: Path) -> None:
    """Two readers in OHIF are both unknown^unknown; the second may have opened the first one's report."""
    reports = reports_of(run)
    image_id, other = list(reports)[2], list(reports)[5]
    film, box = film_of(reports[image_id]), _exported(reports[image_id])[0]
    first = edited_by_ohif(reports[image_id], [ohif_mark(film, box, SUMMARY)], time="100000")
    second = edited_by_ohif(first, [], time="110000")
    for name, ds in (("first", first), ("copy of first", first), ("second", second)):
        saved(ds, tmp_path / "read" / f"{name}.dcm")
    saved(edited_by_ohif(reports[other], []), tmp_path / "read" / "other.dcm")
    found, rows = imported(run, tmp_path / "read")
    assert rows["read", image_id, MASS].value == "1"
    assert rows["read (unnamed 2)", image_id, MASS].value == "0"
    assert {key[:2] for key in rows} == {("read", image_id), ("read", other), ("read (unnamed 2)", image_id)}
    (problem,) = found.problems
    assert (problem.source, problem.reader) == ("second.dcm", "read (unnamed 2)")
    assert "names no reader" in problem.what
    _, rows = imported(run, tmp_path / "read", reader="me")  # one reader, as the caller says: the later counts
    assert {key[0] for key in rows} == {"me"}
    assert rows["me", image_id, MASS].value == "0"


def test_ohif_report_unnamed_is_not_merged(run: RunFolder, tmp_path: Path) -> None:
    reports = reports_of(run)
    image_id = list(reports)[2]
    mark = ohif_mark(film_of(reports[image_id]), _exported(reports[image_id])[0], SUMMARY)
    files = [tmp_path / folder / "report.dcm" for folder in ("a", "b")]
    for file, marks in zip(files, ([mark], []), strict=True):
        saved(edited_by_ohif(reports[image_id], marks), file)
    _, rows = imported(run, *files)
    assert [rows[reader, image_id, MASS].value for reader in ("report", "report (2)")] == ["1", "0"]


def test_labels_of_older_versions_of_ohif_are_understood(run: RunFolder, tmp_path: Path) -> None:
    """They wrote a label as a finding site of free text."""
    reports = reports_of(run)
    image_id = next(iter(reports))
    drawn = Box(5.0, 8.0, 30.0, 40.5)
    mark = with_free_text_site(ohif_mark(film_of(reports[image_id]), drawn), "effusion")
    _, rows = imported(run, saved(edited_by_ohif(reports[image_id], [mark]), tmp_path / "old.dcm"))
    assert rows["old", image_id, EFFUSION].value == "1"


def test_a_readers_own_report_by_highdicom(run: RunFolder, tmp_path: Path) -> None:
    images = pd.read_parquet(run.root / "ingest" / "images.parquet")
    image = images.iloc[2]
    source = read_source(run.root.parent / "films" / image["source"])
    refers = hd.sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)

    def region(kind: str, points: list[list[float]]) -> Any:
        return hd.sr.ImageRegion(graphic_type=kind, graphic_data=np.array(points), source_image=refers)

    mass, effusion = hd.sr.CodedConcept(*MASS_CODE), hd.sr.CodedConcept("EFFUSION", "99CAMRAY", EFFUSION)
    # axes of an upright ellipse: x 10 to 50, y 20 to 40; and one turned by 45 degrees with both half axes 10: a circle
    regions = [
        (mass, region("ELLIPSE", [[10, 30], [50, 30], [30, 20], [30, 40]])),
        (mass, region("CIRCLE", [[60, 60], [63, 64]])),
        (mass, region("POINT", [[5, 5]])),
        (mass, region("POLYLINE", [[5, 5], [9, 9]])),
    ]
    path = saved(by_highdicom(source, regions, "Two^Reader", [(effusion, False)]), tmp_path / "own.dcm")
    found, rows = imported(run, path)
    row = rows["Two Reader", image["image_id"], MASS]
    assert boxes_of(row) == [Box(10, 20, 50, 40), Box(55, 55, 65, 65)]
    assert (rows["Two Reader", image["image_id"], EFFUSION].value) == "0"
    assert bool(rows["Two Reader", image["image_id"], EFFUSION].is_explicit)
    (problem,) = found.problems
    assert problem.what.startswith("a mark without area, such as a length; left out")


def test_films_and_files_of_elsewhere_are_told(run: RunFolder, tmp_path: Path) -> None:
    reports = reports_of(run)
    image_id = list(reports)[2]
    film, box = film_of(reports[image_id]), _exported(reports[image_id])[0]
    folder = tmp_path / "mixed"
    saved(edited_by_ohif(reports[image_id], [ohif_mark(film, box, SUMMARY)]), folder / "good.dcm")
    stranger = edited_by_ohif(reports[image_id], [ohif_mark((film[0], "1.2.3.4.5"), box, SUMMARY)])
    del stranger.CurrentRequestedProcedureEvidenceSequence
    saved(stranger, folder / "stranger.dcm")
    gsps = next((run.root / "export" / "dicom").glob("*.gsps.dcm"))
    (folder / "picture.dcm").write_bytes(gsps.read_bytes())
    (folder / "readme.txt").write_text("hello", encoding="utf-8")
    found, rows = imported(run, folder)
    assert {key[1] for key in rows} == {image_id}
    told = [problem.what for problem in found.problems]
    for words in ("not one of this run", "no structured report", "no DICOM"):
        assert sum(words in what for what in told) == 1, words
    with pytest.raises(AnnotationError, match="no structured report"):
        imported(run, folder / "picture.dcm")
    with pytest.raises(AnnotationError, match="camray's own"):
        imported(run, run.root / "export" / "dicom")
