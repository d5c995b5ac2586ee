"""Reports as readers' viewers leave them: by OHIF, and by a program that writes them with highdicom."""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes

from camray.adapters.dicom.write.warnings import quiet
from camray.domain.geometry import Box

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
FREE_TEXT = ("CORNERSTONEFREETEXT", "CORNERSTONEJS")


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def _item(kind: str, relation: str, name: tuple[str, str, str] | None = None, **elements: Any) -> Dataset:
    ds = Dataset()
    ds.RelationshipType, ds.ValueType = relation, kind
    if name is not None:
        ds.ConceptNameCodeSequence = [_code(*name)]
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def rectangle(box: Box) -> list[float]:
    """Corners as OHIF stores them: closed, through 32 bits, with the noise of its world coordinates."""
    x0, y0, x1, y1 = (float(np.float32(side) * np.float32(1 + 1e-7)) for side in box.as_tuple())
    return [x0, y0, x1, y0, x1, y1, x0, y1, x0, y0]


@quiet()  # OHIF's code of free text is longer than the standard allows
def ohif_mark(
    film: tuple[str, str],
    box: Box | None,
    words: str = "",
    code: tuple[str, str, str] | None = None,
    points: Sequence[float] | None = None,
    kind: str = "POLYLINE",
) -> Dataset:
    """A measurement group: its region inside a number, its label a free-text site, the finding's code if kept."""
    image = _item("IMAGE", "SELECTED FROM")
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = film
    image.ReferencedSOPSequence = [reference]
    data = list(points) if points is not None else rectangle(box) if box is not None else []
    region = _item("SCOORD", "INFERRED FROM", GraphicType=kind, GraphicData=data, ContentSequence=[image])
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "42", [_code("mm2", "UCUM", "mm2")]
    number = _item("NUM", "CONTAINS", ("42798000", "SCT", "Area"), MeasuredValueSequence=[measured])
    number.ContentSequence = [region]
    tool = "Cornerstone3DTools@^0.1.0:RectangleROI"
    children = [
        _item("TEXT", "HAS OBS CONTEXT", ("112039", "DCM", "Tracking Identifier"), TextValue=tool),
        _item("UIDREF", "HAS OBS CONTEXT", ("112040", "DCM", "Tracking Unique Identifier"), UID=uid.generate_uid()),
    ]
    if code is not None:
        finding = _item("CODE", "CONTAINS", ("121071", "DCM", "Finding"), ConceptCodeSequence=[_code(*code)])
        children.append(finding)
    if words:
        site = _item("CODE", "CONTAINS", ("363698007", "SCT", "Finding Site"))
        site.ConceptCodeSequence = [_code(*FREE_TEXT, words)]
        children.append(site)
    group = _item("CONTAINER", "CONTAINS", ("125007", "DCM", "Measurement Group"), ContinuityOfContent="SEPARATE")
    group.ContentSequence = [*children, number]
    return group


def edited_by_ohif(
    report: Dataset, marks: Sequence[Dataset], observer: str = "Reader^One", time: str = "101500"
) -> Dataset:
    """OHIF's report in place of camray's: Enhanced SR, implicit VR, the same series, all tracking UIDs new."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = ENHANCED_SR, uid.generate_uid(), "SR"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientName", "PatientID", "StudyDate", "StudyTime"):
        setattr(ds, keyword, report.get(keyword, ""))
    for keyword in ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        setattr(ds, keyword, report.get(keyword, ""))
    ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "Unspecified", "9101", "1"
    ds.ContentDate, ds.ContentTime = "20260304", time
    ds.CompletionFlag, ds.VerificationFlag = "PARTIAL", "UNVERIFIED"
    ds.PerformedProcedureCodeSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = report.CurrentRequestedProcedureEvidenceSequence
    before = Dataset()
    before.StudyInstanceUID = report.StudyInstanceUID
    series, one = Dataset(), Dataset()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = report.SOPClassUID, report.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = report.SeriesInstanceUID, [one]
    before.ReferencedSeriesSequence = [series]
    ds.PredecessorDocumentsSequence = [before]
    person = _item("PNAME", "HAS OBS CONTEXT", ("121008", "DCM", "Person Observer Name"), PersonName=observer)
    found = _item("CONTAINER", "CONTAINS", ("126010", "DCM", "Imaging Measurements"), ContinuityOfContent="SEPARATE")
    found.ContentSequence = list(marks)
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [_code("126000", "DCM", "Imaging Measurement Report")]
    ds.ContentSequence = [person, found]
    return ds


def film_of(report: Dataset) -> tuple[str, str]:
    """SOP class and instance of the film that a report of camray's is about."""
    one = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    return str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID)


def by_highdicom(
    source: Dataset, regions: Sequence[tuple[Any, Any]], observer: str, evaluated: Sequence[tuple[Any, bool]] = ()
) -> Dataset:
    """A reader's own report: (finding code, ImageRegion), and findings called present or absent without one."""
    groups: list[Any] = [
        hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(uid=uid.generate_uid(), identifier=f"mark {number}"),
            referenced_region=region,
            finding_type=finding,
        )
        for number, (finding, region) in enumerate(regions)
    ]
    names = {True: ("260373001", "SCT", "Detected"), False: ("260415000", "SCT", "Not detected")}
    for number, (finding, is_present) in enumerate(evaluated):
        presence = hd.sr.CodedConcept("705057003", "SCT", "Presence")
        says = hd.sr.QualitativeEvaluation(presence, hd.sr.CodedConcept(*names[is_present]))
        groups.append(
            hd.sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=hd.sr.TrackingIdentifier(uid=uid.generate_uid(), identifier=f"word {number}"),
                finding_type=finding,
                qualitative_evaluations=[says],
                source_images=[hd.sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
            )
        )
    who = hd.sr.PersonObserverIdentifyingAttributes(name=observer)
    context = hd.sr.ObserverContext(observer_type=codes.DCM.Person, observer_identifying_attributes=who)
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_person_context=context),
        procedure_reported=hd.sr.CodedConcept("399208008", "SCT", "Plain chest X-ray"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    return hd.sr.ComprehensiveSR(
        evidence=[source], content=report, series_instance_uid=uid.generate_uid(), series_number=7,
        sop_instance_uid=uid.generate_uid(), instance_number=1, manufacturer="A viewer", is_complete=True,
        is_final=False, is_verified=False,
    )  # fmt: skip
