"""Trained run as a predictor: films in, boxes out; used by the registered MLflow model and by other programs.

Reads   ``train/model.safetensors contract.json``, ``localize/thresholds.json`` and ``settings.json`` of a run, or the
        copy of these in a registered model
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.boxes import LocalizeSettings
from camray.adapters.settings.schema import ExplainSettings
from camray.core.explain.explanation import Explanation, ExplanationRequest, explain_images
from camray.core.explain.methods import methods_named
from camray.core.explain.seam import SeamNetwork
from camray.core.explain.test_time_averaging import explain
from camray.core.imaging.film_statistics import quantise
from camray.core.localization.box_thresholds import BoxThreshold, Thresholds
from camray.core.localization.default_method import default_method, default_thresholds
from camray.core.localization.heat_maps import Placement, film_window
from camray.core.localization.located_boxes import RegionRules
from camray.core.localization.native_boxes import PlacedFilms, draw_native_boxes
from camray.core.networks.chest_region import find_chests, held_inside
from camray.core.networks.lung_unet import LungUNet
from camray.core.probability.calibration import LabelCalibration, calibrated_probabilities
from camray.domain.contract import ModelContract
from camray.domain.errors import SettingsError
from camray.domain.films import FilmPolicy
from camray.domain.geometry import Box, CropWindow, GridTransform
from camray.domain.predicted_films import RefusedFilm, Verdict
from camray.domain.records import CORNERS
from camray.domain.suggestions import did_you_mean
from camray.io.artifacts import RunArtifacts
from camray.io.film_lungs import shipped_lung_network
from camray.io.method_options import method_options
from camray.io.model_package import check_package
from camray.io.prepared_films import prepare_for
from camray.io.trained_model import load_classifier
from camray.workflows.film_check import why_foreign
from camray.workflows.prediction import COLUMNS, Prediction, refused_row, rows_of
from camray.workflows.predictor_input import GreyFilm, films_of
from camray.workflows.stored_settings import read_settings

_CPU = torch.device("cpu")
FILMS_AT_ONCE = 16
_Located = tuple[tuple[tuple[Box, float], ...], tuple[float, float] | None]  # boxes with scores; the peak


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
    stored : Thresholds
        All that the run chose: from which output a finding is reported, and from logits to probabilities.
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
    policy : FilmPolicy or None
        Which DICOM files the run's ingest admits; None admits all.
    """

    network: SeamNetwork
    contract: ModelContract
    thresholds: dict[str, BoxThreshold]
    stored: Thresholds
    method: str
    explaining: ExplainSettings
    localizing: LocalizeSettings
    prior: NDArray[np.float32] | None = None
    device: torch.device = _CPU
    chest: LungUNet | None = None
    policy: FilmPolicy | None = None

    @property
    def calibrations(self) -> tuple[LabelCalibration, ...]:
        """From logits to probabilities, one for each of the contract's labels."""
        return tuple(self.stored.calibration_of(label) for label in self.contract.labels)

    def __call__(self, films: Any) -> pd.DataFrame:
        """Find boxes.

        Parameters
        ----------
        films : DataFrame with a column ``path``, sequence of paths or of bytes, or array
            Files (DICOM, PNG, JPEG) or what is in them, or films [N, H, W] or [H, W]: float 0 black to 1 white, or
            uint8.

        Returns
        -------
        DataFrame
            Columns `COLUMNS`: native px, half-open, corner origin. One row a box; a label without one on a film has one
            row with missing corners and score, so that its logit is there too. The probability is missing where the
            run states none (its validation films were too few). ``verdict`` is ``reported``, ``not reported`` or
            ``not judged``. Of an array, image_id is the film's number. A file that is no usable film has one row with
            label ``refused:<reason>``.

        Raises
        ------
        SettingsError
            If `films` is none of these.
        """
        rows: list[dict[str, Any]] = []
        for result in self.predict_each(films_of(films, self.policy)):
            rows += [refused_row(result)] if isinstance(result, RefusedFilm) else rows_of(result, self.contract.labels)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def predict_each(self, films: Iterable[GreyFilm | RefusedFilm]) -> Iterator[Prediction | RefusedFilm]:
        """Predict films, a few at a time; refused ones keep their place."""
        batch: list[GreyFilm] = []
        for film in films:
            if isinstance(film, GreyFilm):
                batch.append(film)
            if isinstance(film, RefusedFilm) or len(batch) == FILMS_AT_ONCE:
                yield from self.predict_images(batch)
                batch = []
            if isinstance(film, RefusedFilm):
                yield film
        yield from self.predict_images(batch)

    def predict_images(self, films: Sequence[GreyFilm]) -> list[Prediction]:
        """Explain a few films with every label."""
        if not films:
            return []
        grids = [self.on_model_grid(film) for film in films]
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
        placements = [
            Placement(transform, self._window(film, transform))
            for film, (_, transform) in zip(films, grids, strict=True)
        ]
        sizes = [_size_of(film) for film in films]
        placed = PlacedFilms(placements, sizes, (self.contract.rows, self.contract.cols))
        found = [self._located(placed, label, heat[:, label]) for label in range(heat.shape[1])]
        verdicts = [
            self._verdicts(of_film, self._why_foreign(film, *grid))
            for of_film, film, grid in zip(logits, films, grids, strict=True)
        ]
        return [
            Prediction(
                film,
                grey,
                transform,
                probabilities[number],
                logits[number],
                heat[number],
                boxes=tuple(each[number][0] for each in found),
                peaks=tuple(each[number][1] for each in found),
                verdicts=tuple(verdict for verdict, _ in verdicts[number]),
                not_judged=tuple(why for _, why in verdicts[number]),
            )
            for number, (film, (grey, transform)) in enumerate(zip(films, grids, strict=True))
        ]

    def _why_foreign(self, film: GreyFilm, grey: NDArray[np.float32], transform: GridTransform) -> str:
        known = self.stored.films if self.localizing.report == "judged" else None
        return "" if known is None else why_foreign(known, film, quantise(grey, self.contract.bits), transform)

    def _verdicts(self, logits: NDArray[np.float64], foreign: str) -> list[tuple[Verdict, str]]:
        """Return what the run's settings make of a film's logits [L], and why a finding is not judged."""
        stored, report, verdicts = self.stored, self.localizing.report, []
        for number, label in enumerate(self.contract.labels):
            logit = logits[number : number + 1]
            why = foreign or str(stored.why_not_judged(label, logit, report)[0])
            answer = Verdict.REPORTED if stored.reported(label, logit, report)[0] else Verdict.NOT_REPORTED
            verdicts.append((Verdict.NOT_JUDGED if why else answer, why))
        return verdicts

    def explain(self, grey: NDArray[np.float32], request: ExplanationRequest) -> Explanation:
        """Compute maps that the run does not have, of one film on the model grid (`on_model_grid`)."""
        batch = torch.from_numpy(grey)[None, None].to(self.device)
        return explain_images(self.network, batch, (self.contract.feature_rows, self.contract.feature_cols), request)

    def window(self, prediction: Prediction) -> CropWindow:
        """Return the part of the model grid that a film covers."""
        return self._window(prediction.film, prediction.transform)

    def _window(self, film: GreyFilm, transform: GridTransform) -> CropWindow:
        return film_window(transform, _size_of(film), (self.contract.rows, self.contract.cols))

    def _held(
        self, heat: Tensor, batch: Tensor, films: Sequence[GreyFilm], grids: Sequence[tuple[Any, GridTransform]]
    ) -> Tensor:
        """Hold maps [B, L, h, w] inside the chest, where the run did."""
        if self.chest is None:
            return heat
        windows = [self._window(film, transform) for film, (_, transform) in zip(films, grids, strict=True)]
        return held_inside(find_chests(self.chest, batch, windows), heat)

    def on_model_grid(self, film: GreyFilm) -> tuple[NDArray[np.float32], GridTransform]:
        """Prepare a film and bring it to the model grid, rounded as the pixel store rounds."""
        prepared = prepare_for(self.contract, film.pixels, (film.row_spacing_mm, film.col_spacing_mm))
        levels = np.float32(2**self.contract.bits - 1)
        return (np.rint(np.clip(prepared.grey, 0.0, 1.0) * levels) / levels).astype(np.float32), prepared.transform

    def _located(self, films: PlacedFilms, number: int, heat: NDArray[np.float32]) -> list[_Located]:
        """Find one label on each film, from its maps [N, h, w], as the localize stage does."""
        label, settings = self.contract.labels[number], self.localizing
        if label not in self.thresholds:
            return [((), None)] * len(heat)
        recipe, rules = self.thresholds[label].recipe, RegionRules(settings.min_area, settings.score)
        prior = None if self.prior is None else self.prior[number]
        rows = draw_native_boxes(films, heat, recipe, rules, prior, only_best=settings.boxes == "one")
        return [_located_on(part) for _, part in rows.groupby("film")]


