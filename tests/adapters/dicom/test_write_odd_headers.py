"""Objects of films with odd headers: no error of `dciodvfy`, and no warning without an explanation."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.dicom.write.source_header import read_source
from tests.adapters.dicom.object_films import bare_film
from tests.adapters.dicom.test_write import KINDS, build, saved

pytestmark = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
UTF8 = {"SpecificCharacterSet": "ISO_IR 192"}
HEADERS: dict[str, dict[str, Any]] = {
    "backslashes": {
        "StudyDescription": "CHEST\\PA",
        "PatientID": "CANARY\\7",
        "AccessionNumber": "A\\1",
        "StudyID": "1\\2",
        "PatientName": "Canary\\Ann",
        "ViewPosition": "PA\\AP",
    },
    "thorax": {"BodyPartExamined": "THORAX AP", "PatientOrientation": ["L", "F"]},
    "other body part": {"BodyPartExamined": "hand", "ImageLaterality": "l"},
    "korean": {**UTF8, "PatientName": "김^카나리", "StudyDescription": "흉부", "ReferringPhysicianName": "이^의사"},
    "korean groups": {**UTF8, "PatientName": "Kim^Canary=金^카나리=김^카나리"},
    "missing": {},
    "empty": dict.fromkeys(("StudyDate", "StudyTime", "PatientSex", "PatientBirthDate", "BodyPartExamined"), ""),
    "long": {
        "AccessionNumber": "A" * 20,
        "PatientID": "P" * 70,
        "StudyDescription": "d" * 80,
        "StudyID": "S" * 20,
        "PatientName": "C" * 70 + "^Canary",
        "ReferringPhysicianName": "R" * 90,
    },
    "dates": {
        "StudyDate": "2024.01.02",
        "StudyTime": "10:11:12",
        "PatientBirthDate": "1960-01-31",
        "PatientAge": "062",
    },
    "useless dates": {
        "StudyDate": "2024.13.45",
        "StudyTime": "noon",
        "PatientBirthDate": "unknown",
        "PatientAge": "old",
    },
    "words": {
        "PatientSex": "female",
        "ViewPosition": "p.a.",
        "BurnedInAnnotation": "no",
        "PatientOrientation": ["l", "f"],
    },
    "control letters": {"StudyDescription": "a\x07b\tc", "PatientComments": "x\x0by", "PatientName": "Canary\x00"},
    "zone": {"TimezoneOffsetFromUTC": "+09:00", "StudyDate": "20240102", "StudyTime": "101112"},
    "orientation": {"PatientOrientation": ["LEFT", "F"], "Laterality": "B"},
}
# what dciodvfy warns of, as a pattern of its line, and why it stays
EXPLAINED = {
    r"needed to build DICOMDIR - Study (Date|Time|ID)$": "the film has none, and the standard allows none",
    r"Unrecognized defined term <99CAMRAY>": "private schemes begin with 99; the object identifies this one",
    r"Retired Person Name form": "the film's name has no component separator; which part is which is not known",
}
# errors that are kept, of the header with too long values alone: other values would not be the patient's or the order's
KEPT = {
    r"invalid data values for Value Representations$": "the sum of the others",
    r"SH Accession Number .* Length invalid for this VR = 20": "the link to the order",
    r"LO Patient ID .* Length invalid for this VR = 70": "the link to the patient",
    r"PN Patient's Name .* Length invalid for this VR = 77": "what people match the patient by",
}


def _lines(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("kind", KINDS)
def test_validators_warnings_are_explained(kind: str, header: str, tmp_path: Path) -> None:
    saved(build(bare_film(tmp_path / "film.dcm", **HEADERS[header]), kind), tmp_path / "object.dcm")
    known = [*EXPLAINED, *(KEPT if header == "long" else ())]
    lines = _lines(tmp_path / "object.dcm")
    assert [line for line in lines if not any(re.search(pattern, line) for pattern in known)] == []


@pytest.mark.parametrize("header", HEADERS)
def test_each_change_is_reported_once_and_quotes_nothing(header: str, tmp_path: Path) -> None:
    changes: list[str] = []
    read_source(bare_film(tmp_path / "film.dcm", **HEADERS[header]), changes)
    assert len(changes) == len(set(changes))
    assert "canary" not in " ".join(changes).lower()
