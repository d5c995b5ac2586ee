"""Rows of the published protocols that ``score.protocols`` asks for, beside the score table's own.

Reads   what `score` reads; the masks of ``ingest/annotations.parquet``
Run     ``camray score configs/phantom.yaml score.protocols='[wsol,detection]'``
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.adapters.runs import RunFolder, read_table
from pipeline.adapters.settings import ScoreSettings
from pipeline.core.scoring.masks import mask_from_rle
from pipeline.core.scoring.parts import MeanOver, Part, part_table
from pipeline.core.scoring.table import LabelLogits
from pipeline.core.scoring.thresholds_used import ThresholdUse
from pipeline.core.scoring.wsol_rows import max_box_acc_parts, overlaps_of, pixel_part
from pipeline.domain.records import ANNOTATION_COLUMNS, Split
from pipeline.stages.progress import progress
from pipeline.stages.score_inputs import Maps, SplitItems, read_films, read_maps, split_items


@dataclass(frozen=True)
class Scored:
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
    """

    asked: ScoreSettings
    folder: RunFolder
    split: str
    maps: Maps
    chosen: SplitItems
    logits: dict[str, LabelLogits]
    uses: list[ThresholdUse]
    boxes: pd.DataFrame

    @cached_property
    def validation(self) -> tuple[SplitItems, Maps] | None:
        """The trained run's validation films; None where there are none, or where they are what is scored."""
        maps = self.maps if self.folder.trained is None else read_maps(self.folder.model_run)
        is_scored = self.split == Split.VALIDATION.value
        if maps is None or is_scored or Split.VALIDATION.value not in set(maps.images["split"]):
            return None
        films = read_films(self.folder.model_run)
        return split_items(films, maps, Split.VALIDATION.value, list(self.chosen.items)), maps

    @cached_property
    def masks(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Label to film to native mask, all instances and readers together; only films of the split."""
        return read_masks(self.folder, self.chosen.films)


def read_masks(folder: RunFolder, films: pd.DataFrame) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Decode the masks of some films: label to ``image_id`` to native mask, the union of all of them."""
    table = read_table(folder.root / "ingest" / "annotations.parquet", ANNOTATION_COLUMNS)
    table = table[(table["kind"] == "mask") & (table["rle"].fillna("") != "")]
    sizes = {str(i): (int(r), int(c)) for i, r, c in zip(films["image_id"], films["rows"], films["cols"], strict=True)}
    found: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for image_id, label, rle in zip(table["image_id"].astype(str), table["label"], table["rle"], strict=True):
        if image_id not in sizes:
            continue
        mask = mask_from_rle(str(rle), *sizes[image_id])
        by_film = found.setdefault(str(label), {})
        by_film[image_id] = mask | by_film[image_id] if image_id in by_film else mask
    return found


def protocol_rows(scored: Scored) -> pd.DataFrame:
    """Make the rows of all protocols asked for, in the form of the score table."""
    parts: list[Part] = []
    for name in progress(scored.asked.protocols, len(scored.asked.protocols), f"protocols on {scored.split}"):
        parts += _PROTOCOLS[name](scored)
    further = [MeanOver("mean without Cardiomegaly", "chestxray14/", {"Cardiomegaly"})]
    return part_table(
        scored.split,
        len(set(scored.chosen.patients.values())),
        parts,
        scored.asked.bootstrap,
        scored.asked.confidence,
        scored.asked.seed,
        further if "chestxray14" in scored.asked.protocols and "Cardiomegaly" in scored.chosen.items else (),
    )


def _wsol(scored: Scored) -> list[Part]:
    thresholds = np.arange(scored.asked.wsol_thresholds) / scored.asked.wsol_thresholds
    parts: list[Part] = []
    for label, items in scored.chosen.items.items():
        masks = scored.masks.get(label, {})
        for method in scored.maps.methods:
            heat_of = scored.maps.reader(method, label)
            if len(items):
                found = overlaps_of(items, heat_of, scored.chosen.geometry, thresholds)
                validated = None
                if scored.validation is not None:
                    films, maps = scored.validation
                    validated = overlaps_of(films.items[label], maps.reader(method, label), films.geometry, thresholds)
                parts += max_box_acc_parts(items, method, found, validated, scored.asked.oracle)
            if masks:
                patients, geometry = scored.chosen.patients, scored.chosen.geometry
                parts.append(pixel_part(label, method, masks, {}, patients, heat_of, geometry, thresholds))
    return parts


_PROTOCOLS: Mapping[str, Callable[[Scored], list[Part]]] = {"wsol": _wsol}
