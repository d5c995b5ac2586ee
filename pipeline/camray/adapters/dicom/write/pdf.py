"""Encapsulated PDF: report page of one film, for any workstation."""

import io
from collections.abc import Sequence
from typing import Any

import highdicom as hd
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.dicom.write.common_attributes import (
    character_set,
    complete_object,
    equipment_attributes,
    finding_code,
    reference_to,
    series_attributes,
)
from camray.adapters.dicom.write.pdf_fonts import FAMILY, families_for
from camray.domain.film_results import UNVERIFIED, FilmResult, FindingResult
from camray.domain.geometry import Box
from camray.domain.object_identity import ObjectIdentity

FORMAT = "2"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.104.1"
PAGE_INCHES = (8.27, 11.69)  # A4
_PICTURE_AREA = (0.08, 0.42, 0.84, 0.46)  # left, bottom, width, height; fractions of the page
_ROWS, _STEP = 16, 0.0165  # number of lines below the picture, and their distance
_COLUMNS = (
    (0.08, "Finding"),
    (0.38, "Probability"),
    (0.48, "Cutoff"),
    (0.55, "Reported"),
    (0.64, "Boxes (x0, y0, x1, y1) px"),
)


def report_page(result: FilmResult, source: Dataset, picture: NDArray[np.uint8]) -> bytes:
    """Draw the report page of one film.

    Parameters
    ----------
    result : FilmResult
        Findings of the film.
    source : Dataset
        The film's header, from `read_source`: a printed page must name patient and study.
    picture : ndarray of shape (H, W, 3), uint8
        The film with heat map and boxes; contains no identifier beyond what is burned into the film.

    Returns
    -------
    bytes
        PDF, equal for equal arguments.
    """
    title = f"camray findings ({UNVERIFIED})"
    with mpl.rc_context({"pdf.fonttype": 42, "font.family": FAMILY, "font.size": 9}):
        page = Figure(figsize=PAGE_INCHES)
        FigureCanvasPdf(page)
        _write(page, 0.08, 0.945, f"camray findings: {UNVERIFIED}", fontsize=16, weight="bold")
        for row, line in enumerate((*_patient_and_study(source), f"Film {result.image_id}")):
            _write(page, 0.08, 0.926 - 0.0125 * row, line, fontsize=7)
        axes = page.add_axes(_PICTURE_AREA)
        axes.imshow(picture, interpolation="none")
        axes.set_axis_off()
        _write_findings(page, result)
        _write_footer(page, result)
        out = io.BytesIO()
        metadata = {"CreationDate": None, "Producer": "camray", "Creator": "camray", "Title": title}
        page.savefig(out, format="pdf", dpi=150, metadata=metadata)
    return out.getvalue()


@suppress_warnings()
def build_pdf(result: FilmResult, source: Dataset, identity: ObjectIdentity, page: bytes) -> Dataset:
    """Wrap a report page as Encapsulated PDF (PS3.3 A.45.1)."""
    ds = hd.base.SOPClass(
        study_instance_uid=source.StudyInstanceUID,
        sop_class_uid=SOP_CLASS_UID,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        patient_id=source.PatientID,
        patient_name=source.PatientName,
        patient_birth_date=source.PatientBirthDate,
        patient_sex=source.PatientSex,
        accession_number=source.AccessionNumber,
        study_id=source.StudyID,
        study_date=source.StudyDate or None,
        study_time=source.StudyTime or None,
        referring_physician_name=source.ReferringPhysicianName,
        specific_character_set=character_set(result, source),
        **series_attributes("pdf", source, identity),
        **equipment_attributes(result.algorithm),
    )
    ds.copy_patient_and_study_information(source)
    ds.ConversionType, ds.BurnedInAnnotation = "WSD", "YES"  # the page names the patient
    ds.AcquisitionDateTime = ""
    ds.VerificationFlag = "UNVERIFIED"
    ds.DocumentTitle = f"camray findings ({UNVERIFIED})"
    ds.ConceptNameCodeSequence = [hd.sr.CodedConcept.from_code(codes.DCM.ImagingMeasurementReport)]
    reference = reference_to(source)
    reference.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(codes.DCM.SourceImage)]
    ds.SourceInstanceSequence = [reference]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = page + b"\0" * (len(page) % 2)
    ds.EncapsulatedDocumentLength = len(page)
    return complete_object(ds, source, identity, is_image=False)


