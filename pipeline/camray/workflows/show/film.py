"""One film explained: a picture and a table of findings.

Reads   one DICOM, PNG or JPEG; a trained run's network and thresholds
Writes  one PNG
Run     ``camray show film.dcm --run runs/phantom --label Pneumothorax``
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from camray.core.explain.explanation import ExplanationRequest, explain_images
from camray.core.localization.box_recipes import BoxRecipe, locate
from camray.core.localization.heat_maps import upsampled
from camray.domain.errors import SettingsError
from camray.domain.geometry import Box
from camray.reporting.overlays import draw_overlay, heat01_of
from camray.workflows.predictor import Look, Predictor, film_from_file, load_predictor
from camray.workflows.run import settings_of

FIXED = BoxRecipe("max", 0.2)  # for what the run has no thresholds for: 20 % of the maximum, hottest region first


@dataclass(frozen=True)
class FilmQuestion:
    """How a film is looked at; what is None is taken as the run has it.

    Parameters
    ----------
    label : str or None
        Finding to draw; None draws the most probable one.
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
    """

    label: str | None = None
    method: str | None = None
    layers: tuple[str, ...] = ()
    targets: Any = None
    flip: bool | None = None
    scales: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Shown:
    """Where the picture lies, what it shows, and every finding: label, probability, boxes on the native grid."""

    picture: Path
    label: str
    method: str
    boxes_by: str
    findings: list[dict[str, Any]]


@dataclass(frozen=True)
class _Seen:
    """One film with maps for the eye [L, h, w], the names that belong to them, and what each caption says."""

    look: Look
    maps: NDArray[np.float32]
    names: tuple[str, ...]
    captions: tuple[str, ...]
    smooth: tuple[float, ...]


def show_film(path: Path, run_root: Path, wanted: FilmQuestion, out: Path | None) -> Shown:
    """Explain one film and draw it.

    Parameters
    ----------
    path : Path
        The film.
    run_root : Path
        A trained run.
    wanted : FilmQuestion
        A method that the run has thresholds for, asked as the run asks it, gives the run's own boxes; any other gives
        boxes at 20 % of each map's maximum.
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
    if wanted.label is not None and wanted.label not in labels:
        raise SettingsError(f"no label '{wanted.label}'; the run knows {', '.join(labels)}")
    is_as_run = not wanted.layers and wanted.targets is None and wanted.flip is None and wanted.scales is None
    question = _question(wanted, predictor)
    if is_as_run and wanted.method is not None:
        try:
            predictor, is_as_run = load_predictor(run_root, wanted.method), True
        except SettingsError:  # the run has no thresholds for it
            is_as_run = False
    look = predictor.look([film_from_file(path)])[0]
    seen = _as_run(predictor, look) if is_as_run else _otherwise(predictor, look, question)
    if wanted.targets is not None:
        number = 0
    else:
        number = int(np.argmax(look.probabilities)) if wanted.label is None else labels.index(wanted.label)
    name = seen.names[number]
    target = out or Path(f"{path.stem}.{name.replace('/', '-').replace(' ', '-')}.png")
    target.parent.mkdir(parents=True, exist_ok=True)
    _draw(predictor, seen, number).save(target, format="PNG")
    boxes_by = "the run's thresholds" if is_as_run else "20 % of the maximum"
    return Shown(target, name, question.method, boxes_by, _findings(seen))


def _question(wanted: FilmQuestion, predictor: Predictor) -> ExplanationRequest:
    asked = predictor.explaining
    return ExplanationRequest(
        method=wanted.method or predictor.method,
        layers=wanted.layers,
        targets=wanted.targets,
        flip=asked.flip if wanted.flip is None else wanted.flip,
        scales=asked.scales if wanted.scales is None else wanted.scales,
    )


def _as_run(predictor: Predictor, look: Look) -> _Seen:
    labels = predictor.contract.labels
    smooth = tuple(predictor.thresholds[name].recipe.smooth if name in predictor.thresholds else 0.0 for name in labels)
    captions = (f"{label} {look.probabilities[place]:.2f}" for place, label in enumerate(labels))
    return _Seen(look, look.heat, labels, tuple(captions), smooth)


def _otherwise(predictor: Predictor, look: Look, question: ExplanationRequest) -> _Seen:
    """Ask the network again, for what the run itself did not compute."""
    contract = predictor.contract
    films = torch.from_numpy(look.grey)[None, None].to(predictor.device)
    answer = explain_images(predictor.network, films, (contract.feature_rows, contract.feature_cols), question)
    heat = answer.heat[0].float().cpu().numpy()
    values = answer.values[0].double()
    if question.targets is None:
        names, look = contract.labels, replace(look, probabilities=torch.sigmoid(values).numpy())
        captions = tuple(f"{name} {p:.2f}" for name, p in zip(names, look.probabilities, strict=True))
    else:
        names = tuple(f"target {place + 1}" for place in range(len(values)))
        look = replace(look, probabilities=np.full(len(values), np.nan))
        captions = tuple(f"{name} {value:.3f}" for name, value in zip(names, values.tolist(), strict=True))
    boxes = tuple(_fixed_boxes(predictor, look, each) for each in heat)
    seen = replace(look, heat=heat, boxes=boxes)
    return _Seen(seen, answer.display_heat[0].float().cpu().numpy(), names, captions, (0.0,) * len(names))


def _fixed_boxes(predictor: Predictor, look: Look, heat: NDArray[np.float32]) -> tuple[tuple[Box, float], ...]:
    contract, asked = predictor.contract, predictor.localizing
    located = locate(
        heat[None], predictor.window(look), (contract.rows, contract.cols), FIXED, min_area=asked.min_area
    )  # fmt: skip
    found = []
    for corners, score in zip(located.boxes, located.score, strict=True):
        box = look.transform.box_to_native(Box(*map(float, corners))).clipped(*look.film.pixels.shape)
        if box is not None:
            found.append((box, float(score)))
    return tuple(found[:1] if asked.boxes == "one" else found)


def _findings(seen: _Seen) -> list[dict[str, Any]]:
    findings: list[dict[str, Any]] = []
    for place, name in enumerate(seen.names):
        probability = float(seen.look.probabilities[place])
        boxes = [list(box.as_tuple()) for box, _ in seen.look.boxes[place]]
        findings.append({"label": name, "probability": None if np.isnan(probability) else probability, "boxes": boxes})
    return findings


def _draw(predictor: Predictor, seen: _Seen, number: int) -> Image.Image:
    """Draw the part of the model grid that the film covers."""
    look = seen.look
    window = predictor.window(look)
    shape = (look.grey.shape[0], look.grey.shape[1])
    heat = upsampled(seen.maps[number][None], shape, window, seen.smooth[number])[0]
    moved = look.transform.then(1.0, 1.0, -window.col0, -window.row0)
    rows, cols = look.film.pixels.shape
    tall = (look.film.row_spacing_mm or 1.0) / (look.film.col_spacing_mm or 1.0)
    picture = draw_overlay(
        look.grey[window.row0 : window.row1, window.col0 : window.col1],
        heat01_of(heat),
        [moved.box_to_model(box) for box, _ in look.boxes[number]],
        [],
        seen.captions[number],
        aspect=rows / cols * tall,
    )
    return Image.fromarray(picture)
