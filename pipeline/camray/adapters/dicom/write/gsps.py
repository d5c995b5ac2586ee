"""Grayscale Softcopy Presentation State: boxes and labels, and the film's grey scale as camray reads it."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.dicom.write.common_attributes import (
    character_set,
    complete_object,
    equipment_attributes,
    series_attributes,
    single_value,
)
from camray.domain.film_results import UNVERIFIED, FilmResult
from camray.domain.films import FilmHeader, GreyScale, LookupTable, StoredFilm, VoiWindow
from camray.domain.geometry import Box
from camray.domain.object_identity import ObjectIdentity

FORMAT = "3"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.11.1"
_MAX_TEXT = 1024  # characters of Short Text
_MAX_ASPECT = 1000
_TEXT_ROWS = 40  # text without a box starts at this fraction of the film's rows and columns


@suppress_warnings()
def build_gsps(
    result: FilmResult, source: Dataset, identity: ObjectIdentity, film: StoredFilm, voi: VoiWindow | LookupTable
) -> Dataset:
    """Write boxes and labels as a presentation state.

    Parameters
    ----------
    result : FilmResult
        Findings of the film; without a reported finding, one line says so.
    source : Dataset
        The film's header, from `read_source`.
    identity : ObjectIdentity
        UIDs, version and predecessor of the new instance.
    film : StoredFilm
        How stored values become grey, and the size of a pixel.
    voi : VoiWindow or LookupTable
        The one VOI transform to display the film with, in units of the modality transform's output.

    Returns
    -------
    Dataset
        Its presentation LUT is INVERSE where low stored values are bright: a presentation state replaces whatever the
        film's photometric interpretation says.
    """
    layer = hd.pr.GraphicLayer("CAMRAY", order=1, description=f"camray ({UNVERIFIED})")
    ds = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[source],
        content_label="CAMRAY AI",
        content_description=f"camray {result.algorithm.name}: {UNVERIFIED}"[:64],
        graphic_annotations=[_annotation(result, source, layer)],
        graphic_layers=[layer],
        modality_lut_transformation=_modality(film.grey),
        voi_lut_transformations=[_voi(voi)],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if film.grey.is_inverted else "IDENTITY"
        ),
        specific_character_set=character_set(result, source),
        **series_attributes("gsps", source, identity),
        **equipment_attributes(result.algorithm),
    )
    for area in ds.DisplayedAreaSelectionSequence:
        area.PresentationPixelAspectRatio = _aspect_ratio(film.header)
    _put_tables(ds, film.grey, voi)
    return complete_object(ds, source, identity, is_image=True)


def _annotation(result: FilmResult, source: Dataset, layer: Any) -> Any:
    """Return the boxes with their labels, and lines for what has no box."""
    objects, texts = [], []
    for finding in result.reported:
        for number, scored in enumerate(finding.boxes):
            objects.append(
                hd.pr.GraphicObject(
                    "POLYLINE",
                    _corners(scored.box),
                    "PIXEL",
                    tracking_id=f"camray {finding.name} {number + 1}"[:64],
                    tracking_uid=result.tracking_uid(finding, number),
                )
            )
            texts.append(_text(finding.box_summary(scored), (scored.box.x0, scored.box.y0)))
    lines = [finding.summary for finding in result.reported if not finding.boxes]
    if not result.reported:
        lines = [f"No finding reported ({UNVERIFIED})"]
    if lines:
        texts.append(_text("\r\n".join(lines), (result.cols / _TEXT_ROWS, result.rows / _TEXT_ROWS)))
    return hd.pr.GraphicAnnotation([source], layer, graphic_objects=objects or None, text_objects=texts or None)


def _aspect_ratio(header: FilmHeader) -> list[int]:
    """Return height and width of a pixel as whole numbers (PS3.3 C.10.4), 1 and 1 where the film's header has none."""
    if not (header.row_spacing_mm and header.col_spacing_mm):
        return [1, 1]
    ratio = Fraction(header.row_spacing_mm / header.col_spacing_mm).limit_denominator(_MAX_ASPECT)
    return [ratio.numerator, ratio.denominator]


def _corners(box: Box) -> "np.ndarray[Any, np.dtype[np.float64]]":
    x0, y0, x1, y1 = box.as_tuple()
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])


def _text(text: str, anchor_xy: tuple[float, float]) -> Any:
    return hd.pr.TextObject(single_value(text, _MAX_TEXT), "PIXEL", anchor_point=anchor_xy, anchor_point_visible=False)


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
    """Return a table of 16-bit entries that displays as the given one: highdicom writes only 8 or 16 bits."""
    entries = np.rint(lut.entries.astype(np.float64) * (65535 / (2**lut.bits - 1))).clip(0, 65535)
    return replace(lut, entries=entries.astype(np.uint16), bits=16)


def _put_tables(ds: Dataset, grey: GreyScale, voi: VoiWindow | LookupTable) -> None:
    """Give tables that start below zero their true start, which highdicom does not take."""
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
