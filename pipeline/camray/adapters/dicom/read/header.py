"""DICOM header of a film: an allow-list of values (`FilmHeader`), and its VOI windows and LUTs (`GreyScale`)."""

import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, uid

from camray.adapters.dicom.read.elements import code_of, integer_of, items_of, number_of, numbers_of, text_of, values_of
from camray.domain.errors import DicomError
from camray.domain.films import FilmHeader, GreyScale, LookupTable, VoiWindow
from camray.domain.records import RefusalReason

_NO_VIEW = {"XX", "X", "NA", "N/A", "NONE", "UNKNOWN", "UNK", "OTHER", "."}
_VIEWS = {"AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT"}
# CID 4010; SNOMED CT, and the older SNOMED RT identifiers
_VIEW_CODES = {
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-40888": "PA",
    "399067008": "LAT",
    "R-102CD": "LAT",
    "399198007": "RL",
    "R-10232": "RL",
    "399173006": "LL",
    "R-10236": "LL",
}
_SPACINGS = (
    ("PixelSpacing", "pixel"),
    ("ImagerPixelSpacing", "imager"),
    ("NominalScannedPixelSpacing", "nominal"),
    ("PixelAspectRatio", "aspect"),
)
_LOSSY = {
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
}
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}


def film_header(ds: Dataset, path: Path, transfer_syntax: str) -> FilmHeader:
    """Return the allowed header values of a data set; malformed values count as absent.

    Parameters
    ----------
    ds : Dataset
        Any data set; pixels are not needed.
    path : Path
        Its stem is the film's name if the file has no SOPInstanceUID.
    transfer_syntax : str
        UID of the encoding.
    """
    row_spacing, col_spacing, source = _spacing(ds)
    sex = code_of(ds, "PatientSex")
    laterality = code_of(ds, "ImageLaterality") or code_of(ds, "Laterality")
    return FilmHeader(
        image_id=text_of(ds, "SOPInstanceUID") or path.stem,
        patient_id=text_of(ds, "PatientID"),
        study_uid=text_of(ds, "StudyInstanceUID"),
        modality=code_of(ds, "Modality"),
        body_part=code_of(ds, "BodyPartExamined"),
        view=_view(ds),
        laterality=laterality if laterality in {"L", "R", "B", "U"} else "",
        sex=sex if sex in {"M", "F", "O"} else "",
        age_years=_age_years(text_of(ds, "PatientAge")),
        rows=integer_of(ds, "Rows"),
        cols=integer_of(ds, "Columns"),
        row_spacing_mm=row_spacing,
        col_spacing_mm=col_spacing,
        spacing_source=source,
        photometric=code_of(ds, "PhotometricInterpretation"),
        bits_stored=integer_of(ds, "BitsStored") or integer_of(ds, "BitsAllocated"),
        transfer_syntax=transfer_syntax,
        manufacturer=text_of(ds, "Manufacturer")[:64],
        lossy=code_of(ds, "LossyImageCompression") == "01" or transfer_syntax in _LOSSY,
        burned_in=code_of(ds, "BurnedInAnnotation"),
        presentation_intent=code_of(ds, "PresentationIntentType"),
    )


def grey_scale(ds: Dataset, header: FilmHeader) -> GreyScale:
    """Read how stored values become grey.

    Raises
    ------
    DicomError
        With ``UNREADABLE_HEADER`` if a modality LUT is present but unusable: without it the values would be wrong.
    """
    is_signed = integer_of(ds, "PixelRepresentation") == 1
    slope, intercept, note = _rescale(ds)
    modality_items = items_of(ds, "ModalityLUTSequence")
    modality_lut = _lookup_table(modality_items[0], is_signed) if modality_items else None
    if modality_items and modality_lut is None:
        raise DicomError(
            RefusalReason.UNREADABLE_HEADER,
            "(0028,3000) Modality LUT Sequence has no usable table; expected a LUT Descriptor and LUT Data",
        )
    voi_is_signed = modality_lut is None and (is_signed or intercept < 0 or slope < 0)
    tables = [_lookup_table(item, voi_is_signed) for item in items_of(ds, "VOILUTSequence")]
    return GreyScale(
        photometric=header.photometric,
        bits_stored=header.bits_stored,
        is_signed=is_signed,
        slope=slope,
        intercept=intercept,
        modality_lut=modality_lut,
        padding=_padding(ds, is_signed, integer_of(ds, "BitsAllocated", 16)),
        windows=_windows(ds),
        voi_luts=tuple(table for table in tables if table is not None),
        presentation_lut_shape=code_of(ds, "PresentationLUTShape"),
        note=note,
    )


