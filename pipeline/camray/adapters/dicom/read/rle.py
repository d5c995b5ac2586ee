"""Decoding of RLE pixels (PS3.5 annex G), each segment held to its length."""

import struct
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rle.rle import decode_segment

from camray.adapters.dicom.read.elements import FAULTS
from camray.domain.errors import PixelError
from camray.domain.records import RefusalReason

_HEADER_BYTES = 64
_MOST_PER_BYTE = 64  # a run of 128 from two bytes
_SAFE_BYTES = 2**29  # that segments are decoded to without being measured before


def decode_rle(
    frame: bytes, shape: tuple[int, int], n_bytes: int, n_samples: int = 1
) -> NDArray[np.unsignedinteger[Any]]:
    """Decode one frame.

    Parameters
    ----------
    frame : bytes
        Header of 64 bytes and one segment per byte of a sample.
    shape : (int, int)
        Rows and columns, px.
    n_bytes : int
        Bytes of a cell: 1, 2 or 4.
    n_samples : int
        Samples per pixel.

    Returns
    -------
    ndarray of shape (samples, rows, cols)
        Unsigned, of `n_bytes`; machine byte order.

    Raises
    ------
    PixelError
        ``UNREADABLE_PIXELS`` if there are more or fewer segments than the header's bits and samples need, or one of
        them does not have rows * cols bytes.
    """
    bounds = _segment_bounds(frame, n_bytes * n_samples)
    planes = np.empty((n_samples, n_bytes, *shape), np.uint8)
    for number, (start, end) in enumerate(bounds):
        sample, byte = divmod(number, n_bytes)
        planes[sample, byte] = _segment(frame[start:end], shape)
    cells = np.ascontiguousarray(np.moveaxis(planes, 1, -1)).view(f">u{n_bytes}")[..., 0]
    return cells.astype(f"u{n_bytes}")


def _segment_bounds(frame: bytes, expected: int) -> list[tuple[int, int]]:
    """Return start and end of each segment."""
    if len(frame) < _HEADER_BYTES:
        raise PixelError(RefusalReason.TRUNCATED, "RLE Lossless: the pixels end inside their header")
    count, *offsets = struct.unpack("<16L", frame[:_HEADER_BYTES])
    if count != expected:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS, f"RLE Lossless: {count} segments; expected {expected}, one per byte"
        )
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] < _HEADER_BYTES or any(start >= end for start, end in pairwise(bounds)):
        raise PixelError(RefusalReason.UNREADABLE_PIXELS, "RLE Lossless: the offsets of the segments are damaged")
    return list(pairwise(bounds))


def _segment(data: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    count = shape[0] * shape[1]
    if len(data) * _MOST_PER_BYTE > _SAFE_BYTES and _decoded_length(data, 2 * count) > 2 * count:
        raise _wrong_length(f"more than {2 * count}", shape)
    try:
        decoded = decode_segment(data)
    except FAULTS:
        raise PixelError(RefusalReason.TRUNCATED, "RLE Lossless: a segment ends inside a run") from None
    if len(decoded) not in (count, count + count % 2):  # some encoders make the length even before they encode
        raise _wrong_length(str(len(decoded)), shape)
    return np.frombuffer(decoded, np.uint8, count).reshape(shape)


def _wrong_length(length: str, shape: tuple[int, int]) -> PixelError:
    rows, cols = shape
    return PixelError(
        RefusalReason.UNREADABLE_PIXELS,
        f"RLE Lossless: a segment has {length} px; expected {rows * cols} for {rows} x {cols} px",
    )


def _decoded_length(data: bytes, most: int) -> int:
    """Return how many bytes a segment decodes to; counting ends above `most`. The decoder aborts without memory."""
    at = length = 0
    while at < len(data) and length <= most:
        control = data[at]
        if control < 128:
            length, at = length + control + 1, at + control + 2
        else:
            length, at = length + (257 - control) % 129, at + (2 if control > 128 else 1)
    return length
