"""Maps and boxes of films and of their mirror images, view by view; what the two agree on needs no annotation.

Reads   ``ingest/``; ``localize/thresholds.json``; the network is given
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.explain.methods import methods_named
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.default_method import PREFERRED_METHOD
from camray.core.localization.heat_maps import Placement, film_window
from camray.core.localization.located_boxes import RegionRules
from camray.core.localization.native_boxes import PlacedFilms, draw_native_boxes
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.records import CORNERS
from camray.io.artifacts import artifacts_of
from camray.io.ingested_films import IngestedFilms, transform_of
from camray.io.trained_model import TrainedNetwork, explain_pixels

_FILMS_AT_ONCE = 32
POLICY = "above_background"


@dataclass(frozen=True, eq=False)
class MirroredMaps:
    """A batch of films as the network sees them, and their mirror images.

    Parameters
    ----------
    images : DataFrame
        Rows of the images table, N films.
    pixels : ndarray of shape (N, rows, cols), uint8 or uint16
        Model grid.
    logits : ndarray of shape (2, N, L), float32
        Of the films, and of their mirror images.
    heat : ndarray of shape (2, N, L, h, w), float32
        Class activation maps, those of the mirror images mirrored back.
    """

    images: pd.DataFrame
    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    logits: NDArray[np.float32]
    heat: NDArray[np.float32]

    def boxes(self, label: int, recipe: BoxRecipe, rules: RegionRules) -> NDArray[np.float64]:
        """Draw one label's best box by each view, and by the mean of both.

        Parameters
        ----------
        label : int
            Its number.
        recipe, rules
            As for `locate`.

        Returns
        -------
        ndarray of shape (3, N, 4), float64
            Native grid, px; NaN where a map has none.
        """
        shape = (int(self.pixels.shape[1]), int(self.pixels.shape[2]))
        sizes = [(int(rows), int(cols)) for rows, cols in self.images[["rows", "cols"]].to_numpy()]
        transforms = [transform_of(row) for row in self.images.to_dict("records")]
        placements = [
            Placement(transform, film_window(transform, size, shape))
            for transform, size in zip(transforms, sizes, strict=True)
        ]
        films = PlacedFilms(placements, sizes, shape)
        views = (*self.heat[:, :, label], self.heat[:, :, label].mean(axis=0))
        drawn = (draw_native_boxes(films, heat, recipe, rules, only_best=True) for heat in views)
        return np.stack([rows[CORNERS].to_numpy(np.float64) for rows in drawn])


def mirrored_maps(
    trained: TrainedNetwork, films: IngestedFilms, images: pd.DataFrame, what: str
) -> Iterator[MirroredMaps]:
    """Explain films and their mirror images by CAM, a batch at a time.

    Parameters
    ----------
    trained : TrainedNetwork
        The network.
    films : IngestedFilms
        Holds the pixels.
    images : DataFrame
        Rows of its images table.
    what : str
        For the progress line.
    """
    cam = methods_named([PREFERRED_METHOD])
    starts = range(0, len(images), _FILMS_AT_ONCE)
    for start in progress(starts, len(starts), what):
        part = images.iloc[start : start + _FILMS_AT_ONCE]
        pixels = films.stored_pixels(part)
        seen = [
            explain_pixels(trained, np.ascontiguousarray(view), cam, flip=False, scales=(1.0,))
            for view in (pixels, pixels[:, :, ::-1])
        ]
        logits = np.stack([each.logits.numpy() for each in seen])
        there, mirrored = (each.heat[PREFERRED_METHOD].numpy() for each in seen)
        yield MirroredMaps(part, pixels, logits, np.stack([there, mirrored[..., ::-1]]).astype(np.float32))


def label_only_recipes(folder: RunFolder, labels: Sequence[str]) -> Mapping[str, BoxRecipe]:
    """Return each label's recipe for boxes from image labels alone; no annotated box has a part in it.

    Raises
    ------
    SettingsError
        If the run has none for CAM.
    PipelineError
        If the run has not finished.
    """
    files = artifacts_of(folder).localize
    if folder.record("localize") is None:
        raise PipelineError(
            f"{folder.root}: has not finished: it has no boxes; finish it with `camray run {folder.root}`"
        )
    folder.check_outputs("localize")
    thresholds = files.thresholds.read().boxes
    recipes = {
        each.label: each.recipe for each in thresholds if (each.policy, each.method) == (POLICY, PREFERRED_METHOD)
    }
    if missing := [label for label in labels if label not in recipes]:
        raise SettingsError(
            f"{files.thresholds.path}: has no boxes by CAM from image labels alone of {', '.join(missing)}; expected "
            f"'cam' in explain.methods and '{POLICY}' in localize.policies; set both, and run it again"
        )
    return recipes
