"""Generated films as DICOM: the same grey film in many encodings, every one of which shows alike.

Most are DX Image Storage - For Presentation. Those whose stored values need a linear modality transform, or that come
without any window, are Computed Radiography: DX For Presentation allows neither (PS3.3 C.8.11.3.1).
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

Voi = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID", "LUT", "NONE"]
Photometric = Literal["MONOCHROME1", "MONOCHROME2"]
ROOT = "2.25."
SIGMOID_MARGIN = 0.0009  # a sigmoid never reaches 0 or 1: greys nearer to them are stored as this far from them
SYNTAXES = {
    ExplicitVRLittleEndian: 0.34,
    ImplicitVRLittleEndian: 0.06,
    JPEGLSLossless: 0.25,
    RLELossless: 0.2,
    JPEG2000Lossless: 0.15,
}  # and their shares
_PLUGINS = {JPEGLSLossless: "pyjpegls", RLELossless: "pylibjpeg", JPEG2000Lossless: "pylibjpeg"}


@dataclass(frozen=True)
class PhantomHeader:
    """What a generated film's header says of patient and projection.

    Parameters
    ----------
    seed, index, patient : int
        They alone make the UIDs and the names.
    sex : str
        ``F`` or ``M``.
    age_years : int
        At the film.
    view : str
        ``PA`` or ``AP``.
    row_spacing_mm, col_spacing_mm : float
        At the detector.
    """

    seed: int
    index: int
    patient: int
    sex: str
    age_years: int
    view: str
    row_spacing_mm: float
    col_spacing_mm: float

    @property
    def image_id(self) -> str:
        """SOPInstanceUID."""
        return film_uid(self.seed, self.index, "instance")


@dataclass(frozen=True)
class Encoding:
    """How grey becomes stored values.

    Parameters
    ----------
    photometric : str
        ``MONOCHROME1`` stores the negative.
    bits_stored : int
        10 to 16, in 16 allocated.
    voi : str
        Window function, ``LUT`` for a VOI LUT sequence, or ``NONE``: the full stored range is displayed.
    low, high : float
        Fractions of the stored range that the window spans.
    slope, intercept : float
        Linear modality transform; other than 1 and 0 only in Computed Radiography.
    lut_gamma : float
        Exponent of the VOI LUT, at least 1.
    has_second_window : bool
        A further, harder window is offered after the one to be displayed.
    syntax : UID
        Transfer syntax, lossless.
    kvp : int
        Tube voltage.
    """

    photometric: Photometric = "MONOCHROME2"
    bits_stored: int = 12
    voi: Voi = "LINEAR"
    low: float = 0.0
    high: float = 1.0
    slope: float = 1.0
    intercept: float = 0.0
    lut_gamma: float = 1.0
    has_second_window: bool = False
    syntax: UID = ExplicitVRLittleEndian
    kvp: int = 120

    @property
    def is_cr(self) -> bool:
        """Tell whether the film must be Computed Radiography."""
        return self.voi == "NONE" or self.slope != 1 or self.intercept != 0

    @property
    def top(self) -> int:
        """Greatest stored value."""
        return (1 << self.bits_stored) - 1


def draw_encoding(rng: np.random.Generator) -> Encoding:
    """Draw an encoding, independently of anything the film shows."""
    voi: Voi = ("LINEAR", "LINEAR_EXACT", "SIGMOID", "LUT", "NONE")[
        int(rng.choice(5, p=[0.42, 0.16, 0.16, 0.18, 0.08]))
    ]
    bits = int(rng.choice([10, 12, 14, 16], p=[0.2, 0.45, 0.2, 0.15]))
    if voi == "SIGMOID":
        bits = max(bits, 12)
    if voi == "LUT":
        bits = min(bits, 12)
    rescaled = voi not in ("LUT", "NONE") and rng.random() < 0.2
    slope, intercept = float(rng.choice([0.25, 0.5, 2.0])), float(rng.choice([-1024.0, -200.0, 0.0, 100.0]))
    photometric: Photometric = "MONOCHROME1" if rng.random() < 0.35 else "MONOCHROME2"
    syntaxes = list(SYNTAXES)
    return Encoding(
        photometric=photometric,
        bits_stored=bits,
        voi=voi,
        low=float(rng.uniform(0.0, 0.12)),
        high=float(rng.uniform(0.85, 1.0)),
        slope=slope if rescaled else 1.0,
        intercept=intercept if rescaled else 0.0,
        lut_gamma=float(rng.uniform(1.0, 1.7)),
        has_second_window=bool(rng.random() < 0.3),
        syntax=syntaxes[int(rng.choice(len(syntaxes), p=list(SYNTAXES.values())))],
        kvp=int(rng.choice([81, 90, 102, 110, 120, 125])),
    )


def film_uid(seed: int, index: int, what: str) -> str:
    """Return a UID made from the seed alone; `what` is ``instance``, ``series`` or ``study``."""
    digest = hashlib.sha256(f"camray phantom {seed} {index} {what}".encode()).digest()
    return ROOT + str(int.from_bytes(digest[:16], "big"))


def encode_film(image: NDArray[np.float32], header: PhantomHeader, encoding: Encoding) -> bytes:
    """Write a film as a whole DICOM file.

    Parameters
    ----------
    image : ndarray of shape (H, W), float32
        0 is the darkest and 1 the brightest that a display shows; native grid.
    header : PhantomHeader
        Patient and projection.
    encoding : Encoding
        How it is stored.

    Returns
    -------
    bytes
        Equal for equal arguments. Windowed and inverted as the header says, the stored values give `image` back
        within one stored step (and within `SIGMOID_MARGIN` of black and white for a sigmoid).
    """
    film = Dataset()
    _describe_patient(film, header)
    _describe_projection(film, header, encoding)
    film.Rows, film.Columns = image.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, encoding.photometric
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, encoding.bits_stored, encoding.bits_stored - 1
    film.PixelRepresentation = 0
    displayed = 1 - image if encoding.photometric == "MONOCHROME1" else image
    stored = _apply_voi(film, displayed, encoding)
    film.PixelData = stored.astype("<u2").tobytes()
    film["PixelData"].VR = "OW"
    return _file_bytes(film, encoding.syntax)


def _apply_voi(film: Dataset, displayed: NDArray[np.float32], encoding: Encoding) -> NDArray[np.uint16]:
    """Write the window or table into the header and return the stored values that it turns into `displayed`."""
    if encoding.voi == "NONE":
        return _rounded(displayed * np.float32(encoding.top), encoding.top)
    if encoding.voi == "LUT":
        return _apply_table(film, displayed, encoding)
    low, high = (
        round(encoding.top * fraction) * encoding.slope + encoding.intercept
        for fraction in (encoding.low, encoding.high)
    )
    match encoding.voi:
        case "LINEAR":
            centre, width = (low + high) / 2 + 0.5, high - low + 1
            modality = (displayed - np.float32(0.5)) * np.float32(width - 1) + np.float32(centre - 0.5)
        case "LINEAR_EXACT":
            centre, width = (low + high) / 2, high - low
            modality = (displayed - np.float32(0.5)) * np.float32(width) + np.float32(centre)
        case _:
            reach = 2 * float(np.log(1 / SIGMOID_MARGIN - 1))
            centre, width = (low + high) / 2, round(4 * (high - low) / reach, 2)
            inside = np.clip(displayed.astype(np.float64), SIGMOID_MARGIN, 1 - SIGMOID_MARGIN)
            modality = (np.log(inside / (1 - inside)) * (width / 4) + centre).astype(np.float32)
    centres, widths, names = [centre], [width], ["NORMAL"]
    if encoding.has_second_window:
        centres, widths, names = [*centres, centre], [*widths, round(width * 0.6 + 1, 2)], [*names, "HARDER"]
    film.WindowCenter, film.WindowWidth, film.WindowCenterWidthExplanation = centres, widths, names
    if encoding.voi != "LINEAR" or encoding.has_second_window:
        film.VOILUTFunction = encoding.voi
    return _rounded((modality - np.float32(encoding.intercept)) / np.float32(encoding.slope), encoding.top)


def _apply_table(film: Dataset, displayed: NDArray[np.float32], encoding: Encoding) -> NDArray[np.uint16]:
    out_bits = 12 if encoding.has_second_window else 16
    at = np.arange(encoding.top + 1) / encoding.top
    table = Dataset()
    table.LUTDescriptor = [encoding.top + 1, 0, out_bits]
    table["LUTDescriptor"].VR = "US"
    table.LUTExplanation = "NORMAL"
    table.LUTData = np.rint(at**encoding.lut_gamma * ((1 << out_bits) - 1)).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    film.VOILUTSequence = [table]
    return _rounded(displayed ** np.float32(1 / encoding.lut_gamma) * np.float32(encoding.top), encoding.top)


def _rounded(values: NDArray[np.float32], top: int) -> NDArray[np.uint16]:
    return np.clip(np.rint(values), 0, top).astype(np.uint16)


def _describe_patient(film: Dataset, header: PhantomHeader) -> None:
    film.SpecificCharacterSet = "ISO_IR 100"
    film.PatientName, film.PatientID = f"PHANTOM^{header.patient + 1:04d}", f"PH{header.patient + 1:04d}"
    film.PatientBirthDate, film.PatientSex, film.PatientAge = "", header.sex, f"{header.age_years:03d}Y"
    film.StudyInstanceUID = film_uid(header.seed, header.index, "study")
    film.SeriesInstanceUID = film_uid(header.seed, header.index, "series")
    film.SOPInstanceUID = header.image_id
    film.StudyDate, film.StudyTime, film.StudyID = "20200101", "120000", str(header.index + 1)
    film.AccessionNumber, film.ReferringPhysicianName = "", ""
    film.SeriesNumber, film.InstanceNumber = 1, 1
    film.Manufacturer, film.ManufacturerModelName = "camray", "generated film"
    film.DeviceSerialNumber, film.SoftwareVersions = "0", "1"


def _describe_projection(film: Dataset, header: PhantomHeader, encoding: Encoding) -> None:
    film.ImageType = ["DERIVED" if encoding.is_cr else "ORIGINAL", "PRIMARY"]
    film.BodyPartExamined, film.ViewPosition, film.PatientOrientation = "CHEST", header.view, ["L", "F"]
    spacing = [round(header.row_spacing_mm, 6), round(header.col_spacing_mm, 6)]
    film.ImagerPixelSpacing = spacing
    film.KVP, film.BurnedInAnnotation, film.LossyImageCompression = encoding.kvp, "NO", "00"
    film.ContentDate, film.ContentTime = film.StudyDate, film.StudyTime
    film.AcquisitionDate, film.AcquisitionTime = film.StudyDate, film.StudyTime
    if encoding.is_cr:
        film.SOPClassUID, film.Modality = ComputedRadiographyImageStorage, "CR"
        if encoding.voi != "NONE":
            film.RescaleSlope, film.RescaleIntercept, film.RescaleType = encoding.slope, encoding.intercept, "US"
        return
    film.SOPClassUID, film.Modality = DigitalXRayImageStorageForPresentation, "DX"
    film.PresentationIntentType, film.ImageLaterality = "FOR PRESENTATION", "U"
    film.RescaleSlope, film.RescaleIntercept, film.RescaleType = 1, 0, "US"
    film.PresentationLUTShape = "INVERSE" if encoding.photometric == "MONOCHROME1" else "IDENTITY"
    # light lowers the displayed value; MONOCHROME1 stores the negative, so there it raises the stored one
    film.PixelIntensityRelationship = "LOG"
    film.PixelIntensityRelationshipSign = 1 if encoding.photometric == "MONOCHROME1" else -1
    film.DetectorType, film.DetectorID, film.PositionerType = "DIRECT", "0", "NONE"
    film.AcquisitionContextSequence = []
    film.AnatomicRegionSequence = [_code("51185008", "SCT", "Chest")]
    view = {"PA": ("272479007", "postero-anterior"), "AP": ("399348003", "antero-posterior")}[header.view]
    film.ViewCodeSequence = [_code(view[0], "SCT", view[1])]
    film.ViewCodeSequence[0].ViewModifierCodeSequence = []


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _file_bytes(film: Dataset, syntax: UID) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = film.SOPClassUID, film.SOPInstanceUID
    meta.ImplementationClassUID, meta.ImplementationVersionName = (
        UID(film_uid(0, 0, "implementation")),
        "CAMRAY_PHANTOM",
    )
    meta.TransferSyntaxUID = syntax if syntax not in _PLUGINS else ExplicitVRLittleEndian
    film.file_meta = meta
    if syntax in _PLUGINS:
        film.compress(syntax, encoding_plugin=_PLUGINS[syntax], generate_instance_uid=False)
    out = BytesIO()
    film.save_as(out, enforce_file_format=True)
    return out.getvalue()
