"""Source films of every variety, and results to export with them."""

import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, uid

from camray.adapters.phantom_dicom import Encoding, PhantomHeader, encode_film
from camray.domain.film_results import Algorithm, FilmResult, FindingResult, ScoredBox, on_export_grid
from camray.domain.geometry import Box
from camray.domain.labels import Code, Finding
from camray.domain.object_identity import ObjectIdentity, uid_of
from tests.film_factory import FilmRecipe, film_dataset

ALGORITHM = Algorithm("phantom", "0.1.0+3f9a1c2b7d04", "ab" * 32, "cd" * 32, "cam")
PNEUMONIA = Finding("Pneumonia", Code("233604007", "SCT", "Pneumonia"))
MASS = Finding("Nodule/Mass", Code("309529002", "SCT", "Lung mass"))
UNCODED = Finding("Air leak, any")

ENCODINGS = {
    "dx-mono2": Encoding(),
    "dx-mono1": Encoding(photometric="MONOCHROME1"),
    "cr-rescaled": Encoding(slope=2.0, intercept=-1024.0),
    "cr-no-window-mono1": Encoding(photometric="MONOCHROME1", voi="NONE"),
    "lut": Encoding(voi="LUT", lut_gamma=1.4),
    "sigmoid-two-windows": Encoding(voi="SIGMOID", has_second_window=True),
    "jpeg2000": Encoding(syntax=uid.JPEG2000Lossless, bits_stored=10),
    "jpegls-16bit": Encoding(syntax=uid.JPEGLSLossless, bits_stored=16),
    "rle": Encoding(syntax=uid.RLELossless),
    "implicit": Encoding(syntax=uid.ImplicitVRLittleEndian),
}


def phantom(
    name: str,
    shape: tuple[int, int] = (101, 83),
    index: int | None = None,
    spacing_mm: tuple[float, float] = (0.2, 0.18),
) -> bytes:
    """A generated film of odd size."""
    number = list(ENCODINGS).index(name) if index is None else index
    header = PhantomHeader(1, number, 3, "F", 45, "PA", *spacing_mm)
    ramp = np.linspace(0.05, 0.9, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    ramp[30:60, 20:50] = 0.97
    return encode_film(ramp, header, ENCODINGS[name])


def bare_film(path: Path, **elements: Any) -> Path:
    """A film that lacks what the standard requires of patient and study."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = film_dataset(FilmRecipe(), SeriesInstanceUID="1.2.826.0.1.3680043.8.498.3", **elements)
    ds.save_as(path, enforce_file_format=True)
    return path


def result_of(source: Dataset, *, negative: bool = False, zones: tuple[str, str] = ("right upper", "")) -> FilmResult:
    """Two boxes of a coded finding, one without localization, one not reported."""
    rows, cols = int(source.Rows), int(source.Columns)
    boxes = [
        on_export_grid(Box(cols / 7, rows / 9, cols / 3, rows / 2.7), rows, cols),
        on_export_grid(Box(cols / 1.9, rows / 2.1, cols, rows), rows, cols),
    ]
    found = [ScoredBox(box, 3.25 - n, zones[n]) for n, box in enumerate(boxes) if box is not None]
    return FilmResult(
        image_id=str(source.SOPInstanceUID),
        rows=rows,
        cols=cols,
        laterality=str(source.get("ImageLaterality", "")),
        findings=(
            FindingResult(PNEUMONIA, 0.9123456, 0.5, not negative, () if negative else tuple(found), "validation"),
            FindingResult(MASS, 0.61, 0.6, not negative, (), "fixed"),
            FindingResult(UNCODED, 0.043, 0.5, False, (), "fixed"),
        ),
        algorithm=ALGORITHM,
    )


def identity_of(kind: str, version: int = 1, predecessor: Any = None) -> ObjectIdentity:
    from datetime import datetime

    return ObjectIdentity(
        uid_of("test", kind, str(version)),
        uid_of("test series", kind),
        version,
        datetime(2026, 1, 2, 3, 4, 5),
        predecessor,
    )


def dciodvfy(path: Path) -> list[str]:
    """Return the validator's error lines."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
