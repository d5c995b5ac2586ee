"""The film that an object belongs to: patient and study as its header has them, cleaned of what no object may repeat.

Real headers lack elements that the standard requires, and hold values that it forbids. Missing ones become empty, where
that is allowed; forbidden ones are left out. All other elements, such as the institution or private ones, stay behind.
"""

import hashlib
import warnings
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.config import RAISE
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pydicom.valuerep import PersonName, validate_value

from camray.domain.errors import ExportError

# elements of the Patient, General Study and Patient Study modules (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2) that name, date or
# describe; type 2 elements are written empty where the film lacks them
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip
TYPE_3 = (
    "IssuerOfPatientID", "PatientBirthTime", "OtherPatientNames", "EthnicGroup", "PatientComments",
    "PatientIdentityRemoved", "DeidentificationMethod", "StudyDescription", "PatientAge", "PatientSize",
    "PatientWeight", "Occupation", "AdditionalPatientHistory",
)  # fmt: skip
_IMAGE = (
    "Modality", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "BodyPartExamined", "ViewPosition", "ImageType", "InstanceNumber",
)  # fmt: skip
_SIDES = {"L", "R"}


def read_source(path: Path) -> Dataset:
    """Read a film's header in the form that objects are built from.

    Parameters
    ----------
    path : Path
        DICOM file.

    Returns
    -------
    Dataset
        Text as Unicode (``ISO_IR 192``). ``SOPClassUID``, ``SOPInstanceUID``, ``SeriesInstanceUID`` and
        ``StudyInstanceUID`` are there and valid.

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
        except (InvalidDicomError, OSError, ValueError, TypeError, AttributeError, LookupError, NotImplementedError):
            raise ExportError(
                f"{path.name}: cannot be read as DICOM; results of pictures go into tables only"
            ) from None
        return _cleaned(ds, path)


def patient_digest(source: Dataset) -> str:
    """Digest what objects repeat of a film's patient and study."""
    words = [f"{element.tag}{element.VR}{element.value}" for element in source if element.keyword not in _IMAGE]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _cleaned(ds: Dataset, path: Path) -> Dataset:
    clean = Dataset()
    clean.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        value = UID(str(_value(ds, keyword) or ""))
        if not value.is_valid:
            raise ExportError(f"{path.name}: {keyword} is missing or no UID; no object can refer to this film")
        setattr(clean, keyword, value)
    for keyword in TYPE_2:
        setattr(clean, keyword, _valid(ds, keyword) or "")
    if clean.PatientSex not in ("M", "F", "O"):
        clean.PatientSex = ""
    for keyword in (*TYPE_3, *_IMAGE):
        value = _valid(ds, keyword)
        if value not in (None, ""):
            setattr(clean, keyword, value)
    orientation = _value(ds, "PatientOrientation")
    clean.PatientOrientation = list(orientation) if orientation and len(orientation) == 2 else []
    clean.BodyPartExamined = clean.get("BodyPartExamined") or "CHEST"
    side = str(_value(ds, "ImageLaterality") or _value(ds, "Laterality") or "").upper()
    if side in _SIDES:
        clean.ImageLaterality = side
    return clean


def _value(ds: Dataset, keyword: str) -> Any:
    try:
        return ds.get(keyword)
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, NotImplementedError):
        return None


def _valid(ds: Dataset, keyword: str) -> Any:
    """Return a value that the standard allows, or None."""
    value = _value(ds, keyword)
    if value is None:
        return None
    representation = ds[keyword].VR
    try:
        for one in value if isinstance(value, list) or type(value).__name__ == "MultiValue" else [value]:
            validate_value(representation, one if not isinstance(one, PersonName) else str(one), RAISE)
            if any(ord(letter) < 32 for letter in str(one)) and representation != "LT":
                return None
    except (ValueError, TypeError):
        return None
    return value
