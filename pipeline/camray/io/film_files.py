"""Film files: pixels, grey scale, header and digest of one file.

Reads   a DICOM file, or a PNG or JPEG picture
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.adapters.dicom.read.image import read_dicom, read_dicom_header
from camray.adapters.dicom.read.jpeg_damage import is_damaged_jpeg
from camray.adapters.images.grayscale import JPEG_MAGIC, is_picture, read_picture, read_picture_header
from camray.adapters.memory_limit import limited_memory
from camray.adapters.object_stores import StoredObject, read_object
from camray.core.imaging.grayscale import grey_note, is_blank, to_unit_scale
from camray.domain.errors import DicomError, PixelError
from camray.domain.films import Film, FilmHeader, FilmPolicy, StoredFilm, check_aspect
from camray.domain.records import RefusalReason

MAX_FILM_BYTES = 3 * 2**29  # memory to read one film; 67 million px of 16 bits, the largest legal film, take 0.9 GiB


def read_film(path: Path, policy: FilmPolicy | None) -> Film:
    """Read one file as a film.

    Parameters
    ----------
    path : Path
        DICOM (any extension, with or without preamble), PNG or JPEG.
    policy : FilmPolicy or None
        Which films are admitted; None admits all. It does not apply to PNG and JPEG, which have no header.

    Returns
    -------
    Film
        Grey values 0-1 on the native grid.

    Raises
    ------
    ImageError
        If the file is no usable film; the reason is from the closed list. Nothing else is raised for any content.
    """
    with _memory_of_a_film():
        return _read_film(path, policy)


def _check_aspect(header: FilmHeader) -> None:
    check_aspect(header.rows, header.cols, header.row_spacing_mm, header.col_spacing_mm)


@contextmanager
def _memory_of_a_film() -> Iterator[None]:
    try:
        with limited_memory(MAX_FILM_BYTES):
            yield
    except MemoryError:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS,
            f"reading it takes more than {MAX_FILM_BYTES >> 20} MiB of memory; expected a film",
        ) from None


def _read_film(path: Path, policy: FilmPolicy | None) -> Film:
    film = _read_stored(path, policy)
    _check_aspect(film.header)
    if is_blank(film.values, film.grey):
        raise PixelError(RefusalReason.BLANK, "all pixels are (nearly) equal; there is no picture")
    pixels = to_unit_scale(film.values, film.grey)
    if pixels.min() == pixels.max():
        raise PixelError(RefusalReason.BLANK, "the header's modality transform gives all pixels one grey")
    note = grey_note(film.values, film.grey)
    return Film(pixels, film.header, pixel_digest(film.values), note, film.grey.voi)


@contextmanager
def file_of_bytes(content: bytes) -> Iterator[Path]:
    """Give the content of a file a path until the end of the block; in memory where the system has such files."""
    if hasattr(os, "memfd_create"):  # Linux
        with os.fdopen(os.memfd_create("film"), "w+b") as file:
            file.write(content)
            file.flush()
            yield Path(f"/proc/self/fd/{file.fileno()}")
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


@contextmanager
def local_film(path: Path, expected: Mapping[str, StoredObject]) -> Iterator[Path]:
    """Give an object of a store a path with its name until the end of the block; `expected` has those as listed.

    A path that is not among them is a local file's, and is returned as it is.
    """
    if str(path) not in expected:
        yield path
        return
    with file_of_bytes(read_object(path, expected[str(path)])) as content, tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / path.name
        try:
            named.symlink_to(content)
        except (OSError, ValueError):
            raise DicomError(RefusalReason.NOT_A_FILE, "no file can have the object's name; rename it") from None
        yield named


def read_film_header(path: Path, policy: FilmPolicy | None) -> FilmHeader:
    """Check one file by its header alone, at a small part of the cost of `read_film`.

    Raises
    ------
    ImageError
        If the header says that the file is no usable film.
    """
    try:
        with _memory_of_a_film(), path.open("rb") as stream:
            start = stream.read(16)
            header = read_picture_header(path) if is_picture(start) else read_dicom_header(path, policy)
            _check_aspect(header)
            return header
    except OSError as error:
        raise DicomError(
            RefusalReason.UNREADABLE_HEADER, f"the file cannot be read: {error.strerror or type(error).__name__}"
        ) from None


def pixel_digest(values: NDArray[np.integer[Any]]) -> str:
    """Digest stored values and shape: SHA-256, 64 hexadecimal digits.

    Parameters
    ----------
    values : ndarray of shape (H, W), any integer dtype
        Equal values digest equally, whatever the dtype holds them.
    """
    low, high = int(values.min()), int(values.max())
    fitting = next(
        name for name in ("<u2", "<i2", "<i4", "<i8") if np.iinfo(name).min <= low and high <= np.iinfo(name).max
    )
    digest = hashlib.sha256(f"{values.shape[0]}x{values.shape[1]}{fitting};".encode())
    digest.update(np.ascontiguousarray(values, fitting).data)
    return digest.hexdigest()


def _read_stored(path: Path, policy: FilmPolicy | None) -> StoredFilm:
    try:
        is_there = path.exists()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a zero byte
        is_there = False
    if not is_there:
        raise DicomError(RefusalReason.MISSING_FILE, "no such file")
    if not path.is_file():
        raise DicomError(RefusalReason.NOT_DICOM, "not a regular file; expected a DICOM file, a PNG or a JPEG")
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
        if not is_picture(start):
            return read_dicom(path, policy)
        film = read_picture(path)
        if start.startswith(JPEG_MAGIC) and is_damaged_jpeg(path.read_bytes()):
            raise PixelError(
                RefusalReason.UNREADABLE_PIXELS, "the JPEG is damaged: it decodes with warnings, to other values"
            )
        return film
    except OSError as error:
        raise DicomError(
            RefusalReason.UNREADABLE_HEADER, f"the file cannot be read: {error.strerror or type(error).__name__}"
        ) from None
