"""Films and what can be wrong with a file: kinds of damage, each with what must come of it.

A kind is a function of a film and of seeded dice, and returns the bytes of a file. Most damage is done to bytes, as no
library writes such files.
"""

import io
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence

from camray.domain.geometry import Box
from tests.film_factory import FilmRecipe, film_dataset

# same: the film is used, with its own pixels; noticed: it is refused, or used with its own pixels;
# refused: it must not be used; any: nothing in the file tells that something is wrong, so it must only be counted
Outcome = Literal["same", "noticed", "refused", "any"]
COMPRESSED = (uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLSLossless)
NATIVE = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)
PIXEL_DATA = b"\xe0\x7f\x10\x00"
BOMB = 1 << 28  # bytes that a short stream inflates to


@dataclass(frozen=True)
class Film:
    """One film of a kind: its number gives it pixels, a patient and a UID of its own."""

    number: int

    @property
    def recipe(self) -> FilmRecipe:
        """A bright square at a place of its own."""
        x0, y0 = self.number % 50, self.number // 50 % 60
        photometric = ("MONOCHROME1", "MONOCHROME2")[self.number % 2]
        return FilmRecipe(box=Box(x0, y0, x0 + 24, y0 + 32), photometric=photometric, bits_stored=10 + self.number % 5)

    def dataset(self, recipe: FilmRecipe | None = None, **elements: Any) -> Dataset:
        """Return the film as a data set; keyword arguments set or (None) delete elements."""
        uid_root = f"1.2.826.0.1.3680043.8.498.{self.number + 1}"
        own = {
            "SOPInstanceUID": f"{uid_root}.1",
            "StudyInstanceUID": f"{uid_root}.2",
            "PatientID": f"CANARY-{self.number}",
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return film_dataset(recipe or self.recipe, **{**own, **elements})

    def file(self, syntax: str = uid.ExplicitVRLittleEndian, **elements: Any) -> bytes:
        """Return the film as a file."""
        return written(self.dataset(**elements), syntax)


def written(ds: Dataset, syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    """Write a data set with native pixels in any encoding."""
    if syntax in COMPRESSED:
        plugin = {"encoding_plugin": "pylibjpeg"} if syntax == uid.JPEG2000Lossless else {}
        ds.compress(uid.UID(syntax), generate_instance_uid=False, **plugin)
    elif syntax == uid.ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
        uid.DigitalXRayImageStorageForPresentation,
        "1.2.3",
    )
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def pixels_at(data: bytes) -> int:
    """Return where Pixel Data begins."""
    return data.rindex(PIXEL_DATA)


def spliced(data: bytes, at: int, new: bytes, old: int | None = None) -> bytes:
    """Replace `old` bytes at a place; None replaces as many as there are new ones."""
    return data[:at] + new + data[at + (len(new) if old is None else old) :]


def with_value(data: bytes, at: int, value: bytes) -> bytes:
    """Replace the value of the element whose length, of two bytes, is at a place."""
    return spliced(data, at, struct.pack("<H", len(value)) + value, 2 + struct.unpack("<H", data[at : at + 2])[0])


def flipped(data: bytes, dice: random.Random, low: int, high: int, most: int = 8) -> bytes:
    """Change one to `most` bytes between two places."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, most)):
        changed[dice.randrange(low, high)] ^= dice.randint(1, 255)
    return bytes(changed)


def with_stream(film: Film, syntax: str, change: Callable[[bytes], bytes]) -> bytes:
    """Compress, change the codestream, and put it into a whole fragment."""
    ds = film.dataset()
    options = {"encoding_plugin": "pylibjpeg"} if syntax == uid.JPEG2000Lossless else {}
    ds.compress(uid.UID(syntax), generate_instance_uid=False, **options)
    stream = change(get_frame(ds.PixelData, 0, number_of_frames=1))
    ds.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
    ds["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def deflated(film: Film, change: Callable[[bytes], bytes], plain_change: Callable[[bytes], bytes] = bytes) -> bytes:
    """Deflate by hand: `plain_change` before, `change` after."""
    data = film.file(uid.DeflatedExplicitVRLittleEndian)
    length = struct.unpack("<I", data[140:144])[0]
    head, body = data[: 144 + length], zlib.decompress(data[144 + length :], -zlib.MAX_WBITS)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return head + change(packer.compress(plain_change(body)) + packer.flush())


def nested(depth: int) -> Sequence:
    """Return a sequence of sequences."""
    item = Dataset()
    item.CodeMeaning = "last"
    for _ in range(depth):
        outer = Dataset()
        outer.ConceptCodeSequence = Sequence([item])
        item = outer
    return Sequence([item])
