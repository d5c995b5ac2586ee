"""Verdict on a folder of predictions: which features have drifted, how far, and with which level of alarm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from camray.core.drift.features import Feature, medians
from camray.core.drift.reference import FEWEST_FILMS, IntArray, Reference
from camray.core.drift.shift import Shift, measure_shift

WATCH_PSI, ALARM_PSI = 0.1, 0.25
WATCH_P, ALARM_P = 0.05, 0.01


class Level(StrEnum):
    """What is said of a feature or a folder, the worst last."""

    TOO_FEW = "too few films"
    NONE = "none"
    WATCH = "watch"
    ALARM = "alarm"


LEVELS = tuple(Level)


@dataclass(frozen=True, eq=False)
class FeatureDrift:
    """Drift of one feature.

    Parameters
    ----------
    reference : Reference
        What it is compared with.
    counts : ndarray of shape (cells,), int64
        Films of the folder in the reference's cells.
    median : float or None
        Of the folder's numbers.
    level : Level
    shift : Shift or None
        None with too few films.
    p : float
        Corrected for the number of features (Holm); NaN without a shift.
    """

    reference: Reference
    counts: IntArray
    median: float | None
    level: Level
    shift: Shift | None
    p: float

    @property
    def films(self) -> int:
        """Films of the folder of which the value is known."""
        return int(self.counts.sum())

    @property
    def reference_counts(self) -> IntArray:
        """Films of the reference in its cells."""
        return np.array(self.reference.counts, np.int64)

    @property
    def change(self) -> str:
        """Say in words what is different: medians, or the value whose share changed most."""
        if self.films == 0 or self.reference.films == 0:
            return ""
        if self.reference.is_continuous and self.median is not None:
            return f"median {self.reference.median:.3g} → {self.median:.3g}"
        shares = [each / each.sum() for each in (self.reference_counts, self.counts)]
        most = int(np.argmax(np.abs(shares[1] - shares[0])))
        return f"{self.reference.bin_titles[most]}: {shares[0][most]:.0%} → {shares[1][most]:.0%}"


@dataclass(frozen=True)
class FolderDrift:
    """Drift of one folder of predictions.

    Parameters
    ----------
    name, written : str
        The folder, and the date of its boxes (YYYY-MM-DD), empty where it is not known.
    films, patients : int
        In the folder; one film of each patient is compared.
    rows : tuple of FeatureDrift
        The worst first.
    level : Level
        The worst of `rows`.
    """

    name: str
    written: str
    films: int
    patients: int
    rows: tuple[FeatureDrift, ...]
    level: Level


def judge_folder(
    about: tuple[str, str, int], references: Sequence[Reference], features: Sequence[Feature], patients: int, seed: int
) -> FolderDrift:
    """Compare a folder with the reference, feature by feature.

    Parameters
    ----------
    about : (str, str, int)
        Folder, date and films, as of `FolderDrift`.
    references : sequence of Reference
        By key; features without a reference are left out.
    features : sequence of Feature
        Of one film per patient.
    patients : int
        How many there are.
    seed : int
        Of random divisions and resamples.

    Returns
    -------
    FolderDrift
        With fewer than `FEWEST_FILMS` patients no feature has a level.
    """
    known = {each.key: each for each in references}
    pairs = [(known[each.key], each) for each in features if each.key in known]
    counts = {reference.key: reference.count(feature) for reference, feature in pairs}
    measured = {
        reference.key: measure_shift(reference, counts[reference.key], seed)
        for reference, _ in pairs
        if min(int(counts[reference.key].sum()), reference.films) >= FEWEST_FILMS
    }
    varying = [key for key in measured if _varies(known[key], counts[key])]
    corrected = dict(zip(varying, holm([measured[key].p for key in varying]), strict=True))
    middle = medians([feature for _, feature in pairs])
    rows = [
        _feature_drift(reference, counts[reference.key], middle, measured, corrected.get(reference.key, 1.0))
        for reference, _ in pairs
    ]
    rows.sort(key=_worst_first)
    level = max((row.level for row in rows), key=LEVELS.index, default=Level.TOO_FEW)
    return FolderDrift(*about, patients, tuple(rows), level)


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's step-down procedure.

    Parameters
    ----------
    p : sequence of float
        0-1.

    Returns
    -------
    list of float
        In the same order; at most 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order, corrected, highest = np.argsort(p, kind="stable"), [0.0] * len(p), 0.0
    for rank, number in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[int(number)]))
        corrected[int(number)] = highest
    return corrected


def _varies(reference: Reference, counts: IntArray) -> bool:
    """Whether films differ at all: a feature that is the same on every film cannot have drifted."""
    return int((reference.in_bins(counts + np.array(reference.counts)) > 0).sum()) > 1


def _feature_drift(
    reference: Reference,
    counts: IntArray,
    middle: Mapping[str, float],
    measured: Mapping[str, Shift],
    p: float,
) -> FeatureDrift:
    shift, median = measured.get(reference.key), middle.get(reference.key)
    if shift is None:
        return FeatureDrift(reference, counts, median, Level.TOO_FEW, None, float("nan"))
    return FeatureDrift(reference, counts, median, _level(shift.psi, p), shift, p)


def _level(psi: float, p: float) -> Level:
    if p <= ALARM_P and psi >= ALARM_PSI:
        return Level.ALARM
    return Level.WATCH if p <= WATCH_P and psi >= WATCH_PSI else Level.NONE


def _worst_first(row: FeatureDrift) -> tuple[int, float, float, str]:
    psi = 0.0 if row.shift is None else row.shift.psi
    p = 2.0 if row.shift is None else row.p
    return -LEVELS.index(row.level), p, -psi, row.reference.key
