"""Lung zones: a side, and a third of the lung's height."""

from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """The patient's side. On PA and AP films the patient's right is on the left of the image."""

    RIGHT = "right"
    LEFT = "left"


class Third(StrEnum):
    """Thirds of a lung's height on the film, from the apex down; they are not lobes."""

    UPPER = "upper"
    MID = "mid"
    LOWER = "lower"


class LungSource(StrEnum):
    """Method that segmented the lungs of a film."""

    NETWORK = "network"  # the trained lung-region generator
    CLASSICAL = "classical"  # thresholds and shapes, if the generator's result is not a pair of lungs
    NONE = "none"  # neither result is plausible


OUTSIDE: Final = "outside"  # the box is outside the lungs
UNKNOWN: Final = "unknown"  # the film has no lung segmentation
NO_BOX: Final = ""  # there is no box
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
    """Return the side of DICOM's Image Laterality (0020,0062): None for B, U or an empty value."""
    return {"R": Side.RIGHT, "L": Side.LEFT}.get(laterality)
