"""Exported objects read back, for comparison with the result that they were built from."""

from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes

from camray.adapters.dicom.write.sr import NOT_DETECTED, PROBABILITY, QUALITATIVE_EVALUATIONS
from camray.domain.geometry import Box


def read_sr(ds: Dataset) -> list[dict[str, Any]]:
    """Return a row for each measurement group, then for each qualitative evaluation.

    A row has ``finding`` (value, scheme, meaning), ``tracking_uid``, ``comment``, ``sop_instance_uid`` of the film,
    ``box`` or None, ``percent`` (probability) or None, ``site`` and ``laterality`` (meaning, or None), ``present``.
    """
    report: Any = hd.sr.ComprehensiveSR.from_dataset(ds).content
    rows = []
    for group in report.get_planar_roi_measurement_groups():
        rows.append({**_group_row(group), "box": box_around(group.roi.value), "percent": None})
    for group in report.get_image_measurement_groups():
        numbers = group.get_measurements(name=PROBABILITY)
        rows.append({**_group_row(group), "box": None, "percent": float(numbers[0].value)})
    for container in _named(ds, QUALITATIVE_EVALUATIONS):
        evaluations, comments = container.ContentSequence[::2], container.ContentSequence[1::2]
        rows += [_evaluation_row(*pair) for pair in zip(evaluations, comments, strict=True)]
    return rows


def read_gsps(ds: Dataset) -> list[tuple[Box, str]]:
    """Return each box with its tracking UID."""
    items = [
        item
        for annotation in ds.get("GraphicAnnotationSequence", [])
        for item in annotation.get("GraphicObjectSequence", [])
    ]
    return [(box_around(np.reshape(item.GraphicData, (-1, 2))), str(item.get("TrackingUID", ""))) for item in items]


def box_around(xy: Any) -> Box:
    low, high = np.min(xy, axis=0), np.max(xy, axis=0)
    return Box(*map(float, (*low, *high)))


def _group_row(group: Any) -> dict[str, Any]:
    code, sites = group.finding_type, group.finding_sites
    side = sites[0].laterality if sites else None
    return {
        "finding": (code.value, code.scheme_designator, code.meaning),
        "tracking_uid": str(group.tracking_uid),
        "comment": _named(group[0], codes.DCM.Comment)[0].TextValue,
        "sop_instance_uid": _film(group[0]),
        "site": sites[0].value.meaning if sites else None,
        "laterality": side.meaning if side is not None else None,
        "present": True,
    }


def _evaluation_row(evaluation: Dataset, comment: Dataset) -> dict[str, Any]:
    name, value = evaluation.ConceptNameCodeSequence[0], evaluation.ConceptCodeSequence[0]
    numbers = [item.MeasuredValueSequence[0] for item in _named(evaluation, PROBABILITY)]
    return {
        "finding": (name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning),
        "tracking_uid": None,
        "comment": comment.TextValue,
        "sop_instance_uid": _film(evaluation),
        "site": None,
        "laterality": None,
        "present": value.CodeValue != NOT_DETECTED.value,
        "box": None,
        "percent": float(numbers[0].NumericValue) if numbers else None,
    }


def _film(item: Dataset) -> str:
    images = [below for below in _walk(item) if below.get("ValueType") == "IMAGE"]
    return str(images[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def _named(item: Dataset, concept: Any) -> list[Dataset]:
    return [
        below
        for below in _walk(item)
        if below.get("ConceptNameCodeSequence") and below.ConceptNameCodeSequence[0].CodeValue == concept.value
    ]


def _walk(item: Dataset) -> list[Dataset]:
    return [item, *(below for child in item.get("ContentSequence", []) for below in _walk(child))]
