"""What exported objects repeat of their films' headers, and codes and series that tell objects apart."""

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.dicom.write.common_attributes import finding_code
from camray.adapters.dicom.write.header_values import normalised
from camray.adapters.dicom.write.source_header import header_digest, read_source
from camray.adapters.dicom.write.sr import build_sr
from camray.domain.errors import ExportError
from camray.domain.labels import Code, Finding
from tests.adapters.dicom.object_films import bare_film, dciodvfy, identity_of, phantom, result_of
from tests.adapters.dicom.read_back import read_sr
from tests.adapters.dicom.test_write import KINDS, build, saved

needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
ODD = {
    "StudyDate": "2024.01.02",
    "StudyTime": "10:11:12",
    "PatientAge": "062",
    "PatientSex": "female",
    "StudyDescription": "CHEST\\PA",
    "BodyPartExamined": "THORAX",
    "PatientName": "Kim^Canary=김^카나리",
    "SpecificCharacterSet": "ISO_IR 192",
    "StudyID": "S" * 20,
    "PatientComments": "x\x07y",
    "DeidentificationMethod": ["one", "two"],
    "PatientIdentityRemoved": "YES",
    "IssuerOfPatientID": "Canary",
}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    return bare_film(tmp_path / "odd.dcm", **ODD)


@pytest.mark.parametrize("kind", KINDS)
def test_illegal_values_of_plain_meaning_are_normalised(kind: str, odd: Path, tmp_path: Path) -> None:
    ds = saved(build(odd, kind), tmp_path / "object.dcm")
    assert (ds.StudyDate, ds.StudyTime, ds.PatientAge, ds.PatientSex) == ("20240102", "101112", "062Y", "F")
    assert (ds.StudyDescription, ds.StudyID, ds.PatientComments) == ("CHEST PA", "S" * 16, "x y")
    assert (ds.PatientIdentityRemoved, list(ds.DeidentificationMethod)) == ("YES", ["one", "two"])
    assert str(ds.PatientName) == "Kim^Canary=김^카나리"
    assert ds.IssuerOfPatientID == "Canary"


@needs_dciodvfy
@pytest.mark.parametrize("kind", KINDS)
def test_objects_of_odd_headers_are_valid(kind: str, odd: Path, tmp_path: Path) -> None:
    saved(build(odd, kind), tmp_path / "object.dcm")
    assert dciodvfy(tmp_path / "object.dcm") == []


def test_changes_are_named_without_their_values(odd: Path) -> None:
    changes: list[str] = []
    read_source(odd, changes)
    assert sorted(changes) == [
        "PatientAge normalised",
        "PatientComments normalised",
        "PatientSex normalised",
        "StudyDate normalised",
        "StudyDescription normalised",
        "StudyID cut to 16 characters",
        "StudyTime normalised",
    ]
    assert "canary" not in " ".join(changes).lower()


@pytest.mark.parametrize(
    ("keyword", "representation", "given", "expected"),
    [
        ("AccessionNumber", "SH", "A" * 20, "A" * 20),  # the link to the order
        ("PatientID", "LO", "P" * 70, "P" * 70),
        ("StudyDescription", "LO", "d" * 70, "d" * 64),
        ("StudyDate", "DA", "2024-02-29", "20240229"),
        ("StudyDate", "DA", "20230229", ""),
        ("StudyTime", "TM", "1011", "1011"),
        ("StudyTime", "TM", "101112.123456", "101112.123456"),
        ("StudyTime", "TM", "25:00", ""),
        ("PatientAge", "AS", "6m", "006M"),
        ("PatientAge", "AS", "old", ""),
        ("PatientSex", "CS", "x", ""),
        ("PatientName", "PN", "A^B^C^D^E^F", "A^B^C^D^E F"),
        ("ReferringPhysicianName", "PN", "n" * 70, "n" * 64),
        ("PatientWeight", "DS", "70,5", ""),
    ],
)
def test_single_values(keyword: str, representation: str, given: str, expected: str) -> None:
    value, change = normalised(keyword, representation, [given])
    assert value == expected
    assert (change == "") == (value == given and len(given) < 20)


