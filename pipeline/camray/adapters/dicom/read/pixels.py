"""Decoding of pixel data to stored values: one frame, one sample, the fastest codec first.

Native and RLE cells are masked and sign-extended here, since every reader takes High Bit to be Bits Stored - 1.
"""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset, uid
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from camray.adapters.dicom.read.codestreams import codestream_form
from camray.adapters.dicom.read.elements import FAULTS
from camray.adapters.dicom.read.j2k_damage import j2k_damage
from camray.adapters.dicom.read.jpeg_damage import captured_stderr, is_damaged_jpeg
from camray.adapters.dicom.read.rle import decode_rle
from camray.domain.errors import IncompleteError, PixelError
from camray.domain.records import RefusalReason

Stored = NDArray[np.integer[Any]]

NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
)
# fastest first (2048 x 2048, 12 bit: pyjpegls 143 ms against gdcm 231; openjpeg 723 against 812)
PLUGINS: dict[str, tuple[str, ...]] = {
    uid.JPEGBaseline8Bit: ("pillow", "gdcm"),
    uid.JPEGExtended12Bit: ("pillow", "gdcm", "simpleitk"),
    uid.JPEGLossless: ("gdcm",),
    uid.JPEGLosslessSV1: ("gdcm",),
    uid.JPEGLSLossless: ("pyjpegls", "gdcm"),
    uid.JPEGLSNearLossless: ("pyjpegls", "gdcm"),
    uid.JPEG2000Lossless: ("pylibjpeg", "gdcm"),
    uid.JPEG2000: ("pylibjpeg", "gdcm"),
    uid.HTJ2KLossless: ("pylibjpeg",),
    uid.HTJ2KLosslessRPCL: ("pylibjpeg",),
    uid.HTJ2K: ("pylibjpeg",),
}


