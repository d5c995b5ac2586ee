"""Fit of a label's calibration on validation films: which of three monotone maps, chosen by left-out patients.

- ``shift``: logit + b, what a positive weight or another prevalence asks for. A weight w raises the best logit by
  log w; b takes it back as the films show it, so that the weights themselves need not be known.
- ``logistic``: a x logit + b (Platt 1999), which is temperature scaling (Guo et al., ICML 2017) with a shift.
- ``isotonic``: the non-decreasing map of highest likelihood; only from `ISOTONIC_PATIENTS` patients on, because with
  fewer it follows single films.

Each patient counts once, however many films there are of one. Fits aim at Platt's targets, (n1 + 1) / (n1 + 2) for
films with the finding and 1 / (n0 + 2) for the others (n1, n0 patients), so that films that separate perfectly do not
lead to certainty.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize

from camray.core.probability.calibration import Kind, LabelCalibration, log_odds
from camray.core.probability.logistic import probabilities_of

LEAST_PATIENTS = 10  # with the finding, and without
ISOTONIC_PATIENTS = 1000
FOLDS = 5
SLOPES = (0.05, 20.0)
_CRITERION = f"lowest negative log-likelihood of left-out patients, {FOLDS} folds, each patient counting once"


@dataclass(frozen=True, eq=False)
class KnownFilms:
    """Films on which a label is known to be present or absent.

    Parameters
    ----------
    logits : ndarray of shape (N,), float64
        Raw, finite.
    present : ndarray of shape (N,), bool
        What the label table says.
    patients : ndarray of shape (N,), int64
        Number of each film's patient.
    """

    logits: NDArray[np.float64]
    present: NDArray[np.bool_]
    patients: NDArray[np.int64]

    def part(self, chosen: NDArray[np.bool_]) -> "KnownFilms":
        """Return some of the films.

        Parameters
        ----------
        chosen : ndarray of shape (N,), bool
            Which.

        Returns
        -------
        KnownFilms
            In the same order.
        """
        return KnownFilms(self.logits[chosen], self.present[chosen], self.patients[chosen])

    def weights(self) -> NDArray[np.float64]:
        """Let each patient count once.

        Returns
        -------
        ndarray of shape (N,), float64
            1 / (films of the patient).
        """
        _, number, films = np.unique(self.patients, return_inverse=True, return_counts=True)
        return np.asarray(1.0 / films[number])

    def digest(self) -> str:
        """SHA-256 of the films."""
        arrays = (self.logits.astype("<f8"), self.present.astype("u1"), self.patients.astype("<i8"))
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def fit_calibration(label: str, films: KnownFilms, split: str) -> LabelCalibration:
    """Choose and fit a label's calibration.

    Parameters
    ----------
    label : str
        Finding.
    films : KnownFilms
        Validation films; never those that are scored.
    split : str
        Their split, for the record.

    Returns
    -------
    LabelCalibration
        Of kind ``none``, with the reason, where fewer than `LEAST_PATIENTS` patients have films with the finding, or
        fewer have films without.
    """
    with_it, without = (len(np.unique(films.patients[films.present == value])) for value in (True, False))
    counted = LabelCalibration(
        label=label,
        split=split,
        n=len(films.logits),
        positives=int(films.present.sum()),
        patients=len(np.unique(films.patients)),
        digest=films.digest(),
    )
    if min(with_it, without) < LEAST_PATIENTS:
        reason = (
            f"{with_it} {split} patients with the finding and {without} without; "
            f"a probability needs {LEAST_PATIENTS} of each"
        )
        return replace(counted, reason=reason)
    kinds: list[Kind] = ["shift", "logistic"]
    if counted.patients >= ISOTONIC_PATIENTS:
        kinds.append("isotonic")
    losses = {kind: left_out_loss(kind, films) for kind in kinds}
    best = min(kinds, key=lambda kind: losses[kind])  # of equal ones the simplest
    compared = ", ".join(f"{kind} {loss:.4f}" for kind, loss in losses.items())
    weights = films.weights()
    return replace(
        fitted(best, counted, films),
        prevalence=float((weights * films.present).sum() / weights.sum()),
        criterion=f"{_CRITERION}: {compared}",
    )


def left_out_loss(kind: Kind, films: KnownFilms) -> float:
    """Return the negative log-likelihood of each fold's patients under the fit on the others.

    Parameters
    ----------
    kind : str
        Of calibration.
    films : KnownFilms
        With at least two patients of each class.

    Returns
    -------
    float
        Mean over patients, in nats.
    """
    fold, weights, total = _folds(films), films.weights(), 0.0
    for number in range(FOLDS):
        left_out = fold == number
        calibration = fitted(kind, LabelCalibration(""), films.part(~left_out))
        probability = calibration.probabilities(films.logits[left_out])
        of_truth = np.where(films.present[left_out], probability, 1 - probability)
        total -= float((weights[left_out] * np.log(np.maximum(of_truth, 1e-300))).sum())
    return total / float(weights.sum())


def _folds(films: KnownFilms) -> NDArray[np.int64]:
    """Deal the patients with the finding, then the others, to the folds in turn; return each film's fold, [N]."""
    patients, number = np.unique(films.patients, return_inverse=True)
    has_it = np.bincount(number, weights=films.present) > 0
    fold_of_patient = np.zeros(len(patients), np.int64)
    for group in (np.flatnonzero(has_it), np.flatnonzero(~has_it)):
        fold_of_patient[group] = np.arange(len(group)) % FOLDS
    return fold_of_patient[number]


