"""Structured Report, TID 1500, in the layout that OHIF hydrates.

A box is a planar ROI group without any number, since OHIF's importer looks for the region inside the first number of a
group. The probability stands in a second group with the same tracking identifier. A finding that is not reported, and
one without a box, have the second group alone: a negative study says so for every finding.
"""

from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode

from camray.adapters.dicom.write.common_attributes import (
    SERIES_NUMBERS,
    algorithm_words,
    character_set,
    code_of,
    device_words,
    finish,
    series_words,
)
from camray.adapters.dicom.write.warnings import quiet
from camray.domain.errors import ExportError
from camray.domain.film_results import UNVERIFIED, FilmResult, FoundBox, FoundFinding
from camray.domain.geometry import Box
from camray.domain.object_identity import ObjectIdentity, uid_of

FORMAT = "1"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.88.33"  # Comprehensive SR Storage
_PROCEDURE = DicomCode("399208008", "SCT", "Plain chest X-ray")
_PRESENCE = DicomCode("705057003", "SCT", "Presence")
_DETECTED = DicomCode("260373001", "SCT", "Detected")
_NOT_DETECTED = DicomCode("260415000", "SCT", "Not detected")
_CERTAINTY = DicomCode("111012", "DCM", "Certainty of Finding")
_ZONES = {"upper": codes.SCT.UpperZoneOfLung, "mid": codes.SCT.MiddleZoneOfLung, "lower": codes.SCT.LowerZoneOfLung}
_SIDES = {"right": codes.SCT.Right, "left": codes.SCT.Left, "R": codes.SCT.Right, "L": codes.SCT.Left}


@quiet()
def build_sr(result: FilmResult, source: Dataset, identity: ObjectIdentity) -> Dataset:
    """Write a film's findings as a Comprehensive SR.

    Parameters
    ----------
    result : FilmResult
        What is said. Boxes lie on the export grid, so that DICOM's 32-bit coordinates hold them exactly.
    source : Dataset
        The film, from `read_source`.
    identity : ObjectIdentity
        Who the object is.

    Returns
    -------
    Dataset
        Complete, not verified.

    Raises
    ------
    ExportError
        If there is no finding to speak of.
    """
    if not result.findings:
        raise ExportError(f"{result.image_id}: a model without findings has nothing to report")
    algorithm = hd.sr.AlgorithmIdentification(
        result.algorithm.name[:64], result.algorithm.version[:64], parameters=algorithm_words(result.algorithm)
    )
    regions, groups = [], []
    for found in result.findings:
        trackers = [_tracker(result, found, number) for number in range(max(len(found.boxes), 1))]
        for number, box in enumerate(found.boxes):
            regions.append(_region_group(result, found, box, source, trackers[number], algorithm))
        for number, tracker in enumerate(trackers):
            one = found.boxes[number] if found.boxes else None
            groups.append(_certainty_group(result, found, one, source, tracker, algorithm))
    report = hd.sr.MeasurementReport(
        observation_context=_observed_by(result),
        procedure_reported=_PROCEDURE,
        imaging_measurements=[*regions, *groups],
        title=codes.DCM.ImagingMeasurementReport,
    )
    before = identity.predecessor
    words = device_words(result.algorithm)
    ds = hd.sr.ComprehensiveSR(
        evidence=[source],
        content=report,
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS["sr"],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=identity.version,
        manufacturer=words.pop("manufacturer"),
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=None if before is None else [_as_dataset(before)],
        series_description=series_words("sr"),
        specific_character_set=character_set(result, source),
        **words,
    )
    return finish(ds, source, identity, is_image=False)


def read_sr(ds: Dataset) -> list[dict[str, Any]]:
    """Read back what `build_sr` wrote, one mapping a measurement group.

    Parameters
    ----------
    ds : Dataset
        As read from a file.

    Returns
    -------
    list of dict
        ``finding`` (value, scheme, meaning), ``tracking_uid``, ``comment``, ``sop_instance_uid`` of the film; ``box``
        (Box or None), ``certainty_percent`` (float or None), ``site`` and ``laterality`` (meaning, or None).
    """
    report: Any = hd.sr.ComprehensiveSR.from_dataset(ds).content
    rows = []
    for group in report.get_planar_roi_measurement_groups():
        xy = group.roi.value
        box = Box(*(float(side) for side in (xy[:, 0].min(), xy[:, 1].min(), xy[:, 0].max(), xy[:, 1].max())))
        rows.append({**_told(group), "box": box, "certainty_percent": None})
    for group in report.get_image_measurement_groups():
        numbers = group.get_measurements(name=_CERTAINTY)
        certainty = float(numbers[0].value) if numbers else None
        rows.append({**_told(group), "box": None, "certainty_percent": certainty})
    return rows