@dataclass(frozen=True)
class PixelLayout:
    """Layout of stored values in the file (PS3.3 C.7.6.3.1); one frame, one sample per pixel or three."""

    transfer_syntax: str
    rows: int
    cols: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    is_word: bool = False  # value representation OW
    samples: int = 1
    photometric: str = "MONOCHROME2"  # of grey films always: inversion comes later, and is ours

    @property
    def is_untransformed(self) -> bool:
        """Return whether decoding leaves the colour space as it is."""
        return self.transfer_syntax in (*NATIVE, uid.RLELossless)

    @property
    def n_bytes(self) -> int:
        """Return the length of the uncompressed cells, without padding."""
        return self.rows * self.cols * (self.bits_allocated // 8)


def check_bits(layout: PixelLayout) -> None:
    """Refuse bit layouts that no codec decodes correctly.

    Raises
    ------
    PixelError
        With ``UNSUPPORTED_BITS``.
    """
    fits = 1 <= layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated
    moved = layout.high_bit != layout.bits_stored - 1
    own = layout.transfer_syntax in (*NATIVE, uid.RLELossless)
    if layout.bits_allocated in (8, 16, 32) and fits and (own or not moved):
        return
    raise PixelError(
        RefusalReason.UNSUPPORTED_BITS,
        f"bits allocated, stored and high bit are {layout.bits_allocated}, {layout.bits_stored} and "
        f"{layout.high_bit}; expected 8, 16 or 32 allocated with high bit = stored - 1"
        + ("" if own else ", since codecs of this compression do not state what they do with moved bits"),
    )


def uid_name(value: str) -> str:
    """Return a UID's name, else the UID; text that is none is not repeated: somebody may have typed a name there."""
    identifier = uid.UID(value)
    return identifier.name if identifier.is_valid else "an invalid UID"


def decode_native(data: bytes, layout: PixelLayout) -> Stored:
    """Read uncompressed cells.

    Parameters
    ----------
    data : bytes
        Value of Pixel Data, with the padding byte of an odd length.
    layout : PixelLayout
        Bits already checked.

    Returns
    -------
    ndarray of shape (rows, cols)
        uint or int of 8, 16 or 32 bits, machine byte order.

    Raises
    ------
    PixelError
        ``TRUNCATED`` if there are too few bytes; ``UNREADABLE_PIXELS`` if there are too many, since Rows or Columns are
        then wrong, and the film would be cut or sheared.
    """
    size = layout.bits_allocated // 8
    count, expected = layout.rows * layout.cols, layout.n_bytes
    if len(data) < expected:
        raise PixelError(RefusalReason.TRUNCATED, f"Pixel Data has {len(data)} bytes; expected {expected}")
    if len(data) > expected + expected % 2:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS,
            f"Pixel Data has {len(data)} bytes; expected {expected} for {layout.rows} x {layout.cols} px: wrong Rows, "
            "Columns or Bits Allocated",
        )
    is_big = layout.transfer_syntax == uid.ExplicitVRBigEndian
    if is_big and size == 1 and layout.is_word:  # 8-bit cells in words: pairs are swapped
        even = np.frombuffer(data, ">u2", len(data) // 2).astype("<u2").view(np.uint8)
        cells: Stored = even[:count]
    else:
        kind = "i" if layout.is_signed else "u"
        cells = np.frombuffer(data, f"{'>' if is_big else '<'}{kind}{size}", count)
    return _align_bits(cells, layout).reshape(layout.rows, layout.cols)


def decode_encapsulated(data: bytes, layout: PixelLayout) -> Stored:
    """Decode compressed pixels, codec by codec until one succeeds.

    Parameters
    ----------
    data : bytes
        Value of Pixel Data: offset table item and fragments.
    layout : PixelLayout
        Bits already checked.

    Returns
    -------
    ndarray of shape (rows, cols), of three samples (3, rows, cols)
        Integers, sign extended; colour as RGB, except from RLE.

    Raises
    ------
    PixelError
        ``TRUNCATED`` if the codestream has no end, ``UNREADABLE_PIXELS`` if no codec decodes it, or one warns.
    """
    name = uid_name(layout.transfer_syntax)
    if layout.transfer_syntax not in (*PLUGINS, uid.RLELossless):
        raise PixelError(RefusalReason.UNREADABLE_PIXELS, f"no codec for transfer syntax {name}; transcode the film")
    try:
        frame = get_frame(data, 0, number_of_frames=1)
    except FAULTS:
        raise PixelError(RefusalReason.UNREADABLE_PIXELS, f"{name}: the fragments are damaged") from None
    if layout.transfer_syntax == uid.RLELossless:
        planes = decode_rle(frame, (layout.rows, layout.cols), layout.bits_allocated // 8, layout.samples)
        return _align_bits(planes[0] if layout.samples == 1 else planes, layout)
    _check_codestream(frame, layout, name)
    for plugin in PLUGINS[layout.transfer_syntax]:
        try:
            with captured_stderr() as messages:
                cells = _decode_by_plugin(data, layout, plugin)
        except BaseException as error:  # a Rust codec's panic is no Exception and its class has no importable name
            if not isinstance(error, FAULTS) and type(error).__name__ != "PanicException":
                raise
            continue
        if messages.damage or _is_damaged(frame, layout.transfer_syntax):
            raise PixelError(
                RefusalReason.UNREADABLE_PIXELS,
                f"{name}: the pixels are damaged: they decode with warnings, to other values; get the film again",
            )
        return cells
    raise PixelError(RefusalReason.UNREADABLE_PIXELS, f"{name}: no codec decodes these pixels; they are damaged")


def _align_bits(cells: Stored, layout: PixelLayout) -> Stored:
    """Extract the stored bits and extend their sign (PS3.5, 8.1.1); the result is in machine byte order."""
    kind = "i" if layout.is_signed else "u"
    cells = cells.astype(f"{kind}{cells.dtype.itemsize}", copy=False)
    if layout.bits_stored == layout.bits_allocated:
        return cells
    aligned = np.left_shift(cells, layout.bits_allocated - 1 - layout.high_bit)
    return np.right_shift(aligned, layout.bits_allocated - layout.bits_stored, out=aligned)


def _decode_by_plugin(data: bytes, layout: PixelLayout, plugin: str) -> Stored:
    if plugin == "simpleitk":
        return _decode_by_simpleitk(data, layout)
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.cols,
        "number_of_frames": 1,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": layout.photometric,
        "planar_configuration": 0,
        "pixel_representation": int(layout.is_signed),
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_keyword": "PixelData",
    }
    decoder = get_decoder(layout.transfer_syntax)
    cells, _ = decoder.as_array(data, index=0, raw=layout.samples == 1, decoding_plugin=plugin, **options)
    return cells if layout.samples == 1 else np.moveaxis(cells, -1, 0)


def _decode_by_simpleitk(data: bytes, layout: PixelLayout) -> Stored:
    """Decode by SimpleITK, which reads only files: one without elements that would make it invert or rescale."""
    import SimpleITK

    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = uid.SecondaryCaptureImageStorage, "1.2.3"
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "OT", "MONOCHROME2", 1
    ds.Rows, ds.Columns = layout.rows, layout.cols
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = layout.bits_allocated, layout.bits_stored, layout.high_bit
    ds.PixelRepresentation = int(layout.is_signed)
    ds.add_new("PixelData", "OB", data)
    ds["PixelData"].is_undefined_length = True
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.UID(layout.transfer_syntax)
    content = io.BytesIO()
    ds.save_as(content, enforce_file_format=True)
    try:
        with tempfile.TemporaryDirectory(prefix="camray-") as folder:
            path = Path(folder) / "film.dcm"
            path.write_bytes(content.getbuffer())
            cells = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO"))
    except OSError as error:  # the machine's fault: the film is not damaged
        raise IncompleteError(
            f"{error.filename or 'TMPDIR'}: no temporary file can be written ({error.strerror}); make room, or set "
            "TMPDIR to a folder with room, and run the same command again to resume"
        ) from None
    return np.asarray(cells).reshape(layout.rows, layout.cols)


def _is_damaged(frame: bytes, transfer_syntax: str) -> bool:
    """Look for damage that the decoder of the film does not report."""
    if transfer_syntax in (uid.JPEG2000Lossless, uid.JPEG2000):
        return j2k_damage(frame) is not None
    return transfer_syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit) and is_damaged_jpeg(frame)


def _check_codestream(frame: bytes, layout: PixelLayout, name: str) -> None:
    """Refuse a codestream without an end marker, or of another size than the header's: codecs would invent or crash."""
    if b"\xff\xd9" not in frame[-1024:]:
        raise PixelError(RefusalReason.TRUNCATED, f"{name}: the codestream has no end marker")
    form = codestream_form(frame)
    if form is None:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS, f"{name}: the codestream does not state its size; it is damaged"
        )
    rows, cols, samples, bits = form
    if samples != layout.samples:
        raise PixelError(
            RefusalReason.COLOUR, f"{name}: the codestream has {samples} samples per pixel; expected {layout.samples}"
        )
    # no rows: a JPEG may state its height at its end
    if (rows or layout.rows, cols) != (layout.rows, layout.cols) or not 1 < bits <= layout.bits_allocated:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS,
            f"{name}: the codestream is {rows} x {cols} px of {bits} bits, the header says {layout.rows} x "
            f"{layout.cols} in {layout.bits_allocated}",
        )
