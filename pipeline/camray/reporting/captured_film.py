"""Content of a secondary capture: film with markers, findings with their colours."""

from collections.abc import Sequence
from dataclasses import dataclass

from camray.domain.geometry import Box
from camray.reporting.overlays import GreyImage
from camray.reporting.picture_text import Rgb

# Okabe and Ito's colours for all kinds of colour vision, without black, those that differ most from grey first
FINDING_RGB: tuple[Rgb, ...] = (
    *((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178)),
)
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "F": "H", "H": "F"}


@dataclass(frozen=True)
class EdgeMarkers:
    """Letters at the edges of a film: directions in the patient; `top` may be the side of a film of one side."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""


@dataclass(frozen=True, eq=False)
class CapturedFinding:
    """A reported finding as the capture shows it.

    Parameters
    ----------
    name, score, note : str
        Name, in letters that a font has; probability as text, or in words; what the legend adds.
    rgb : tuple of int
        One of `FINDING_RGB`.
    heat01 : ndarray of the display's shape, float32, or None
        Evidence divided by its maximum.
    boxes : tuple of Box
        Native grid, px.
    """

    name: str
    score: str
    note: str
    rgb: Rgb
    heat01: GreyImage | None
    boxes: tuple[Box, ...]


@dataclass(frozen=True, eq=False)
class CapturedFilm:
    """A film as the capture shows it.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Native grid, 0 black to 1 white.
    markers : EdgeMarkers
        Directions in the patient.
    lines : tuple of str
        Below the findings: view, study date, model; no identifier.
    col_spacing_mm : float or None
        Distance between the film's columns; with it a ruler of `RULER_MM` is drawn.
    """

    pixels: GreyImage
    markers: EdgeMarkers
    lines: tuple[str, ...] = ()
    col_spacing_mm: float | None = None


def edge_markers(orientation: Sequence[str], laterality: str) -> EdgeMarkers:
    """Return the markers that a header's values mean.

    Parameters
    ----------
    orientation : sequence of str
        Patient Orientation (PS3.3 C.7.6.1.1.1): directions of the rows and of the columns; empty where unknown.
    laterality : str
        ``L`` or ``R`` for a film of one side; else empty.

    Examples
    --------
    >>> edge_markers(["L", "F"], "")
    EdgeMarkers(left='R', right='L', top='', bottom='')
    >>> edge_markers([], "R")
    EdgeMarkers(left='', right='', top='R', bottom='')
    """
    right, bottom = (str(value)[:1] for value in orientation) if len(orientation) == 2 else ("", "")
    if right not in _OPPOSITE or bottom not in _OPPOSITE:
        return EdgeMarkers(top=laterality)
    if bottom == "F":  # upright, as expected
        return EdgeMarkers(_OPPOSITE[right], right)
    return EdgeMarkers(_OPPOSITE[right], right, _OPPOSITE[bottom], bottom)


def colours_for(names: Sequence[str], reported: Sequence[str]) -> dict[str, Rgb]:
    """Return the colour of each reported finding.

    Parameters
    ----------
    names : sequence of str
        All findings of the model. If there are as many colours, a finding has the same one on every film.
    reported : sequence of str
        Findings to colour, a subset of `names`. From the eighth on, colours repeat.
    """
    coloured = names if len(names) <= len(FINDING_RGB) else reported
    return {name: FINDING_RGB[number % len(FINDING_RGB)] for number, name in enumerate(coloured) if name in reported}
