"""Single header values, read so that a malformed one raises nothing and is not printed.

pydicom parses lazily: a bad value raises, and may print itself, only when it is accessed. Every access to a data set
goes through this module.
"""

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from camray.adapters.dicom.read.limited_reads import check_length

# observed exceptions of pydicom and the codecs on damaged files; not wider, since it could hide our own faults
FAULTS: tuple[type[Exception], ...] = (
    InvalidDicomError,
    BytesLengthException,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    OSError,
    MemoryError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
)


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """Drop pydicom's warnings and log lines, which may quote header values, in this context."""
    logger = logging.getLogger("pydicom")
    silence, propagate = logging.NullHandler(), logger.propagate
    logger.addHandler(silence)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.propagate = propagate
        logger.removeHandler(silence)


@cache
def _tag(keyword: str) -> BaseTag:
    """Return a keyword's tag; access by keyword takes three times as long."""
    return Tag(keyword)


def _element(ds: Dataset, tag: BaseTag) -> DataElement:
    """Parse an element, unless its value is too long."""
    raw = ds.get_item(tag)
    if isinstance(raw, RawDataElement) and raw.value is not None:
        check_length(len(raw.value))
    return ds[tag]


def values_of(ds: Dataset, keyword: str) -> list[Any]:
    """Return all values of an element: an empty list where it is absent, empty or malformed."""
    try:
        tag = _tag(keyword)
        if tag not in ds:
            return []
        value = _element(ds, tag).value
        if value is None or (isinstance(value, str | bytes) and not value):
            return []
        return list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    except FAULTS:
        return []


def text_of(ds: Dataset, keyword: str) -> str:
    """Return the first value as one line of text, at most 256 characters; empty if there is none."""
    values = values_of(ds, keyword)
    return re.sub(r"[\x00-\x1f\x7f]+", " ", str(values[0])).strip()[:256] if values else ""


def code_of(ds: Dataset, keyword: str) -> str:
    """Return the first value as a code string: upper case, single blanks."""
    return " ".join(text_of(ds, keyword).upper().split())


def numbers_of(ds: Dataset, keyword: str) -> list[float]:
    """Return all values as numbers; NaN for a value that is not a number.

    A single comma counts as the decimal point. PS3.5 table 6.2-1 allows no comma in a number, so none is misread.
    """
    return [_number(value) for value in values_of(ds, keyword)]


def number_of(ds: Dataset, keyword: str, default: float) -> float:
    """Return the first value as a finite number, or the default."""
    numbers = numbers_of(ds, keyword)
    return numbers[0] if numbers and abs(numbers[0]) < float("inf") else default


def integer_of(ds: Dataset, keyword: str, default: int = 0) -> int:
    """Return the first value as a whole number, or the default."""
    return int(number_of(ds, keyword, default))


def items_of(ds: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; an empty list where it is absent or malformed."""
    try:
        tag = _tag(keyword)
        value = _element(ds, tag).value if tag in ds else None
        return [item for item in value or [] if isinstance(item, Dataset)]
    except FAULTS:
        return []


def _number(value: Any) -> float:
    try:
        return float(value.replace(",", ".") if isinstance(value, str) else value)
    except FAULTS:
        return float("nan")
