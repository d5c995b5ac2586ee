"""Header of the film that an object belongs to: patient, study and image elements that objects repeat.

Elements that the standard requires and the film lacks are empty. Values that break the standard's rules are kept or
normalised (`header_values`). All other elements, such as the institution or private ones, are left out.
"""

import hashlib
import warnings
from pathlib import Path
from typing import Any

from highdicom import PatientOrientationValuesBiped
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VM
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import UID

from camray.adapters.dicom.write.header_values import normalised
from camray.domain.errors import ExportError

# elements of the Patient, General Study and Patient Study modules (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2); those of type 2
# are written empty where the film lacks them
TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
TYPE_3 = (
    *("IssuerOfPatientID", "PatientBirthTime", "OtherPatientNames", "EthnicGroup", "PatientComments"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "StudyDescription", "PatientAge", "PatientSize"),
    *("PatientWeight", "Occupation", "AdditionalPatientHistory"),
)
_IMAGE = (
    *("Modality", "BodyPartExamined", "ViewPosition", "BurnedInAnnotation", "SeriesNumber", "InstanceNumber"),
    "TimezoneOffsetFromUTC",
)
_PIXELS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "ImageType"),
)
_DIRECTIONS = {value.value for value in PatientOrientationValuesBiped}
_SIDES = {"L", "R"}
_CHEST_WORDS = {"CHEST", "THORAX"}
_FAULTS = (ValueError, TypeError, AttributeError, LookupError, OverflowError, NotImplementedError)


def read_source(path: Path, changes: list[str] | None = None) -> Dataset:
    """Read a film's header in the form that objects are built from.

    Parameters
    ----------
    path : Path
        DICOM file.
    changes : list of str, optional
        Receives a phrase for each value that breaks the standard's rules, without the value.

    Returns
    -------
    Dataset
        Text as Unicode (``ISO_IR 192``). ``SOPClassUID``, ``SOPInstanceUID``, ``SeriesInstanceUID`` and
        ``StudyInstanceUID`` are present and valid.

    Raises
    ------
    ExportError
        If the file cannot be read as DICOM, or names no study, series or instance that an object could refer to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's may quote the header
        try:
            ds = dcmread(path, stop_before_pixels=True, force=True)
            ds.decode()
        except (InvalidDicomError, OSError, *_FAULTS):
            raise ExportError(
                f"{path.name}: cannot be read as DICOM; results of pictures go into tables only"
            ) from None
        return _cleaned(ds, path, [] if changes is None else changes)


def header_digest(source: Dataset) -> str:
    """Digest the elements of a film's header that objects repeat."""
    texts = [f"{element.tag}{element.VR}{element.value}" for element in source if element.keyword not in _PIXELS]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _cleaned(ds: Dataset, path: Path, changes: list[str]) -> Dataset:
    clean = Dataset()
    clean.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        uid = UID(str(_value(ds, keyword) or ""))
        if not uid.is_valid:
            raise ExportError(f"{path.name}: {keyword} is missing or no UID; no object can refer to this film")
        setattr(clean, keyword, uid)
    for keyword in TYPE_2:
        setattr(clean, keyword, _normalised(ds, keyword, changes))
    for keyword in (*TYPE_3, *_IMAGE):
        if value := _normalised(ds, keyword, changes):
            setattr(clean, keyword, value)
    for keyword in _PIXELS:
        if (value := _value(ds, keyword)) not in (None, ""):
            setattr(clean, keyword, value)
    clean.PatientOrientation = _orientation(_value(ds, "PatientOrientation"), changes)
    clean.BodyPartExamined = _body_part(str(clean.get("BodyPartExamined") or ""))
    side = str(_value(ds, "ImageLaterality") or _value(ds, "Laterality") or "").upper()
    if side in _SIDES:
        clean.ImageLaterality = side
    return clean


def _orientation(value: Any, changes: list[str]) -> list[str]:
    """Return the directions of rows and columns in the standard's letters; empty where a value is none of them."""
    given = [str(each) for each in value] if isinstance(value, list | MultiValue) else [str(value or "")]
    directions = [each.strip().upper() for each in given]
    if len(directions) != 2 or not set(directions) <= _DIRECTIONS:
        changes += ["PatientOrientation left out"] if any(given) else []
        return []
    changes += ["PatientOrientation normalised"] if directions != given else []
    return directions


def _body_part(text: str) -> str:
    """Return the standard's term (PS3.16 annex L) for a chest in other words, such as THORAX AP."""
    return "CHEST" if not text or _CHEST_WORDS & set(text.split()) else text


def _normalised(ds: Dataset, keyword: str, changes: list[str]) -> Any:
    """Return an element's value, or values where the standard allows several; empty where there is none."""
    value = _value(ds, keyword)
    if value is None:
        return ""
    values = [str(each).rstrip(" \0") for each in (value if isinstance(value, list | MultiValue) else [value])]
    parts = [values] if dictionary_VM(keyword) == "1" else [[each] for each in values]
    results = [normalised(keyword, ds[keyword].VR, part) for part in parts]
    changes += [change for _, change in results if change]
    texts = [text for text, _ in results if text]
    return texts if len(texts) > 1 else "".join(texts)


def _value(ds: Dataset, keyword: str) -> Any:
    try:
        return ds.get(keyword)
    except _FAULTS:
        return None
