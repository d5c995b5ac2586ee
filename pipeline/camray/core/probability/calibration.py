"""What a network's logit means: the map from raw logits to the probability that leaves camray, one per label.

A network trained with positive weights does not give probabilities: where positives count w times, the best logit is
``log w`` above that of the true probability. The fit on validation films (`camray.core.probability.fit`) undoes this
and the network's over-confidence at once. A probability then holds for films with the prevalence of those films;
`LabelCalibration.moved_to` carries it to another prevalence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from camray.core.probability.logistic import probabilities_of

Kind = Literal["none", "shift", "logistic", "isotonic"]
OLDER_RUN = "thresholds of an earlier version, which did not calibrate; repeat `camray localize RUN --force`"


@dataclass(frozen=True)
class LabelCalibration:
    """From a label's raw logit to its probability, and what that rests on.

    Parameters
    ----------
    label : str
        Finding.
    kind : {'none', 'shift', 'logistic', 'isotonic'}
        ``none``: no probability is stated. ``shift``: logit + shift. ``logistic``: slope x logit + shift (temperature
        1 / slope). ``isotonic``: `knots`, joined by straight lines, the outermost held.
    slope, shift : float
        Of ``shift`` and ``logistic``; slope above 0.
    knots : tuple of (float, float)
        Of ``isotonic``: raw and calibrated logit, both ascending.
    split : str or None
        Split of the films that chose and fitted it.
    n, positives, patients : int
        These films, those of them with the finding, and their patients.
    prevalence : float or None
        Of these films, each patient counting once; None without a fit.
    criterion : str
        What was compared, as text.
    digest : str
        SHA-256 of these films' logits, labels and patients.
    site_prevalence : float or None
        Prevalence that the probabilities are moved to; None: that of these films.
    reason : str
        Why no probability is stated; empty if one is.
    """

    label: str
    kind: Kind = "none"
    slope: float = 1.0
    shift: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    split: str | None = None
    n: int = 0
    positives: int = 0
    patients: int = 0
    prevalence: float | None = None
    criterion: str = ""
    digest: str = ""
    site_prevalence: float | None = None
    reason: str = ""

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn raw logits into probabilities.

        Parameters
        ----------
        logits : ndarray of any shape, floating
            Of the network.

        Returns
        -------
        ndarray of the same shape, float64
            0-1, in the order of the logits; NaN where the label is not calibrated.
        """
        raw = np.asarray(logits, np.float64)
        if self.kind == "none":
            return np.full(raw.shape, np.nan)
        if self.kind == "isotonic":
            at, value = np.array(self.knots, np.float64).T
            calibrated = np.interp(raw, at, value)
        else:
            calibrated = self.slope * raw + self.shift
        return probabilities_of(np.asarray(calibrated + self._prior_shift))

    def moved_to(self, prevalence: float) -> "LabelCalibration":
        """Return the map for films of another prevalence; the same where no probability is stated."""
        return self if self.kind == "none" else replace(self, site_prevalence=prevalence)

    @property
    def _prior_shift(self) -> float:
        """Difference of the two prevalences' log-odds."""
        if self.site_prevalence is None or self.prevalence is None:
            return 0.0
        return log_odds(self.site_prevalence) - log_odds(self.prevalence)


def log_odds(probability: float) -> float:
    """Return the logit of a probability.

    Examples
    --------
    >>> round(log_odds(0.75), 6)  # log 3
    1.098612
    """
    return float(np.log(probability) - np.log1p(-probability))


def calibrated_probabilities(
    logits: NDArray[np.floating], calibrations: Sequence[LabelCalibration]
) -> NDArray[np.float64]:
    """Turn the logits of some films into the probabilities that leave camray.

    Parameters
    ----------
    logits : ndarray of shape (N, L), floating
        Raw.
    calibrations : sequence of LabelCalibration
        L of them, in the order of the columns.

    Returns
    -------
    ndarray of shape (N, L), float64
        NaN in the columns of labels that are not calibrated.
    """
    columns = [each.probabilities(logits[:, number]) for number, each in enumerate(calibrations)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(logits), 0))
