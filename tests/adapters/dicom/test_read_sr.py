"""Reports that readers edited, read as marks; the fixture of OHIF's reports against one that OHIF wrote."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from camray.adapters.dicom.read.sr import read_reports
from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.dicom.write.source_header import read_source
from camray.adapters.dicom.write.sr import build_sr
from camray.domain.geometry import Box
from tests.adapters.dicom.edited_reports import edited_by_ohif, film_of, ohif_mark
from tests.adapters.dicom.object_films import identity_of, phantom, result_of

WRITTEN_BY_OHIF = Path(__file__).parents[4] / "shared" / "cases" / "ohif_report" / "ohif_3.13_edited_report.dcm"


@pytest.fixture
def report(tmp_path: Path) -> Dataset:
    path = tmp_path / "film.dcm"
    path.write_bytes(phantom("dx-mono2"))
    source = read_source(path)
    return build_sr(result_of(source), source, identity_of("sr"))


def _structure(item: Dataset, depth: int = 0) -> Iterator[tuple[Any, ...]]:
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    yield depth, item.get("RelationshipType"), item.get("ValueType"), names[0].get("CodeValue"), sorted(item.dir())
    for child in item.get("ContentSequence") or []:
        yield from _structure(child, depth + 1)


@pytest.mark.skipif(not WRITTEN_BY_OHIF.is_file(), reason="a report by OHIF is not at ../shared/cases")
def test_the_fixture_has_the_structure_of_what_ohif_writes(report: Dataset) -> None:
    code = ("4147007", "SCT", "Mass")
    mark = ohif_mark(film_of(report), Box(10, 20, 30, 40), "Mass 0.91 (AI, not verified)", code)
    written = list(_structure(pydicom.dcmread(WRITTEN_BY_OHIF)))
    made = list(_structure(edited_by_ohif(report, [mark] * 3)))
    assert made[1:] == written[1:]
    assert set(written[0][-1]) - set(made[0][-1]) <= {
        "CodingSchemeIdentificationSequence",
        "DeviceSerialNumber",
        "PatientAge",
        "SoftwareVersions",
        "SpecificCharacterSet",
    }


@pytest.mark.skipif(not WRITTEN_BY_OHIF.is_file(), reason="a report by OHIF is not at ../shared/cases")
def test_ohif_report_as_found(tmp_path: Path) -> None:
    (report,), problems = read_reports(WRITTEN_BY_OHIF)
    assert problems == []
    assert (report.observer, report.is_own, report.has_predecessor) == ("", False, True)
    assert [mark.codes for mark in report.marks] == [
        (("309529002", "SCT"),),
        (("60046008", "SCT"),),
        (("PLEURAL_THICKENI", "99CAMRAY"),),
    ]
    assert report.marks[0].box == Box(86.40235137939453, 168.96484375, 196.3677215576172, 336.6592102050781)
    assert {mark.image_id for mark in report.marks} == set(report.films) == {"1.2.826.0.1.3680043.10.999.1.1"}


def test_camrays_own_report_without_boxes_is_known_as_its_own(tmp_path: Path) -> None:
    film, path = tmp_path / "film.dcm", tmp_path / "sr.dcm"
    film.write_bytes(phantom("dx-mono2"))
    source = read_source(film)
    build_sr(result_of(source, negative=True), source, identity_of("sr")).save_as(path, enforce_file_format=True)
    (report,), _ = read_reports(path)
    assert report.is_own
    assert report.films == (source.SOPInstanceUID,)
    assert [(mark.is_present, mark.by_algorithm, mark.box) for mark in report.marks] == [(False, True, None)] * 3


def test_a_readers_qualitative_evaluation_is_a_mark(report: Dataset, tmp_path: Path) -> None:
    """In a report that another program wrote, without an algorithm."""
    for item in report.ContentSequence[-1].ContentSequence[::2]:
        item.ContentSequence = [each for each in item.ContentSequence if each.ValueType not in ("TEXT", "NUM")]
    report.Manufacturer = "A viewer"
    with suppress_warnings():
        report.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    (read,), _ = read_reports(tmp_path / "sr.dcm")
    marks = [mark for mark in read.marks if mark.shape == "" and not mark.by_algorithm]
    assert [(mark.codes[0][0], mark.is_present) for mark in marks] == [("309529002", True), ("AIR_LEAK_B58142", False)]


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("CIRCLE", [10, 10]),
        ("CIRCLE", [10, 10, 13, 14, 20, 20]),
        ("ELLIPSE", [10, 30, 50, 30]),
        ("ELLIPSE", [10, 30, 50, 30, 30, 20]),
        ("POLYLINE", [20, 20, 20, 20, 20, 20, 20, 20, 20, 20]),  # a click with the rectangle tool
        ("POLYLINE", []),
    ],
)
def test_one_mark_without_area_leaves_the_others_readable(
    report: Dataset, tmp_path: Path, kind: str, points: list[float]
) -> None:
    marks = [ohif_mark(film_of(report), Box(10, 20, 30, 40), "Mass"), ohif_mark(film_of(report), Box(1, 2, 3, 4), "")]
    edited = edited_by_ohif(report, marks)
    region = _regions(edited)[-1]
    region.GraphicType, region.GraphicData = kind, points
    with suppress_warnings():
        edited.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    (read,), _ = read_reports(tmp_path / "sr.dcm")
    first, second = (mark for mark in read.marks if mark.image_id)
    assert (first.shape, first.box is not None) == ("area", True)
    assert (second.shape, second.box) == ("point" if len(points) == 2 else "line", None)


def _regions(item: Dataset) -> list[Dataset]:
    inner = [region for child in item.get("ContentSequence") or [] for region in _regions(child)]
    return [item, *inner] if item.get("ValueType") == "SCOORD" else inner
