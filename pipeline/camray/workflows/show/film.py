"""Explanation of one film: a picture and a table of findings.

Reads   one DICOM, PNG or JPEG; a trained run's network and thresholds
Writes  one PNG
Run     ``camray show film.dcm --run runs/phantom --label Pneumothorax``
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.explain.explanation import ExplanationRequest
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.heat_maps import upsampled
from camray.core.localization.located_boxes import RegionRules, locate
from camray.core.probability.calibration import calibrated_probabilities
from camray.domain.errors import SettingsError
from camray.domain.geometry import Box
from camray.domain.suggestions import did_you_mean
from camray.io.method_options import changed_options
from camray.reporting.overlays import draw_overlay, heat01_of, png_of_picture
from camray.workflows.prediction import Prediction
from camray.workflows.predictor import Predictor, load_predictor
from camray.workflows.predictor_input import film_from_file
from camray.workflows.show.drawn_names import drawn_names
from camray.workflows.stored_settings import settings_of

FIXED = BoxRecipe("max", 0.2)  # for what the run has no thresholds for: 20 % of the maximum, hottest region first


@dataclass(frozen=True)
class FilmRequest:
    """Settings of the explanation of a film; None takes the run's own setting.

    Parameters
    ----------
    label : str or None
        Finding to draw; None draws the most probable one (of the highest logit where not all have a probability).
    method : str or None
        Explanation method; None takes the run's own.
    layers : tuple of str
        Layers to take the maps at.
    targets : callable or None
        Function of the logits that is explained in their place.
    flip : bool or None
        Average over the film and its mirror image.
    scales : tuple of float or None
        Average over these input sizes.
    options : tuple of str
        Changes of the method's options, see `camray.io.method_options.changed_options`.
    """

    label: str | None = None
    method: str | None = None
    layers: tuple[str, ...] = ()
    targets: Any = None
    flip: bool | None = None
    scales: tuple[float, ...] | None = None
    options: tuple[str, ...] = ()

    @property
    def is_as_run(self) -> bool:
        """Whether nothing but label and method is asked for."""
        return not self.layers and not self.options and (self.targets, self.flip, self.scales) == (None, None, None)


@dataclass(frozen=True)
class ShownFilm:
    """Path of the picture, its content, every finding (label, probability, native boxes, logit), and notes."""

    picture: Path
    label: str
    method: str
    boxes_by: str
    findings: list[dict[str, Any]]
    note: str = ""


@dataclass(frozen=True)
class _ExplainedFilm:
    """One film with display maps [L, h, w], their names, and the figures beside the names in pictures."""

    prediction: Prediction
    maps: NDArray[np.float32]
    names: tuple[str, ...]
    figures: tuple[str, ...]
    smooth: tuple[float, ...]


def show_film(path: Path, run_root: Path, request: FilmRequest, out: Path | None) -> ShownFilm:
    """Explain one film and draw it.

    Parameters
    ----------
    path : Path
        The film.
    run_root : Path
        A trained run.
    request : FilmRequest
        A method that the run has thresholds for, with the settings of the run, gives the run's own boxes; any other
        gives boxes at 20 % of each map's maximum.
    out : Path or None
        PNG to write; None writes ``<stem>.<label>.png`` into the current folder.

    Raises
    ------
    SettingsError
        If there is no such file, label or method, or the method does not fit the network.
    CheckpointError
        If the method cannot treat the network; the message says why.
    ImageError
        If the file is no usable film.
    PipelineError
        If the run is not finished.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such file")
    settings_of(run_root)
    predictor = load_predictor(run_root)
    labels = predictor.contract.labels
    if request.label is not None and request.label not in labels:
        raise SettingsError(f"no label '{request.label}'; {did_you_mean(request.label, labels, 'the run knows')}")
    is_as_run = request.is_as_run
    explanation_request = _explanation_request(request, predictor)
    if is_as_run and request.method is not None:
        try:
            predictor, is_as_run = load_predictor(run_root, request.method), True
        except SettingsError:  # the run has no thresholds for it
            is_as_run = False
    prediction = predictor.predict_images([film_from_file(path)])[0]
    explained = (
        _as_run(predictor, prediction) if is_as_run else _explain_anew(predictor, prediction, explanation_request)
    )
    if request.targets is not None:
        number = 0
    else:
        number = _first_label(prediction) if request.label is None else labels.index(request.label)
    name = explained.names[number]
    target = out or Path(f"{path.stem}.{name.replace('/', '-').replace(' ', '-')}.png")
    drawn = drawn_names(RunFolder(run_root), labels, [name])
    picture = _draw(predictor, explained, number, drawn.by_name.get(name, name))
    write_bytes(target, png_of_picture(picture))
    boxes_by = "the run's thresholds" if is_as_run else "20 % of the maximum"
    return ShownFilm(target, name, explanation_request.method, boxes_by, _findings(predictor, explained), drawn.note)


