"""Annotated films: every film and label with at least one annotated box, whatever the predicted probability."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.domain.errors import AnnotationError
from camray.domain.records import CORNERS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Measure = tuple[str, float | None]  # metric and criterion


@dataclass(frozen=True)
class AnnotatedFilms:
    """All annotated films of one label in one split, ordered by ``image_id``.

    Parameters
    ----------
    label : str
        Finding.
    image_ids : tuple of str
        Length N, sorted, unique.
    patients : ndarray of shape (N,), int64
        Number of each film's patient within the split, as `resampled_counts` draws them.
    sizes_xy : ndarray of shape (N, 2), float64
        Native columns and rows of each film, px.
    boxes : ndarray of shape (A, 4), float64
        All annotated boxes, native grid, grouped by film in the order of `image_ids`.
    starts : ndarray of shape (N,), int64
        First row in `boxes` of each film.
    """

    label: str
    image_ids: tuple[str, ...]
    patients: IntArray
    sizes_xy: FloatArray
    boxes: FloatArray
    starts: IntArray

    def __len__(self) -> int:
        """Return how many films there are."""
        return len(self.image_ids)

    @property
    def box_counts(self) -> IntArray:
        """Number of annotated boxes of each film, [N]."""
        return np.diff(np.append(self.starts, len(self.boxes)))

    @property
    def owners(self) -> IntArray:
        """Film of each annotated box, [A]."""
        return np.repeat(np.arange(len(self)), self.box_counts)

    def boxes_of(self, item: int) -> FloatArray:
        """Return one film's annotated boxes.

        Parameters
        ----------
        item : int
            Number of the film.

        Returns
        -------
        ndarray of shape (K, 4), float64
            (x0, y0, x1, y1), native px.
        """
        return self.boxes[self.starts[item] : self.starts[item] + self.box_counts[item]]

    def fraction_boxes(self) -> FloatArray:
        """Return all annotated boxes as fractions of their film's sides.

        Returns
        -------
        ndarray of shape (A, 4), float64
            (x0, y0, x1, y1), 0-1.
        """
        return self.boxes / np.tile(self.sizes_xy, 2)[self.owners]


def number_patients(films: pd.DataFrame, by_film: bool = False) -> dict[str, int]:
    """Return numbers from 0 for the patients of a split; a film without ``patient_key`` is a patient of its own.

    Parameters
    ----------
    films : DataFrame
        Columns ``image_id`` and ``patient_key``.
    by_film : bool
        Take each film as a patient of its own.

    Returns
    -------
    dict
        ``image_id`` to number. Numbers follow the order of the keys, so they do not depend on the order of the films.
    """
    keys = films["patient_key"].astype("string").fillna("")
    if by_film:
        keys = pd.Series("", index=films.index, dtype="string")
    own = "film " + films["image_id"].astype("string")
    names = ("patient " + keys).where(keys != "", own)
    codes = np.unique(names.to_numpy(dtype=str), return_inverse=True)[1]
    return {str(image_id): int(code) for image_id, code in zip(films["image_id"], codes, strict=True)}


def collect_annotated_films(
    label: str, annotations: pd.DataFrame, films: pd.DataFrame, patients: Mapping[str, int]
) -> AnnotatedFilms:
    """Collect the films that carry at least one box of a label.

    Parameters
    ----------
    label : str
        Finding.
    annotations : DataFrame
        Columns ``image_id, label, x0, y0, x1, y1`` (native px), one row per box; other films' rows are left out.
    films : DataFrame
        Columns ``image_id, rows, cols``: the split.
    patients : mapping
        ``image_id`` to patient number.

    Raises
    ------
    AnnotationError
        If a box has a corner that is not finite, or no area.
    """
    rows = annotations[annotations["label"] == label]
    of_split = pd.Index(films["image_id"].to_numpy(dtype=object))
    rows = rows[of_split.get_indexer(rows["image_id"].to_numpy(dtype=object)) >= 0]
    rows = rows.sort_values(["image_id", *CORNERS], kind="stable")
    boxes = rows[CORNERS].to_numpy(dtype=np.float64).reshape(-1, 4)
    empty = ~(np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    if empty.any():
        culprit = rows["image_id"].iloc[int(np.flatnonzero(empty)[0])]
        raise AnnotationError(
            f"film {culprit}, label '{label}': an annotated box is not a box (x1 > x0 and y1 > y0, finite); "
            f"{int(empty.sum())} such boxes in the split; correct or remove them"
        )
    names, starts = np.unique(rows["image_id"].to_numpy(dtype=str), return_index=True)
    image_ids = tuple(str(name) for name in names)
    film_rows = of_split.get_indexer(np.array(image_ids, dtype=object))
    return AnnotatedFilms(
        label=label,
        image_ids=image_ids,
        patients=np.array([patients[image_id] for image_id in image_ids], dtype=np.int64),
        sizes_xy=films[["cols", "rows"]].iloc[film_rows].to_numpy(dtype=np.float64).reshape(-1, 2),
        boxes=boxes,
        starts=starts.astype(np.int64),
    )
