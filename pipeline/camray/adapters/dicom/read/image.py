"""Reading of a DICOM film, or the reason why a file is refused."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import Dataset, dcmread, uid
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import Tag

from camray.adapters.dicom.read.elements import FAULTS, integer_of, suppress_warnings, text_of, values_of
from camray.adapters.dicom.read.grey_colour import decode_grey_of_colour, grey_scale_of_colour, is_readable_colour
from camray.adapters.dicom.read.header import film_header, grey_scale
from camray.adapters.dicom.read.inflated_file import InflatedFile, inflated
from camray.adapters.dicom.read.limited_reads import LimitedReads
from camray.adapters.dicom.read.pixels import (
    NATIVE,
    PixelLayout,
    Stored,
    check_bits,
    decode_encapsulated,
    decode_native,
)
from camray.adapters.dicom.read.swapped_sides import check_icon, check_row_length
from camray.domain.errors import DicomError, ImageError, PixelError
from camray.domain.films import MAX_AREA_PX, MIN_SIDE_PX, FilmHeader, FilmPolicy, StoredFilm
from camray.domain.records import RefusalReason

_ELEMENTS_BYTES = 2**12  # beside the pixels: their tag and length, padding, and the next tag
_FRAMES = Tag("NumberOfFrames")
_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_dicom(path: Path, policy: FilmPolicy | None) -> StoredFilm:
    """Read a film's stored values and header.

    Parameters
    ----------
    path : Path
        Any file; with or without preamble, any extension.
    policy : FilmPolicy or None
        Applied before any pixel is decoded.

    Returns
    -------
    StoredFilm
        Stored values, masked and sign-extended, native grid.

    Raises
    ------
    ImageError
        Whatever the file contains. The header is checked first: kind of object, then the policy, then the pixel layout.
    """
    with suppress_warnings(), path.open("rb") as file:
        stream = inflated(file)
        try:
            ds, has_pixel_data = _read_header(stream, path.stat().st_size)
            header_end = stream.tell()
            header = film_header(ds, path, _transfer_syntax(ds))
            _check_kind(ds, header)
            if policy is not None:
                policy.check(header)
            layout = _check_form(ds, header)
            grey = grey_scale(ds, header) if layout.samples == 1 else grey_scale_of_colour(header.bits_stored)
            if not has_pixel_data:
                raise PixelError(
                    RefusalReason.NO_PIXELS, "the header describes an image, but the file contains no pixels"
                )
            values = _read_pixels(stream, header_end, ds, layout)
            check_row_length(values)
            return StoredFilm(values, grey, header)
        except FAULTS as error:  # the chain is cut: their texts may quote the header
            raise _unparsable(stream, path.stat().st_size, error) from None


def read_dicom_header(path: Path, policy: FilmPolicy | None) -> FilmHeader:
    """Check a film by its header alone, as `read_dicom` does before it decodes pixels.

    Raises
    ------
    ImageError
        If the file is not a usable film by its header.
    """
    with suppress_warnings(), path.open("rb") as file:
        stream = inflated(file)
        try:
            ds, has_pixel_data = _read_header(stream, path.stat().st_size)
            header = film_header(ds, path, _transfer_syntax(ds))
            _check_kind(ds, header)
            if policy is not None:
                policy.check(header)
            _check_form(ds, header)
        except FAULTS as error:  # the chain is cut: their texts may quote the header
            raise _unparsable(stream, path.stat().st_size, error) from None
    if not has_pixel_data:
        raise PixelError(RefusalReason.NO_PIXELS, "the header describes an image, but the file contains no pixels")
    return header


def _read_header(stream: BinaryIO, size: int) -> tuple[Dataset, bool]:
    """Return all elements before the pixels, and whether pixels follow."""
    has_preamble = stream.read(132)[128:] == b"DICM"
    stream.seek(0)
    reads = LimitedReads(stream)
    try:
        ds = dcmread(reads, stop_before_pixels=True, force=True)
        if isinstance(stream, InflatedFile):
            ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
        is_plausible = has_preamble or text_of(ds, "SOPClassUID").startswith("1.") or integer_of(ds, "Rows") > 0
    except DicomError:
        _check_frames(stream, reads)
        raise
    except FAULTS:
        _check_frames(stream, reads)
        if has_preamble:
            raise
        is_plausible = False
    if not is_plausible:
        raise DicomError(RefusalReason.NOT_DICOM, "neither a DICOM file nor a PNG or JPEG picture")
    if stream.tell() < size or _transfer_syntax(ds) == uid.DeflatedExplicitVRLittleEndian:
        return ds, True
    if _is_cut(ds, size):
        raise DicomError(RefusalReason.TRUNCATED, "the file ends inside its header")
    return ds, False


def _check_frames(stream: BinaryIO, reads: LimitedReads) -> None:
    """Refuse a header of too many elements, as multi-frame where it says so: each frame has a group of elements."""
    try:
        reads.check()
    except DicomError:
        if (frames := _frames_of(stream)) > 1:
            raise DicomError(RefusalReason.MULTI_FRAME, f"Number of Frames is {frames}; expected 1") from None
        raise


def _frames_of(stream: BinaryIO) -> int:
    """Return the number of frames, from the elements up to it; 1 where they cannot be read."""
    stream.seek(0)
    try:
        ds = read_partial(
            cast("BinaryIO", LimitedReads(stream)), stop_when=lambda tag, vr, length: tag > _FRAMES, force=True
        )
    except DicomError:
        return 1
    except FAULTS:
        return 1
    return integer_of(ds, "NumberOfFrames", 1)


def _is_cut(ds: Dataset, size: int) -> bool:
    """Return whether a file without pixels ends inside an element rather than after one."""
    tags = list(ds.keys())
    last = ds.get_item(max(tags)) if tags else None
    if isinstance(last, RawDataElement):
        return last.value_tell + last.length != size
    return last is None


def _unparsable(stream: BinaryIO, size: int, error: Exception) -> ImageError:
    if isinstance(error, MemoryError):
        return PixelError(RefusalReason.UNREADABLE_PIXELS, "reading the file takes too much memory; expected a film")
    if isinstance(error, zlib.error) or stream.tell() >= size:
        return DicomError(RefusalReason.TRUNCATED, f"the file ends too early ({type(error).__name__})")
    return DicomError(RefusalReason.UNREADABLE_HEADER, f"the file cannot be parsed ({type(error).__name__})")


def _transfer_syntax(ds: Dataset) -> str:
    stated = text_of(ds.file_meta, "TransferSyntaxUID") if hasattr(ds, "file_meta") else ""
    if stated:
        return stated
    is_implicit, is_little = ds.original_encoding
    if is_implicit:
        return str(uid.ImplicitVRLittleEndian)
    return str(uid.ExplicitVRLittleEndian if is_little else uid.ExplicitVRBigEndian)


def _check_kind(ds: Dataset, header: FilmHeader) -> None:
    """Refuse objects that are not images."""
    if text_of(ds, "SOPClassUID") == uid.MediaStorageDirectoryStorage or "DirectoryRecordSequence" in ds:
        raise DicomError(RefusalReason.NOT_ORIGINAL, "the file is a DICOMDIR, not a film")
    if header.rows > 0 and header.cols > 0:
        if "LOCALIZER" in [str(value).strip().upper() for value in values_of(ds, "ImageType")]:
            raise DicomError(RefusalReason.NOT_ORIGINAL, "Image Type is LOCALIZER; expected a film")
        return
    raise DicomError(RefusalReason.NO_PIXELS, "the object has no Rows and Columns: it is not an image")


def _check_form(ds: Dataset, header: FilmHeader) -> PixelLayout:
    """Refuse pixel layouts that no film has; return the layout."""
    frames, samples = integer_of(ds, "NumberOfFrames", 1), integer_of(ds, "SamplesPerPixel", 1)
    if frames > 1:
        raise DicomError(RefusalReason.MULTI_FRAME, f"Number of Frames is {frames}; expected 1")
    is_grey = samples == 1 and header.photometric in ("", "MONOCHROME1", "MONOCHROME2")
    if not is_grey and not is_readable_colour(ds, header):
        raise DicomError(
            RefusalReason.COLOUR,
            f"{samples} samples per pixel, in colour; expected 1 sample and (0028,0004) Photometric Interpretation "
            "MONOCHROME1 or MONOCHROME2, or a grey film in RGB; convert a grey film",
        )
    if header.photometric == "":
        raise DicomError(RefusalReason.UNREADABLE_HEADER, "(0028,0004) Photometric Interpretation is missing")
    if min(header.rows, header.cols) < MIN_SIDE_PX:
        raise DicomError(
            RefusalReason.TOO_SMALL, f"{header.rows} x {header.cols} px; expected at least {MIN_SIDE_PX} px per side"
        )
    if header.rows * header.cols > MAX_AREA_PX:
        raise DicomError(
            RefusalReason.UNREADABLE_PIXELS, f"{header.rows} x {header.cols} px are too many; expected a film"
        )
    allocated = integer_of(ds, "BitsAllocated")
    layout = PixelLayout(
        header.transfer_syntax,
        header.rows,
        header.cols,
        allocated,
        header.bits_stored,
        integer_of(ds, "HighBit", header.bits_stored - 1),
        integer_of(ds, "PixelRepresentation") == 1,
        samples=samples,
        photometric="MONOCHROME2" if is_grey else header.photometric,
    )
    check_bits(layout)
    check_icon(ds, header)
    return layout


def _pixel_elements(stream: BinaryIO, header_end: int, header: Dataset) -> Dataset:
    """Read only the pixel elements, from the end of the header."""
    stream.seek(header_end)
    is_implicit, is_little = (bool(value) for value in header.original_encoding)
    tags = [Tag(word) for word in _PIXEL_KEYWORDS]
    return read_dataset(
        stream, is_implicit, is_little, stop_when=lambda tag, vr, length: tag > max(tags), specific_tags=list(tags)
    )


def _read_pixels(stream: BinaryIO, header_end: int, header: Dataset, layout: PixelLayout) -> Stored:
    if isinstance(stream, InflatedFile):
        stream.allow(header_end + layout.samples * layout.n_bytes + _ELEMENTS_BYTES)
    ds = _pixel_elements(stream, header_end, header)
    if "PixelData" not in ds:
        if "FloatPixelData" in ds or "DoubleFloatPixelData" in ds:
            raise PixelError(RefusalReason.UNSUPPORTED_BITS, "pixels are floating point; expected integers")
        raise PixelError(RefusalReason.TRUNCATED, "the file ends inside its Pixel Data")
    element = ds["PixelData"]
    data = bytes(element.value or b"")
    if not data:
        raise PixelError(RefusalReason.NO_PIXELS, "Pixel Data is empty")
    is_native = layout.transfer_syntax in NATIVE
    if is_native and element.is_undefined_length:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS, "pixels are compressed, but the transfer syntax is uncompressed"
        )
    layout = replace(layout, is_word=element.VR == "OW")
    if layout.samples == 3:
        return decode_grey_of_colour(data, layout, integer_of(header, "PlanarConfiguration") == 1)
    return decode_native(data, layout) if is_native else decode_encapsulated(data, layout)