def _explanation_request(request: FilmRequest, predictor: Predictor) -> ExplanationRequest:
    settings, method = predictor.explaining, request.method or predictor.method
    return ExplanationRequest(
        method=method,
        layers=request.layers,
        targets=request.targets,
        flip=settings.flip if request.flip is None else request.flip,
        scales=settings.scales if request.scales is None else request.scales,
        options=changed_options(settings, request.options, [method]),
    )


def _as_run(predictor: Predictor, prediction: Prediction) -> _ExplainedFilm:
    labels = predictor.contract.labels
    smooth = tuple(predictor.thresholds[name].recipe.smooth if name in predictor.thresholds else 0.0 for name in labels)
    return _ExplainedFilm(prediction, prediction.heat, labels, _figures(prediction.probabilities), smooth)


def _first_label(prediction: Prediction) -> int:
    """Return the most probable finding; that of the highest logit where not all have a probability."""
    stated = not np.isnan(prediction.probabilities).any()
    return int(np.argmax(prediction.probabilities if stated else prediction.logits))


def _figures(probabilities: NDArray[np.float64]) -> tuple[str, ...]:
    """Return probabilities as texts; empty ones where none is stated."""
    return tuple("" if np.isnan(probability) else f"{probability:.2f}" for probability in probabilities)


def _explain_anew(
    predictor: Predictor, prediction: Prediction, explanation_request: ExplanationRequest
) -> _ExplainedFilm:
    """Compute an explanation that the run does not hold."""
    explanation = predictor.explain(prediction.grey, explanation_request)
    heat = explanation.heat[0].float().cpu().numpy()
    values = explanation.values[0].double()
    if explanation_request.targets is None:
        names, logits = predictor.contract.labels, values.numpy()
        probabilities = calibrated_probabilities(logits[None], predictor.calibrations)[0]
        prediction = replace(prediction, logits=logits, probabilities=probabilities)
        figures = _figures(probabilities)
    else:
        names = tuple(f"target {number + 1}" for number in range(len(values)))
        prediction = replace(prediction, probabilities=np.full(len(values), np.nan))
        figures = tuple(f"{value:.3f}" for value in values.tolist())
    boxes = tuple(_fixed_boxes(predictor, prediction, each) for each in heat)
    explained = replace(prediction, heat=heat, boxes=boxes)
    return _ExplainedFilm(
        explained, explanation.display_heat[0].float().cpu().numpy(), names, figures, (0.0,) * len(names)
    )


def _fixed_boxes(
    predictor: Predictor, prediction: Prediction, heat: NDArray[np.float32]
) -> tuple[tuple[Box, float], ...]:
    contract, settings = predictor.contract, predictor.localizing
    located = locate(
        heat[None], predictor.window(prediction), (contract.rows, contract.cols), FIXED, RegionRules(settings.min_area)
    )
    boxes = []
    for corners, score in zip(located.boxes, located.score, strict=True):
        box = prediction.transform.box_to_native(Box(*map(float, corners))).clipped(*prediction.film.pixels.shape)
        if box is not None:
            boxes.append((box, float(score)))
    return tuple(boxes[:1] if settings.boxes == "one" else boxes)


def _findings(predictor: Predictor, explained: _ExplainedFilm) -> list[dict[str, Any]]:
    findings: list[dict[str, Any]] = []
    prediction = explained.prediction
    for number, name in enumerate(explained.names):
        probability = float(prediction.probabilities[number])
        boxes = [list(box.as_tuple()) for box, _ in prediction.boxes[number]]
        finding = {"label": name, "probability": None if np.isnan(probability) else probability, "boxes": boxes}
        if explained.names == predictor.contract.labels:
            why = predictor.calibrations[number].reason
            finding |= {"logit": float(prediction.logits[number])} | ({"no_probability": why} if why else {})
        findings.append(finding)
    return findings


def _draw(predictor: Predictor, explained: _ExplainedFilm, number: int, name: str) -> Image.Image:
    """Draw the part of the model grid that the film covers, under this name."""
    prediction = explained.prediction
    window = predictor.window(prediction)
    shape = (prediction.grey.shape[0], prediction.grey.shape[1])
    heat = upsampled(explained.maps[number][None], shape, window, explained.smooth[number])[0]
    moved = prediction.transform.then(1.0, 1.0, -window.col0, -window.row0)
    rows, cols = prediction.film.pixels.shape
    tall = (prediction.film.row_spacing_mm or 1.0) / (prediction.film.col_spacing_mm or 1.0)
    picture = draw_overlay(
        prediction.grey[window.row0 : window.row1, window.col0 : window.col1],
        heat01_of(heat),
        [moved.box_to_model(box) for box, _ in prediction.boxes[number]],
        [],
        f"{name} {explained.figures[number]}".rstrip(),
        aspect=rows / cols * tall,
    )
    return Image.fromarray(picture)
