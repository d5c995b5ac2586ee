"""Confident boxes of a finished run on the films that train its successor; no annotation is read.

Reads   ``ingest/ train/ localize/thresholds.json`` of the run ``refine.teacher``
Writes  ``train/teacher_pairs.parquet``; no stage of its own
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.adapters.checkpoints import read_weights
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.core.localization.confident_regions import Outcome, RegionBounds, outcomes
from camray.core.localization.located_boxes import RegionRules
from camray.core.probability.logistic import probabilities_of
from camray.domain.errors import InputRefusedError, SettingsError
from camray.domain.geometry import Box, paired_iou
from camray.domain.records import CORNERS, PAIR_COLUMNS, Split
from camray.io.artifacts import TrainFiles, artifacts_of
from camray.io.ingested_films import IngestedFilms, read_ingested, transform_of
from camray.io.labelled_films import LabelledFilms, targets_of
from camray.io.mirrored_maps import MirroredMaps, label_only_recipes, mirrored_maps
from camray.io.run_lookup import check_is_run
from camray.io.trained_model import load_trained


@dataclass(frozen=True)
class Teacher:
    """A finished run that teaches another.

    Parameters
    ----------
    folder : RunFolder
        The run.
    bounds : RegionBounds
        Which of its boxes are trusted.
    rules : RegionRules
        Smallest region.
    """

    folder: RunFolder
    bounds: RegionBounds
    rules: RegionRules

    def pairs(self, films: IngestedFilms, device: torch.device) -> pd.DataFrame:
        """Judge the teacher's boxes of all labels that training films show.

        Parameters
        ----------
        films : IngestedFilms
            Of the run that is taught: the same films in the same splits.
        device : torch.device
            Computes.

        Returns
        -------
        DataFrame
            `PAIR_COLUMNS`, a row for each film and label that it shows.

        Raises
        ------
        SettingsError
            If the two runs have other films, splits or labels.
        PipelineError
            If the teacher has not finished.
        """
        labels, taught = films.contract.labels, read_ingested(self.folder)
        recipes = label_only_recipes(self.folder, labels)
        self._check_same_films(films, taught)
        trained = load_trained(self.folder, device)
        if trained.contract.labels != labels:
            raise SettingsError(f"{self.folder.root}: its network knows other labels; expected {', '.join(labels)}")
        images = taught.split(Split.TRAIN).sort_values(["shard", "index"])
        shows = targets_of(images["image_id"], taught.labels, labels) == 1
        images, shows = images[shows.any(axis=1)], shows[shows.any(axis=1)]
        rows, done = [], 0
        for maps in mirrored_maps(trained, taught, images, "boxes of the teacher"):
            shown = shows[done : done + len(maps.images)]
            done += len(maps.images)
            rows += [
                self._judged(maps, number, label, recipes, shown[:, number])
                for number, label in enumerate(labels)
                if shown[:, number].any()
            ]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(PAIR_COLUMNS))

    def _judged(
        self, maps: MirroredMaps, number: int, label: str, recipes: Mapping[str, Any], shown: NDArray[np.bool_]
    ) -> pd.DataFrame:
        boxes = maps.boxes(number, recipes[label], self.rules)[:, shown]
        films = maps.images[shown]
        confidence = probabilities_of(maps.logits.mean(axis=0)[shown, number])
        agreement = paired_iou(boxes[0], boxes[1])
        sides = boxes[2][:, 2:] - boxes[2][:, :2]
        area = sides.prod(axis=1) / films[["rows", "cols"]].to_numpy(np.float64).prod(axis=1)
        return pd.DataFrame(
            {
                "image_id": films["image_id"].to_numpy(),
                "label": label,
                "confidence": confidence,
                "agreement": agreement,
                "area": area,
                **{corner: boxes[2][:, axis] for axis, corner in enumerate(CORNERS)},
                "outcome": [each.value for each in outcomes(confidence, agreement, area, self.bounds)],
            }
        )

    def _check_same_films(self, films: IngestedFilms, taught: IngestedFilms) -> None:
        theirs = dict(zip(taught.images["image_id"], taught.images["split"], strict=True))
        ours = zip(films.images["image_id"], films.images["split"], strict=True)
        if any(theirs.get(image_id) != split for image_id, split in ours):
            raise SettingsError(
                f"{self.folder.root}: has other films, or in other splits, than {films.files.folder}; a film that "
                "validates here might have trained there; expected equal data, ingest.split_seed and ingest.fractions"
            )

    def member_weights(self, number: int) -> dict[str, Tensor]:
        """Return the weights of the teacher's member of this number, or of its last one."""
        self.folder.check_outputs("train")
        files = artifacts_of(self.folder).train
        weights, members = read_weights(files.weights), files.contract.read().network.members
        if members == 1:
            return weights
        prefix = f"members.{min(number, members - 1)}."
        return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def teacher_of(settings: Settings) -> Teacher | None:
    """Return the run that teaches, or None.

    Raises
    ------
    SettingsError
        If the folder is no run.
    """
    refine = settings.refine
    if refine.teacher is None:
        return None
    check_is_run(refine.teacher)
    bounds = RegionBounds(refine.confidence, refine.agreement, refine.most_area)
    return Teacher(RunFolder(refine.teacher), bounds, RegionRules(settings.localize.min_area))


