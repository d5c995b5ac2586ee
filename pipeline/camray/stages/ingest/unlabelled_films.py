"""Films without a row in the label table that stay for the pretext: they train features, and have no say in splits."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.cohort.deduplication import RefusedFilm, duplicate_pixels
from camray.domain.records import RefusalReason, Split


@dataclass(frozen=True)
class UnlabelledFilms:
    """Films without a row in the label table.

    Parameters
    ----------
    rows : tuple of int
        Those that stay, in the training split, by their index.
    refused : tuple of RefusedFilm
        The others.
    """

    rows: tuple[int, ...]
    refused: tuple[RefusedFilm, ...]


def unlabelled_films(
    films: pd.DataFrame,
    kept: pd.DataFrame,
    splits: NDArray[np.object_],
    official: NDArray[np.object_] | None,
    keep_duplicates: bool = False,
) -> UnlabelledFilms:
    """Choose the unlabelled films that may train features.

    A film of a patient of the validation or test split, or one that official lists put there, is refused: the network
    would have seen who is scored. So is one with the pixels of another film.

    Parameters
    ----------
    films : DataFrame
        Records of readable films without a row, indexed by row: ``patient_key``, ``pixel_sha256``, ``source``.
    kept : DataFrame
        Records of the labelled films that stay, likewise.
    splits : ndarray of shape (kept,), object
        Their splits.
    official : ndarray of object, or None
        Official split of each film, by row; empty for none.
    keep_duplicates : bool
        Films with the pixels of another one stay.

    Returns
    -------
    UnlabelledFilms
        In order of their rows.
    """
    held_out = set(kept["patient_key"][splits != str(Split.TRAIN)])
    listed = pd.Series("" if official is None else official[films.index.to_numpy()], index=films.index)
    is_held_out = films["patient_key"].isin(held_out) | ~listed.isin(["", str(Split.TRAIN)])
    message = "the label table does not name it, and its patient is not in the training split"
    refused = [RefusedFilm(int(row), RefusalReason.NOT_IN_TABLE, message) for row in films.index[is_held_out]]
    left = films[~is_held_out]
    if not keep_duplicates:
        refused += [film for film in duplicate_pixels(pd.concat([kept, left])) if film.row in left.index]
    gone = {film.row for film in refused}
    return UnlabelledFilms(tuple(int(row) for row in films.index if row not in gone), tuple(refused))