def test_a_header_that_objects_repeat_differently_has_another_digest(tmp_path: Path) -> None:
    digests = {
        header_digest(read_source(bare_film(tmp_path / "film.dcm", **elements)))
        for elements in ({}, {"AccessionNumber": "1"}, {"BurnedInAnnotation": "YES"}, {"ViewPosition": "LL"})
    }
    assert len(digests) == 4


@pytest.mark.parametrize(("stated", "sc", "pdf"), [(None, None, "YES"), ("YES", "YES", "YES"), ("NO", "NO", "YES")])
def test_text_burned_into_the_film_is_stated_as_the_film_states_it(
    stated: str | None, sc: str | None, pdf: str, tmp_path: Path
) -> None:
    """Of a picture; the report page always names its patient."""
    path = bare_film(tmp_path / "film.dcm", **({"BurnedInAnnotation": stated} if stated else {}))
    assert build(path, "sc").get("BurnedInAnnotation") == sc
    assert build(path, "pdf").BurnedInAnnotation == pdf


@pytest.mark.parametrize("orientation", [["A", "F"], None])
def test_a_capture_has_the_films_orientation_or_none(orientation: list[str] | None, tmp_path: Path) -> None:
    path = bare_film(tmp_path / "film.dcm", **({"PatientOrientation": orientation} if orientation else {}))
    assert list(build(path, "sc").PatientOrientation or []) == (orientation or [])


@pytest.mark.parametrize(
    ("given", "kept", "change"),
    [
        (["l", "f"], ["L", "F"], ["PatientOrientation normalised"]),
        (["LEFT", "F"], [], ["PatientOrientation left out"]),
        ("L", [], ["PatientOrientation left out"]),
        (["A", "F"], ["A", "F"], []),
    ],
)
def test_an_orientation_of_no_known_letters_is_left_out(
    given: list[str], kept: list[str], change: list[str], tmp_path: Path
) -> None:
    """It stopped the export of captures."""
    changes: list[str] = []
    path = bare_film(tmp_path / "film.dcm", PatientOrientation=given)
    assert list(read_source(path, changes).PatientOrientation) == kept
    assert changes == change
    assert list(build(path, "sc").PatientOrientation or []) == kept


