"""Results of films, as programs receive them: findings with boxes, heat maps with their grid, or a refusal."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from camray.domain.geometry import Box
from camray.domain.records import RefusalReason


class Verdict(StrEnum):
    """What is said of one finding on one film."""

    REPORTED = "reported"
    NOT_REPORTED = "not reported"
    NOT_JUDGED = "not judged"  # neither reported nor denied


@dataclass(frozen=True)
class PredictedBox:
    """One box of a finding.

    Parameters
    ----------
    box : Box
        Native grid, px, half-open, origin at the outer corner of the first pixel.
    score : float
        Heat of its region.
    """

    box: Box
    score: float


@dataclass(frozen=True)
class PredictedFinding:
    """One finding on one film.

    Parameters
    ----------
    name : str
        Label of the model.
    verdict : Verdict
        As the run's settings report findings.
    probability : float or None
        Calibrated, 0-1; None where none is stated.
    logit : float
        Raw output of the network.
    boxes : tuple of PredictedBox
        Best first, whatever the verdict; empty where the map has no localization.
    peak_xy : (float, float) or None
        The map's peak, native px; None where the map is constant.
    not_judged : str
        Why the finding is not judged; empty if it is.
    no_probability : str
        Why no probability is stated; empty if one is.
    """

    name: str
    verdict: Verdict
    probability: float | None
    logit: float
    boxes: tuple[PredictedBox, ...]
    peak_xy: tuple[float, float] | None
    not_judged: str = ""
    no_probability: str = ""


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Raw heat maps of one film.

    Parameters
    ----------
    method : str
        Explanation method.
    labels : tuple of str
        L findings, in the order of the maps.
    values : ndarray of shape (L, h, w), float32
        Raw and signed, not smoothed; read-only.
    extent : Box
        What the h x w cells cover, native px; beyond the film's edges where the model grid has margins beside it. Cell
        (r, c) begins at ``x0 + c * (x1 - x0) / w`` and ``y0 + r * (y1 - y0) / h``.
    """

    method: str
    labels: tuple[str, ...]
    values: NDArray[np.float32]
    extent: Box

    def __post_init__(self) -> None:
        self.values.setflags(write=False)

    def of(self, label: str) -> NDArray[np.float32]:
        """Return the map of one finding, [h, w].

        Raises
        ------
        KeyError
            If there is none.
        """
        if label not in self.labels:
            raise KeyError(f"no map of '{label}'; there are maps of {', '.join(self.labels)}")
        heat: NDArray[np.float32] = self.values[self.labels.index(label)]
        return heat


@dataclass(frozen=True)
class PredictedFilm:
    """All findings on one film.

    Parameters
    ----------
    source : str
        The path as it was given; of bytes and arrays the film's number among the films given, from 0.
    image_id : str
        SOP Instance UID; of films without one the file's stem, or the number.
    rows, cols : int
        Native grid, px.
    findings : tuple of PredictedFinding
        Every label of the model, in its order.
    maps : HeatMaps or None
        The maps that the boxes were drawn from, where they are asked for.
    """

    source: str
    image_id: str
    rows: int
    cols: int
    findings: tuple[PredictedFinding, ...]
    maps: HeatMaps | None = None

    @property
    def reported(self) -> tuple[PredictedFinding, ...]:
        """Findings that are reported; empty for a film without."""
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.REPORTED)

    def finding(self, name: str) -> PredictedFinding:
        """Return one finding.

        Raises
        ------
        KeyError
            If the model does not know it.
        """
        by_name = {finding.name: finding for finding in self.findings}
        if name not in by_name:
            raise KeyError(f"no finding '{name}'; the model knows {', '.join(by_name)}")
        return by_name[name]


@dataclass(frozen=True)
class RefusedFilm:
    """A film that cannot be used. It has no findings: nothing is known of it, which is not the same as nothing found.

    Parameters
    ----------
    source, image_id : str
        As of a `PredictedFilm`.
    reason : RefusalReason
        From the closed list.
    message : str
        What was read and what was expected.
    """

    source: str
    image_id: str
    reason: RefusalReason
    message: str


@dataclass(frozen=True)
class ExplainedFilm:
    """Maps of one film by a method of choice.

    Parameters
    ----------
    source, image_id, rows, cols
        As of a `PredictedFilm`.
    maps : HeatMaps
        Of the findings that were asked for.
    """

    source: str
    image_id: str
    rows: int
    cols: int
    maps: HeatMaps


@dataclass(frozen=True, eq=False)
class FilmPicture:
    """One film as all stages see it, and facts from its header; nothing that identifies a patient.

    Parameters
    ----------
    pixels : ndarray of shape (rows, cols), float32
        0 black to 1 white as a display shows it: window applied, MONOCHROME1 inverted; native grid; read-only.
    row_spacing_mm, col_spacing_mm : float or None
        Distance between rows and between columns.
    spacing_source : str
        ``pixel``, ``imager`` (at the detector, not in the patient), ``nominal`` (scanned film), ``aspect`` (only the
        ratio is known) or ``none``.
    photometric : str
        As stored; `pixels` are never inverted.
    bits_stored : int
        As stored.
    modality, view, laterality : str
        Code strings; empty where unknown. `view` is ``PA``, ``AP``, ``LL``, ...
    note : str
        Why the film is not displayed as its header says; empty if it is.
    """

    pixels: NDArray[np.float32]
    row_spacing_mm: float | None
    col_spacing_mm: float | None
    spacing_source: str
    photometric: str
    bits_stored: int
    modality: str
    view: str
    laterality: str
    note: str = ""

    def __post_init__(self) -> None:
        self.pixels.setflags(write=False)
