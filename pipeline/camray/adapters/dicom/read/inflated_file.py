"""Deflated DICOM files, inflated as far as they are read and no further than a limit.

A deflate stream of 1 MiB can hold 1 GiB. pydicom inflates the whole of it before it reads an element.
"""

import io
import zlib
from typing import BinaryIO, cast

from pydicom import uid
from pydicom.filereader import read_dataset

from camray.adapters.dicom.read.elements import FAULTS
from camray.domain.errors import PixelError
from camray.domain.records import RefusalReason

MAX_HEADER_BYTES = 2**26  # before the pixels; larger than any film's header
_DEFLATED, _PLAIN = (str(name).encode() for name in (uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRLittleEndian))
_META_BYTES = 2**14  # of a file, where its transfer syntax is stated
_CHUNK = 2**16


class InflatedFile(io.RawIOBase):
    """A deflated file as one in Explicit VR Little Endian.

    Parameters
    ----------
    meta : bytes
        Preamble and file meta information, which are not deflated.
    source : binary file
        At the start of the deflated data set.
    """

    def __init__(self, meta: bytes, source: BinaryIO) -> None:
        super().__init__()
        self._data = bytearray(meta.replace(_DEFLATED, _PLAIN.ljust(len(_DEFLATED), b"\0")))
        self._source, self._inflater, self._position = source, zlib.decompressobj(-zlib.MAX_WBITS), 0
        self._limit = len(self._data) + MAX_HEADER_BYTES

    def allow(self, end: int) -> None:
        """Set the position that nothing is inflated beyond."""
        self._limit = end

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; fewer at the end of the data set."""
        end = self._limit + 1 if size < 0 else self._position + size
        self._inflate(min(end, self._limit + 1))
        if min(end, len(self._data)) > self._limit:
            raise PixelError(
                RefusalReason.UNREADABLE_PIXELS,
                f"the deflated file holds more than {self._limit} bytes, which its header does not explain",
            )
        data = bytes(self._data[self._position : end])
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move without inflating; the end of the data set is not known."""
        self._position = max(0, offset + (self._position if whence == io.SEEK_CUR else 0))
        return self._position

    def tell(self) -> int:
        """Return the position in the inflated file."""
        return self._position

    def _inflate(self, end: int) -> None:
        while len(self._data) < end and not self._inflater.eof:
            compressed = self._inflater.unconsumed_tail or self._source.read(_CHUNK)
            if not compressed:
                return
            self._data += self._inflater.decompress(compressed, min(end - len(self._data), 16 * _CHUNK))


def inflated(stream: BinaryIO) -> BinaryIO:
    """Return the file, or an `InflatedFile` of a deflated one; both at their start."""
    start = stream.read(_META_BYTES)
    stream.seek(0)
    if _DEFLATED not in start:
        return stream
    stream.seek(132 if start[128:132] == b"DICM" else 0)
    try:
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        is_deflated = meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian
    except FAULTS:
        is_deflated = False
    if not is_deflated:
        stream.seek(0)
        return stream
    end = stream.tell()
    stream.seek(0)
    return cast(BinaryIO, InflatedFile(stream.read(end), stream))
