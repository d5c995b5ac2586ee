"""Box thresholds, report cutoffs and promises: records of what ``localize`` chose, and where it was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from camray.core.imaging.film_range import FilmRange
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.probability.calibration import OLDER_RUN, LabelCalibration, calibrated_probabilities, log_odds
from camray.core.probability.logistic import probabilities_of
from camray.core.probability.promise import Promise
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
    """Output of the network from which a finding is reported.

    Parameters
    ----------
    label : str
        Finding.
    output : float
        Logistic of the raw logit, 0-1: no probability. Films are compared with it on this scale, so that a calibration
        changes no box.
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
    output: float
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
    calibrations : tuple of LabelCalibration
        One per label; none in runs of versions that did not calibrate.
    promises : tuple of Promise
        One per label; none in runs of versions that promised nothing.
    films : FilmRange or None
        Which films are like those of training; None: not looked at.
    """

    boxes: tuple[BoxThreshold, ...]
    cutoffs: tuple[ReportCutoff, ...]
    notes: tuple[str, ...] = ()
    calibrations: tuple[LabelCalibration, ...] = ()
    promises: tuple[Promise, ...] = ()
    films: FilmRange | None = None

    @property
    def cutoff_of(self) -> dict[str, float]:
        """Report cutoff of each label, as an output of the network."""
        return {cutoff.label: cutoff.output for cutoff in self.cutoffs}

    def calibration_of(self, label: str) -> LabelCalibration:
        """Return a label's calibration; one that states no probability where the run has none."""
        known = {each.label: each for each in self.calibrations}
        return known.get(label, LabelCalibration(label, reason=OLDER_RUN))

    def probabilities(self, labels: Sequence[str], logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn raw logits into the probabilities that leave camray.

        Parameters
        ----------
        labels : sequence of str
            L of them.
        logits : ndarray of shape (N, L), floating
            Raw.

        Returns
        -------
        ndarray of shape (N, L), float64
            0-1; NaN in the columns of labels of which none is stated.
        """
        return calibrated_probabilities(logits, [self.calibration_of(label) for label in labels])

    def cutoff_pair(self, label: str, report: str) -> tuple[float, float]:
        """Return the outputs below which a finding is denied, and from which it is reported.

        Parameters
        ----------
        label : str
            Finding.
        report : {'judged', 'cutoff', 'all'}
            As of `reported`; only of ``judged`` may the two differ.
        """
        if report == "all":
            return 0.0, 0.0
        one = self.cutoff_of[label]
        known = {each.label: each for each in self.promises} if report == "judged" else {}
        return known[label].cutoffs(one) if label in known else (one, one)

    def probability_cutoff(self, label: str, report: str) -> float:
        """Return from which probability a finding is reported; NaN where none is stated."""
        return float(self.calibration_of(label).probabilities(np.array(self.logit_cutoff(label, report))))

    def logit_cutoff(self, label: str, report: str) -> float:
        """Return from which raw logit a finding is reported; infinite for an output of 0 or 1."""
        with np.errstate(divide="ignore"):
            return log_odds(min(self.cutoff_pair(label, report)[1], 1.0))

    def reported(self, label: str, logits: NDArray[np.floating], report: str) -> NDArray[np.bool_]:
        """Tell on which films a finding is reported.

        Parameters
        ----------
        label : str
            Finding.
        logits : ndarray of shape (N,), floating
            Raw, of its films.
        report : {'judged', 'cutoff', 'all'}
            Films whose output reaches the upper cutoff, unless the finding is not judged; those that reach the one
            cutoff, of every finding; or all.

        Returns
        -------
        ndarray of shape (N,), bool
        """
        is_judged = report != "judged" or label not in self.not_judged
        return np.asarray((probabilities_of(logits) >= self.cutoff_pair(label, report)[1]) & is_judged)

    def why_not_judged(self, label: str, logits: NDArray[np.floating], report: str) -> NDArray[np.object_]:
        """Say of each film why a finding is neither reported nor denied.

        Parameters
        ----------
        label, logits, report
            As of `reported`.

        Returns
        -------
        ndarray of shape (N,), object
            Texts; empty where it is judged.
        """
        outputs, reasons = probabilities_of(logits), np.full(len(logits), "", object)
        if report != "judged":
            return reasons
        lower, upper = self.cutoff_pair(label, report)
        for promise in self.promises:
            if promise.label == label:
                reasons[(outputs >= lower) & (outputs < upper)] = promise.between
        reasons[:] = self.not_judged.get(label, reasons)
        return reasons

    def moved_to(self, prevalences: Mapping[str, float]) -> "Thresholds":
        """Return the same thresholds with probabilities and promises for other prevalences, by label."""
        moved = tuple(
            each.moved_to(prevalences[each.label]) if each.label in prevalences else each for each in self.calibrations
        )
        promises = tuple(
            each.moved_to(prevalences[each.label]) if each.label in prevalences else each for each in self.promises
        )
        return replace(self, calibrations=moved, promises=promises)

    @property
    def not_judged(self) -> dict[str, str]:
        """Findings that are judged on no film, each with the reason."""
        return {cutoff.label: cutoff.not_judged for cutoff in self.cutoffs if cutoff.not_judged}
