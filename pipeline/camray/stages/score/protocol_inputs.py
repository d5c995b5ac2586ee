"""One split as the protocols see it: films, masks, boxes with confidences, and the validation films beside them.

Reads   what `score` reads; the masks of ``ingest/annotations.parquet``
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.run_folder import RunFolder, read_table
from camray.adapters.settings.schema import ScoreSettings
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, IntArray
from camray.core.metrics.localization.baselines import (
    CENTRE_BOX,
    CLASS_MEAN_BOX,
    WHOLE_IMAGE,
    class_mean_box,
    native_boxes,
)
from camray.core.metrics.localization.detections import Detections
from camray.core.metrics.localization.masks import mask_from_rle, mask_of_box
from camray.core.metrics.score_table import LabelLogits
from camray.core.metrics.threshold_selection import ThresholdUse
from camray.domain.records import ANNOTATION_COLUMNS, CORNERS, Split
from camray.io.scored_films import Maps, SplitItems, known_logits, read_films, read_maps, split_items


@dataclass(frozen=True)
class Validation:
    """The trained run's validation films: what thresholds may be chosen on; fields as in `ProtocolInputs`."""

    chosen: SplitItems
    maps: Maps
    logits: dict[str, LabelLogits]
    masks: dict[str, dict[str, NDArray[np.bool_]]]

    @cached_property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of each film."""
        return _sizes(self.chosen.films)


@dataclass(frozen=True)
class ProtocolInputs:
    """One split as the protocols see it.

    Parameters
    ----------
    asked : ScoreSettings
        Which protocols, and how many resamples.
    folder : RunFolder
        The scored run.
    split : str
        Name.
    maps : Maps
        Maps and logits.
    chosen : SplitItems
        The split's films.
    logits : dict
        Label to films of known presence.
    uses : list of ThresholdUse
        Which predictions make which rows.
    boxes : DataFrame
        All predictions.
    training : dict
        Label to training boxes as fractions of their films' sides.
    """

    asked: ScoreSettings
    folder: RunFolder
    split: str
    maps: Maps
    chosen: SplitItems
    logits: dict[str, LabelLogits]
    uses: list[ThresholdUse]
    boxes: pd.DataFrame
    training: dict[str, FloatArray]

    @cached_property
    def validation(self) -> "Validation | None":
        """The trained run's validation films; None where there are none, or where they are what is scored."""
        maps = self.maps if self.folder.trained is None else read_maps(self.folder.model_run)
        is_scored = self.split == Split.VALIDATION.value
        if maps is None or is_scored or Split.VALIDATION.value not in set(maps.images["split"]):
            return None
        films = read_films(self.folder.model_run)
        chosen = split_items(films, maps, Split.VALIDATION.value, list(self.chosen.items))
        return Validation(
            chosen, maps, known_logits(films, maps, chosen), read_masks(self.folder.model_run, chosen.films)
        )

    @cached_property
    def masks(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Label to film to native mask, all instances and readers together; only films of the split."""
        return read_masks(self.folder, self.chosen.films)

    @cached_property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of each film."""
        return _sizes(self.chosen.films)

    @cached_property
    def ignored(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Label to film to the native pixels that do not count; only films of the split, and nothing for most runs."""
        path = self.folder.root / "ingest" / "ignored.parquet"
        if not path.is_file():
            return {}
        return masks_of(read_table(path, ANNOTATION_COLUMNS), self.chosen.films)

    def best_boxes(self, items: AnnotatedFilms, use: ThresholdUse) -> FloatArray:
        """Return one use's best box of each film, [N, 4] native px; NaN where there is none."""
        rows = self.boxes[(self.boxes["label"] == items.label) & (self.boxes["method"] == use.method)]
        rows = rows[rows["threshold_id"].isin(use.threshold_ids) & (rows["rank"] == 0)].set_index("image_id")
        return rows.reindex(list(items.image_ids))[CORNERS].to_numpy(np.float64)

    def telling_films(self, items: AnnotatedFilms) -> pd.DataFrame:
        """Return the films on which a box of the label is right or wrong: annotated, or known not to show it."""
        known = self.logits[items.label]
        absent = {i for i, is_present in zip(known.image_ids, known.present, strict=True) if not is_present}
        return self.chosen.films[self.chosen.films["image_id"].isin(absent | set(items.image_ids))]

    def detections(
        self, items: AnnotatedFilms, use: ThresholdUse, films: pd.DataFrame
    ) -> tuple[Detections, NDArray[np.bool_]]:
        """Return one label's boxes of one use on some films, and which of them are reported.

        Boxes of a film are ordered by the label's probability there, then by their rank.
        """
        rows = self.boxes[(self.boxes["label"] == items.label) & (self.boxes["method"] == use.method)]
        rows = rows[rows["threshold_id"].isin(use.threshold_ids) & np.isfinite(rows["x0"])]
        numbers = {str(image_id): number for number, image_id in enumerate(sorted(films["image_id"].astype(str)))}
        rows = rows[rows["image_id"].isin(numbers)].sort_values(["image_id", "rank"], kind="stable")
        # probability, then rank: one number whose order is theirs
        pairs = np.stack([rows["probability"].to_numpy(np.float64), -rows["rank"].to_numpy(np.float64)], axis=1)
        confidence = np.unique(pairs, axis=0, return_inverse=True)[1].astype(np.float64)
        return (
            _detections(
                items,
                numbers,
                self.chosen.patients,
                rows[CORNERS].to_numpy(np.float64),
                np.array([numbers[image_id] for image_id in rows["image_id"]], np.int64),
                confidence.reshape(-1),
            ),
            rows["reported"].to_numpy(bool),
        )

    def trivial_detections(self, items: AnnotatedFilms, films: pd.DataFrame) -> dict[str, Detections]:
        """Return one box a film that knows nothing of it, equally sure everywhere."""
        films = films.sort_values("image_id")
        numbers = {str(image_id): number for number, image_id in enumerate(films["image_id"].astype(str))}
        sizes = films[["cols", "rows"]].to_numpy(np.float64)
        fractions = {CLASS_MEAN_BOX: class_mean_box(self.training.get(items.label, np.zeros((0, 4))))}
        fractions |= {CENTRE_BOX: np.array([0.25, 0.25, 0.75, 0.75]), WHOLE_IMAGE: np.array([0.0, 0.0, 1.0, 1.0])}
        return {
            method: _detections(
                items,
                numbers,
                self.chosen.patients,
                native_boxes(box, sizes),
                np.arange(len(films)),
                np.zeros(len(films)),
            )
            for method, box in fractions.items()
            if np.isfinite(box).all()
        }


def _detections(
    items: AnnotatedFilms,
    numbers: Mapping[str, int],
    patients: Mapping[str, int],
    boxes: FloatArray,
    film_of: IntArray,
    confidence: FloatArray,
) -> Detections:
    """Put predicted boxes beside the annotated ones; films without a number are left out."""
    owners = np.array([numbers.get(image_id, -1) for image_id in items.image_ids], np.int64)[items.owners]
    return Detections(
        items.label,
        np.array([patients[image_id] for image_id in numbers], np.int64),
        items.boxes[owners >= 0],
        owners[owners >= 0],
        boxes,
        film_of,
        confidence,
    )


def read_masks(folder: RunFolder, films: pd.DataFrame) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Decode the masks of some films: label to ``image_id`` to native mask, the union of all of them."""
    table = read_table(folder.root / "ingest" / "annotations.parquet", ANNOTATION_COLUMNS)
    return masks_of(table[(table["kind"] == "mask") & (table["rle"].fillna("") != "")], films)


def masks_of(marks: pd.DataFrame, films: pd.DataFrame) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Draw marks of some films: label to ``image_id`` to the native union of masks and, without run lengths, boxes.

    A pixel belongs to a box if its centre lies in it.
    """
    sizes = _sizes(films)
    found: dict[str, dict[str, NDArray[np.bool_]]] = {}
    image_ids, corners = marks["image_id"].astype(str), marks[CORNERS].to_numpy(np.float64)
    for image_id, label, rle, box in zip(image_ids, marks["label"], marks["rle"].fillna(""), corners, strict=True):
        if image_id not in sizes:
            continue
        mask = mask_from_rle(str(rle), *sizes[image_id]) if rle else mask_of_box(box, *sizes[image_id])
        by_film = found.setdefault(str(label), {})
        by_film[image_id] = mask | by_film[image_id] if image_id in by_film else mask
    return found


def _sizes(films: pd.DataFrame) -> dict[str, tuple[int, int]]:
    return {str(i): (int(r), int(c)) for i, r, c in zip(films["image_id"], films["rows"], films["cols"], strict=True)}