@pytest.mark.parametrize(
    ("spacing", "expected"), [((0.2, 0.18), [10, 9]), ((0.15, 0.15), [1, 1]), ((0.1, 0.3), [1, 3])]
)
def test_a_presentation_state_keeps_the_aspect_of_pixels(
    spacing: tuple[float, float], expected: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(phantom("dx-mono2", spacing_mm=spacing))
    area = build(path, "gsps").DisplayedAreaSelectionSequence[0]
    assert list(area.PresentationPixelAspectRatio) == expected
    assert "PresentationPixelSpacing" not in area


@pytest.mark.parametrize(("given", "offset", "time"), [("+09:00", "+0900", "130405"), ("-0330", "-0330", "003405")])
@pytest.mark.parametrize("kind", KINDS)
def test_times_are_in_the_films_zone(kind: str, given: str, offset: str, time: str, tmp_path: Path) -> None:
    """The result's time is 04:04:05 at UTC."""
    path = bare_film(tmp_path / "film.dcm", TimezoneOffsetFromUTC=given)
    moment = datetime.fromisoformat("2026-01-02T05:04:05+01:00")
    ds = build(path, kind, created=moment)
    assert ds.TimezoneOffsetFromUTC == offset
    assert (ds.get("ContentTime") or ds.get("PresentationCreationTime")) == time


def test_a_film_without_zone_gets_none(tmp_path: Path) -> None:
    """It would count for the study's time too, whose zone is not known."""
    for elements in ({}, {"TimezoneOffsetFromUTC": "local"}):
        ds = build(bare_film(tmp_path / "film.dcm", **elements), "sr")
        assert (ds.get("TimezoneOffsetFromUTC"), ds.ContentTime) == (None, "030405")


def test_films_of_one_study_have_series_of_their_own(tmp_path: Path) -> None:
    films = {
        name: bare_film(tmp_path / name, SOPInstanceUID=f"1.2.{number}", SeriesNumber=1, InstanceNumber=number, **view)
        for number, (name, view) in enumerate({"pa": {"ViewPosition": "PA"}, "lat": {"ViewPosition": "LL"}}.items(), 1)
    }
    objects = [build(path, kind) for path in films.values() for kind in KINDS]
    assert len({ds.SeriesNumber for ds in objects}) == len({ds.SeriesDescription for ds in objects}) == len(objects)
    assert objects[0].SeriesDescription == "camray findings, PA 1/1 (AI, not verified)"
    assert all(len(ds.SeriesDescription) <= 64 for ds in objects)


def test_a_later_version_has_a_series_number_and_description_of_its_own(tmp_path: Path) -> None:
    source = read_source(bare_film(tmp_path / "film.dcm"))
    first, second = (build_sr(result_of(source), source, identity_of("sr", version)) for version in (1, 2))
    assert first.SeriesNumber != second.SeriesNumber
    assert first.SeriesDescription == "camray findings, PA (AI, not verified)"
    assert second.SeriesDescription == "camray findings, PA, version 2 (AI, not verified)"


@pytest.mark.parametrize(
    ("first", "second"),
    [("폐렴", "기흉"), ("Pleural_Thickening", "Pleural_Thickening, old"), ("Mass a", "Mass_A"), ("a" * 70, "a" * 71)],
)
def test_private_codes_are_unique_to_the_name(first: str, second: str) -> None:
    codes = [finding_code(Finding(name)) for name in (first, second)]
    assert codes[0].value != codes[1].value
    assert all(len(code.value) <= 16 and code.scheme_designator == "99CAMRAY" for code in codes)


@pytest.mark.parametrize("kind", ["sr", "seg-boxes"])
def test_two_findings_with_one_code_are_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bare_film(tmp_path / "film.dcm")
    result = result_of(read_source(path))
    twin = replace(result.findings[1], finding=Finding("Other", result.findings[0].finding.code))
    twins = replace(result, findings=(result.findings[0], twin))
    monkeypatch.setattr("tests.adapters.dicom.test_write.result_of", lambda source, **more: twins)
    with pytest.raises(ExportError, match="'Pneumonia' and 'Other' have one code"):
        build(path, kind)


def test_camrays_own_coding_scheme_is_identified(tmp_path: Path) -> None:
    report = build(bare_film(tmp_path / "film.dcm"), "sr")
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert (scheme.CodingSchemeDesignator, scheme.CodingSchemeResponsibleOrganization) == ("99CAMRAY", "camray")
    assert "CodingSchemeIdentificationSequence" not in build(tmp_path / "film.dcm", "pdf")


@pytest.mark.parametrize(
    ("code", "zone", "site"),
    [
        (Code("8186001", "SCT", "Cardiomegaly"), "left mid", ("Heart", None)),
        (Code("60046008", "SCT", "Pleural effusion"), "left lower", ("Pleura", "Left")),
        (Code("112001", "DCM", "Opacity"), "left lower", ("Lower zone of lung", "Left")),
        (Code("125605004", "SCT", "Fracture"), "left lower", (None, None)),
        (None, "left lower", (None, None)),
    ],
)
def test_the_site_follows_the_finding(code: Code | None, zone: str, site: Any, tmp_path: Path) -> None:
    source = read_source(bare_film(tmp_path / "film.dcm"))
    result = result_of(source, zones=(zone, zone))
    found = replace(result.findings[0], finding=Finding("Named", code))
    rows = read_sr(build_sr(replace(result, findings=(found,)), source, identity_of("sr")))
    assert (rows[0]["site"], rows[0]["laterality"]) == site
    assert ("left" in rows[0]["comment"]) == (site[0] != "Heart")