def _rescale(ds: Dataset) -> tuple[float, float, str]:
    """Return slope, intercept and a note; 1 and 0 where they would give all stored values one output.

    A slope of 0 is a placeholder, whose intercept counts.
    """
    slope, intercept = number_of(ds, "RescaleSlope", 1.0) or 1.0, number_of(ds, "RescaleIntercept", 0.0)
    if intercept + slope != intercept and np.isfinite(intercept + slope * 2.0**32):
        return slope, intercept, ""
    return 1.0, 0.0, "the header's rescale slope gives all values one output; it is not applied"


def _view(ds: Dataset) -> str:
    view = code_of(ds, "ViewPosition")
    if view and view not in _NO_VIEW:
        return view
    for item in items_of(ds, "ViewCodeSequence"):
        if code_of(item, "CodeValue") in _VIEW_CODES:
            return _VIEW_CODES[code_of(item, "CodeValue")]
    position = code_of(ds, "PatientPosition")  # some modalities put it here, against the standard
    return position if position in _VIEWS else ""


def _spacing(ds: Dataset) -> tuple[float | None, float | None, str]:
    for keyword, source in _SPACINGS:
        pair = numbers_of(ds, keyword)
        if len(pair) == 2 and all(0 < side < 1e6 for side in pair) and 0.1 < pair[0] / pair[1] < 10:
            return pair[0], pair[1], source
    return None, None, "none"


def _age_years(text: str) -> float | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", text.upper())
    return int(match[1]) * _YEARS[match[2]] if match else None


def _windows(ds: Dataset) -> tuple[VoiWindow, ...]:
    function = code_of(ds, "VOILUTFunction")
    function = function if function in {"LINEAR_EXACT", "SIGMOID"} else "LINEAR"
    centres, widths = numbers_of(ds, "WindowCenter"), numbers_of(ds, "WindowWidth")
    nan = float("nan")
    return tuple(VoiWindow(centre, width, function) for centre, width in zip_longest(centres, widths, fillvalue=nan))


def _padding(ds: Dataset, is_signed: bool, bits_allocated: int) -> tuple[int, int] | None:
    ends = [number_of(ds, keyword, np.nan) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if np.isnan(ends[0]):
        return None
    whole = [_as_stored(int(end), is_signed, bits_allocated) for end in ends if not np.isnan(end)]
    return min(whole), max(whole)


def _as_stored(value: int, is_signed: bool, bits: int) -> int:
    """Convert a value whose representation (US or SS) does not match the pixels'."""
    if is_signed and value >= 2 ** (bits - 1):
        return int(value - 2**bits)
    return int(value + 2**bits) if not is_signed and value < 0 else value


def _lookup_table(item: Dataset, is_signed: bool) -> LookupTable | None:
    descriptor = numbers_of(item, "LUTDescriptor")
    if len(descriptor) != 3 or not np.isfinite(descriptor).all():
        return None
    count, first_mapped, bits = int(descriptor[0]) % 2**16 or 2**16, int(descriptor[1]), int(descriptor[2])
    entries = _lut_entries(values_of(item, "LUTData"), count)
    if entries is None:
        return None
    bits = max(bits if bits in range(8, 17) else 8, int(entries.max()).bit_length())
    return LookupTable(_as_stored(first_mapped, is_signed, 16), entries, bits)


def _lut_entries(data: list[Any], count: int) -> np.ndarray[Any, np.dtype[np.uint16]] | None:
    if len(data) == 1 and isinstance(data[0], bytes):
        entries = np.frombuffer(data[0][: len(data[0]) // 2 * 2], "<u2")
    elif data and all(isinstance(value, int) for value in data):
        entries = np.array([value % 2**16 for value in data], np.uint16)
    else:
        return None
    if entries.size < count and entries.size * 2 >= count:  # two 8-bit entries to a word
        entries = entries.astype("<u2").view(np.uint8)
    return entries[:count].astype(np.uint16) if entries.size >= count else None
