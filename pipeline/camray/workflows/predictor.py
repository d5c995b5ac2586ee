"""Trained run as a predictor: films in, boxes out; used by the registered MLflow model and by other programs.

Reads   ``train/model.safetensors contract.json``, ``localize/thresholds.json`` and ``settings.json`` of a run, or the
        copy of these in a registered model
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import ExplainSettings, LocalizeSettings
from camray.core.explain.methods import methods_named
from camray.core.explain.seam import SeamNetwork
from camray.core.explain.test_time_averaging import explain
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.localization.default_method import default_method, default_thresholds
from camray.core.localization.heat_maps import film_window
from camray.core.localization.located_boxes import RegionRules, locate
from camray.core.networks.chest_region import find_chests, held_inside
from camray.core.networks.lung_unet import LungUNet
from camray.core.probability.calibration import LabelCalibration, calibrated_probabilities
from camray.domain.contract import ModelContract
from camray.domain.errors import SettingsError
from camray.domain.geometry import Box, CropWindow, GridTransform
from camray.domain.records import CORNERS
from camray.domain.suggestions import did_you_mean
from camray.io.artifacts import RunArtifacts
from camray.io.film_lungs import shipped_lung_network
from camray.io.method_options import method_options
from camray.io.prepared_films import prepare_for
from camray.io.trained_model import load_classifier
from camray.workflows.predictor_input import GreyFilm, films_of
from camray.workflows.stored_settings import read_settings

_CPU = torch.device("cpu")
_NO_BOX = dict.fromkeys((*CORNERS, "score"), float("nan"))
COLUMNS = ("image_id", "label", "probability", *CORNERS, "score", "logit")
FILMS_AT_ONCE = 16


@dataclass(frozen=True)
class Prediction:
    """Result of one film.

    Parameters
    ----------
    film : GreyFilm
    grey : ndarray of shape (rows, cols), float32
        The film on the model grid.
    transform : GridTransform
        Native to model grid.
    probabilities : ndarray of shape (L,), float64
        NaN where none is stated.
    logits : ndarray of shape (L,), float64
        Raw.
    heat : ndarray of shape (L, h, w), float32
        Raw maps on the feature grid.
    boxes : tuple
        Label by label, (box on the native grid, score), best first; empty without localization.
    """

    film: GreyFilm
    grey: NDArray[np.float32]
    transform: GridTransform
    probabilities: NDArray[np.float64]
    logits: NDArray[np.float64]
    heat: NDArray[np.float32]
    boxes: tuple[tuple[tuple[Box, float], ...], ...]


@dataclass(frozen=True)
class Predictor:
    """A network with its thresholds.

    Parameters
    ----------
    network : SeamNetwork
        In evaluation mode.
    contract : ModelContract
        What it expects.
    thresholds : dict of str to BoxThreshold
        By label; a label without any gets no boxes.
    calibrations : tuple of LabelCalibration
        From logits to probabilities, one for each of the contract's labels.
    method : str
        Explanation method that the thresholds belong to.
    explaining : ExplainSettings
        Flips, scales and the rounding of the maps.
    localizing : LocalizeSettings
        Smallest region, score, and one or many boxes a label.
    prior : ndarray of shape (L, h, w), float32, or None
        Label-only prior maps, where the run made them.
    device : torch.device
        Where the networks are.
    chest : LungUNet or None
        Lung segmenter, where the run held its maps inside the chest.
    """

    network: SeamNetwork
    contract: ModelContract
    thresholds: dict[str, BoxThreshold]
    calibrations: tuple[LabelCalibration, ...]
    method: str
    explaining: ExplainSettings
    localizing: LocalizeSettings
    prior: NDArray[np.float32] | None = None
    device: torch.device = _CPU
    chest: LungUNet | None = None

    def __call__(self, films: Any) -> pd.DataFrame:
        """Find boxes.

        Parameters
        ----------
        films : DataFrame with a column ``path``, sequence of paths, or array
            Files (DICOM, PNG, JPEG), or films [N, H, W] or [H, W]: float 0 black to 1 white, or uint8.

        Returns
        -------
        DataFrame
            Columns `COLUMNS`: native px, half-open, corner origin. One row a box; a label without one on a film has one
            row with missing corners and score, so that its logit is there too. The probability is missing where the
            run states none (its validation films were too few). Of an array, image_id is the
            film's number. A file that is no usable film has one row with label ``refused:<reason>``.

        Raises
        ------
        SettingsError
            If `films` is none of these.
        """
        rows: list[dict[str, Any]] = []
        batch: list[GreyFilm] = []
        for film in films_of(films):
            if isinstance(film, GreyFilm):
                batch.append(film)
            else:
                rows += [*self._rows(batch), film]
                batch = []
            if len(batch) == FILMS_AT_ONCE:
                rows += self._rows(batch)
                batch = []
        rows += self._rows(batch)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def predict_images(self, films: Sequence[GreyFilm]) -> list[Prediction]:
        """Explain a few films with every label."""
        if not films:
            return []
        grids = [self._on_model_grid(film) for film in films]
        batch = torch.from_numpy(np.stack([grey for grey, _ in grids]))[:, None].to(self.device)
        cells = (self.contract.feature_rows, self.contract.feature_cols)
        settings = self.explaining
        maps = explain(
            self.network,
            batch,
            methods_named([self.method], method_options(settings)),
            cells,
            flip=settings.flip,
            scales=settings.scales,
        )
        logits = maps.logits.double().cpu().numpy()
        probabilities = calibrated_probabilities(logits, self.calibrations)
        scale = np.float32(2.0 ** settings.heat_exponents.get(self.method, 0))
        raw = self._held(maps.heat[self.method], batch, films, grids)
        heat = (raw.float().cpu().numpy() * scale).astype(np.float16).astype(np.float32) / scale
        return [
            Prediction(
                film,
                grey,
                transform,
                probabilities[number],
                logits[number],
                heat[number],
                self._boxes(film, transform, heat[number]),
            )
            for number, (film, (grey, transform)) in enumerate(zip(films, grids, strict=True))
        ]

    def window(self, prediction: Prediction) -> CropWindow:
        """Return the part of the model grid that a film covers."""
        return self._window(prediction.film, prediction.transform)

    def _window(self, film: GreyFilm, transform: GridTransform) -> CropWindow:
        rows, cols = film.pixels.shape
        return film_window(transform, (rows, cols), (self.contract.rows, self.contract.cols))

    def _held(
        self, heat: Tensor, batch: Tensor, films: Sequence[GreyFilm], grids: Sequence[tuple[Any, GridTransform]]
    ) -> Tensor:
        """Hold maps [B, L, h, w] inside the chest, where the run did."""
        if self.chest is None:
            return heat
        windows = [self._window(film, transform) for film, (_, transform) in zip(films, grids, strict=True)]
        return held_inside(find_chests(self.chest, batch, windows), heat)

    def _rows(self, films: Sequence[GreyFilm]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for prediction in self.predict_images(films):
            for number, label in enumerate(self.contract.labels):
                shared = {
                    "image_id": prediction.film.image_id,
                    "label": label,
                    "probability": float(prediction.probabilities[number]),
                    "logit": float(prediction.logits[number]),
                }
                rows += [{**shared, **_box_columns(box, score)} for box, score in prediction.boxes[number]] or [
                    {**shared, **_NO_BOX}
                ]
        return rows

    def _on_model_grid(self, film: GreyFilm) -> tuple[NDArray[np.float32], GridTransform]:
        """Prepare a film and bring it to the model grid, rounded as the pixel store rounds."""
        prepared = prepare_for(self.contract, film.pixels, (film.row_spacing_mm, film.col_spacing_mm))
        levels = np.float32(2**self.contract.bits - 1)
        return (np.rint(np.clip(prepared.grey, 0.0, 1.0) * levels) / levels).astype(np.float32), prepared.transform

    def _boxes(
        self, film: GreyFilm, transform: GridTransform, heat: NDArray[np.float32]
    ) -> tuple[tuple[tuple[Box, float], ...], ...]:
        rows, cols = film.pixels.shape
        shape_model, settings = (self.contract.rows, self.contract.cols), self.localizing
        window = self._window(film, transform)
        by_label: list[tuple[tuple[Box, float], ...]] = []
        for number, label in enumerate(self.contract.labels):
            boxes: list[tuple[Box, float]] = []
            if label in self.thresholds:
                recipe = self.thresholds[label].recipe
                prior = None if self.prior is None else self.prior[number]
                located = locate(
                    heat[number][None],
                    window,
                    shape_model,
                    recipe,
                    RegionRules(settings.min_area, settings.score),
                    prior=prior,
                )
                for corners, score in zip(located.boxes, located.score, strict=True):
                    box = transform.box_to_native(Box(*map(float, corners))).clipped(rows, cols)
                    if box is not None:
                        boxes.append((box, float(score)))
            by_label.append(tuple(boxes[:1] if settings.boxes == "one" else boxes))
        return tuple(by_label)


def _box_columns(box: Box, score: float) -> dict[str, float]:
    return {"x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1, "score": score}


def load_predictor(run_root: Path, method: str | None = None) -> Predictor:
    """Load a run's network and thresholds, on the CPU.

    Parameters
    ----------
    run_root : Path
        ``runs/<name>``, or a copy of its ``train/`` and ``localize/`` tables.
    method : str, optional
        Explanation method; by default CAM where the run has it.

    Raises
    ------
    CheckpointError
        If weights and contract do not fit.
    PipelineError
        If the thresholds are missing, or an output of the run has changed since.
    SettingsError
        If the run has no thresholds for the method.
    """
    run, folder = RunArtifacts(run_root), RunFolder(run_root)
    for stage in ("localize", "explain"):
        folder.check_outputs(stage)
    network, contract = load_classifier(folder, _CPU)
    stored = run.localize.thresholds.read()
    thresholds = stored.boxes
    settings = read_settings(run_root)
    methods = list(dict.fromkeys(threshold.method for threshold in thresholds))
    if method is not None and method not in methods:
        near = did_you_mean(method, sorted(methods), "it has")
        raise SettingsError(f"the run has no thresholds for method '{method}'; {near}")
    method = method or default_method(methods)
    by_label = default_thresholds(thresholds, method, contract.labels)
    prior = run.explain.read_prior(method)
    chest = shipped_lung_network() if settings.explain.within == "chest" else None
    maps = tuple(stored.calibration_of(label) for label in contract.labels)
    parts = (network, contract, by_label, maps, method, settings.explain, settings.localize)
    return Predictor(*parts, prior=prior, chest=chest)
