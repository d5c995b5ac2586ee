"""Splits by patient: seeded, balanced over label combinations, and without a patient in two splits."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from camray.domain.errors import ManifestError
from camray.domain.records import Split

MANY_FOLDERS, FILMS_OF_A_PATIENT = 3, 20
LARGE_SHARE, MANY_FILMS = 1 / 3, 12
_CORRECT_PATIENTS = "correct it, or name another source with films.patient in a data manifest"
SPLITS = (str(Split.TRAIN), str(Split.VALIDATION), str(Split.TEST))


def assign_by_patient(
    patients: Sequence[str], signatures: Sequence[str], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Assign patients to parts of given sizes, balanced over combinations of labels.

    Parameters
    ----------
    patients : sequence of str
        Patient of each film.
    signatures : sequence of str
        The film's labels as a text, in a fixed order. A patient's signature joins those of its films.
    fractions : sequence of float
        Share of films in each part; they are divided by their sum.
    seed : int
        Orders patients of one signature.

    Returns
    -------
    ndarray of shape (films,), int64
        Part of each film, from 0. It does not depend on the order of the films.

    Raises
    ------
    ValueError
        If a fraction is negative, or all are zero.

    Notes
    -----
    Patients are sorted by signature and shuffled within each; each is assigned to the part that then lacks most films.
    So every part gets its share of every stretch of that order, rare combinations included.

    Examples
    --------
    >>> assign_by_patient(["p", "p", "q", "r"], ["A", "", "A", ""], (0.5, 0.5), seed=1).tolist()
    [1, 1, 0, 0]
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if (shares < 0).any() or shares.sum() <= 0:
        raise ValueError(f"fractions must not be negative and not all zero, got {tuple(fractions)}")
    shares = shares / shares.sum()
    films: dict[str, list[int]] = {}
    for index, patient in enumerate(patients):
        films.setdefault(patient, []).append(index)
    order = sorted(films)
    signature = {patient: " ".join(sorted({signatures[index] for index in films[patient]})) for patient in order}
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
    """Assign each film to a split.

    Parameters
    ----------
    patients, signatures, seed
        See `assign_by_patient`.
    fractions : (float, float, float)
        Of train, validation and test.

    Returns
    -------
    ndarray of shape (films,), object
        Name of each film's split.
    """
    return np.asarray(SPLITS, dtype=object)[assign_by_patient(patients, signatures, fractions, seed)]


def official_splits(
    official: Sequence[str],
    patients: Sequence[str],
    signatures: Sequence[str],
    fractions: tuple[float, float, float],
    seed: int,
) -> NDArray[np.object_]:
    """Use the splits of a data set's own lists; without a validation split, split its training patients.

    Parameters
    ----------
    official : sequence of str
        ``train``, ``validation`` or ``test`` for each film.
    patients, signatures, fractions, seed
        As for `assign_by_patient`; of the fractions only the ratio of train and validation is used.

    Returns
    -------
    ndarray of shape (films,), object
        Name of each film's split.
    """
    named = np.asarray(official, dtype=object)
    if (named == SPLITS[1]).any():
        return named
    train = [int(index) for index in np.flatnonzero(named == SPLITS[0])]
    named[train] = seeded_splits(
        [patients[i] for i in train], [signatures[i] for i in train], (fractions[0], fractions[1], 0.0), seed
    )
    return named


def patients_in_two(patients: Sequence[str], splits: Sequence[str]) -> int:
    """Count the patients with films in more than one split.

    Parameters
    ----------
    patients, splits : sequence of str
        Of each film.

    Returns
    -------
    int
        Number of patients.
    """
    pairs = set(zip(patients, splits, strict=True))
    counts = Counter(patient for patient, _ in pairs)
    return sum(count > 1 for count in counts.values())


def patients_warning(patients: Sequence[str], splits: Sequence[str], sources: Sequence[str]) -> str:
    """Say what is odd about the patients of a data set; empty if nothing is.

    Parameters
    ----------
    patients, splits : sequence of str
        Of each film.
    sources : sequence of str
        Where each film's patient is from: ``header`` or ``table`` for a Patient ID.

    Returns
    -------
    str
        About one patient with all films, or with more than `LARGE_SHARE` of `MANY_FILMS` or more, which may be a
        placeholder; and about splits without films.
    """
    films = len(patients)
    if films < 2:
        return ""
    patient, count = Counter(patients).most_common(1)[0]
    named = sources[list(patients).index(patient)] in {"header", "table"}
    what = "one Patient ID" if named else "one patient"
    empty = ", ".join(split for split in SPLITS if split not in set(splits))
    without = f"no film is in {empty}" if empty else ""
    if count == films:
        return f"{what} on all {films} films, so {without}; is it a placeholder? {_CORRECT_PATIENTS}"
    if count >= LARGE_SHARE * films and films >= MANY_FILMS:
        more = f"; {without}" if without else ""
        return f"{what} on {count} of {films} films, all in one split; is it a placeholder? {_CORRECT_PATIENTS}{more}"
    return f"{without}: {len(set(patients))} patients are too few, or the lists name none" if without else ""


def folders_warning(sources: Sequence[str], patient_sources: Sequence[str]) -> str:
    """Say that folders may be patients where nothing names one; empty if it is unlikely.

    Parameters
    ----------
    sources : sequence of str
        Path of each film, relative to the root.
    patient_sources : sequence of str
        Where each film's patient is from; ``file`` if the film counts as a patient of its own.
    """
    films = Counter(PurePosixPath(source).parent for source in sources)
    is_likely = set(patient_sources) == {"file"} and len(films) >= MANY_FOLDERS and max(films.values()) >= 2
    if not is_likely or max(films.values()) > FILMS_OF_A_PATIENT:
        return ""
    return (
        f"no film names its patient, so each counts as one, and {sum(n > 1 for n in films.values())} of {len(films)} "
        "folders hold several films; if a folder is a patient, add a column patient_id to the label table, or set "
        "films.patient: path in a data manifest, or one patient may be in two splits"
    )


def studies_warning(patient_sources: Sequence[str], splits: Sequence[str]) -> str:
    """Say that DICOM films without a Patient ID may put one patient into two splits; empty if there is none.

    Parameters
    ----------
    patient_sources, splits : sequence of str
        Of each film; the source is ``study`` if only the study tells films of one patient.
    """
    count = list(patient_sources).count("study")
    if not count or len(set(splits)) < 2:
        return ""
    return (
        f"{count} of {len(splits)} films have no Patient ID, so each study counts as a patient, and one patient may be "
        "in two splits; add a column patient_id to the label table, or set films.patient in a data manifest"
    )


def check_no_leak(patients: Sequence[str], splits: Sequence[str]) -> None:
    """Check that no patient has films in two splits.

    Parameters
    ----------
    patients, splits : sequence of str
        Of each film.

    Raises
    ------
    ManifestError
        With the number of patients that do.
    """
    twice = patients_in_two(patients, splits)
    if twice:
        raise ManifestError(
            f"{twice} patient(s) have films in more than one split, so scores would be too good; correct the official "
            "lists, or set ingest.split=seeded"
        )