def _size_of(film: GreyFilm) -> tuple[int, int]:
    return film.pixels.shape[0], film.pixels.shape[1]


def _located_on(rows: pd.DataFrame) -> _Located:
    """Return one film's boxes with their scores, and its peak, from its rows of `draw_native_boxes`."""
    boxes = tuple(
        (Box(*(float(row[side]) for side in CORNERS)), float(row["score"]))
        for row in rows.dropna(subset=CORNERS).to_dict("records")
    )
    x, y = float(rows["peak_x"].iloc[0]), float(rows["peak_y"].iloc[0])
    return boxes, None if np.isnan(x) else (x, y)


def load_predictor(run_root: Path, method: str | None = None) -> Predictor:
    """Load a run's network and thresholds, on the CPU.

    Parameters
    ----------
    run_root : Path
        ``runs/<name>``, a model package, or a copy of its ``train/`` and ``localize/`` tables.
    method : str, optional
        Explanation method; by default CAM where the run has it.

    Raises
    ------
    CheckpointError
        If weights and contract do not fit, or a package has a file that is missing, changed or not its own.
    PipelineError
        If the thresholds are missing, or an output of the run has changed since.
    SettingsError
        If the run has no thresholds for the method.
    """
    if is_package(run_root):
        check_package(run_root)
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
    parts = (network, contract, by_label, stored, method, settings.explain, settings.localize)
    grid = settings.ingest
    return Predictor(*parts, prior, chest=chest, policy=FilmPolicy(grid.modalities, grid.body_parts, grid.views))
