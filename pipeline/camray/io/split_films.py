"""Explained films of one split, with patients, annotated films by label, and labels of known presence."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import AnnotatedFilms, collect_annotated_films, number_patients
from camray.core.metrics.localization.masks import mask_from_rle, mask_of_box
from camray.core.metrics.localization.rows import Geometry
from camray.core.metrics.score_table import LabelLogits
from camray.domain.errors import PipelineError
from camray.domain.records import CORNERS
from camray.io.explained_run import ExplainedRun


@dataclass(frozen=True, eq=False)
class SplitFilms:
    """Explained films of one split.

    Parameters
    ----------
    run : ExplainedRun
        Whose films they are.
    split : str
        Name.
    films : DataFrame
        Rows of the images table.
    patients : dict
        ``image_id`` to patient number; by film where they were collected so.
    items : dict
        Label to annotated films; every requested label.
    """

    run: ExplainedRun
    split: str
    films: pd.DataFrame
    patients: dict[str, int]
    items: dict[str, AnnotatedFilms]

    @property
    def geometry(self) -> Geometry:
        """Positions of the films on the model grid."""
        return self.run.geometry

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Native rows and columns by ``image_id``, of all films of the run."""
        return self.run.films.sizes

    @cached_property
    def masks(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Label to film to native mask: the union of all instances and readers."""
        marks = self.run.films.annotations
        return self._draw(marks[(marks["kind"] == "mask") & (marks["rle"].fillna("") != "")])

    @cached_property
    def ignored(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Label to film to the native pixels that do not count; empty for most runs."""
        return self._draw(self.run.films.ignored)

    def _draw(self, marks: pd.DataFrame) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Draw marks: the native union of masks and, without run lengths, boxes.

        A pixel belongs to a box if its centre is in it.
        """
        image_ids, corners = marks["image_id"].astype(str), marks[CORNERS].to_numpy(np.float64)
        union: dict[str, dict[str, NDArray[np.bool_]]] = {}
        for image_id, label, rle, box in zip(image_ids, marks["label"], marks["rle"].fillna(""), corners, strict=True):
            if image_id not in self.patients:
                continue
            size = self.sizes[image_id]
            mask = mask_from_rle(str(rle), *size) if rle else mask_of_box(box, *size)
            by_film = union.setdefault(str(label), {})
            by_film[image_id] = mask | by_film[image_id] if image_id in by_film else mask
        return union

    @property
    def n_patients(self) -> int:
        """Number of the units that a bootstrap draws: patients, or films where they were collected by film."""
        return len(set(self.patients.values()))

    @cached_property
    def logits(self) -> dict[str, LabelLogits]:
        """By label: films whose presence is known; uncertain and missing ones are left out."""
        labels, logit_table = self.run.films.labels, self.run.logit_table
        known = labels[labels["value"].isin(["0", "1"])]
        names: NDArray[Any] = known["image_id"].cat.categories.to_numpy(object)  # one text per film, for all labels
        positions = logit_table.index.get_indexer(pd.Index(names))
        patients = np.array([self.patients.get(name, -1) for name in names], dtype=np.int64)
        by_label = {}
        for number, label in enumerate(self.run.labels):
            rows = known[known["label"] == label]
            codes, present = rows["image_id"].cat.codes.to_numpy(), (rows["value"] == "1").to_numpy(dtype=bool)
            order = np.argsort(codes, kind="stable")  # alphabetical, as the categories are
            order = order[patients[codes[order]] >= 0]
            codes = codes[order]
            by_label[label] = LabelLogits(
                patients=patients[codes],
                logits=logit_table.iloc[positions[codes], number].to_numpy(dtype=np.float64),
                present=present[order],
                image_ids=tuple(names[codes]),
            )
        return by_label


def split_films(run: ExplainedRun, split: str, labels: Sequence[str], by_film: bool = False) -> SplitFilms:
    """Collect the films of one split and their annotations; `by_film` takes each film as a patient of its own.

    Raises
    ------
    PipelineError
        If a film of the split was not explained.
    """
    n_films, films = len(run.films.split(split)), run.split(split)
    if len(films) < n_films:
        raise PipelineError(
            f"split '{split}': {n_films - len(films)} of {n_films} films were not explained; "
            f"add '{split}' to explain.splits and run again"
        )
    patients = number_patients(films, by_film)
    items = {label: collect_annotated_films(label, run.films.boxes, films, patients) for label in labels}
    return SplitFilms(run, split, films, patients, items)
