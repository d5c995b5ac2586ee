"""What a JPEG, JPEG-LS or JPEG 2000 codestream says of itself."""

import struct

_SOF = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # start of frame, JPEG-LS included


def codestream_of(frame: bytes) -> bytes:
    """Return a frame without the boxes of a JP2 file (ISO/IEC 15444-1, I.4), which some writers leave around it."""
    if frame[4:8] != b"jP  ":
        return frame
    at = 0
    while at + 8 <= len(frame):
        length, kind = struct.unpack(">I4s", frame[at : at + 8])
        head = 16 if length == 1 else 8
        if length == 1:
            length = int.from_bytes(frame[at + 8 : at + 16], "big")
        end = at + length if length else len(frame)
        if kind == b"jp2c":
            return frame[at + head : end]
        if end < at + head:
            break
        at = end
    return frame


def codestream_form(frame: bytes) -> tuple[int, int, int, int] | None:
    """Return rows, columns, samples and bits as a JPEG, JPEG-LS or JPEG 2000 codestream states them, or None."""
    frame = codestream_of(frame)
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) > 42:  # SIZ (ISO/IEC 15444-1, A.5.1)
        right, low, left, top = struct.unpack(">4I", frame[8:24])
        return low - top, right - left, int.from_bytes(frame[40:42], "big"), (frame[42] & 0x7F) + 1
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 10 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in _SOF:  # ISO/IEC 10918-1, B.2.2
            bits, rows, cols, samples = struct.unpack(">BHHB", frame[at + 4 : at + 10])
            return rows, cols, samples, bits
        at += 1 if frame[at + 1] == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
