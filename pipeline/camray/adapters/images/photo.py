"""Colour photographs, and class names of published networks."""

import ast
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.images.grayscale import check_chunks, check_single
from camray.adapters.images.orientation import upright
from camray.domain.errors import PixelError, SettingsError
from camray.domain.films import MAX_AREA_PX
from camray.domain.records import RefusalReason

_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    MemoryError,
    Image.DecompressionBombError,
)
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Read a PNG or JPEG in colour, upright.

    Parameters
    ----------
    path : Path
        8 bits per channel; grey is repeated in three channels, transparency is ignored.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        Red, green, blue; rotated by the EXIF orientation.

    Raises
    ------
    PixelError
        If the file is not an image, damaged, or of another depth.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_chunks(path)
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                if picture.width * picture.height > MAX_AREA_PX:
                    raise PixelError(
                        RefusalReason.UNREADABLE_PIXELS,
                        f"{picture.height} x {picture.width} px are too many",
                    )
                check_single(picture)
                if picture.mode not in _MODES:
                    raise PixelError(
                        RefusalReason.UNSUPPORTED_BITS,
                        f"the image has mode {picture.mode}; expected 8 bits per channel; explain films with --run",
                    )
                return np.asarray(upright(picture).convert("RGB"), dtype=np.uint8)
    except _FAULTS as error:
        raise PixelError(
            RefusalReason.UNREADABLE_PIXELS, f"the image cannot be decoded ({type(error).__name__})"
        ) from None


def read_class_names(path: Path, count: int) -> tuple[str, ...]:
    """Read the names of a network's classes.

    Parameters
    ----------
    path : Path
        Text: one name per line; or a mapping of numbers to names in Python or JSON syntax (``{0: 'tench', ...}``,
        ``{"0": ["n01440764", "tench"], ...}``), or a list of names.
    count : int
        Number of classes of the network.

    Returns
    -------
    tuple of str
        In the order of the logits.

    Raises
    ------
    SettingsError
        If the file cannot be read, or does not name each class once.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        names = _from_literal(text) if text[:1] in {"{", "["} else [line.strip() for line in text.splitlines()]
    except (OSError, ValueError, SyntaxError, TypeError, LookupError, RecursionError, MemoryError) as error:
        raise SettingsError(
            f"{path}: cannot be read as class names ({type(error).__name__}); expected one name per line, or a "
            "mapping of numbers to names"
        ) from error
    if len(names) != count or not all(names):
        empty = sum(not name for name in names)
        raise SettingsError(f"{path}: names {len(names)} classes, {empty} of them empty; the network has {count}")
    return tuple(names)


def _from_literal(text: str) -> list[str]:
    names: Any = _parsed(text)
    if isinstance(names, dict):
        by_number = {int(number): name for number, name in names.items()}
        names = [by_number[number] for number in range(len(by_number))]
    return [str(name[-1] if isinstance(name, list | tuple) else name).strip() for name in names]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)  # literals only: no code is executed
