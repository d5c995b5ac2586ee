"""Encapsulated PDF: the film's report page, as a file that any workstation opens."""

import io

import highdicom as hd
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.adapters.dicom_objects.finish import (
    SERIES_NUMBERS,
    character_set,
    code_of,
    device_words,
    finish,
    series_words,
)
from pipeline.adapters.dicom_objects.quiet import quiet
from pipeline.adapters.dicom_objects.uids import ObjectIdentity
from pipeline.domain.film_results import UNVERIFIED, FilmResult

FORMAT = "1"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.104.1"
PAGE_INCHES = (8.27, 11.69)  # A4
_PICTURE_AREA = (0.08, 0.42, 0.84, 0.46)  # left, bottom, width, height as shares of the page
_ROWS = 16  # findings that fit below the picture
_COLUMNS = (
    (0.08, "Finding"),
    (0.40, "Probability"),
    (0.53, "Cutoff"),
    (0.63, "Reported"),
    (0.72, "Boxes (x0, y0, x1, y1) px"),
)


def report_page(result: FilmResult, picture: NDArray[np.uint8]) -> bytes:
    """Draw a film's report page.

    Parameters
    ----------
    result : FilmResult
        What is said.
    picture : ndarray of shape (H, W, 3), uint8
        The film with map and boxes; holds no identifier.

    Returns
    -------
    bytes
        PDF, equal for equal arguments. It names the film by its UID and nobody by name.
    """
    with mpl.rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Sans", "font.size": 9}):
        page = Figure(figsize=PAGE_INCHES)
        FigureCanvasPdf(page)
        page.text(0.08, 0.945, f"camray findings: {UNVERIFIED}", fontsize=16, weight="bold")
        page.text(0.08, 0.915, f"Film {result.image_id}", fontsize=7)
        axes = page.add_axes(_PICTURE_AREA)
        axes.imshow(picture, interpolation="none")
        axes.set_axis_off()
        _write_findings(page, result)
        _write_footer(page, result)
        out = io.BytesIO()
        page.savefig(out, format="pdf", dpi=150, metadata={"CreationDate": None, "Producer": "camray",
                     "Creator": "camray", "Title": f"camray findings ({UNVERIFIED})"})  # fmt: skip
    return out.getvalue()


@quiet()
def build_pdf(result: FilmResult, source: Dataset, identity: ObjectIdentity, page: bytes) -> Dataset:
    """Wrap a report page as Encapsulated PDF (PS3.3 A.45.1)."""
    ds = hd.base.SOPClass(
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS["pdf"],
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=SOP_CLASS_UID,
        instance_number=identity.version,
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
        series_description=series_words("pdf"),
        specific_character_set=character_set(result, source),
        **device_words(result.algorithm),
    )
    ds.copy_patient_and_study_information(source)
    ds.ConversionType, ds.BurnedInAnnotation = "WSD", "NO"
    ds.AcquisitionDateTime = ""
    ds.VerificationFlag = "UNVERIFIED"
    ds.DocumentTitle = f"camray findings ({UNVERIFIED})"
    ds.ConceptNameCodeSequence = [hd.sr.CodedConcept.from_code(codes.DCM.ImagingMeasurementReport)]
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(codes.DCM.SourceImage)]
    ds.SourceInstanceSequence = [reference]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = page + b"\0" * (len(page) % 2)
    ds.EncapsulatedDocumentLength = len(page)
    return finish(ds, source, identity, is_image=False)


def _write_findings(page: Figure, result: FilmResult) -> None:
    top = 0.385
    for left, name in _COLUMNS:
        page.text(left, top, name, weight="bold")
    shown = [*result.reported, *(found for found in result.findings if not found.is_reported)][:_ROWS]
    for row, found in enumerate(shown, start=1):
        boxes = "; ".join("(" + ", ".join(f"{side:.1f}" for side in one.box.as_tuple()) + ")" for one in found.boxes)
        words = (
            f"{found.finding.name} ({code_of(found.finding).value})"[:40],
            f"{found.probability:.3f}",
            f"{found.cutoff:.3f}",
            "yes" if found.is_reported else "no",
            boxes if len(boxes) <= 60 else f"{len(found.boxes)} boxes",
        )
        for (left, _), word in zip(_COLUMNS, words, strict=True):
            page.text(left, top - 0.0165 * row, word, fontsize=7)
    if not result.reported:
        page.text(0.08, top - 0.0165 * (len(shown) + 2), f"No finding reported ({UNVERIFIED}).", weight="bold")


def _write_footer(page: Figure, result: FilmResult) -> None:
    algorithm = result.algorithm
    lines = (
        f"{UNVERIFIED}: found by software, read by nobody yet. Probabilities and boxes stem from image-level labels.",
        f"camray {algorithm.version}, model {algorithm.name}, explanation method {algorithm.method}",
        f"model sha256 {algorithm.model_digest}",
        f"thresholds sha256 {algorithm.threshold_digest}",
    )
    for row, line in enumerate(lines):
        page.text(0.08, 0.075 - 0.0145 * row, line, fontsize=7)
