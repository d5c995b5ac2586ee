"""Maps and boxes of the few-shot baseline on films of a run.

Reads   the pixel store of the run
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.settings.schema import Settings
from camray.core.explain.method import Method
from camray.core.explain.seam import ForwardPass
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.metrics.localization.baselines import FEW_SHOT
from camray.core.metrics.localization.rows import ChosenLevels, HeatOf
from camray.io.box_drawing import draw_boxes
from camray.io.explained_run import ExplainedRun
from camray.io.split_films import SplitFilms
from camray.io.trained_model import TrainedNetwork, explain_pixels

_BY_FILM = frozenset({"chestxray14", "detection", "rodeo"})  # protocols that count boxes on films without annotations


@dataclass(frozen=True, eq=False)
class FewShot:
    """The trained baseline.

    Parameters
    ----------
    labels : tuple of str
        The L labels that have it.
    weights, offsets : ndarray of shape (K, L) and (L,), float32
        Logits of a cell from its K channels at the seam.
    thresholds : tuple of BoxThreshold
        One for each label.
    levels : mapping of str to ChosenLevels
        By label: levels of MaxBoxAcc.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    offsets: NDArray[np.float32]
    thresholds: tuple[BoxThreshold, ...]
    levels: Mapping[str, ChosenLevels]

    @property
    def method(self) -> Method:
        """The heads as an explanation method: probability that a cell is inside a box, [B, L, h, w]."""
        weights, offsets = torch.from_numpy(self.weights), torch.from_numpy(self.offsets)

        def logits(_: object, passed: ForwardPass) -> torch.Tensor:
            on_device = weights.to(passed.features.device), offsets.to(passed.features.device)
            return torch.einsum("bkhw,kl->blhw", passed.features.float(), on_device[0]) + on_device[1][:, None, None]

        return Method(FEW_SHOT, logits, torch.sigmoid, "logistic regression of cells inside validation boxes")


@dataclass(frozen=True, eq=False)
class FewShotOnSplit:
    """Results of the baseline on one split.

    Parameters
    ----------
    trained : FewShot
        The baseline.
    maps : mapping of str to ndarray of shape (L, h, w), float32
        By ``image_id``.
    predictions : DataFrame
        `PREDICTION_COLUMNS` of the films with maps.
    """

    trained: FewShot
    maps: Mapping[str, NDArray[np.float32]]
    predictions: pd.DataFrame

    def heat_reader(self, label: str) -> HeatOf:
        """Return a function from ``image_id`` to the label's map."""
        number = self.trained.labels.index(label)
        return lambda image_id: self.maps[image_id][number]


def few_shot_on(films: SplitFilms, trained: FewShot, network: TrainedNetwork, settings: Settings) -> FewShotOnSplit:
    """Compute the maps of one split and draw their boxes.

    Parameters
    ----------
    films : SplitFilms
        Not the films that the heads were trained on.
    trained : FewShot
        The baseline.
    network : TrainedNetwork
        The network whose features the heads read.
    settings : Settings
        Smallest region, boxes per film, batch size, protocols.

    Returns
    -------
    FewShotOnSplit
        Of the annotated films; of all where a protocol counts boxes on films without annotations.
    """
    run, annotated = films.run, {image_id for items in films.items.values() for image_id in items.image_ids}
    needs_all = bool(_BY_FILM & set(settings.score.protocols))
    image_ids = sorted(films.films["image_id"]) if needs_all else sorted(annotated)
    maps: dict[str, NDArray[np.float32]] = {}
    for ids, heat in network_maps(run, image_ids, network, trained.method, settings.explain.batch_size):
        maps |= dict(zip(ids, heat, strict=True))
    thresholds = replace(run.thresholds, boxes=trained.thresholds)
    stacked = np.stack([maps[image_id] for image_id in image_ids])
    predictions = draw_boxes(
        run,
        image_ids,
        lambda threshold: (stacked[:, trained.labels.index(threshold.label)], None),
        thresholds,
        settings.localize,
    )
    return FewShotOnSplit(trained, maps, predictions)


def network_maps(
    run: ExplainedRun, image_ids: Sequence[str], network: TrainedNetwork, method: Method, batch_size: int
) -> Iterator[tuple[Sequence[str], NDArray[np.float32]]]:
    """Run the network on films of a run, averaged over the views of its maps.

    Yields
    ------
    image_ids : sequence of str
        B films.
    maps : ndarray of shape (B, C, h, w), float32
        Of the method.
    """
    images = run.films.images.set_index("image_id")
    starts = range(0, len(image_ids), batch_size)
    for start in progress(starts, len(starts), "few-shot baseline"):
        ids = image_ids[start : start + batch_size]
        pixels = run.films.stored_pixels(images.loc[list(ids)])
        maps = explain_pixels(network, pixels, (method,), flip=run.grid.flip, scales=run.grid.scales)
        yield ids, maps.heat[method.name].numpy()
