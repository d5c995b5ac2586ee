"""Reports with odd times, shared UIDs and marks without area: no answer is lost, and none is made up."""

from pathlib import Path

import pytest

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.domain.geometry import Box
from camray.stages.export import stage as export
from tests.adapters.dicom.edited_reports import edited_by_ohif, film_of, ohif_mark
from tests.dicom_run import make_run, settings_of
from tests.workflows.review.imported_reports import EFFUSION, MASS, SUMMARY, boxes_of, imported, reports_of, saved


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("reports"), 3)
    export.run(settings_of(folder.root.parent, formats=["sr"]), folder, NullTracker())
    return folder


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (("20260304", "101500"), ("20260304", "1730")),  # minutes only
        (("20260304", "101500.25"), ("20260304", "101500.5")),
        (("20260304", "101500"), ("2026.03.05", "09:00:00")),  # as before 1993
    ],
)
def test_the_later_time_counts_in_all_its_forms(
    run: RunFolder, tmp_path: Path, earlier: tuple[str, str], later: tuple[str, str]
) -> None:
    reports = reports_of(run)
    image_id = list(reports)[2]
    drawn = [ohif_mark(film_of(reports[image_id]), Box(1, 2, 30, 40), MASS)]
    for name, marks, (date, time) in (("a", drawn, later), ("b", [], earlier)):
        report = edited_by_ohif(reports[image_id], marks, "Reader^One")
        with suppress_warnings():
            report.ContentDate, report.ContentTime = date, time
        saved(report, tmp_path / "read" / f"{name}.dcm")
    _, rows = imported(run, tmp_path / "read")
    assert boxes_of(rows["Reader One", image_id, MASS]) != []


def test_two_reports_with_one_uid_are_both_kept(run: RunFolder, tmp_path: Path) -> None:
    reports = reports_of(run)
    image_id = list(reports)[2]
    mark = ohif_mark(film_of(reports[image_id]), Box(1, 2, 30, 40), MASS)
    first = edited_by_ohif(reports[image_id], [mark], "Reader^One")
    second = edited_by_ohif(reports[image_id], [], "Reader^Two")
    second.SOPInstanceUID = first.SOPInstanceUID
    for name, ds in (("a", first), ("b", second), ("copy of a", first)):
        saved(ds, tmp_path / "read" / f"{name}.dcm")
    found, rows = imported(run, tmp_path / "read")
    assert [rows[reader, image_id, MASS].value for reader in ("Reader One", "Reader Two")] == ["1", "0"]
    (problem,) = found.problems
    assert (problem.source, problem.reader) == ("b.dcm", "Reader Two")
    assert "has the UID of another report" in problem.what


@pytest.mark.parametrize("points", [[5.0, 5.0, 9.0, 9.0], [1, 1, 30, 5, 60, 30, 20, 40, 10, 20], [float("nan")] * 10])
def test_a_length_in_place_of_a_box_rejects_nothing(run: RunFolder, tmp_path: Path, points: list[float]) -> None:
    reports = reports_of(run)
    image_id = list(reports)[2]
    mark = ohif_mark(film_of(reports[image_id]), None, SUMMARY, points=points)
    found, rows = imported(run, saved(edited_by_ohif(reports[image_id], [mark], "R"), tmp_path / "length.dcm"))
    assert ("R", image_id, MASS) not in rows
    assert ("R", image_id, EFFUSION) in rows
    assert [problem.label for problem in found.problems] == [MASS]
