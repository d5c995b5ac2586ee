"""Segmentations: the heat map as fractions, the boxes as regions. Opt-in: no viewer tried shows them over a film."""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from camray.adapters.dicom.write.common_attributes import (
    SERIES_NUMBERS,
    character_set,
    code_of,
    device_words,
    finish,
    series_words,
)
from camray.adapters.dicom.write.warnings import quiet
from camray.domain.film_results import UNVERIFIED, FilmResult, FoundFinding
from camray.domain.object_identity import ObjectIdentity, uid_of

FORMAT = "1"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.66.4"
MAX_FRACTION = 255
_ARTIFICIAL_INTELLIGENCE = DicomCode("123109", "DCM", "Artificial Intelligence")


def build_heat_seg(
    result: FilmResult, source: Dataset, identity: ObjectIdentity, found: Sequence[FoundFinding],
    heat01: NDArray[np.float32],
) -> Dataset:  # fmt: skip
    """Write heat maps, one segment a finding.

    Parameters
    ----------
    result : FilmResult
        What is said.
    source : Dataset
        The film, from `read_source`.
    identity : ObjectIdentity
        Who the object is.
    found : sequence of FoundFinding
        Findings of the maps; at least one.
    heat01 : ndarray of shape (L, rows, cols), float32
        Each finding's evidence over its own maximum, 0-1, native grid. It is no probability; the standard's fractional
        segmentations know only probability and occupancy.
    """
    return _build(result, source, identity, found, heat01, "seg-heat")


def build_box_seg(
    result: FilmResult, source: Dataset, identity: ObjectIdentity, found: Sequence[FoundFinding]
) -> Dataset:
    """Write boxes as regions, one segment a finding: the pixels whose centre lies in one of its boxes."""
    masks = np.stack([_mask(one, result.rows, result.cols) for one in found])
    return _build(result, source, identity, found, masks, "seg-boxes")


def _mask(found: FoundFinding, rows: int, cols: int) -> NDArray[np.uint8]:
    mask = np.zeros((rows, cols), np.uint8)
    for one in found.boxes:
        x0, y0, x1, y1 = (int(np.ceil(side - 0.5)) for side in one.box.as_tuple())  # centres at whole numbers + 0.5
        mask[max(y0, 0) : y1, max(x0, 0) : x1] = 1
    return mask


@quiet()
def _build(
    result: FilmResult, source: Dataset, identity: ObjectIdentity, found: Sequence[FoundFinding],
    maps: NDArray[Any], kind: str,
) -> Dataset:  # fmt: skip
    is_heat = kind == "seg-heat"
    what = "relative evidence" if is_heat else "box regions"
    algorithm = result.algorithm
    identification = hd.AlgorithmIdentificationSequence(
        algorithm.name[:64],
        _ARTIFICIAL_INTELLIGENCE,
        algorithm.version[:64],
        source="camray",
        parameters={"model sha256": algorithm.model_digest, "thresholds sha256": algorithm.threshold_digest,
                    "explanation method": algorithm.method},
    )  # fmt: skip
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"{one.finding.name[:40]}: {what}"[:64],
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=code_of(one.finding),
            algorithm_type="AUTOMATIC",
            algorithm_identification=identification,
        )
        for number, one in enumerate(found, start=1)
    ]
    pixels = np.moveaxis(maps, 0, -1)[None]  # (frames, rows, columns, segments)
    ds = hd.seg.Segmentation(
        source_images=[source],
        pixel_array=pixels,
        segmentation_type="FRACTIONAL" if is_heat else "BINARY",
        segment_descriptions=segments,
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS[kind],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=identity.version,
        max_fractional_value=MAX_FRACTION,
        content_label="CAMRAY_AI",
        content_description=f"camray {what} ({UNVERIFIED})",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=series_words(kind),
        specific_character_set=character_set(result, source),
        **device_words(algorithm),
    )
    ds.PatientOrientation = list(source.PatientOrientation)
    dimensions = uid_of("dimensions", identity.sop_instance_uid)
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
    if is_heat:  # the plugin is named: pydicom's own choice, GDCM, ends the process on odd numbers of rows
        ds.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    return finish(ds, source, identity, is_image=True)
