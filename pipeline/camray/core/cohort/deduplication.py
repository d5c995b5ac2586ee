"""Which of the readable films may stay: conflicts of identity and duplicates, told from a table of all films."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.domain.records import RefusalReason


@dataclass(frozen=True)
class Refused:
    """One film that may not stay: its row in the table, and why."""

    row: int
    reason: RefusalReason
    message: str


def conflicting_patients(films: pd.DataFrame) -> list[Refused]:
    """Find films whose image or study stands under more than one patient: none of them can be trusted with a split.

    Parameters
    ----------
    films : DataFrame
        A row a film: ``image_id``, ``study_key`` (empty: unknown), ``patient_key``, ``patient_source``. Only patients
        with the source ``header`` are compared.

    Returns
    -------
    list of Refused
        All films of such an image or study, in order.
    """
    told = films[films["patient_source"] == "header"]
    refused: dict[int, Refused] = {}
    for column, what in (("image_id", "SOP Instance UID"), ("study_key", "Study Instance UID")):
        named = told[told[column] != ""]
        patients = named.groupby(column)["patient_key"].transform("nunique")
        for row, count in patients[patients > 1].items():
            message = (
                f"this {what} stands under {int(count)} Patient IDs; expected one; correct the headers, as a patient "
                "in two splits would make scores too good"
            )
            place = int(str(row))
            refused.setdefault(place, Refused(place, RefusalReason.CONFLICTING_PATIENT, message))
    return [refused[row] for row in sorted(refused)]


def duplicate_ids(films: pd.DataFrame) -> list[Refused]:
    """Find films whose `image_id` an earlier one bears already.

    Parameters
    ----------
    films : DataFrame
        A row a film, in the order of precedence: ``image_id``, ``pixel_sha256``, ``source``.

    Returns
    -------
    list of Refused
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
                f"bears the same identifier as '{first[name][1]}' but other pixels; rename it, or let the data "
                "manifest take `image_id: path`"
            )
        refused.append(Refused(row, reason, message))
    return refused


def duplicate_pixels(films: pd.DataFrame) -> list[Refused]:
    """Find films whose pixels an earlier one has already; arguments as for `duplicate_ids`."""
    refused = []
    first: dict[str, str] = {}
    for row, digest, source in _named(films, "pixel_sha256", "source"):
        if digest in first:
            message = f"the same pixels as '{first[digest]}'; ingest.keep_duplicates=true lets it in"
            refused.append(Refused(row, RefusalReason.DUPLICATE_PIXELS, message))
        first.setdefault(digest, source)
    return refused


def _named(films: pd.DataFrame, *columns: str) -> "zip[tuple[Any, ...]]":
    return zip(films.index.tolist(), *(films[column].tolist() for column in columns), strict=True)


def leaders(patients: NDArray[np.object_], names: NDArray[np.object_]) -> list[str]:
    """Name each film's patient by the first of the patient's names, so that a split does not depend on the site's key.

    Parameters
    ----------
    patients, names : ndarray of shape (films,), object
        Pseudonym of the patient and name of the film.

    Returns
    -------
    list of str
        For each film, the smallest name among its patient's films.
    """
    table = pd.DataFrame({"patient": patients, "name": names})
    return [str(name) for name in table.groupby("patient")["name"].transform("min")]
