"""Box thresholds and report cutoffs: records of what ``localize`` chose, and where it was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from camray.core.localization.box_recipes import BoxRecipe
from camray.domain.records import ThresholdSource


@dataclass(frozen=True)
class BoxThreshold:
    """Threshold and recipe for the boxes of one method and label.

    Parameters
    ----------
    id : str
        ``<policy>/<method>/<label>``, unique within a run.
    method, label, policy : str
        Explanation method, finding, and threshold policy of the settings.
    source : ThresholdSource
        Where the threshold was chosen.
    recipe : BoxRecipe
        From a raw map to its box and hit point.
    split : str or None
        Split whose boxes it was chosen on; None if no boxes were used.
    criterion : str
        What was optimized, as text.
    n : int
        Number of films it was chosen on: annotated ones, or those that gave the background.
    reached : mapping of str to float
        Value of the criterion's measures on these films; empty if no boxes were used.
    """

    id: str
    method: str
    label: str
    policy: str
    source: ThresholdSource
    recipe: BoxRecipe
    split: str | None
    criterion: str
    n: int
    reached: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportCutoff:
    """Probability from which a finding is reported.

    Parameters
    ----------
    label : str
        Finding.
    probability : float
        0-1.
    split : str or None
        Split it was chosen on; None if that split lacks one of the two classes.
    criterion : str
        What was optimized, as text.
    n : int
        Number of films it was chosen on.
    not_judged : str
        Why the finding is neither reported nor denied: these films show it no better than chance; else empty.
    """

    label: str
    probability: float
    split: str | None
    criterion: str
    n: int
    not_judged: str = ""


@dataclass(frozen=True)
class Thresholds:
    """All thresholds of a run.

    Parameters
    ----------
    boxes : tuple of BoxThreshold
        In the order of the predictions.
    cutoffs : tuple of ReportCutoff
        One per label.
    notes : tuple of str
        What could not be chosen, and why.
    """

    boxes: tuple[BoxThreshold, ...]
    cutoffs: tuple[ReportCutoff, ...]
    notes: tuple[str, ...] = ()

    @property
    def cutoff_of(self) -> dict[str, float]:
        """Report cutoff of each label, as a probability."""
        return {cutoff.label: cutoff.probability for cutoff in self.cutoffs}

    @property
    def not_judged(self) -> dict[str, str]:
        """Findings that are not judged, each with the reason."""
        return {cutoff.label: cutoff.not_judged for cutoff in self.cutoffs if cutoff.not_judged}
