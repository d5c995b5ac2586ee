"""Inputs of the protocols: films of one split, boxes with confidences, and validation films."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.dicom.write.common_attributes import code_of
from camray.adapters.settings.scores import ScoreSettings
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, FloatArray, IntArray
from camray.core.metrics.localization.baselines import (
    CENTRE_BOX,
    CLASS_MEAN_BOX,
    FEW_SHOT,
    WHOLE_IMAGE,
    class_mean_box,
    native_boxes,
)
from camray.core.metrics.localization.detections import Detections
from camray.core.metrics.threshold_selection import ThresholdUse
from camray.core.probability.logistic import probabilities_of
from camray.domain.records import CORNERS
from camray.io.explained_run import ExplainedRun
from camray.io.split_films import SplitFilms
from camray.reporting.fonts import drawable_names
from camray.stages.score.few_shot_maps import FewShotOnSplit


@dataclass(frozen=True, eq=False)
class ProtocolInputs:
    """Inputs of the protocols for one split.

    Parameters
    ----------
    settings : ScoreSettings
        Protocols, and number of resamples.
    films : SplitFilms
        The films of the split.
    uses : list of ThresholdUse
        Which predictions make which rows.
    training : dict
        Label to training boxes as fractions of their films' sides.
    validation_films : SplitFilms or None
        Validation films of the run that owns the network.
    few_shot : FewShotOnSplit or None
        Results of the few-shot baseline, if it was trained; `uses` has its thresholds.
    """

    settings: ScoreSettings
    films: SplitFilms
    uses: list[ThresholdUse]
    training: dict[str, FloatArray]
    validation_films: SplitFilms | None
    few_shot: FewShotOnSplit | None = None

    @property
    def run(self) -> ExplainedRun:
        """The scored run."""
        return self.films.run

    @cached_property
    def names(self) -> dict[str, str]:
        """Names of the findings in pictures: in letters that an installed font has."""
        return drawable_names({finding.name: code_of(finding) for finding in self.run.findings})

    @property
    def validation(self) -> SplitFilms | None:
        """Films that thresholds may be chosen on; None without any, or where they are scored themselves."""
        if self.validation_films is None or self.films.split == self.validation_films.split:
            return None
        return self.validation_films

    @property
    def is_calibrated_here(self) -> bool:
        """Whether the probabilities were calibrated on the very films that are scored."""
        split = self.films.split
        return self.run.folder.trained is None and any(each.split == split for each in self.run.thresholds.calibrations)

    def probabilities(self, label: str) -> FloatArray | None:
        """Return the probabilities of the films whose label is known.

        None where none is stated, and where the films calibrated them themselves (unless ``score.oracle`` asks for it).
        """
        calibration = self.run.thresholds.calibration_of(label)
        if calibration.kind == "none" or (self.is_calibrated_here and not self.settings.oracle):
            return None
        return calibration.probabilities(self.films.logits[label].logits)

    def best_predictions(self, label: str) -> pd.DataFrame:
        """Return the best box of each film, method and threshold: rows of rank 0 of one label."""
        tables = [self.run.predictions] + ([] if self.few_shot is None else [self.few_shot.predictions])
        best = [table[(table["label"] == label) & (table["rank"] == 0)] for table in tables]
        return pd.concat(best, ignore_index=True) if len(best) > 1 else best[0]

    def best_boxes(self, items: AnnotatedFilms, use: ThresholdUse) -> FloatArray:
        """Return the best box of each film for one use, [N, 4] native px; NaN where there is none."""
        rows = self._predictions_of(items, use)
        rows = rows[rows["rank"] == 0].set_index("image_id")
        return rows.reindex(list(items.image_ids))[CORNERS].to_numpy(np.float64)

    def decidable_films(self, items: AnnotatedFilms) -> pd.DataFrame:
        """Return the films on which a box of the label is right or wrong: annotated, or known not to show it."""
        known = self.films.logits[items.label]
        absent = {i for i, is_present in zip(known.image_ids, known.present, strict=True) if not is_present}
        return self.films.films[self.films.films["image_id"].isin(absent | set(items.image_ids))]

    def detections(
        self, items: AnnotatedFilms, use: ThresholdUse, films: pd.DataFrame
    ) -> tuple[Detections, NDArray[np.bool_]]:
        """Return the boxes of one label and use on some films, and which of them are reported.

        Boxes of a film are ordered by the label's output there, then by their rank.
        """
        rows = self._predictions_of(items, use)
        rows = rows[np.isfinite(rows["x0"])]
        numbers = {str(image_id): number for number, image_id in enumerate(sorted(films["image_id"].astype(str)))}
        rows = rows[rows["image_id"].isin(numbers)].sort_values(["image_id", "rank"], kind="stable")
        # output (in the precision of the table), then rank: one number whose order is theirs
        outputs = probabilities_of(rows["logit"].to_numpy(np.float32)).astype(np.float32)
        pairs = np.stack([outputs, -rows["rank"].to_numpy(np.float32)], axis=1)
        confidence = np.unique(pairs, axis=0, return_inverse=True)[1].astype(np.float64)
        film_of = np.array([numbers[image_id] for image_id in rows["image_id"]], np.int64)
        boxes = rows[CORNERS].to_numpy(np.float64)
        detections = _detections(items, numbers, self.films.patients, boxes, film_of, confidence.reshape(-1))
        return detections, rows["reported"].to_numpy(bool)

    def trivial_detections(self, items: AnnotatedFilms, films: pd.DataFrame) -> dict[str, Detections]:
        """Return one box per film that does not depend on the film, with equal confidence everywhere."""
        films = films.sort_values("image_id")
        numbers = {str(image_id): number for number, image_id in enumerate(films["image_id"].astype(str))}
        sizes = films[["cols", "rows"]].to_numpy(np.float64)
        fractions = {CLASS_MEAN_BOX: class_mean_box(self.training.get(items.label, np.zeros((0, 4))))}
        fractions |= {CENTRE_BOX: np.array([0.25, 0.25, 0.75, 0.75]), WHOLE_IMAGE: np.array([0.0, 0.0, 1.0, 1.0])}
        film_of, confidence = np.arange(len(films)), np.zeros(len(films))
        return {
            method: _detections(items, numbers, self.films.patients, native_boxes(box, sizes), film_of, confidence)
            for method, box in fractions.items()
            if np.isfinite(box).all()
        }

    def _predictions_of(self, items: AnnotatedFilms, use: ThresholdUse) -> pd.DataFrame:
        few_shot = self.few_shot if use.method == FEW_SHOT else None
        rows = self.run.predictions if few_shot is None else few_shot.predictions
        rows = rows[(rows["label"] == items.label) & (rows["method"] == use.method)]
        return rows[rows["threshold_id"].isin(use.threshold_ids)]


def _detections(
    items: AnnotatedFilms,
    numbers: Mapping[str, int],
    patients: Mapping[str, int],
    boxes: FloatArray,
    film_of: IntArray,
    confidence: FloatArray,
) -> Detections:
    """Join predicted and annotated boxes; films without a number are left out."""
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
