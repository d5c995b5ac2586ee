"""Whether films show that a network tells a label, show that it does not, or are too few to say."""

from dataclasses import dataclass
from enum import StrEnum
from math import comb

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.delong import auroc_interval

CHANCE = 0.5
USEFUL = 0.8  # an interval that includes chance and reaches this value is wide: the films are too few to say


class Verdict(StrEnum):
    """What films say of a network and a label."""

    TOLD = "told"
    CHANCE = "chance"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Evidence:
    """A verdict, and the figures it rests on.

    Parameters
    ----------
    verdict : Verdict
        Whether the label is told from chance.
    words : str
        AUROC, interval and number of films.
    """

    verdict: Verdict
    words: str


def evidence_of(
    probability: NDArray[np.float64], is_present: NDArray[np.bool_], patients: NDArray[np.int64], confidence: float
) -> Evidence:
    """Say whether films show that a network tells a label.

    Parameters
    ----------
    probability : ndarray of shape (n,), float64
        Of validation films whose label is known.
    is_present : ndarray of shape (n,), bool
        What the label table says.
    patients : ndarray of shape (n,), int64
        Number of each film's patient.
    confidence : float
        Of the AUROC's interval by patients (DeLong), 0-1.

    Returns
    -------
    Evidence
        Told if the whole interval is above `CHANCE`; chance if it includes or is below it and ends below `USEFUL`;
        else unclear. A perfect separation has no interval: the label is told if so few of the possible orders of the
        patients have it.
    """
    n_present, n_absent = len(np.unique(patients[is_present])), len(np.unique(patients[~is_present]))
    if not n_present or not n_absent:
        return Evidence(Verdict.UNCLEAR, "no validation film " + ("is without it" if n_present else "shows it"))
    auroc, low, high = auroc_interval(probability, is_present, patients, confidence)
    films = f"{len(probability)} validation films, {int(is_present.sum())} with it"
    if not np.isfinite(low):
        is_rare = auroc == 1 and 1 / comb(n_present + n_absent, n_present) <= (1 - confidence) / 2
        return Evidence(Verdict.TOLD if is_rare else Verdict.UNCLEAR, f"AUROC {auroc:.2f} on {films}")
    words = f"AUROC {auroc:.2f} ({low:.2f}-{high:.2f}) on {films}"
    if low > CHANCE:
        return Evidence(Verdict.TOLD, words)
    return Evidence(Verdict.CHANCE if high < USEFUL else Verdict.UNCLEAR, words)
