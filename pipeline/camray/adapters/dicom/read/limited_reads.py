"""Headers of few elements and values of few bytes, so that a small file cannot fill memory and time.

A deflated file of 60 KiB can hold a sequence of 8 million empty items, each of which becomes an object.
"""

from typing import BinaryIO

from camray.domain.errors import DicomError
from camray.domain.records import RefusalReason

MAX_READS = 2**18  # one or two to an element, one to an item; films have a few hundred elements
MAX_VALUE_BYTES = 2**22  # of an element that is used; lookup tables, the largest of them, have 2**17


class LimitedReads:
    """A file that is read a limited number of times: a data set of as many elements is no film's header.

    Parameters
    ----------
    source : binary file
        Its position is shared.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._read, self._left = source.read, MAX_READS
        self.seek, self.tell = source.seek, source.tell

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises
        ------
        DicomError
            With ``UNREADABLE_HEADER`` after `MAX_READS` calls.
        """
        self._left -= 1
        self.check()
        return self._read(size)

    def check(self) -> None:
        """Raise the error of `read` again: within a sequence pydicom raises one of its own in its place."""
        if self._left < 0:
            raise DicomError(
                RefusalReason.UNREADABLE_HEADER,
                f"its header has more elements and items than {MAX_READS} reads can take in; expected a film",
            )


def check_length(length: int) -> None:
    """Refuse a value that is too long to be parsed.

    Raises
    ------
    DicomError
        With ``UNREADABLE_HEADER``.
    """
    if length > MAX_VALUE_BYTES:
        raise DicomError(
            RefusalReason.UNREADABLE_HEADER,
            f"an element of the header has {length} bytes; expected at most {MAX_VALUE_BYTES}",
        )
