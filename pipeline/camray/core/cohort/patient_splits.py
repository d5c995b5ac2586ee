"""Patients to splits: seeded, balanced over label combinations, and never one patient in two."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from camray.domain.errors import ManifestError
from camray.domain.records import Split

SPLITS = (str(Split.TRAIN), str(Split.VALIDATION), str(Split.TEST))


def assign_by_patient(
    patients: Sequence[str], signatures: Sequence[str], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Deal patients out to parts of given sizes, each combination of labels evenly.

    Parameters
    ----------
    patients : sequence of str
        Patient of each film.
    signatures : sequence of str
        Any text that says which labels the film bears, in a fixed order. A patient's joins those of its films.
    fractions : sequence of float
        Wanted share of films in each part; their sum counts as 1.
    seed : int
        Orders patients of one signature.

    Returns
    -------
    ndarray of shape (films,), int64
        Part of each film. It does not depend on the order of the films.

    Raises
    ------
    ValueError
        If a fraction is negative, or all are zero.

    Notes
    -----
    Patients stand in one row, signature after signature and shuffled within each; each goes to the part that then
    lacks most films. So every part gets its share of every stretch of that row, rare combinations included.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if (shares < 0).any() or shares.sum() <= 0:
        raise ValueError(f"fractions must not be negative and not all zero, got {tuple(fractions)}")
    shares = shares / shares.sum()
    films: dict[str, list[int]] = {}
    for place, patient in enumerate(patients):
        films.setdefault(patient, []).append(place)
    order = sorted(films)
    signature = {patient: " ".join(sorted({signatures[place] for place in films[patient]})) for patient in order}
    tie_break = dict(zip(order, np.random.default_rng(seed).permutation(len(order)), strict=True))
    parts = np.zeros(len(patients), dtype=np.int64)
    filled = np.zeros(len(shares))
    for patient in sorted(order, key=lambda name: (signature[name], tie_break[name])):
        weight = len(films[patient])
        lacking = shares * (filled.sum() + weight) - filled
        part = int(np.argmax(np.where(shares > 0, np.round(lacking, 9), -np.inf)))
        filled[part] += weight
        parts[films[patient]] = part
    return parts


def seeded_splits(
    patients: Sequence[str], signatures: Sequence[str], fractions: tuple[float, float, float], seed: int
) -> NDArray[np.object_]:
    """Name each film's split; fractions are those of train, validation and test. See `assign_by_patient`."""
    return np.asarray(SPLITS, dtype=object)[assign_by_patient(patients, signatures, fractions, seed)]


def official_splits(
    official: Sequence[str],
    patients: Sequence[str],
    signatures: Sequence[str],
    fractions: tuple[float, float, float],
    seed: int,
) -> NDArray[np.object_]:
    """Take the splits of a data set's own lists, and cut a validation part off its training patients where it has none.

    Parameters
    ----------
    official : sequence of str
        ``train``, ``validation`` or ``test`` for each film.
    patients, signatures, fractions, seed
        As for `assign_by_patient`; of the fractions only the ratio of train and validation counts.

    Returns
    -------
    ndarray of shape (films,), object
        Split of each film.
    """
    named = np.asarray(official, dtype=object)
    if (named == SPLITS[1]).any():
        return named
    train = [int(place) for place in np.flatnonzero(named == SPLITS[0])]
    within = seeded_splits(
        [patients[i] for i in train], [signatures[i] for i in train], (fractions[0], fractions[1], 0.0), seed
    )
    named[train] = within
    return named


def patients_in_two(patients: Sequence[str], splits: Sequence[str]) -> int:
    """Count the patients who stand in more than one split."""
    pairs = set(zip(patients, splits, strict=True))
    counts = Counter(patient for patient, _ in pairs)
    return sum(count > 1 for count in counts.values())


def check_no_leak(patients: Sequence[str], splits: Sequence[str]) -> None:
    """Make sure that no patient stands in two splits.

    Raises
    ------
    ManifestError
        With the number of patients that do.
    """
    twice = patients_in_two(patients, splits)
    if twice:
        raise ManifestError(
            f"{twice} patient(s) stand in more than one split, so scores would be too good; correct the official "
            "lists, or set ingest.split=seeded"
        )
