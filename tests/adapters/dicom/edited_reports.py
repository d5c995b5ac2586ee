"""Reports as readers' viewers leave them: by OHIF, and by a program that writes them with highdicom."""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes

from camray.adapters.dicom.silence import suppress_warnings
from camray.domain.geometry import Box

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
FREE_TEXT = ("CORNERSTONEFREETEXT", "CORNERSTONEJS")
UNNAMED = "unknown^unknown"  # OHIF names no reader
MODIFIES = "HAS CONCEPT MOD"
FINDING_SITE, UPPER_ZONE = ("363698007", "SCT", "Finding Site"), ("281392002", "SCT", "Upper zone of lung")


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


def ohif_mark(
    film: tuple[str, str],
    box: Box | None,
    words: str = "",
    code: tuple[str, str, str] | None = None,
    points: Sequence[float] | None = None,
    kind: str = "POLYLINE",
) -> Dataset:
    """A rectangle's measurement group: its region inside the first number, its label a comment, the finding's code."""
    data = list(points) if points is not None else rectangle(box) if box is not None else []
    region = _item("SCOORD", "INFERRED FROM", GraphicType=kind, GraphicData=data, ContentSequence=[_image(film)])
    area = _number(("42798000", "SCT", "Area"), "274.08", "mm2")
    area.ContentSequence = [region]
    tool = "Cornerstone3DTools@^0.1.0:RectangleROI"
    children = [
        _item("TEXT", "HAS OBS CONTEXT", ("112039", "DCM", "Tracking Identifier"), TextValue=tool),
        _item("UIDREF", "HAS OBS CONTEXT", ("112040", "DCM", "Tracking Unique Identifier"), UID=uid.generate_uid()),
    ]
    if code is not None:
        children += [_coded(("121071", "DCM", "Finding"), code), _coded(FINDING_SITE, UPPER_ZONE)]
    statistics = (
        ("56851009", "SCT", "Maximum"),
        ("373098007", "SCT", "Mean"),
        ("386136009", "SCT", "Standard Deviation"),
    )
    children += [area, *(_number(name, "3155", "px") for name in statistics)]
    if words:
        children.append(_item("TEXT", "CONTAINS", ("121106", "DCM", "Comment"), TextValue=words))
    return _container("CONTAINS", ("125007", "DCM", "Measurement Group"), children)


@suppress_warnings()  # the code is longer than the standard allows
def with_free_text_site(mark: Dataset, words: str) -> Dataset:
    """A label as earlier versions of OHIF wrote it: a finding site whose code says free text."""
    mark.ContentSequence.insert(2, _coded(FINDING_SITE, (*FREE_TEXT, words)))
    return mark


def _image(film: tuple[str, str]) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = film
    return _item("IMAGE", "SELECTED FROM", ReferencedSOPSequence=[reference])


def _number(name: tuple[str, str, str], value: str, unit: str) -> Dataset:
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = value, [_code(unit, "UCUM", unit)]
    return _item("NUM", "CONTAINS", name, MeasuredValueSequence=[measured])


def _coded(name: tuple[str, str, str], value: tuple[str, str, str], relation: str = "CONTAINS") -> Dataset:
    return _item("CODE", relation, name, ConceptCodeSequence=[_code(*value)])


def _container(relation: str, name: tuple[str, str, str], children: Sequence[Dataset]) -> Dataset:
    return _item("CONTAINER", relation, name, ContinuityOfContent="SEPARATE", ContentSequence=list(children))


def edited_by_ohif(report: Dataset, marks: Sequence[Dataset], observer: str = UNNAMED, time: str = "101500") -> Dataset:
    """As OHIF 3.13 saves it: Enhanced SR, implicit VR, in camray's series, new tracking UIDs, no reader named."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = ENHANCED_SR, uid.generate_uid(), "SR"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "StudyDate", "StudyTime"):
        setattr(ds, keyword, report.get(keyword, ""))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber"):
        setattr(ds, keyword, report.get(keyword, ""))
    ds.ReferringPhysicianName = report.get("ReferringPhysicianName", "")
    ds.Manufacturer = ds.ManufacturerModelName = "Unspecified"
    ds.SeriesNumber, ds.InstanceNumber, ds.ContentQualification = "9101", "2", "RESEARCH"
    ds.ContentDate, ds.ContentTime, ds.ImageComments = "20260304", time, "NOT FOR CLINICAL USE"
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.PerformedProcedureCodeSequence, ds.ReferencedPerformedProcedureStepSequence = [], []
    ds.CurrentRequestedProcedureEvidenceSequence = report.CurrentRequestedProcedureEvidenceSequence
    ds.PredecessorDocumentsSequence = [_predecessor(report)]
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [_code("126000", "DCM", "Imaging Measurement Report")]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "1500"
    ds.ContentTemplateSequence = [template]
    language = _coded(
        ("121049", "DCM", "Language of Content Item and Descendants"), ("en", "RFC5646", "English"), MODIFIES
    )
    country = ("121046", "DCM", "Country of Language"), ("US", "ISO3166_1", "United States")
    language.ContentSequence = [_coded(*country, MODIFIES)]
    image = _image(film_of(report))
    image.RelationshipType = "CONTAINS"
    group = _container("CONTAINS", ("126200", "DCM", "Image Library Group"), [image])
    ds.ContentSequence = [
        language,
        _item("PNAME", "HAS OBS CONTEXT", ("121008", "DCM", "Person Observer Name"), PersonName=observer),
        _coded(("121058", "DCM", "Procedure reported"), ("363679005", "SCT", "Imaging procedure"), MODIFIES),
        _container("CONTAINS", ("111028", "DCM", "Image Library"), [group]),
        _container("CONTAINS", ("126010", "DCM", "Imaging Measurements"), marks),
    ]
    return ds


def _predecessor(report: Dataset) -> Dataset:
    one, series, study = Dataset(), Dataset(), Dataset()
    one.ReferencedSOPInstanceUID = report.SOPInstanceUID  # without its class
    series.SeriesInstanceUID, series.ReferencedSOPSequence = report.SeriesInstanceUID, [one]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = report.StudyInstanceUID, [series]
    return study


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
        evidence=[source],
        content=report,
        series_instance_uid=uid.generate_uid(),
        series_number=7,
        sop_instance_uid=uid.generate_uid(),
        instance_number=1,
        manufacturer="A viewer",
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
