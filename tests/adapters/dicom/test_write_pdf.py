"""The report page in an encapsulated PDF: its text, and what does not fit on it or into its fonts."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from camray.adapters.dicom.write.source_header import read_source
from tests.adapters.dicom.object_films import bare_film, phantom, result_of
from tests.adapters.dicom.test_write import build, page_of


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "film.dcm"
    path.write_bytes(phantom("dx-mono2"))
    return path


def test_a_report_page_is_the_same_twice(plain: Path) -> None:
    source = read_source(plain)
    result = result_of(source)
    page = page_of(result, source)
    assert page.startswith(b"%PDF-")
    assert b"/Type3" in page
    assert b"/CIDFontType2" not in page  # would be wrong of East Asian OpenType fonts
    assert page == page_of(result, source)
    ds = build(plain, "pdf")
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == page


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_a_report_page_names_patient_study_and_findings(tmp_path: Path) -> None:
    """Its text can be searched, and a printed page belongs to somebody."""
    header = {
        "PatientName": "Canary^Ann",
        "PatientBirthDate": "19600131",
        "StudyDate": "20240102",
        "AccessionNumber": "A7",
    }
    source = read_source(bare_film(tmp_path / "film.dcm", **header))
    path = tmp_path / "page.pdf"
    path.write_bytes(page_of(result_of(source), source))
    text = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True).stdout
    assert "AI, not verified" in text
    assert "Pneumonia (233604007)" in text
    assert "Patient Canary Ann, ID CANARY-7, born 1960-01-31" in text
    assert "Study 2024-01-02, accession A7" in text
    assert (
        "canary"
        not in subprocess.run(["pdfinfo", str(path)], capture_output=True, text=True, check=True).stdout.lower()
    )


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_a_finding_that_is_not_judged_is_not_denied(tmp_path: Path) -> None:
    source = read_source(bare_film(tmp_path / "film.dcm"))
    result = result_of(source, negative=True)
    path = tmp_path / "page.pdf"
    path.write_bytes(page_of(replace(result, findings=(replace(result.findings[0], not_judged="why"),)), source))
    text = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True).stdout
    row = next(line for line in text.splitlines() if "Pneumonia" in line)
    assert row.rstrip().endswith("not judged")


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_findings_without_a_probability_have_words_and_a_reason(tmp_path: Path) -> None:
    source = read_source(bare_film(tmp_path / "film.dcm"))
    result = result_of(source)
    none = {"probability": None, "cutoff": None, "no_probability": "9 validation patients"}
    (tmp_path / "page.pdf").write_bytes(
        page_of(replace(result, findings=tuple(replace(each, **none) for each in result.findings)), source)
    )
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True).stdout
    assert "No probability of Pneumonia: 9 validation patients (and 2 more findings" in text
    assert text.count("none") == 6
    assert "0." not in text.split("Cutoff")[1].split("AI, not verified")[0].split("(")[0]


def test_a_name_that_no_installed_font_can_write_is_replaced(tmp_path: Path) -> None:
    """By its code's meaning; U+E0F0 is in a private area, which fonts leave empty."""
    source = read_source(bare_film(tmp_path / "film.dcm"))
    result = result_of(source)
    first = replace(result.findings[0], finding=replace(result.findings[0].finding, name="\ue0f0\ue0f1"))
    path = tmp_path / "page.pdf"
    path.write_bytes(page_of(replace(result, findings=(first,)), source))
    text = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, check=True).stdout
    assert "Pneumonia (233604007)" in text


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_a_report_page_of_many_findings_tells_what_it_leaves_out(tmp_path: Path) -> None:
    source = read_source(bare_film(tmp_path / "film.dcm"))
    result = result_of(source)
    first = result.findings[0]
    names = [
        "Costs $a_{$b",
        "A name that is much longer than its column on the page",
        *(f"Sign {n}" for n in range(18)),
    ]
    many = tuple(replace(first, finding=replace(first.finding, name=name)) for name in names)
    path = tmp_path / "page.pdf"
    path.write_bytes(page_of(replace(result, findings=many), source))
    text = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True).stdout
    assert "Costs $a_{$b (233604007)" in text  # no mathematics
    assert "A name that is much long... (233604007)" in text
    assert "and 5 more findings, 5 of them reported" in text
    assert "Sign 12" in text
    assert "Sign 13" not in text
    assert text.count(", first of 2") == 15
