"""Segmentations of heat maps (fractional) and boxes (binary). Opt-in: no tested viewer shows them over a film."""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.dicom.write.common_attributes import (
    character_set,
    complete_object,
    equipment_attributes,
    finding_code,
    refuse_shared_codes,
    series_attributes,
    single_value,
)
from camray.domain.film_results import UNVERIFIED, FilmResult, FindingResult
from camray.domain.object_identity import ObjectIdentity, uid_of

FORMAT = "2"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.66.4"
MAX_FRACTION = 255
_ARTIFICIAL_INTELLIGENCE = DicomCode("123109", "DCM", "Artificial Intelligence")


def build_heat_seg(
    result: FilmResult,
    source: Dataset,
    identity: ObjectIdentity,
    findings: Sequence[FindingResult],
    heat01: NDArray[np.float32],
) -> Dataset:
    """Write heat maps, one segment per finding.

    Parameters
    ----------
    result : FilmResult
        Findings of the film.
    source : Dataset
        The film's header, from `read_source`.
    identity : ObjectIdentity
        UIDs, version and predecessor of the new instance.
    findings : sequence of FindingResult
        Findings of the maps; at least one.
    heat01 : ndarray of shape (findings, rows, cols), float32
        Each finding's evidence divided by its maximum, 0-1, native grid. It is no probability; the standard's
        fractional segmentations know only probability and occupancy.
    """
    return _build(result, source, identity, _segments(result, findings, "relative evidence"), heat01)


def build_box_seg(
    result: FilmResult, source: Dataset, identity: ObjectIdentity, findings: Sequence[FindingResult]
) -> Dataset:
    """Write boxes as regions, one segment per finding: the pixels whose centre is in one of its boxes.

    Parameters are those of `build_heat_seg`; the findings have boxes.
    """
    masks = np.stack([_mask(finding, result.rows, result.cols) for finding in findings])
    return _build(result, source, identity, _segments(result, findings, "box regions"), masks)


def _mask(finding: FindingResult, rows: int, cols: int) -> NDArray[np.uint8]:
    mask = np.zeros((rows, cols), np.uint8)
    for scored in finding.boxes:
        x0, y0, x1, y1 = (int(np.ceil(side - 0.5)) for side in scored.box.as_tuple())  # centres at whole numbers + 0.5
        mask[max(y0, 0) : y1, max(x0, 0) : x1] = 1
    return mask


def _segments(result: FilmResult, findings: Sequence[FindingResult], content: str) -> list[Any]:
    algorithm = result.algorithm
    identification = hd.AlgorithmIdentificationSequence(
        algorithm.name[:64],
        _ARTIFICIAL_INTELLIGENCE,
        algorithm.version[:64],
        source="camray",
        parameters={
            "model sha256": algorithm.model_digest,
            "thresholds sha256": algorithm.threshold_digest,
            "explanation method": algorithm.method,
        },
    )
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=single_value(f"{finding.name[:40]}: {content}", 64),
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=finding_code(finding.finding),
            algorithm_type="AUTOMATIC",
            algorithm_identification=identification,
        )
        for number, finding in enumerate(findings, start=1)
    ]


@suppress_warnings()
def _build(
    result: FilmResult, source: Dataset, identity: ObjectIdentity, segments: list[Any], maps: NDArray[Any]
) -> Dataset:
    """Build a segmentation: fractional from floats, binary from whole numbers."""
    is_heat = np.issubdtype(maps.dtype, np.floating)
    refuse_shared_codes(result)
    ds = hd.seg.Segmentation(
        source_images=[source],
        pixel_array=np.moveaxis(maps, 0, -1)[None],  # (frames, rows, columns, segments)
        segmentation_type="FRACTIONAL" if is_heat else "BINARY",
        segment_descriptions=segments,
        max_fractional_value=MAX_FRACTION,
        content_label="CAMRAY_AI",
        content_description=f"camray {'relative evidence' if is_heat else 'box regions'} ({UNVERIFIED})",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=character_set(result, source),
        **series_attributes("seg-heat" if is_heat else "seg-boxes", source, identity),
        **equipment_attributes(result.algorithm),
    )
    ds.PatientOrientation = list(source.PatientOrientation)
    dimensions = uid_of("dimensions", identity.sop_instance_uid)
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
    if is_heat:  # the plugin is named: pydicom's own choice, GDCM, ends the process on odd numbers of rows
        ds.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    return complete_object(ds, source, identity, is_image=True)
