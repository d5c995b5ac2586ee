"""Grayscale Softcopy Presentation State: boxes and labels over the film, which is shown as camray saw it."""

from dataclasses import replace
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset

from camray.adapters.dicom.write.common_attributes import (
    SERIES_NUMBERS,
    character_set,
    device_words,
    finish,
    series_words,
)
from camray.adapters.dicom.write.warnings import quiet
from camray.domain.film_results import UNVERIFIED, FilmResult
from camray.domain.films import GreyScale, LookupTable, VoiWindow
from camray.domain.geometry import Box
from camray.domain.object_identity import ObjectIdentity

FORMAT = "1"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.11.1"
_MOST_TEXT = 1024  # ST
_TEXT_ROWS = 40  # a text starts this share of the film's rows from its edge where there is no box


@quiet()
def build_gsps(
    result: FilmResult, source: Dataset, identity: ObjectIdentity, grey: GreyScale, voi: VoiWindow | LookupTable,
    tracking: dict[tuple[str, int], str],
) -> Dataset:  # fmt: skip
    """Write boxes and labels as a presentation state.

    Parameters
    ----------
    result : FilmResult
        What is said; a film without a reported finding gets one line that says so.
    source : Dataset
        The film, from `read_source`.
    identity : ObjectIdentity
        Who the object is.
    grey : GreyScale
        How the film's stored values become grey.
    voi : VoiWindow or LookupTable
        The one VOI transform to show it with, in units of the modality transform's output.
    tracking : dict
        (finding, number of the box) to the tracking UID that the report uses.

    Returns
    -------
    Dataset
        Its presentation LUT is INVERSE where low stored values are bright: a presentation state replaces whatever the
        film's photometric interpretation says.
    """
    layer = hd.pr.GraphicLayer("CAMRAY", order=1, description=f"camray ({UNVERIFIED})")
    objects, texts = [], []
    for found in result.reported:
        for number, one in enumerate(found.boxes):
            named: dict[str, Any] = {"tracking_id": f"camray {found.finding.name} {number + 1}"[:64],
                     "tracking_uid": tracking[found.finding.name, number]}  # fmt: skip
            objects.append(hd.pr.GraphicObject("POLYLINE", _corners(one.box), "PIXEL", **named))
            anchor = (one.box.x0, one.box.y0)
            texts.append(_text(found.summary, anchor))
    unplaced = [found.summary for found in result.reported if not found.boxes]
    if not result.reported:
        unplaced = [f"No finding reported ({UNVERIFIED})"]
    if unplaced:
        texts.append(_text("\r\n".join(unplaced), (result.cols / _TEXT_ROWS, result.rows / _TEXT_ROWS)))
    annotation = hd.pr.GraphicAnnotation([source], layer, graphic_objects=objects or None, text_objects=texts or None)
    words = device_words(result.algorithm)
    ds = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[source],
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS["gsps"],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=identity.version,
        content_label="CAMRAY AI",
        content_description=f"camray {result.algorithm.name}: {UNVERIFIED}"[:64],
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        modality_lut_transformation=_modality(grey),
        voi_lut_transformations=[_voi(voi)],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if grey.is_inverted else "IDENTITY"
        ),
        series_description=series_words("gsps"),
        specific_character_set=character_set(result, source),
        **words,
    )
    _put_tables(ds, grey, voi)
    return finish(ds, source, identity, is_image=True)


def read_gsps(ds: Dataset) -> list[tuple[Box, str]]:
    """Read back boxes and the tracking UID of each."""
    found = []
    for annotation in ds.get("GraphicAnnotationSequence", []):
        for item in annotation.get("GraphicObjectSequence", []):
            xy = np.array(item.GraphicData, np.float64).reshape(-1, 2)
            low, high = xy.min(axis=0), xy.max(axis=0)
            found.append((Box(*map(float, (*low, *high))), str(item.get("TrackingUID", ""))))
    return found


def _corners(box: Box) -> "np.ndarray[Any, np.dtype[np.float64]]":
    x0, y0, x1, y1 = box.as_tuple()
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])


def _text(words: str, anchor_xy: tuple[float, float]) -> Any:
    return hd.pr.TextObject(words[:_MOST_TEXT], "PIXEL", anchor_point=anchor_xy, anchor_point_visible=False)


def _modality(grey: GreyScale) -> Any:
    if grey.modality_lut is not None:
        lut = hd.ModalityLUT("US", max(grey.modality_lut.first_mapped, 0), grey.modality_lut.entries)
        return hd.ModalityLUTTransformation(modality_lut=lut)
    if (grey.slope, grey.intercept) == (1.0, 0.0):
        return None
    return hd.ModalityLUTTransformation(rescale_intercept=grey.intercept, rescale_slope=grey.slope, rescale_type="US")


def _voi(voi: VoiWindow | LookupTable) -> Any:
    if isinstance(voi, LookupTable):
        scaled = full_range(voi)
        return hd.pr.SoftcopyVOILUTTransformation(voi_luts=[hd.VOILUT(max(voi.first_mapped, 0), scaled.entries)])
    function = None if voi.function == "LINEAR" else voi.function
    return hd.pr.SoftcopyVOILUTTransformation(voi.centre, voi.width, voi_lut_function=function)


def full_range(lut: LookupTable) -> LookupTable:
    """Return a table of 16-bit entries that shows as the given one: highdicom writes 8 or 16 bits only."""
    entries = np.rint(lut.entries.astype(np.float64) * (65535 / (2**lut.bits - 1))).clip(0, 65535)
    return replace(lut, entries=entries.astype(np.uint16), bits=16)


def _put_tables(ds: Dataset, grey: GreyScale, voi: VoiWindow | LookupTable) -> None:
    """Give tables that start below zero their true start, which highdicom refuses."""
    tables = []
    if grey.modality_lut is not None:
        tables.append((ds.ModalityLUTSequence[0], grey.modality_lut))
    if isinstance(voi, LookupTable):
        tables.append((ds.SoftcopyVOILUTSequence[0].VOILUTSequence[0], voi))
    for item, lut in tables:
        if lut.first_mapped < 0:
            item.add_new("LUTDescriptor", "SS", [_as_signed(lut.entries.size % 2**16), lut.first_mapped, 16])


def _as_signed(number: int) -> int:
    return number - 2**16 if number >= 2**15 else number
