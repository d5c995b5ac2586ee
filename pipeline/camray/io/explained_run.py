"""One explained run as later stages see it: films, logits, heat maps, thresholds and predictions.

Reads   ``ingest/``, ``explain/``; on demand ``localize/``, and prior maps of the run that owns the network
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folders.run_folder import RunFolder, how_to_write
from camray.core.localization.box_thresholds import BoxThreshold, Thresholds
from camray.core.localization.default_method import default_method, default_thresholds
from camray.core.localization.heat_maps import Placement, film_window, upsampled
from camray.core.metrics.localization.rows import Geometry
from camray.domain.errors import PipelineError
from camray.domain.geometry import Box, GridTransform
from camray.domain.labels import Finding
from camray.domain.records import PREDICTION_COLUMNS
from camray.io.artifacts import RunArtifacts, artifacts_of
from camray.io.explanation_grid import ExplanationGrid
from camray.io.ingested_films import IngestedFilms, read_ingested, transform_of

OPEN_SHARDS = 4  # of heat maps: films come in the order of their names, which is mostly that of the shards
PREDICTION_CATEGORIES = ("image_id", "label", "method", "threshold_id", "zone")
_PLACED_BY = ("rows", "cols", "scale_x", "scale_y", "offset_x", "offset_y")


@dataclass(frozen=True, eq=False)
class FilmView:
    """The part of the model grid that one film covers, with one map of it.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        Film, 0-1.
    heat : ndarray of shape (H, W), float32
        Raw heat, interpolated and smoothed as its boxes were drawn from it.
    transform : GridTransform
        Native grid to this view.
    aspect : float
        Height over width of the view in the patient.
    """

    grey: NDArray[np.float32]
    heat: NDArray[np.float32]
    transform: GridTransform
    aspect: float

    def boxes(self, native: Sequence[Box]) -> list[Box]:
        """Map native boxes to this view."""
        return [self.transform.box_to_model(box) for box in native]


@dataclass(frozen=True, eq=False)
class ExplainedRun:
    """An explained run; tables and maps are read when they are first needed, maps shard by shard.

    Parameters
    ----------
    folder : RunFolder
        The run; `folder.model_run` owns the network.
    films : IngestedFilms
        All ingested films.
    grid : ExplanationGrid
        Grids, labels and methods.
    explained : DataFrame
        `EXPLAINED_COLUMNS` of the N explained films, in the order of logits and maps; ``image_id`` as str.
    logits : ndarray of shape (N, L), float32
        Labels in the order of `labels`.
    """

    folder: RunFolder
    films: IngestedFilms
    grid: ExplanationGrid
    explained: pd.DataFrame
    logits: NDArray[np.float32]
    _stores: dict[str, PixelStore] = field(default_factory=dict)

    @property
    def artifacts(self) -> RunArtifacts:
        """Files of the run."""
        return artifacts_of(self.folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the logits and of the maps' second axis."""
        return self.grid.labels

    @property
    def methods(self) -> tuple[str, ...]:
        """Explanation methods, in the order of the settings."""
        return self.grid.methods

    @property
    def image_ids(self) -> list[str]:
        """Explained films in the order of logits and maps."""
        return list(self.explained["image_id"])

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Findings in the order of `labels`, with codes, aliases and all else that the data manifest says of them.

        Raises
        ------
        PipelineError
            If the ingest contract does not name a label.
        """
        known = {finding.name: finding for finding in self.films.contract.findings}
        missing = [label for label in self.labels if label not in known]
        if missing:
            raise PipelineError(
                f"{self.films.files.contract.path}: does not name the explained labels {', '.join(missing)}; "
                "run the ingest and explain stages again"
            )
        return tuple(known[label] for label in self.labels)

    def film_logits(self, image_id: str) -> NDArray[np.float32]:
        """Return the raw logits of one film, [L]."""
        logits: NDArray[np.float32] = self.logits[self._positions[image_id]]
        return logits

    def positions(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of some films in logits and maps."""
        return np.array([self._positions[image_id] for image_id in image_ids], np.int64)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {image_id: position for position, image_id in enumerate(self.explained["image_id"])}

    @cached_property
    def logit_table(self) -> pd.DataFrame:
        """Logits by ``image_id`` and label, float64."""
        return pd.DataFrame(self.logits.astype(np.float64), index=self.explained["image_id"], columns=list(self.labels))

    @cached_property
    def placements(self) -> dict[str, Placement]:
        """Position of each explained film on the model grid, in the order of logits and maps."""
        rows = self.films.images.set_index("image_id").loc[self.explained["image_id"], list(_PLACED_BY)]
        placements, alike = {}, dict[tuple[Any, ...], Placement]()  # most films of a run are placed alike
        film: Any
        for image_id, film in zip(rows.index, rows.itertuples(index=False), strict=True):
            if film not in alike:
                transform = transform_of(film._asdict())
                window = film_window(transform, (int(film.rows), int(film.cols)), self.grid.shape_model)
                alike[film] = Placement(transform, window)
            placements[image_id] = alike[film]
        return placements

    @cached_property
    def geometry(self) -> Geometry:
        """Model grid and placements."""
        return Geometry(self.grid.shape_model, self.placements)

    @cached_property
    def _heat_rows(self) -> dict[str, tuple[int, int]]:
        ids, shards, indices = (self.explained[name] for name in ("image_id", "shard", "index"))
        return {image_id: (int(s), int(i)) for image_id, s, i in zip(ids, shards, indices, strict=True)}

    def split(self, name: str) -> pd.DataFrame:
        """Return the explained films of a split: rows of the images table, in its order."""
        films = self.films.split(name)
        return films[films["image_id"].isin(self._heat_rows)]

    def heat_maps(self, method: str) -> NDArray[np.float32]:
        """Return all raw maps of one method, [N, L, h, w] on the feature grid."""
        store, unit = self.artifacts.explain.heat_store(method), self.grid.stored_unit(method)
        shards = sorted(self.explained["shard"].unique())
        return np.concatenate([store.shard(int(shard)).astype(np.float32) * unit for shard in shards])

    def some_heat_maps(self, method: str, image_ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the raw maps of one method of some films, at least one: [n, L, h, w] on the feature grid."""
        stored = np.stack([self.stored_heat(method, image_id) for image_id in image_ids])
        return stored.astype(np.float32) * self.grid.stored_unit(method)

    def heat(self, method: str, label: str, image_id: str) -> NDArray[np.float32]:
        """Return one film's raw map of one label, [h, w] on the feature grid."""
        stored = self.stored_heat(method, image_id)[self.labels.index(label)]
        return np.asarray(stored, np.float32) * self.grid.stored_unit(method)

    def stored_heat(self, method: str, image_id: str) -> NDArray[np.float16]:
        """Return one film's maps as stored, [L, h, w]: raw heat times 2 to the method's exponent."""
        if method not in self._stores:
            self._stores[method] = self.artifacts.explain.heat_store(method, OPEN_SHARDS)
        shard, index = self._heat_rows[image_id]
        stored: NDArray[np.float16] = self._stores[method].shard(shard)[index]
        return stored

    def heat_reader(self, method: str, label: str) -> Callable[[str], NDArray[np.float32]]:
        """Return a function from ``image_id`` to the raw map of this method and label."""
        return lambda image_id: self.heat(method, label, image_id)

    def prior(self, method: str) -> NDArray[np.float32] | None:
        """Return one method's prior maps [L, h, w], or None where none were made."""
        run = self.folder.model_run
        run.check_outputs("explain")
        return artifacts_of(run).explain.read_prior(method)

    def pixel_aspect(self, image_id: str) -> float:
        """Return height over width of a model pixel in the patient: 1 unless films were stretched."""
        if self.films.contract.fit != "stretch":
            return 1.0
        film = self.films.film(image_id)
        return film.transform.scale_x / film.transform.scale_y * film.native_aspect

    def view(self, image_id: str, threshold: BoxThreshold) -> FilmView:
        """Return a film with the map that a threshold's boxes were drawn from."""
        placement, shape_model = self.placements[image_id], self.grid.shape_model
        window = placement.window
        raw = self.heat(threshold.method, threshold.label, image_id)
        rows, cols = window.rows, window.cols
        return FilmView(
            self.films.grey(image_id)[window.row0 : window.row1, window.col0 : window.col1],
            upsampled(raw[None], shape_model, window, threshold.recipe.smooth)[0],
            placement.transform.then(1.0, 1.0, -float(window.col0), -float(window.row0)),
            rows / cols * self.pixel_aspect(image_id),
        )

    def _check_localized(self) -> None:
        """Refuse boxes that have changed, or that were drawn from other maps."""
        if self.folder.record("localize") is not None and not self.folder.is_current("localize"):
            path = self.artifacts.localize.predictions.path
            raise PipelineError(
                f"{path}: boxes of other heat maps, films or weights than the run has now; {how_to_write(path)}"
            )
        self.folder.check_outputs("localize")

    @cached_property
    def thresholds(self) -> Thresholds:
        """Box thresholds and cutoffs that the boxes were drawn with."""
        self._check_localized()
        return self.artifacts.localize.thresholds.read()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """`PREDICTION_COLUMNS` of all films, methods and thresholds; texts are categories."""
        self._check_localized()
        table = self.artifacts.localize.predictions.read(PREDICTION_CATEGORIES)
        if not self.thresholds.calibrations:  # of a version that wrote the network's output as probability
            table["probability"] = np.float32("nan")
        return table

    @property
    def default_method(self) -> str:
        """Explanation method that is exported and reviewed."""
        return default_method(self.methods)

    @cached_property
    def default_thresholds(self) -> dict[str, BoxThreshold]:
        """By label: the threshold whose boxes are exported and reviewed."""
        return default_thresholds(self.thresholds.boxes, self.default_method, self.labels)

    @cached_property
    def default_predictions(self) -> pd.DataFrame:
        """`PREDICTION_COLUMNS` of the default method and thresholds, texts as texts."""
        ids = [threshold.id for threshold in self.default_thresholds.values()]
        rows = self.predictions[self.predictions["threshold_id"].isin(ids)]
        return rows.astype({name: PREDICTION_COLUMNS[name] for name in PREDICTION_CATEGORIES})


def open_explained_run(folder: RunFolder) -> ExplainedRun:
    """Open an explained run.

    Raises
    ------
    PipelineError
        If ingest or explain has not finished, an output has changed since, or the two do not belong together.
    """
    folder.check_outputs("explain")
    files = artifacts_of(folder).explain
    grid, explained = files.grid.read(), files.images.read()
    explained["image_id"] = explained["image_id"].astype(str)
    if not files.logits.is_file():
        raise PipelineError(f"{files.logits}: no such file; run the explain stage first")
    logits = np.load(files.logits, allow_pickle=False)
    films = read_ingested(folder)
    if not explained["image_id"].isin(films.images["image_id"]).all() or logits.shape != (
        len(explained),
        len(grid.labels),
    ):
        raise PipelineError(f"{files.folder}: does not belong to the films in ingest/; run the explain stage again")
    return ExplainedRun(folder, films, grid, explained, logits)


def is_explained(folder: RunFolder) -> bool:
    """Return whether a run has heat maps."""
    return artifacts_of(folder).explain.grid.is_file()
