"""Consistency of a run's boxes with themselves on validation films, from image labels alone; no annotation is read.

Reads   ``ingest/ train/ localize/thresholds.json``
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.explain.seam import forward
from camray.core.localization.heat_maps import film_window
from camray.core.localization.located_boxes import RegionRules
from camray.core.metrics.self_consistency import mirrored_box, painted_over, removed_share
from camray.domain.geometry import Box, paired_iou
from camray.domain.records import Split
from camray.io.ingested_films import grey_of, read_ingested, transform_of
from camray.io.labelled_films import targets_of
from camray.io.mirrored_maps import MirroredMaps, label_only_recipes, mirrored_maps
from camray.io.trained_model import TrainedNetwork, load_trained

MEASURES = ("agreement", "removal")


@dataclass(frozen=True)
class _Seen:
    """One film that shows a label: agreement, and logits as it is, without its box, and without the mirrored one."""

    image_id: str
    label: str
    agreement: float
    logit: float
    without: float
    elsewhere: float


def film_consistency(folder: RunFolder, min_area: float, device: torch.device) -> pd.DataFrame:
    """Measure every validation film with every label that it shows.

    Parameters
    ----------
    folder : RunFolder
        A finished run.
    min_area : float
        Smallest region, fraction of the film.
    device : torch.device
        Computes.

    Returns
    -------
    DataFrame
        Columns ``image_id, label``, the two measures, and ``consistency``, their mean.
    """
    films, trained = read_ingested(folder), load_trained(folder, device)
    labels, rules = trained.contract.labels, RegionRules(min_area)
    recipes = label_only_recipes(folder, labels)
    images = films.split(Split.VALIDATION).sort_values(["shard", "index"])
    targets = targets_of(images["image_id"], films.labels, labels)
    logits, seen, done = [np.zeros((0, len(labels)))], list[_Seen](), 0
    for maps in mirrored_maps(trained, films, images, f"boxes of {folder.root.name}"):
        shown = targets[done : done + len(maps.images)] == 1
        done += len(maps.images)
        logits.append(maps.logits[0].astype(np.float64))
        for number, label in enumerate(labels):
            if shown[:, number].any():
                boxes = maps.boxes(number, recipes[label], rules)
                seen += _seen(trained, maps, boxes, shown[:, number], number)
    return _table(seen, labels, np.concatenate(logits), targets)


def _seen(
    trained: TrainedNetwork, maps: MirroredMaps, boxes: NDArray[np.float64], shown: NDArray[np.bool_], label: int
) -> Iterator[_Seen]:
    agreement = np.nan_to_num(paired_iou(boxes[0], boxes[1]))
    films = np.flatnonzero(shown)
    painted = torch.from_numpy(np.concatenate([_painted(maps, int(film), boxes[2, film]) for film in films]))
    logits = forward(trained.network, painted[:, None].to(trained.device)).logits[:, label].double().cpu().numpy()
    for number, film in enumerate(films):
        without, elsewhere = map(float, logits[2 * number : 2 * number + 2])
        image_id, name = str(maps.images["image_id"].iloc[film]), trained.contract.labels[label]
        yield _Seen(image_id, name, float(agreement[film]), float(maps.logits[0, film, label]), without, elsewhere)


def _painted(maps: MirroredMaps, film: int, box: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a film without its box, and without the mirrored one, [2, rows, cols]; twice as it is if it has none."""
    grey, row = grey_of(maps.pixels[film]), maps.images.iloc[film].to_dict()
    if np.isnan(box).any():
        return np.stack([grey, grey])
    transform = transform_of(row)
    window = film_window(transform, (int(row["rows"]), int(row["cols"])), (grey.shape[0], grey.shape[1]))
    on_model_grid = transform.box_to_model(Box(*map(float, box)))
    places = (on_model_grid, mirrored_box(on_model_grid, window))
    return np.stack([painted_over(grey, place, window) for place in places])


def _table(
    seen: list[_Seen], labels: tuple[str, ...], logits: NDArray[np.float64], targets: NDArray[np.float32]
) -> pd.DataFrame:
    table = pd.DataFrame([vars(each) for each in seen], columns=list(_Seen.__dataclass_fields__))
    removal = pd.Series(0.0, index=table.index)
    for number, label in enumerate(labels):
        rows, absent = table["label"] == label, logits[targets[:, number] == 0, number]
        level = float(np.median(absent)) if len(absent) else float("inf")  # nothing is above it: no removal
        there, elsewhere = (
            removed_share(table.loc[rows, "logit"].to_numpy(), table.loc[rows, name].to_numpy(), level)
            for name in ("without", "elsewhere")
        )
        removal[rows] = there - elsewhere
    table = table.assign(removal=removal)
    return table.assign(consistency=table[list(MEASURES)].mean(axis=1))[["image_id", "label", *MEASURES, "consistency"]]
