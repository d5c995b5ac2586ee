"""Results of one film, as every export format states them."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from camray.domain.finding_sites import Site, site_of
from camray.domain.geometry import Box
from camray.domain.labels import Finding
from camray.domain.object_identity import uid_of
from camray.domain.zones import ZONES, Third

UNVERIFIED: Final = "AI, not verified"
_THIRDS: Final = {Third.MID.value: "middle"}
STEPS_PER_PX: Final = 256  # coordinates are whole multiples of 1/256 px: exact in DICOM's 32-bit floats up to 65,536 px


def certainty_text(probability: float | None, *, is_reported: bool, is_judged: bool) -> str:
    """Return a probability as text; words where none is stated, and of a finding that is neither reported nor judged.

    Examples
    --------
    >>> certainty_text(0.876, is_reported=True, is_judged=True)
    '0.88'
    >>> certainty_text(0.876, is_reported=False, is_judged=False)
    'not judged'
    """
    if not (is_reported or is_judged):
        return "not judged"
    if probability is not None:
        return f"{probability:.2f}"
    return "reported" if is_reported else "not reported"


@dataclass(frozen=True)
class Algorithm:
    """The model, thresholds and explanation method that made a result.

    Parameters
    ----------
    name : str
        Name of the trained model: the settings' name.
    version : str
        Version of camray, code digest included.
    model_digest : str
        SHA-256 of the weights, 64 hexadecimal digits.
    threshold_digest : str
        SHA-256 of the thresholds, 64 hexadecimal digits.
    method : str
        Explanation method whose maps became boxes.
    """

    name: str
    version: str
    model_digest: str
    threshold_digest: str
    method: str


@dataclass(frozen=True)
class ScoredBox:
    """One box with its score; a finding's boxes are ordered by score.

    Parameters
    ----------
    box : Box
        Native grid, px, whole multiples of ``1 / STEPS_PER_PX``.
    score : float
        Heat of its region.
    zone : str
        One of `camray.domain.zones.ZONES`, for instance ``right upper``; ``outside``, ``unknown`` or empty otherwise.
    """

    box: Box
    score: float
    zone: str = ""


@dataclass(frozen=True)
class FindingResult:
    """One finding on one film.

    Parameters
    ----------
    finding : Finding
        With its code, if the data manifest has one.
    probability : float or None
        Calibrated, 0-1; None where none is stated.
    cutoff : float or None
        Probability from which the finding is reported; None likewise.
    is_reported : bool
        The network's output reaches the cutoff, or all findings are requested.
    boxes : tuple of ScoredBox
        Empty if the finding is not reported, or the map has no localization.
    threshold_source : str
        How the heat threshold was chosen.
    not_judged : str
        Why the finding is neither reported nor denied; empty if it is judged.
    no_probability : str
        Why no probability is stated; empty if one is.
    """

    finding: Finding
    probability: float | None
    cutoff: float | None
    is_reported: bool
    boxes: tuple[ScoredBox, ...] = ()
    threshold_source: str = ""
    not_judged: str = ""
    no_probability: str = ""

    @property
    def name(self) -> str:
        """Name of the finding."""
        return self.finding.name

    @property
    def certainty(self) -> str:
        """As `certainty_text`."""
        return certainty_text(self.probability, is_reported=self.is_reported, is_judged=not self.not_judged)

    @property
    def summary(self) -> str:
        """Name and probability, with the warning."""
        return f"{self.name} {self.certainty} ({UNVERIFIED})"

    def box_summary(self, box: ScoredBox) -> str:
        """Return the summary with the box's lung zone and side, where they are known and the finding may be there."""
        if box.zone not in ZONES or site_of(self.finding) not in (Site.LUNG, Site.PLEURA, Site.UNKNOWN):
            return self.summary
        side, _, third = box.zone.partition(" ")
        zone = f"{side} {_THIRDS.get(third, third)} zone"
        return f"{self.name} {self.certainty}, {zone} ({UNVERIFIED})"


@dataclass(frozen=True)
class FilmResult:
    """All findings on one film.

    Parameters
    ----------
    image_id : str
        As in the images table.
    rows, cols : int
        Native grid.
    laterality : str
        ``L`` or ``R`` for a film of one side; else empty.
    findings : tuple of FindingResult
        Every label of the model, in its order.
    algorithm : Algorithm
        The model, thresholds and method that made them.
    """

    image_id: str
    rows: int
    cols: int
    laterality: str
    findings: tuple[FindingResult, ...]
    algorithm: Algorithm = field(repr=False)

    @property
    def reported(self) -> tuple[FindingResult, ...]:
        """Findings that are reported; empty for a film without."""
        return tuple(finding for finding in self.findings if finding.is_reported)

    def tracking_uid(self, finding: FindingResult, number: int) -> str:
        """Return the tracking UID of a finding's box, the same in every object of this result."""
        box = finding.boxes[number].box.as_tuple()
        return uid_of("tracking", self.image_id, self.algorithm.model_digest, finding.name, repr(box))

    def digest(self, *more: str) -> str:
        """SHA-256 over the whole result and further texts; of each finding it includes name and code."""
        findings = tuple(
            replace(result, finding=Finding(result.finding.name, result.finding.code)) for result in self.findings
        )
        plain: dict[str, Any] = {"result": asdict(replace(self, findings=findings)), "more": more}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def on_export_grid(box: Box, rows: int, cols: int) -> Box | None:
    """Round a box's corners to 1/256 px, so that every format has exactly the same numbers.

    Parameters
    ----------
    box : Box
        Native grid, px.
    rows, cols : int
        Native grid; the box is clipped to it.

    Returns
    -------
    Box or None
        No corner moves by more than 1/512 px; None if no area is left.

    Examples
    --------
    >>> on_export_grid(Box(1 / 3, 0.0, 2.0, 9.0), 4, 4)
    Box(x0=0.33203125, y0=0.0, x1=2.0, y1=4.0)
    """
    inside = box.clipped(rows, cols)
    if inside is None:
        return None
    x0, y0, x1, y1 = (round(side * STEPS_PER_PX) / STEPS_PER_PX for side in inside.as_tuple())
    return Box(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
