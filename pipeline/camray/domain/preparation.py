"""Changes of a film before a network sees it, against shortcuts: masking, cropping and equalized grey levels."""

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
    crop_lungs : bool
        Whether the model grid is fitted to the lungs instead of the whole film.
    crop_margin : float
        Margin around the lungs on each side, fraction of their box's height and width; only for `crop_lungs`.

    Raises
    ------
    ValueError
        If the border or the margin is negative or too wide.
    """

    mask_border: float = 0.0
    mask_markers: bool = False
    equalize: bool = False
    crop_lungs: bool = False
    crop_margin: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.mask_border <= MAX_BORDER:
            raise ValueError(f"mask_border is {self.mask_border}; expected a fraction from 0 to {MAX_BORDER}")
        if not 0 <= self.crop_margin < 1:
            raise ValueError(f"crop_margin is {self.crop_margin}; expected a fraction from 0 to below 1")

    @property
    def needs_lungs(self) -> bool:
        """Whether the lungs must be found on each film."""
        return self.mask_markers or self.crop_lungs

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
