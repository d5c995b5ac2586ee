"""Films: stored values, their grey scale, and facts from their headers.

A `StoredFilm` (as decoded) becomes a `Film` (grey values in 0-1, native grid); both have a `FilmHeader`. A `FilmPolicy`
says which films are accepted.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from camray.domain.errors import DicomError
from camray.domain.records import RefusalReason

MIN_SIDE_PX = 64  # smallest plausible side of a chest film
MAX_ASPECT = 10.0  # of the longer side to the shorter one; thinner strips leave no row or column of the model grid
MAX_AREA_PX = 2**26  # 67 million px: a film of 35 x 43 cm at 0.05 mm has 60; protects against forged headers


@dataclass(frozen=True)
class VoiWindow:
    """One VOI window (PS3.3 C.11.2.1.2), in units of the modality transform's output.

    ``function`` is ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.
    """

    centre: float
    width: float
    function: str = "LINEAR"

    @property
    def is_valid(self) -> bool:
        """Whether the standard allows the window: finite, width >= 1 for LINEAR and > 0 for the others."""
        if not (np.isfinite(self.centre) and np.isfinite(self.width)):
            return False
        return self.width >= 1 if self.function == "LINEAR" else self.width > 0


@dataclass(frozen=True, eq=False)
class LookupTable:
    """One modality or VOI lookup table (PS3.3 C.11.1.1, C.11.2.1.1).

    Parameters
    ----------
    first_mapped : int
        Input that maps to the first entry, as lower inputs do; inputs beyond the table map to the last entry.
    entries : ndarray of shape (N,), uint16
        At least one.
    bits : int
        Output bits: a VOI table's output range is 0 to ``2**bits - 1``.
    """

    first_mapped: int
    entries: NDArray[np.uint16]
    bits: int


@dataclass(frozen=True, eq=False)
class GreyScale:
    """Conversion of stored values to display values.

    Parameters
    ----------
    photometric : str
        ``MONOCHROME1`` (low is bright) or ``MONOCHROME2``.
    bits_stored : int
        Significant bits of a stored value, sign included.
    is_signed : bool
        Two's complement.
    slope, intercept : float
        Linear modality transform; unused where `modality_lut` is present.
    modality_lut : LookupTable or None
        Modality LUT sequence.
    padding : (int, int) or None
        Stored values from the first to the second, both included, are padding and not film.
    windows : tuple of VoiWindow
        As the header lists them; the first is shown.
    voi_luts : tuple of LookupTable
        As the header lists them; the first is shown, before any window.
    presentation_lut_shape : str
        ``IDENTITY``, ``INVERSE`` or empty.
    note : str
        Which of the header's values are not used, and why; else empty.
    """

    photometric: str = "MONOCHROME2"
    bits_stored: int = 8
    is_signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: LookupTable | None = None
    padding: tuple[int, int] | None = None
    windows: tuple[VoiWindow, ...] = ()
    voi_luts: tuple[LookupTable, ...] = ()
    presentation_lut_shape: str = ""
    note: str = ""

    @property
    def is_inverted(self) -> bool:
        """Whether low values are bright. MONOCHROME1 and INVERSE mean the same; together they count once."""
        return self.photometric == "MONOCHROME1" or self.presentation_lut_shape == "INVERSE"

    @property
    def voi(self) -> str:
        """Which VOI transform the header has: ``table``, ``window`` or ``none``."""
        if self.voi_luts:
            return "table"
        return "window" if any(window.is_valid for window in self.windows) else "none"


@dataclass(frozen=True)
class FilmHeader:
    """Facts about a film without its pixels. An allow-list: no other header element is used.

    Parameters
    ----------
    image_id : str
        SOPInstanceUID, or the file's stem.
    patient_id, study_uid : str
        As the file says, identifying: never to be written or logged, only hashed. Left out of ``repr``.
    modality, body_part, view, laterality, sex : str
        Code strings in upper case; empty where unknown. `view` is ``AP``, ``PA``, ``LL``, ``RL``, ... or empty.
    age_years : float or None
        Whole range allowed by the standard, days included.
    rows, cols : int
        Native grid, px.
    row_spacing_mm, col_spacing_mm : float or None
        Distance between rows and between columns.
    spacing_source : str
        ``pixel`` (Pixel Spacing), ``imager`` (at the detector, not in the patient), ``nominal`` (scanned film),
        ``aspect`` (only the ratio of the two is known; they are not mm) or ``none``.
    photometric, bits_stored, transfer_syntax : str, int, str
        As stored; for pictures ``png`` or ``jpeg`` stands for the syntax.
    lossy : bool
        The pixels went through a lossy compression at some time.
    burned_in : str
        ``YES``, ``NO`` or empty: the header's word on text in the picture.
    presentation_intent : str
        ``FOR PRESENTATION``, ``FOR PROCESSING`` or empty.
    """

    image_id: str
    patient_id: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    modality: str = ""
    body_part: str = ""
    view: str = ""
    laterality: str = ""
    sex: str = ""
    age_years: float | None = None
    rows: int = 0
    cols: int = 0
    row_spacing_mm: float | None = None
    col_spacing_mm: float | None = None
    spacing_source: str = "none"
    photometric: str = "MONOCHROME2"
    bits_stored: int = 8
    transfer_syntax: str = ""
    manufacturer: str = ""
    lossy: bool = False
    burned_in: str = ""
    presentation_intent: str = ""


def width_mm(cols: int, col_spacing_mm: float | None, spacing_source: str) -> float:
    """Return a film's width; NaN where it is not known in mm.

    Parameters
    ----------
    cols : int
        Native grid.
    col_spacing_mm, spacing_source
        As of a `FilmHeader`.
    """
    if col_spacing_mm is None or spacing_source in {"aspect", "none"}:
        return float("nan")
    return cols * float(col_spacing_mm)


@dataclass(frozen=True, eq=False)
class StoredFilm:
    """A decoded film.

    Parameters
    ----------
    values : ndarray of shape (H, W), any integer dtype
        Stored values after masking of unused bits and sign extension; native grid.
    grey : GreyScale
        How they become grey.
    header : FilmHeader
        What else is known.
    """

    values: NDArray[np.integer]
    grey: GreyScale
    header: FilmHeader


@dataclass(frozen=True, eq=False)
class Film:
    """A film ready for use.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        0 is the darkest and 1 the brightest that a display shows; native grid.
    header : FilmHeader
        What else is known.
    pixel_sha256 : str
        Digest of the stored values and the shape: equal for equal pixels in different encodings.
    note : str
        Why the film is not displayed as its header says; empty if it is.
    voi : str
        As `GreyScale.voi`.
    """

    pixels: NDArray[np.float32]
    header: FilmHeader
    pixel_sha256: str
    note: str = ""
    voi: str = "none"


@dataclass(frozen=True)
class FilmPolicy:
    """Accepted films. An empty tuple accepts all values; an empty *text* accepts films without a value.

    Body parts match by whole words, so ``CHEST`` accepts ``CHEST PA``.
    """

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()

    def check(self, header: FilmHeader) -> None:
        """Refuse a film that is not accepted.

        Raises
        ------
        DicomError
            With ``WRONG_MODALITY``, ``WRONG_BODY_PART`` or ``WRONG_VIEW``, in this order.
        """
        if self.modalities and header.modality not in self.modalities:
            raise _refused(RefusalReason.WRONG_MODALITY, "Modality", header.modality, self.modalities)
        parts = {header.body_part, *re.split(r"[^A-Z0-9]+", header.body_part)}
        if self.body_parts and not parts & set(self.body_parts) - ({""} if header.body_part else set()):
            raise _refused(RefusalReason.WRONG_BODY_PART, "Body Part Examined", header.body_part, self.body_parts)
        if self.views and header.view not in self.views:
            raise _refused(RefusalReason.WRONG_VIEW, "View Position", header.view, self.views)


def _refused(reason: RefusalReason, element: str, value: str, accepted: tuple[str, ...]) -> DicomError:
    # only code strings are quoted: anything else is free text, and may name a patient
    quoted = f"'{value}'" if re.fullmatch(r"[A-Z0-9_ ]{0,16}", value) else "not a code string"
    listed = ", ".join(f"'{each}'" for each in accepted)
    return DicomError(
        reason, f"{element} is {quoted}; expected one of {listed}; to accept it, extend the ingest settings"
    )


def check_aspect(
    rows: int, cols: int, row_spacing_mm: float | None = None, col_spacing_mm: float | None = None
) -> None:
    """Refuse a strip that is no film, and of which the model grid would show nothing.

    Parameters
    ----------
    rows, cols : int
        Native grid, px.
    row_spacing_mm, col_spacing_mm : float, optional
        Only their ratio matters; both are needed.

    Raises
    ------
    DicomError
        With ``TOO_SMALL``.
    """
    aspect = rows / cols
    if row_spacing_mm is not None and col_spacing_mm is not None:
        aspect *= row_spacing_mm / col_spacing_mm
    if max(aspect, 1 / aspect) > MAX_ASPECT:
        raise DicomError(
            RefusalReason.TOO_SMALL,
            f"{rows} x {cols} px: one side is {max(aspect, 1 / aspect):.0f} times the other; expected at most "
            f"{MAX_ASPECT:.0f} times",
        )