def tracking_uid(result: FilmResult, found: FoundFinding, number: int) -> str:
    """Return the identity of one finding or box: the same in every object of this result."""
    box = found.boxes[number].box.as_tuple() if found.boxes else ()
    return uid_of("tracking", result.image_id, result.algorithm.model_digest, found.finding.name, repr(box))


def _tracker(result: FilmResult, found: FoundFinding, number: int) -> Any:
    identifier = f"camray {found.finding.name} {number + 1}"
    return hd.sr.TrackingIdentifier(uid=tracking_uid(result, found, number), identifier=identifier)


def _region_group(
    result: FilmResult, found: FoundFinding, one: FoundBox, source: Dataset, tracker: Any, algorithm: Any
) -> Any:
    x0, y0, x1, y1 = one.box.as_tuple()
    region = hd.sr.ImageRegion(
        graphic_type="POLYLINE",
        graphic_data=np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]),
        source_image=hd.sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID),
    )
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracker,
        referenced_region=region,
        finding_type=code_of(found.finding),
        algorithm_id=algorithm,
        finding_sites=_sites(result, one),
    )
    return _commented(group, found.said)


def _certainty_group(
    result: FilmResult, found: FoundFinding, one: FoundBox | None, source: Dataset, tracker: Any, algorithm: Any
) -> Any:
    if found.is_reported:
        comment = found.said if one is not None else f"{found.said}: the map holds no localization"
    else:
        comment = f"{found.said}: below the cutoff of {found.cutoff:.2f}"
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracker,
        finding_type=code_of(found.finding),
        algorithm_id=algorithm,
        finding_sites=_sites(result, one),
        measurements=[hd.sr.Measurement(_CERTAINTY, percent(found.probability), codes.UCUM.Percent)],
        qualitative_evaluations=[
            hd.sr.QualitativeEvaluation(_PRESENCE, _DETECTED if found.is_reported else _NOT_DETECTED)
        ],
        source_images=[hd.sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    return _commented(group, comment)


def percent(probability: float) -> float:
    """Return a probability in per cent as the report says it: four decimals."""
    return round(probability * 100, 4)


def _sites(result: FilmResult, one: FoundBox | None) -> list[Any] | None:
    side, _, third = (one.zone if one is not None else "").partition(" ")
    if third in _ZONES and side in _SIDES:
        return [hd.sr.FindingSite(_ZONES[third], laterality=_SIDES[side])]
    if result.laterality in _SIDES:  # a film of one side
        return [hd.sr.FindingSite(codes.SCT.Lung, laterality=_SIDES[result.laterality])]
    return None


def _commented(group: Any, words: str) -> Any:
    comment = hd.sr.TextContentItem(codes.DCM.Comment, words, hd.sr.RelationshipTypeValues.CONTAINS)
    group[0].ContentSequence.append(comment)
    return group


def _observed_by(result: FilmResult) -> Any:
    algorithm = result.algorithm
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of("device", algorithm.name, algorithm.model_digest),
        name=f"camray ({UNVERIFIED})",
        manufacturer_name="camray",
        model_name=algorithm.name[:64],
        serial_number=algorithm.model_digest[:64],
    )
    context = hd.sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    return hd.sr.ObservationContext(observer_device_context=context)


def _as_dataset(reference: Any) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = reference.sop_class_uid, reference.sop_instance_uid
    ds.SeriesInstanceUID, ds.StudyInstanceUID = reference.series_instance_uid, reference.study_instance_uid
    return ds


def _told(group: Any) -> dict[str, Any]:
    code, sites = group.finding_type, group.finding_sites
    comments = [
        item.TextValue
        for item in group[0].ContentSequence
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeValue == codes.DCM.Comment.value
    ]
    side: CodedConcept | None = sites[0].laterality if sites else None
    images = [
        found.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for found in _walk(group[0])
        if found.get("ValueType") == "IMAGE"
    ]
    return {
        "finding": (code.value, code.scheme_designator, code.meaning),
        "tracking_uid": str(group.tracking_uid),
        "comment": comments[0] if comments else "",
        "sop_instance_uid": str(images[0]) if images else "",
        "site": sites[0].value.meaning if sites else None,
        "laterality": side.meaning if side is not None else None,
    }


def _walk(item: Dataset) -> list[Dataset]:
    return [item, *(below for child in item.get("ContentSequence", []) for below in _walk(child))]