def fitted(kind: Kind, calibration: LabelCalibration, films: KnownFilms) -> LabelCalibration:
    """Return a calibration with the map of one kind that fits some films best."""
    weights = films.weights()
    n_present, n_absent = (float(weights[films.present == value].sum()) for value in (True, False))
    targets = np.where(films.present, (n_present + 1) / (n_present + 2), 1 / (n_absent + 2))
    if kind == "isotonic":
        return replace(calibration, kind=kind, knots=_isotonic_knots(films.logits, targets, weights))
    slope, shift = _line(films.logits, targets, weights, SLOPES if kind == "logistic" else (1.0, 1.0))
    return replace(calibration, kind=kind, slope=slope, shift=shift)


def _line(
    logits: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
    slopes: tuple[float, float],
) -> tuple[float, float]:
    """Return slope (within its limits) and shift of the line of logits with the highest likelihood."""
    share = weights / weights.sum()
    centre = float((share * logits).sum())
    spread = float(np.sqrt((share * (logits - centre) ** 2).sum())) or 1.0
    unit = (logits - centre) / spread

    def cost(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the negative log-likelihood and its gradient."""
        at = line[0] * unit + line[1]
        gap = share * (probabilities_of(at) - targets)
        return float((share * (np.logaddexp(0.0, at) - targets * at)).sum()), np.array([(gap * unit).sum(), gap.sum()])

    low, high = (limit * spread for limit in slopes)
    start = np.array([np.clip(1.0, low, high), log_odds(float((share * targets).sum()))])
    tight = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000}
    found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(low, high), (None, None)], options=tight).x
    slope = float(found[0]) / spread
    return round(slope, 6), round(float(found[1]) - slope * centre, 6)


def _isotonic_knots(
    logits: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[tuple[float, float], ...]:
    """Return the mean logit and the calibrated logit of each step of the isotonic regression."""
    distinct, number = np.unique(logits, return_inverse=True)
    mass = np.bincount(number, weights=weights)
    steps = isotonic_regression(np.bincount(number, weights=weights * targets) / mass, weights=mass)
    ends = steps.blocks
    of_step = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    at = np.bincount(of_step, weights=mass * distinct) / np.bincount(of_step, weights=mass)
    return tuple(
        (round(float(x), 6), round(log_odds(float(y)), 6)) for x, y in zip(at, steps.x[ends[:-1]], strict=True)
    )
