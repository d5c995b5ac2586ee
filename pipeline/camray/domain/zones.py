"""Where in the chest a box lies, in a radiologist's words: a side, and a third of that lung's height."""

from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """The patient's side. On PA and AP films the patient's right is at the left of the picture."""

    RIGHT = "right"
    LEFT = "left"


class Third(StrEnum):
    """Thirds of a lung's height on the film, from the apex down; they are not lobes."""

    UPPER = "upper"
    MID = "mid"
    LOWER = "lower"


class LungSource(StrEnum):
    """How a film's lungs were found."""

    NETWORK = "network"  # the trained lung-region generator
    CLASSICAL = "classical"  # thresholds and shapes, where the generator's answer was no pair of lungs
    NONE = "none"  # neither gave anything plausible


OUTSIDE: Final = "outside"  # the lungs are known, and the box lies off them
UNKNOWN: Final = "unknown"  # no lungs were found on the film
NO_BOX: Final = ""  # the map holds no localization
ZONES: Final = tuple(f"{side} {third}" for side in Side for third in Third)


def zone_name(side: Side, third: Third) -> str:
    """Name a zone.

    Examples
    --------
    >>> zone_name(Side.RIGHT, Third.UPPER)
    'right upper'
    """
    return f"{side} {third}"


def side_of_laterality(laterality: str) -> Side | None:
    """Read DICOM's Image Laterality (0020,0062): one side for R and L, None for B, U or nothing."""
    return {"R": Side.RIGHT, "L": Side.LEFT}.get(laterality)