def regions_of(pairs: pd.DataFrame, films: IngestedFilms, image_ids: NDArray[np.object_]) -> NDArray[np.float32]:
    """Bring the boxes that are used to the model grid.

    Parameters
    ----------
    pairs : DataFrame
        `PAIR_COLUMNS`.
    films : IngestedFilms
        Of the run that is taught.
    image_ids : ndarray of shape (N,), object
        Its training films.

    Returns
    -------
    ndarray of shape (N, L, 4), float32
        (x0, y0, x1, y1), fractions of the model grid's sides; NaN where no box is used.

    Raises
    ------
    InputRefusedError
        If no box is used.
    """
    used = pairs[pairs["outcome"] == Outcome.USED.value]
    position = {image_id: number for number, image_id in enumerate(image_ids)}
    if not used["image_id"].isin(position).any():
        raise InputRefusedError(
            "none of the teacher's boxes on training films is confident enough to train with "
            f"({_counted(pairs['outcome'])}); lower refine.confidence or refine.agreement, or raise refine.most_area"
        )
    contract = films.contract
    regions = np.full((len(image_ids), len(contract.labels), 4), np.nan, np.float32)
    sides = np.array([contract.cols, contract.rows] * 2, np.float64)
    images = films.images.set_index("image_id")
    for row in used[used["image_id"].isin(position)].to_dict("records"):
        transform = transform_of(images.loc[row["image_id"]].to_dict())
        box = transform.box_to_model(Box(*(float(row[corner]) for corner in CORNERS)))
        regions[position[row["image_id"]], contract.labels.index(row["label"])] = np.array(box.as_tuple()) / sides
    return regions


def with_regions(
    films: LabelledFilms,
    teacher: Teacher,
    ingested: IngestedFilms,
    files: TrainFiles,
    device: torch.device,
    rank: int,
) -> LabelledFilms:
    """Give the training films the confident boxes of the teacher; those that an earlier start found are used again."""
    pairs = files.teacher_pairs.read() if files.teacher_pairs.is_file() else teacher.pairs(ingested, device)
    if rank == 0:
        files.teacher_pairs.write(pairs)
    return replace(films, regions=regions_of(pairs, ingested, films.image_ids))


def taught_by(files: TrainFiles) -> dict[str, Any]:
    """Tell how many of a teacher's boxes are used, and by finding how many are not, and why; nothing without one."""
    if not files.teacher_pairs.is_file():
        return {}
    pairs = files.teacher_pairs.read()
    used = int((pairs["outcome"] == Outcome.USED.value).sum())
    notes = {
        f"note_boxes_{number}": f"boxes of {label}: {_counted(rows['outcome'])}"
        for number, (label, rows) in enumerate(pairs.groupby("label", sort=True))
    }
    return {"teacher_boxes": used, "teacher_boxes_refused": len(pairs) - used, **notes}


def _counted(outcome: "pd.Series[str]") -> str:
    counts = outcome.value_counts()
    return ", ".join(f"{counts[each.value]} {each.value}" for each in Outcome if each.value in counts) or "none"
