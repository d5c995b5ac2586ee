"""Training of the few-shot baseline on the validation films of the run that owns the network.

Reads   ``train/`` and the pixel store of that run
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from camray.adapters.settings.schema import Settings
from camray.core.explain.method import Method
from camray.core.localization.recipe_grid import ValidationMaps
from camray.core.metrics.localization import few_shot
from camray.core.metrics.localization.annotated_films import AnnotatedFilms
from camray.core.metrics.localization.baselines import FEW_SHOT
from camray.core.metrics.localization.few_shot import (
    BoxedCells,
    BoxHead,
    covered_shares,
    principal_axes,
    train_box_head,
)
from camray.core.metrics.localization.rows import ChosenLevels, choose_levels, sweep_maps
from camray.domain.geometry import Box
from camray.io.calibrated_thresholds import calibrated_thresholds
from camray.io.split_films import SplitFilms
from camray.io.trained_model import TrainedNetwork
from camray.stages.score.few_shot_maps import FewShot, network_maps

_FEATURES = Method("features", lambda _, passed: passed.features, lambda maps: maps, "channels at the seam")


def trainable_patients(validation: SplitFilms, label: str) -> int:
    """Count the patients with validation boxes that a head of the label can learn from."""
    items = validation.items[label]
    return few_shot.trainable_patients(items, _covered(validation, items))


def train_few_shot(
    validation: SplitFilms, labels: Sequence[str], network: TrainedNetwork, settings: Settings
) -> FewShot:
    """Train a head for each label, and choose its thresholds on maps of held-out patients.

    Parameters
    ----------
    validation : SplitFilms
        Validation films; no other film has a part in it.
    labels : sequence of str
        Those with enough `trainable_patients`; at least one.
    network : TrainedNetwork
        The network that explained the films.
    settings : Settings
        What the calibration compares, batch size, random seed.
    """
    items_of = {label: validation.items[label] for label in labels}
    image_ids = sorted({image_id for items in items_of.values() for image_id in items.image_ids})
    batch_size = settings.explain.batch_size
    axes = principal_axes(
        part.reshape(-1, part.shape[-1]) for _, part in _cells(validation, image_ids, network, batch_size)
    )
    features: dict[str, NDArray[np.float32]] = {}
    for ids, part in _cells(validation, image_ids, network, batch_size):
        features |= zip(ids, (part @ axes).astype(np.float32), strict=True)
    heads = {
        label: train_box_head(_boxed_cells(validation, items, features), settings.score.seed)
        for label, items in items_of.items()
    }
    maps = {label: _validation_maps(validation, items_of[label], head) for label, head in heads.items()}
    return FewShot(
        tuple(labels),
        np.stack([axes @ head.model.weights for head in heads.values()], axis=1).astype(np.float32),
        np.array([head.model.offset for head in heads.values()], np.float32),
        tuple(calibrated_thresholds(FEW_SHOT, maps, validation.geometry.shape_model, settings.localize)),
        {
            label: _levels(validation, items_of[label], head, settings.localize.calibrate_iou)
            for label, head in heads.items()
        },
    )


def _cells(
    validation: SplitFilms, image_ids: Sequence[str], network: TrainedNetwork, batch_size: int
) -> Iterator[tuple[Sequence[str], NDArray[np.float32]]]:
    """Yield some films' names and their cells' channels, [B, h, w, K]."""
    for ids, features in network_maps(validation.run, image_ids, network, _FEATURES, batch_size):
        yield ids, features.transpose(0, 2, 3, 1)


def _covered(validation: SplitFilms, items: AnnotatedFilms) -> NDArray[np.float64]:
    return covered_shares(items, validation.geometry, validation.run.grid.shape_feature)


def _boxed_cells(
    validation: SplitFilms, items: AnnotatedFilms, features: Mapping[str, NDArray[np.float32]]
) -> BoxedCells:
    stacked = np.stack([features[image_id] for image_id in items.image_ids])
    return BoxedCells(items.label, stacked, _covered(validation, items), items.patients)


def _validation_maps(validation: SplitFilms, items: AnnotatedFilms, head: BoxHead) -> ValidationMaps:
    """Collect held-out maps and boxes on the model grid, as `localize` does for a method's maps."""
    placed = [validation.geometry.placements[image_id] for image_id in items.image_ids]
    annotated = [
        np.array([each.transform.box_to_model(Box(*map(float, box))).as_tuple() for box in items.boxes_of(number)])
        for number, each in enumerate(placed)
    ]
    no_prior = np.zeros(head.held_out.shape[1:], np.float32)
    return ValidationMaps(head.held_out, [each.window for each in placed], annotated, no_prior)


def _levels(validation: SplitFilms, items: AnnotatedFilms, head: BoxHead, iou_criterion: float) -> ChosenLevels:
    """Choose the levels of MaxBoxAcc on held-out maps."""
    maps = dict(zip(items.image_ids, head.held_out, strict=True))
    levels = choose_levels(sweep_maps(items, maps.__getitem__, validation.geometry)[0], iou_criterion)
    if levels is None:
        raise ValueError(f"no annotated film of '{items.label}'")
    return levels
