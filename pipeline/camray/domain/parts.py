"""Shares of a stage's work: part I of N does every N-th shard."""

import re
from dataclasses import dataclass

from camray.domain.errors import SettingsError

MOST_PARTS = 100_000


@dataclass(frozen=True, order=True)
class Part:
    """One of several processes that share a stage's work.

    Parameters
    ----------
    of : int
        Number of parts.
    number : int
        Which one, from 1.
    """

    of: int
    number: int

    def owns(self, unit: int) -> bool:
        """Return whether a unit of work (a shard, from 0) is this part's."""
        return unit % self.of == self.number - 1

    def __str__(self) -> str:
        """Return ``2/5``."""
        return f"{self.number}/{self.of}"


def parse_part(text: str) -> Part:
    """Read ``I/N``.

    Raises
    ------
    SettingsError
        If it is not two whole numbers with I from 1 to N.

    Examples
    --------
    >>> parse_part("2/5")
    Part(of=5, number=2)
    """
    match = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", text.strip())
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of <= MOST_PARTS:
        raise SettingsError(
            f"--part {text}: expected I/N, two whole numbers with I from 1 to N and N at most {MOST_PARTS}, for "
            "instance 2/5, the second of five parts"
        )
    return Part(of, number)
