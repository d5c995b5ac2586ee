"""Whether films show that a network tells a label: its AUROC must be above chance."""

from math import comb

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.delong import auroc_interval


def why_not_judged(
    probability: NDArray[np.float64], is_present: NDArray[np.bool_], patients: NDArray[np.int64], confidence: float
) -> str:
    """Say why films do not show that a network tells a label: its AUROC may be that of chance.

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
    str
        Empty if the whole interval is above 0.5. A perfect separation has no interval; it is no chance if so few of
        the possible orders of the patients have it.
    """
    n_present, n_absent = len(np.unique(patients[is_present])), len(np.unique(patients[~is_present]))
    if not n_present or not n_absent:
        return "no validation film " + ("shows it" if not n_present else "is without it")
    auroc, low, high = auroc_interval(probability, is_present, patients, confidence)
    films = f"{len(probability)} validation films, {int(is_present.sum())} with it"
    if auroc == 1 and 1 / comb(n_present + n_absent, n_present) <= (1 - confidence) / 2:
        return ""
    if not np.isfinite(low):
        return f"too few patients to say: AUROC {auroc:.2f} on {films}"
    return "" if low > 0.5 else f"AUROC {auroc:.2f} ({low:.2f}-{high:.2f}) on {films}: may be chance"
