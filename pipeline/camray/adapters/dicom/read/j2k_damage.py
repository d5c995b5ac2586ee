"""Damage of JPEG 2000 codestreams that decode nevertheless: OpenJPEG's warnings, with the ends of code blocks checked.

An arithmetic-coded block has no checksum, but a damaged one is read too far or not far enough. OpenJPEG compares that
only for blocks with predictable termination, whose flag (ISO/IEC 15444-1, table A.19) changes nothing else in its
decoder. So it is set in a copy, which is decoded for the warnings alone. pylibjpeg-openjpeg does not pass on warnings;
its library is called by ctypes.
"""

import ctypes
import io
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import _openjpeg

from camray.adapters.dicom.read.codestreams import codestream_of

SPARE_BYTES = 4  # encoders may end a code block this much later than needed, or earlier (15444-1, C.2.9 and D.4.1)
_PREDICTABLE, _UNCHECKED = 0x10, 0x45  # styles: bypass, termination at each pass and high throughput end otherwise
_PARAMETERS_BYTES = 2**15  # more than opj_dparameters_t has
_BLOCK_END = re.compile(r"PTERM check failure: (\d+) ")

_Message = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)
_Read = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
_Skip = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_Seek = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_void_p)


def j2k_damage(codestream: bytes) -> str | None:
    """Return the first sign of damage in a JPEG 2000 codestream, or None.

    Parameters
    ----------
    codestream : bytes
        One that a decoder accepts.
    """
    codestream = codestream_of(codestream)
    if not codestream.startswith(b"\xff\x4f"):
        return None
    for message in _messages(_with_checked_ends(codestream)):
        end = _BLOCK_END.match(message)
        if end is None or int(end[1]) > SPARE_BYTES:
            return "a code block does not end where it should" if end else "OpenJPEG warns"
    return None


def _with_checked_ends(codestream: bytes) -> bytes:
    """Set the flag for predictable termination in the main header."""
    marked, at = bytearray(codestream), 2
    while at + 14 < len(marked) and marked[at] == 0xFF and marked[at + 1] not in (0x90, 0xD9):
        style = {0x52: at + 12, 0x53: at + 9}.get(marked[at + 1])  # COD and COC (A.6.1, A.6.2)
        if style is not None and not marked[style] & _UNCHECKED:
            marked[style] |= _PREDICTABLE
        at += 2 + int.from_bytes(marked[at + 2 : at + 4], "big")
    return bytes(marked)


@cache
def _library() -> Any:
    library = ctypes.CDLL(_openjpeg.__file__)
    for name in ("opj_create_decompress", "opj_stream_create"):
        getattr(library, name).restype = ctypes.c_void_p
    library.opj_stream_create.argtypes = [ctypes.c_size_t, ctypes.c_int]
    library.opj_stream_set_user_data_length.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    return library


def _messages(codestream: bytes) -> list[str]:
    """Decode, and return the warnings and errors."""
    messages: list[str] = []
    library, image = _library(), ctypes.c_void_p()
    callbacks = _stream_callbacks(codestream)
    listener = _Message(lambda text, _: messages.append(text.decode("ascii", "replace").strip()))
    codec = ctypes.c_void_p(library.opj_create_decompress(0))
    stream = ctypes.c_void_p(library.opj_stream_create(2**16, 1))
    try:
        library.opj_set_warning_handler(codec, listener, None)
        library.opj_set_error_handler(codec, listener, None)
        for name, callback in callbacks.items():
            getattr(library, f"opj_stream_set_{name}_function")(stream, callback)
        library.opj_stream_set_user_data_length(stream, len(codestream))
        parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
        library.opj_set_default_decoder_parameters(parameters)
        library.opj_setup_decoder(codec, parameters)
        if library.opj_read_header(stream, codec, ctypes.byref(image)) and library.opj_decode(codec, stream, image):
            library.opj_end_decompress(codec, stream)
    finally:
        library.opj_stream_destroy(stream)
        library.opj_destroy_codec(codec)
        library.opj_image_destroy(image)
    return messages


def _stream_callbacks(codestream: bytes) -> dict[str, Callable[..., Any]]:
    """Return what OpenJPEG calls to read from memory."""
    source = io.BytesIO(codestream)

    def read(buffer: int, count: int, _: Any) -> int:
        data = source.read(count)
        ctypes.memmove(buffer, data, len(data))
        return len(data) or ctypes.c_size_t(-1).value

    def skip(count: int, _: Any) -> int:
        before = source.tell()
        return source.seek(min(max(before + count, 0), len(codestream))) - before

    def seek(position: int, _: Any) -> int:
        return int(source.seek(max(position, 0)) <= len(codestream))

    return {"read": _Read(read), "skip": _Skip(skip), "seek": _Seek(seek)}