def _patient_and_study(source: Dataset) -> tuple[str, str]:
    """Return a line on the patient and one on the study; empty elements are left out."""
    name = str(source.PatientName).split("=")[0].replace("^", " ").strip()
    patient = (name, f"ID {source.PatientID}" if source.PatientID else "", _born(source), source.PatientSex)
    accession = f"accession {source.AccessionNumber}" if source.AccessionNumber else ""
    study = (_iso_date(source.StudyDate), source.get("StudyDescription", ""), accession)
    return (
        "Patient " + (", ".join(filter(None, patient)) or "not named by the film"),
        "Study " + (", ".join(filter(None, study)) or str(source.StudyInstanceUID)),
    )


def _born(source: Dataset) -> str:
    return f"born {_iso_date(source.PatientBirthDate)}" if source.PatientBirthDate else ""


def _iso_date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text else ""


def _write_findings(page: Figure, result: FilmResult) -> None:
    top = 0.385
    for x, name in _COLUMNS:
        _write(page, x, top, name, weight="bold")
    findings = [*result.reported, *(finding for finding in result.findings if not finding.is_reported)]
    listed = findings if len(findings) <= _ROWS else findings[: _ROWS - 1]
    for row, finding in enumerate(listed, start=1):
        for (x, _), cell in zip(_COLUMNS, _cells(finding), strict=True):
            _write(page, x, top - _STEP * row, cell, fontsize=7)
    rows = len(listed)
    if len(findings) > len(listed):
        n_reported = sum(finding.is_reported for finding in findings[rows:])
        line = f"and {len(findings) - rows} more findings, {n_reported} of them reported: see the structured report"
        rows += 1
        _write(page, _COLUMNS[0][0], top - _STEP * rows, line, fontsize=7, weight="bold")
    if not result.reported:
        _write(page, 0.08, top - _STEP * (rows + 2), f"No finding reported ({UNVERIFIED}).", weight="bold")


def _cells(finding: FindingResult) -> tuple[str, ...]:
    code = finding_code(finding.finding)
    name = finding.name if families_for(finding.name) else code.meaning
    return (
        f"{_shortened(name, 36 - len(code.value))} ({code.value})",
        f"{finding.probability:.3f}",
        f"{finding.cutoff:.3f}",
        "yes" if finding.is_reported else "no",
        _boxes_text([scored.box for scored in finding.boxes]),
    )


def _write(page: Figure, x: float, y: float, text: str, **style: Any) -> None:
    families = families_for(text)
    if families is None:  # empty boxes would say less
        text, families = "".join(letter if families_for(letter) else "?" for letter in text), [FAMILY]
    page.text(x, y, text, parse_math=False, family=families, **style)  # a dollar sign in a name is a dollar sign


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(length - 3, 1)] + "..."


def _boxes_text(boxes: Sequence[Box]) -> str:
    """Return the corners of the best box and the number of boxes: two boxes would reach over the paper's edge."""
    if not boxes:
        return ""
    corners = "(" + ", ".join(f"{side:.1f}" for side in boxes[0].as_tuple()) + ")"
    return corners if len(boxes) == 1 else f"{corners}, first of {len(boxes)}"


def _write_footer(page: Figure, result: FilmResult) -> None:
    algorithm = result.algorithm
    lines = (
        f"{UNVERIFIED}: computed by software, not read by a radiologist. Trained on image-level labels.",
        f"camray {algorithm.version}, model {algorithm.name}, explanation method {algorithm.method}",
        f"model sha256 {algorithm.model_digest}",
        f"thresholds sha256 {algorithm.threshold_digest}",
    )
    for row, line in enumerate(lines):
        _write(page, 0.08, 0.075 - 0.0145 * row, line, fontsize=7)
