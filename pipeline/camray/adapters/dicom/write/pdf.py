"""Encapsulated PDF: the film's report page, as a file that any workstation opens."""

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

from camray.adapters.dicom.write.common_attributes import (
    SERIES_NUMBERS,
    character_set,
    code_of,
    device_words,
    finish,
    series_words,
)
from camray.adapters.dicom.write.warnings import quiet
from camray.domain.film_results import UNVERIFIED, FilmResult
from camray.domain.geometry import Box
from camray.domain.object_identity import ObjectIdentity

FORMAT = "1"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.104.1"
PAGE_INCHES = (8.27, 11.69)  # A4
_PICTURE_AREA = (0.08, 0.42, 0.84, 0.46)  # left, bottom, width, height as shares of the page
_ROWS, _STEP = 16, 0.0165  # lines that fit below the picture, and their distance
_COLUMNS = (
    (0.08, "Finding"),
    (0.38, "Probability"),
    (0.48, "Cutoff"),
    (0.55, "Reported"),
    (0.64, "Boxes (x0, y0, x1, y1) px"),
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
        _write(page, 0.08, 0.945, f"camray findings: {UNVERIFIED}", fontsize=16, weight="bold")
        _write(page, 0.08, 0.915, f"Film {result.image_id}", fontsize=7)
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
        _write(page, left, top, name, weight="bold")
    listed = [*result.reported, *(found for found in result.findings if not found.is_reported)]
    shown = listed if len(listed) <= _ROWS else listed[: _ROWS - 1]
    for row, found in enumerate(shown, start=1):
        words = (
            _cut(found.finding.name, 36 - len(code_of(found.finding).value)) + f" ({code_of(found.finding).value})",
            f"{found.probability:.3f}",
            f"{found.cutoff:.3f}",
            "yes" if found.is_reported else "no",
            _boxes_in_words([one.box for one in found.boxes]),
        )
        for (left, _), word in zip(_COLUMNS, words, strict=True):
            _write(page, left, top - _STEP * row, word, fontsize=7)
    rows = len(shown)
    if len(listed) > len(shown):
        left_out = [found.is_reported for found in listed[len(shown) :]]
        said = f"and {len(left_out)} findings more, {sum(left_out)} of them reported: see the structured report"
        rows += 1
        _write(page, _COLUMNS[0][0], top - _STEP * rows, said, fontsize=7, weight="bold")
    if not result.reported:
        _write(page, 0.08, top - _STEP * (rows + 2), f"No finding reported ({UNVERIFIED}).", weight="bold")


def _write(page: Figure, left: float, bottom: float, words: str, **looks: Any) -> None:
    page.text(left, bottom, words, parse_math=False, **looks)  # a dollar sign in a name is a dollar sign


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else words[: max(length - 3, 1)] + "..."


def _boxes_in_words(boxes: Sequence[Box]) -> str:
    """Say where the best box lies, and how many there are: two would reach over the paper's edge."""
    if not boxes:
        return ""
    corners = "(" + ", ".join(f"{side:.1f}" for side in boxes[0].as_tuple()) + ")"
    return corners if len(boxes) == 1 else f"{corners}, first of {len(boxes)}"


def _write_footer(page: Figure, result: FilmResult) -> None:
    algorithm = result.algorithm
    lines = (
        f"{UNVERIFIED}: found by software, read by nobody yet. Probabilities and boxes stem from image-level labels.",
        f"camray {algorithm.version}, model {algorithm.name}, explanation method {algorithm.method}",
        f"model sha256 {algorithm.model_digest}",
        f"thresholds sha256 {algorithm.threshold_digest}",
    )
    for row, line in enumerate(lines):
        _write(page, 0.08, 0.075 - 0.0145 * row, line, fontsize=7)
