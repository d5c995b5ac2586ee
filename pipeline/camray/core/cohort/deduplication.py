"""Conflicting identities and duplicates among readable films, and keys that split films by patient."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.domain.records import RefusalReason


@dataclass(frozen=True)
class RefusedFilm:
    """One film that is excluded.

    Parameters
    ----------
    row : int
        Its index in the table.
    reason : RefusalReason
        Why it is excluded.
    message : str
        The reason in a sentence.
    """

    row: int
    reason: RefusalReason
    message: str


def conflicting_patients(films: pd.DataFrame) -> list[RefusedFilm]:
    """Find films whose image or study has more than one patient ID: none of them can be assigned to a split.

    Parameters
    ----------
    films : DataFrame
        One row per film: ``image_id``, ``study_key`` (empty if unknown), ``patient_key``, ``patient_source``. Only
        patients with the source ``header`` are compared.

    Returns
    -------
    list of RefusedFilm
        All films of such an image or study, in order of their rows.
    """
    identified = films[films["patient_source"] == "header"]
    refused: dict[int, RefusedFilm] = {}
    for column, what in (("image_id", "SOP Instance UID"), ("study_key", "Study Instance UID")):
        named = identified[identified[column] != ""]
        patients = named.groupby(column)["patient_key"].transform("nunique")
        for row, count in patients[patients > 1].items():
            message = (
                f"this {what} occurs under {int(count)} Patient IDs; expected one; correct the headers, as a patient "
                "in two splits would make scores too good"
            )
            index = int(str(row))
            refused.setdefault(index, RefusedFilm(index, RefusalReason.CONFLICTING_PATIENT, message))
    return [refused[index] for index in sorted(refused)]


def image_ids_by_path(films: pd.DataFrame, image_ids: "pd.Series[str]") -> "pd.Series[str]":
    """Name films by their path where different films of several folders have one file name.

    Parameters
    ----------
    films : DataFrame
        One row per readable film: ``image_id``, ``source``, ``pixel_sha256``, ``transfer_syntax`` (empty for a
        picture, which has no identifier but its file name).
    image_ids : Series of str
        Identifiers of all films, also of those not in `films`.

    Returns
    -------
    Series of str
        `image_ids` with the path without the file's ending (or with it, if two files differ by it alone) in place of
        file names that several films with different pixels have.
    """
    paths = films["source"].map(PurePosixPath)
    is_stem = films["image_id"] == paths.map(lambda path: path.stem)
    by_name = films[is_stem & ((films["transfer_syntax"] == "") | ~films["image_id"].str.fullmatch("[0-9.]{1,64}"))]
    pictures = by_name.groupby("image_id")["pixel_sha256"].transform("nunique")
    shared = by_name.index[(pictures > 1).to_numpy(dtype=bool)]
    short = paths[shared].map(lambda path: path.with_suffix("").as_posix())
    unique = short.where(~short.duplicated(keep=False), films.loc[shared, "source"])
    changed = image_ids.copy()
    changed.loc[shared] = unique
    return changed


def duplicate_ids(films: pd.DataFrame) -> list[RefusedFilm]:
    """Find films with the `image_id` of an earlier film.

    Parameters
    ----------
    films : DataFrame
        One row per film, in the order of precedence: ``image_id``, ``pixel_sha256``, ``source``.

    Returns
    -------
    list of RefusedFilm
        With `DUPLICATE_PIXELS` where the earlier film has equal pixels, and `DUPLICATE_ID` otherwise.
    """
    refused = []
    first: dict[str, tuple[str, str]] = {}
    for row, name, digest, source in _named(films, "image_id", "pixel_sha256", "source"):
        if name not in first:
            first[name] = digest, source
            continue
        if first[name][0] == digest:
            reason, message = RefusalReason.DUPLICATE_PIXELS, f"the same film as '{first[name][1]}'"
        else:
            reason = RefusalReason.DUPLICATE_ID
            message = (
                f"has the same identifier as '{first[name][1]}' but other pixels; rename it, or set `image_id: path` "
                "in the data manifest"
            )
        refused.append(RefusedFilm(row, reason, message))
    return refused


def duplicate_pixels(films: pd.DataFrame) -> list[RefusedFilm]:
    """Find films with the pixels of an earlier film.

    Parameters
    ----------
    films : DataFrame
        One row per film, in the order of precedence: ``pixel_sha256``, ``source``.

    Returns
    -------
    list of RefusedFilm
        In order of their rows, with the reason `DUPLICATE_PIXELS`.
    """
    refused = []
    first: dict[str, str] = {}
    for row, digest, source in _named(films, "pixel_sha256", "source"):
        if digest in first:
            message = f"the same pixels as '{first[digest]}'; set ingest.keep_duplicates=true to keep it"
            refused.append(RefusedFilm(row, RefusalReason.DUPLICATE_PIXELS, message))
        first.setdefault(digest, source)
    return refused


def _named(films: pd.DataFrame, *columns: str) -> "zip[tuple[Any, ...]]":
    return zip(films.index.tolist(), *(films[column].tolist() for column in columns), strict=True)


def patient_split_key(patients: NDArray[np.object_], names: NDArray[np.object_]) -> list[str]:
    """Key each film's patient by the first of the patient's film names.

    The key replaces the pseudonym where films are split, so that a split does not depend on the site's secret key.

    Parameters
    ----------
    patients, names : ndarray of shape (films,), object
        Pseudonym of each film's patient, and name of the film.

    Returns
    -------
    list of str
        For each film, the smallest name among its patient's films.

    Examples
    --------
    >>> patient_split_key(np.array(["p", "q", "p"], object), np.array(["c", "b", "a"], object))
    ['a', 'b', 'a']
    """
    table = pd.DataFrame({"patient": patients, "name": names})
    return [str(name) for name in table.groupby("patient")["name"].transform("min")]
