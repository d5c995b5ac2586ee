"""Grey films stored in colour: three equal samples per pixel (PS3.3 C.7.6.3.1.2), as in the same picture's RGB PNG."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from camray.adapters.dicom.read.elements import integer_of
from camray.adapters.dicom.read.pixels import NATIVE, PixelLayout, Stored, decode_encapsulated, decode_native
from camray.domain.errors import PixelError
from camray.domain.films import FilmHeader, GreyScale, VoiWindow
from camray.domain.records import RefusalReason

COLOUR_SPACES = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def is_readable_colour(ds: Dataset, header: FilmHeader) -> bool:
    """Tell whether the header describes three unsigned samples of 8 or 16 whole bits that are decoded here."""
    bits = integer_of(ds, "BitsAllocated")
    native = header.transfer_syntax in NATIVE
    return (
        integer_of(ds, "SamplesPerPixel", 1) == 3
        and header.photometric in (("RGB", "YBR_FULL") if native else COLOUR_SPACES)
        and bits in (8, 16)
        and header.bits_stored == bits
        and integer_of(ds, "PixelRepresentation") == 0
    )


def grey_scale_of_colour(bits: int) -> GreyScale:
    """Return the grey scale of colour samples: displayed as they are, as windows are for grey films only (C.11.2)."""
    top = 2.0**bits - 1
    return GreyScale(bits_stored=bits, windows=(VoiWindow(top / 2, top, "LINEAR_EXACT"),))


def decode_grey_of_colour(data: bytes, layout: PixelLayout, is_planar: bool) -> Stored:
    """Decode three samples per pixel to one.

    Parameters
    ----------
    data : bytes
        Value of Pixel Data.
    layout : PixelLayout
        With three samples, and the colour space.
    is_planar : bool
        Planar Configuration is 1: native samples are stored by plane.

    Returns
    -------
    ndarray of shape (rows, cols)
        The common value of the samples.

    Raises
    ------
    PixelError
        ``COLOUR`` if the samples differ.
    """
    first, second, third = _samples(data, layout, is_planar)
    if layout.photometric == "YBR_FULL" and layout.is_untransformed:  # grey: both differences are in the middle
        second, third = (first + (plane != 2 ** (layout.bits_allocated - 1)) for plane in (second, third))
    if np.array_equal(first, second) and np.array_equal(first, third):
        return np.ascontiguousarray(first)
    raise PixelError(
        RefusalReason.COLOUR,
        "the three samples per pixel differ; expected a grey film: one sample, or three equal ones",
    )


def _samples(data: bytes, layout: PixelLayout, is_planar: bool) -> NDArray[np.integer[Any]]:
    """Return the samples, shape (3, rows, cols)."""
    rows, cols = layout.rows, layout.cols
    if layout.transfer_syntax not in NATIVE:
        return decode_encapsulated(data, layout)
    if is_planar:
        return decode_native(data, replace(layout, rows=3 * rows)).reshape(3, rows, cols)
    return np.moveaxis(decode_native(data, replace(layout, cols=3 * cols)).reshape(rows, cols, 3), -1, 0)
