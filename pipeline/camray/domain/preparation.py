"""Changes of a film before a network sees it, against shortcuts: masking and equalized grey levels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_BORDER = 0.25


@dataclass(frozen=True)
class FilmPreparation:
    """How films are changed before training and before prediction; the default changes nothing.

    Parameters
    ----------
    mask_border : float
        Width of the border that is painted over, fraction of the film's height and width.
    mask_markers : bool
        Whether burnt-in text and markers outside the lungs are painted over.
    equalize : bool
        Whether all films get the same, even distribution of grey levels.

    Raises
    ------
    ValueError
        If the border is negative or too wide.
    """

    mask_border: float = 0.0
    mask_markers: bool = False
    equalize: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.mask_border <= MAX_BORDER:
            raise ValueError(f"mask_border is {self.mask_border}; expected a fraction from 0 to {MAX_BORDER}")

    @property
    def needs_lungs(self) -> bool:
        """Whether the lungs must be found on each film."""
        return self.mask_markers

    @property
    def is_identity(self) -> bool:
        """Whether films stay as they are."""
        return self == UNCHANGED


UNCHANGED = FilmPreparation()


def preparation_from_json(plain: Mapping[str, Any]) -> FilmPreparation:
    """Read a preparation from its JSON; missing keys, as in older files, change nothing.

    Raises
    ------
    ValueError
        If a key is unknown, or a value is not legal.
    """
    unknown = sorted(set(plain) - set(FilmPreparation.__dataclass_fields__))
    if unknown:
        raise ValueError(f"preparation: unknown keys {unknown}; the films were prepared by a newer version of camray")
    return FilmPreparation(**plain)
