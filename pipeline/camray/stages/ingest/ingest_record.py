"""Record of one input file, and the columns of the table of all records."""

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestRecord:
    """What ingest knows of one file; of a refused file only the first four fields are set.

    Parameters
    ----------
    source : str
        Path relative to the root, with ``/``.
    image_id : str
        As the data manifest asks for it.
    reason, message : str
        Why the file is refused; empty for a film.
    patient_key, patient_source, study_key, pixel_sha256 : str
        Pseudonyms, where the patient's comes from, and the digest of the stored pixels.
    rows, cols, bits_stored : int
        Native grid, px, and bits of a stored value.
    row_spacing_mm, col_spacing_mm : float or None
        None where the spacing is not known.
    scale_x, scale_y, offset_x, offset_y : float or None
        Native to model grid, see `camray.domain.geometry.GridTransform`.
    age_years : float or None
        None where the age is not known.
    voi : str
        Which VOI transform the header has: ``table``, ``window`` or ``none``.
    doubt : str
        Why the film does not look like a chest film, or is not displayed as its header says; else empty.
    grey_mean, grey_deviation, grey_low, grey_median, grey_high : float or None
        Statistics of the film on the model grid, 0-1.
    """

    source: str
    image_id: str
    reason: str = ""
    message: str = ""
    patient_key: str = ""
    patient_source: str = ""
    study_key: str = ""
    pixel_sha256: str = ""
    rows: int = 0
    cols: int = 0
    bits_stored: int = 0
    row_spacing_mm: float | None = None
    col_spacing_mm: float | None = None
    spacing_source: str = ""
    photometric: str = ""
    transfer_syntax: str = ""
    modality: str = ""
    view: str = ""
    laterality: str = ""
    scale_x: float | None = None
    scale_y: float | None = None
    offset_x: float | None = None
    offset_y: float | None = None
    sex: str = ""
    site: str = ""
    age_years: float | None = None
    maker: str = ""
    voi: str = ""
    doubt: str = ""
    grey_mean: float | None = None
    grey_deviation: float | None = None
    grey_low: float | None = None
    grey_median: float | None = None
    grey_high: float | None = None


_TEXTS = (
    "source",
    "image_id",
    "patient_key",
    "patient_source",
    "study_key",
    "pixel_sha256",
    "reason",
    "message",
)
_DESCRIPTIONS = (
    "spacing_source",
    "photometric",
    "transfer_syntax",
    "modality",
    "view",
    "laterality",
    "sex",
    "site",
    "maker",
    "voi",
    "doubt",
)
_NUMBERS = ("row_spacing_mm", "col_spacing_mm", "scale_x", "scale_y", "offset_x", "offset_y", "age_years")
_GREYS = ("grey_mean", "grey_deviation", "grey_low", "grey_median", "grey_high")
RECORD_COLUMNS: dict[str, str] = {
    **dict.fromkeys(_TEXTS, "string"),
    **dict.fromkeys(("rows", "cols", "bits_stored", "part", "row"), "int32"),  # chunk, and row of the pixels there
    **dict.fromkeys(_DESCRIPTIONS, "string"),
    **dict.fromkeys((*_NUMBERS, *_GREYS), "float64"),
}
