"""Encapsulated PDF: report page of one film, for any workstation."""

import highdicom as hd
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.dicom.write.common_attributes import (
    character_set,
    complete_object,
    equipment_attributes,
    reference_to,
    series_attributes,
)
from camray.domain.film_results import UNVERIFIED, FilmResult
from camray.domain.object_identity import ObjectIdentity

FORMAT = "2"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.104.1"


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


def patient_and_study(source: Dataset) -> tuple[str, str]:
    """Return a line on the patient and one on the study, as the film's header has them: a printed page needs both."""
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
