"""Comprehensive SR (TID 1500) of a film's findings, in a layout that OHIF opens and edits.

A box is a planar ROI group without any number: OHIF looks for the region inside the first number of a group. The
probability is in a second group with the same tracking identifier. A finding without a box is a qualitative evaluation
(TID 1500, row 12): OHIF 3.13 expects a region in every measurement group and fails on a group that has none. It fails
too on an Imaging Measurement Report without any group, so that a report without boxes has another title: OHIF then
shows it as text.
"""

from collections.abc import Iterator
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import RelationshipTypeValues
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.dicom.write.common_attributes import (
    PRIVATE_SCHEME,
    algorithm_parameters,
    character_set,
    complete_object,
    equipment_attributes,
    finding_code,
    refuse_shared_codes,
    series_attributes,
)
from camray.domain.errors import ExportError
from camray.domain.film_results import STEPS_PER_PX, UNVERIFIED, FilmResult, FindingResult, ScoredBox
from camray.domain.finding_sites import Site, site_of
from camray.domain.object_identity import ObjectIdentity, uid_of

FORMAT = "4"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.88.33"  # Comprehensive SR Storage
PROBABILITY = DicomCode("PRESENCE_PROB", PRIVATE_SCHEME, "Probability of presence")
QUALITATIVE_EVALUATIONS = DicomCode("C0034375", "UMLS", "Qualitative Evaluations")
PRESENCE = DicomCode("705057003", "SCT", "Presence")
DETECTED = DicomCode("260373001", "SCT", "Detected")
NOT_DETECTED = DicomCode("260415000", "SCT", "Not detected")
_TITLE_WITHOUT_BOXES = DicomCode("AI_FINDINGS", PRIVATE_SCHEME, f"Imaging findings ({UNVERIFIED})")
_LANGUAGE = hd.sr.CodedConcept("en-US", "RFC5646", "English (United States)")
_PROCEDURE = DicomCode("399208008", "SCT", "Plain chest X-ray")
_ZONES = {"upper": codes.SCT.UpperZoneOfLung, "mid": codes.SCT.MiddleZoneOfLung, "lower": codes.SCT.LowerZoneOfLung}
_ANATOMY = {Site.HEART: codes.SCT.Heart, Site.DIAPHRAGM: codes.SCT.Diaphragm}
_SIDES = {"right": codes.SCT.Right, "left": codes.SCT.Left, "R": codes.SCT.Right, "L": codes.SCT.Left}


@suppress_warnings()
def build_sr(result: FilmResult, source: Dataset, identity: ObjectIdentity) -> Dataset:
    """Write a film's findings as a Comprehensive SR.

    Parameters
    ----------
    result : FilmResult
        Findings of the film. Boxes are on the export grid, which DICOM's 32-bit coordinates hold exactly.
    source : Dataset
        The film's header, from `read_source`.
    identity : ObjectIdentity
        UIDs, version and predecessor of the new instance.

    Returns
    -------
    Dataset
        Complete, not verified.

    Raises
    ------
    ExportError
        If the model has no findings, or two with one code.
    """
    if not result.findings:
        raise ExportError(f"{result.image_id}: the model has no findings, so there is nothing to report")
    refuse_shared_codes(result)
    before = identity.predecessor
    equipment = equipment_attributes(result.algorithm)
    ds = hd.sr.ComprehensiveSR(
        evidence=[source],
        content=_document(result, source),
        manufacturer=equipment.pop("manufacturer"),
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=None if before is None else [_as_dataset(before)],
        specific_character_set=character_set(result, source),
        **series_attributes("sr", source, identity),
        **equipment,
    )
    return complete_object(ds, source, identity, is_image=False)


def percent(probability: float) -> float:
    """Return a probability in per cent, rounded to four decimals."""
    return round(probability * 100, 4)


def _document(result: FilmResult, source: Dataset) -> Any:
    """Return the root container (TID 1500)."""
    algorithm = hd.sr.AlgorithmIdentification(
        result.algorithm.name[:64], result.algorithm.version[:64], parameters=algorithm_parameters(result.algorithm)
    )
    groups = [group for finding in result.findings for group in _box_groups(result, finding, source, algorithm)]
    evaluations = [
        item
        for finding in result.findings
        if not finding.boxes or finding.probability is None
        for item in _qualitative(result, finding, source)
    ]
    children = hd.sr.ContentSequence()
    children.extend(hd.sr.LanguageOfContentItemAndDescendants(_LANGUAGE))
    children.extend(_observation_context(result))
    children.append(
        hd.sr.CodeContentItem(codes.DCM.ProcedureReported, _PROCEDURE, RelationshipTypeValues.HAS_CONCEPT_MOD)
    )
    if groups:
        children.append(_container(codes.DCM.ImagingMeasurements, [item for group in groups for item in group]))
    if evaluations:
        children.append(_container(QUALITATIVE_EVALUATIONS, evaluations))
    root = hd.sr.ContainerContentItem(
        name=codes.DCM.ImagingMeasurementReport if groups else _TITLE_WITHOUT_BOXES,
        is_content_continuous=False,
        template_id="1500",
    )
    root.ContentSequence = children
    return root


