"""Damage of JPEG streams that decode nevertheless: the warnings of libjpeg, which writes them to stderr."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from camray.adapters.dicom.read.codestreams import codestream_form
from camray.adapters.dicom.read.elements import FAULTS

# the data that libjpeg's warnings (jerror.h, JWRN_*) call damaged; it also warns of other things
_DAMAGE = re.compile(r"corrupt jpeg data|premature end of|inconsistent progression|unsupported marker", re.I)
_MAX_TEXT = 2**16
_HAS_MEMORY_FILES = hasattr(os, "memfd_create")  # Linux


class CodecMessages:
    """What codecs wrote to stderr."""

    text = ""

    @property
    def damage(self) -> bool:
        """Tell whether a codec called the data damaged."""
        return _DAMAGE.search(self.text) is not None


@contextmanager
def captured_stderr() -> Iterator[CodecMessages]:
    """Redirect file descriptor 2 to a file: codecs write to stderr from C. The text is complete after the context.

    The file is in memory where the system has such files: a full disk would lose a warning, and accept a damaged film.
    """
    messages = CodecMessages()
    with os.fdopen(os.memfd_create("codec"), "w+b") if _HAS_MEMORY_FILES else tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            yield messages
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            messages.text = file.read(_MAX_TEXT).decode("ascii", "replace")


def is_damaged_jpeg(stream: bytes) -> bool:
    """Decode a JPEG for its warnings alone: damaged data, or no end marker.

    Parameters
    ----------
    stream : bytes
        8 bits, one sample or three; GDCM decodes it, since Pillow drops libjpeg's warnings. Of another stream nothing
        is known.
    """
    form = codestream_form(stream)
    if form is None or form[2] not in (1, 3) or form[3] != 8 or not form[0]:
        return False
    rows, cols, samples, _ = form
    options: dict[str, Any] = {
        "rows": rows,
        "columns": cols,
        "number_of_frames": 1,
        "samples_per_pixel": samples,
        "photometric_interpretation": "MONOCHROME2" if samples == 1 else "YBR_FULL_422",
        "planar_configuration": 0,
        "pixel_representation": 0,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_keyword": "PixelData",
    }
    decoder = get_decoder(uid.JPEGBaseline8Bit)
    with captured_stderr() as messages, suppress(*FAULTS):  # another decoder has accepted it; only the text counts
        decoder.as_array(encapsulate([stream]), index=0, raw=True, decoding_plugin="gdcm", **options)
    return messages.damage