def _container(name: DicomCode, items: list[Any]) -> Any:
    container = hd.sr.ContainerContentItem(
        name=name, is_content_continuous=False, relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = hd.sr.ContentSequence(items)
    return container


def _box_groups(result: FilmResult, finding: FindingResult, source: Dataset, algorithm: Any) -> Iterator[Any]:
    """Yield two measurement groups for each box: its region, and the finding's probability where one is stated."""
    for number, box in enumerate(finding.boxes):
        shared: dict[str, Any] = {
            "tracking_identifier": hd.sr.TrackingIdentifier(
                uid=result.tracking_uid(finding, number), identifier=f"camray {finding.name} {number + 1}"
            ),
            "finding_type": finding_code(finding.finding),
            "algorithm_id": algorithm,
            "finding_sites": _finding_sites(result, finding, box),
        }
        region = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=_region(box, result, source), **shared
        )
        groups: list[Any] = [region]
        if finding.probability is not None:
            certainty = hd.sr.MeasurementsAndQualitativeEvaluations(
                measurements=[hd.sr.Measurement(PROBABILITY, percent(finding.probability), codes.UCUM.Percent)],
                qualitative_evaluations=[hd.sr.QualitativeEvaluation(PRESENCE, DETECTED)],
                source_images=[hd.sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
                **shared,
            )
            groups.append(certainty)
        for group in groups:
            group[0].ContentSequence.append(_comment(finding.box_summary(box)))
            yield group


def _region(box: ScoredBox, result: FilmResult, source: Dataset) -> Any:
    x0, y0, x1, y1 = box.box.as_tuple()
    (x0, x1), (y0, y1) = _off_edges(x0, x1, result.cols), _off_edges(y0, y1, result.rows)
    return hd.sr.ImageRegion(
        graphic_type="POLYLINE",
        graphic_data=np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]),
        source_image=hd.sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID),
    )


def _off_edges(low: float, high: float, size: int) -> tuple[float, float]:
    """Keep a side of a box 1/256 px off the film's edges: OHIF 3.13 drops a box on an edge when a reader saves."""
    step = 1 / STEPS_PER_PX
    if high - low <= 2 * step:
        return low, high
    return max(low, step), min(high, size - step)


def _qualitative(result: FilmResult, finding: FindingResult, source: Dataset) -> tuple[Any, ...]:
    """Return presence or absence and a comment; of a finding that is not judged the comment alone."""
    if finding.not_judged:
        return (_comment(f"{finding.name}: not judged, neither present nor absent; {finding.not_judged}"),)
    return _evaluation(result, finding, source)


def _evaluation(result: FilmResult, finding: FindingResult, source: Dataset) -> tuple[Any, Any]:
    """Return presence or absence of a finding (with probability, if stated, algorithm and film), and a comment."""
    properties = RelationshipTypeValues.HAS_PROPERTIES
    evaluation = hd.sr.CodeContentItem(
        finding_code(finding.finding),
        DETECTED if finding.is_reported else NOT_DETECTED,
        RelationshipTypeValues.CONTAINS,
    )
    number = (
        []
        if finding.probability is None
        else [
            hd.sr.NumContentItem(
                PROBABILITY, percent(finding.probability), codes.UCUM.Percent, relationship_type=properties
            )
        ]
    )
    evaluation.ContentSequence = hd.sr.ContentSequence(
        [
            *number,
            hd.sr.TextContentItem(codes.DCM.AlgorithmName, result.algorithm.name[:64], properties),
            hd.sr.TextContentItem(codes.DCM.AlgorithmVersion, result.algorithm.version[:64], properties),
            hd.sr.ImageContentItem(
                codes.DCM.SourceImage,
                source.SOPClassUID,
                source.SOPInstanceUID,
                relationship_type=RelationshipTypeValues.INFERRED_FROM,
            ),
        ]
    )
    return evaluation, _comment(_explained(finding))


def _explained(finding: FindingResult) -> str:
    """Return a finding's summary with the reasons for what is not there: boxes, a report, a probability."""
    why = []
    if not finding.is_reported:
        why.append("below the cutoff" + ("" if finding.cutoff is None else f" of {finding.cutoff:.2f}"))
    elif not finding.boxes:
        why.append("the map holds no localization")
    if finding.probability is None:
        why.append(f"no probability: {finding.no_probability}")
    return f"{finding.summary}: {'; '.join(why)}"


def _comment(text: str) -> Any:
    return hd.sr.TextContentItem(codes.DCM.Comment, text, RelationshipTypeValues.CONTAINS)


def _finding_sites(result: FilmResult, finding: FindingResult, box: ScoredBox) -> list[Any] | None:
    """Return the finding's site: a lung zone with its side for findings of the lung."""
    site = site_of(finding.finding)
    if site in _ANATOMY:
        return [hd.sr.FindingSite(_ANATOMY[site])]
    side, _, third = box.zone.partition(" ")
    if side not in _SIDES:
        side, third = result.laterality, ""  # a film of one side
    if side not in _SIDES or site in (Site.UNKNOWN, Site.ELSEWHERE):
        return None
    organ = codes.SCT.Pleura if site is Site.PLEURA else _ZONES.get(third, codes.SCT.Lung)
    return [hd.sr.FindingSite(organ, laterality=_SIDES[side])]


def _observation_context(result: FilmResult) -> Any:
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
