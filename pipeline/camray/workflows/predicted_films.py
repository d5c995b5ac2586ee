"""Predictions as programs receive them: verdicts, boxes on the native grid, maps with the part that they cover."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.core.explain.explanation import ExplanationRequest
from camray.domain.errors import SettingsError
from camray.domain.films import MIN_SIDE_PX, FilmPolicy
from camray.domain.geometry import Box, GridTransform
from camray.domain.predicted_films import (
    ExplainedFilm,
    HeatMaps,
    PredictedBox,
    PredictedFilm,
    PredictedFinding,
    RefusedFilm,
)
from camray.domain.records import RefusalReason
from camray.io.method_options import method_options
from camray.workflows.prediction import Prediction
from camray.workflows.predictor import Predictor
from camray.workflows.predictor_input import GreyFilm, film_of_bytes, film_or_refusal, films_of

_EXPECTED = "expected a path, the bytes of a file, an array [H, W] of float or uint8, or a list of these"
_SEVERAL = 3  # axes of an array of films


def predicted_films(predictor: Predictor, films: Any, *, maps: bool) -> Iterator[PredictedFilm | RefusedFilm]:
    """Yield the answer for each film, in their order.

    Parameters
    ----------
    predictor : Predictor
        A run's.
    films : Any
        As of `camray.api.Model.predict`.
    maps : bool
        Whether the answers have the maps that the boxes were drawn from.

    Raises
    ------
    SettingsError
        If `films` is none of these; before any film is read.
    """
    entries = _entries(films)
    sources = [_source(entry, number) for number, entry in enumerate(entries)]
    results = predictor.predict_each(_read(entries, predictor.policy))
    for source, result in zip(sources, results, strict=True):
        if isinstance(result, RefusedFilm):
            yield replace(result, source=source)
        else:
            yield _predicted(predictor, result, source, maps=maps)


def explained_films(
    predictor: Predictor, films: Any, method: str, labels: tuple[str, ...]
) -> Iterator[ExplainedFilm | RefusedFilm]:
    """Yield each film's raw maps by a method of choice, with the flips, scales and options of the run.

    Parameters
    ----------
    predictor, films
        As of `predicted_films`.
    method : str
        One of `camray.core.explain.methods.METHODS`.
    labels : tuple of str
        Findings, all of the model's.

    Raises
    ------
    SettingsError
        If `films` is none of these, or the method does not exist.
    CheckpointError
        If the method cannot treat the network.
    """
    settings, known = predictor.explaining, predictor.contract.labels
    request = ExplanationRequest(
        method,
        labels=tuple(known.index(label) for label in labels),
        flip=settings.flip,
        scales=settings.scales,
        options=method_options(settings),
    )
    entries = _entries(films)
    for number, film in enumerate(_read(entries, predictor.policy)):
        source = _source(entries[number], number)
        if isinstance(film, RefusedFilm):
            yield replace(film, source=source)
            continue
        grey, transform = predictor.on_model_grid(film)
        heat = predictor.explain(grey, request).display_heat[0].float().cpu().numpy()
        maps = HeatMaps(method, labels, heat, _extent(predictor, transform))
        yield ExplainedFilm(source, film.image_id, *_size(film), maps)


def _entries(films: Any) -> list[Any]:
    """Return the films one by one, of a kind that can be read."""
    if isinstance(films, str | Path | bytes) or (isinstance(films, np.ndarray) and films.ndim < _SEVERAL):
        entries = [films]
    elif isinstance(films, list | tuple | np.ndarray | Iterator):  # not a dict or a table: their keys are no films
        entries = list(films)
    else:
        raise SettingsError(f"films: got {type(films).__name__}; {_EXPECTED}")
    for number, entry in enumerate(entries):
        if isinstance(entry, np.ndarray) and not _is_film(entry):
            raise SettingsError(f"films: number {number} has shape {entry.shape} and type {entry.dtype}; {_EXPECTED}")
        if not isinstance(entry, str | Path | bytes | np.ndarray):
            raise SettingsError(f"films: number {number} is of type {type(entry).__name__}; {_EXPECTED}")
    return entries


def _is_film(array: NDArray[Any]) -> bool:
    return array.ndim == 2 and array.size > 0 and (array.dtype == np.uint8 or array.dtype.kind == "f")


def _source(entry: Any, number: int) -> str:
    return str(entry) if isinstance(entry, str | Path) else str(number)


def _read(entries: list[Any], policy: FilmPolicy | None) -> Iterator[GreyFilm | RefusedFilm]:
    for number, entry in enumerate(entries):
        if isinstance(entry, bytes):
            yield film_of_bytes(entry, str(number), policy)
        elif isinstance(entry, np.ndarray):
            yield _film_of_array(entry, str(number))
        else:
            yield film_or_refusal(Path(entry), policy)


def _film_of_array(array: NDArray[Any], name: str) -> GreyFilm | RefusedFilm:
    """Take an array as a film; refuse it alone where its values are no grey, or it is too small."""
    if min(array.shape) < MIN_SIDE_PX:
        message = f"{array.shape[0]} x {array.shape[1]} px; expected at least {MIN_SIDE_PX} per side"
        return RefusedFilm(name, name, RefusalReason.TOO_SMALL, message)
    try:
        (film,) = films_of(array)
    except SettingsError as error:
        return RefusedFilm(name, name, RefusalReason.UNREADABLE_PIXELS, str(error).removeprefix("films: "))
    return replace(film, image_id=name) if isinstance(film, GreyFilm) else replace(film, image_id=name, source=name)


def _predicted(predictor: Predictor, prediction: Prediction, source: str, *, maps: bool) -> PredictedFilm:
    labels = predictor.contract.labels
    found = tuple(_finding(predictor, prediction, number) for number in range(len(labels)))
    heat = None
    if maps:
        heat = HeatMaps(predictor.method, labels, prediction.heat.copy(), _extent(predictor, prediction.transform))
    return PredictedFilm(source, prediction.film.image_id, *_size(prediction.film), found, heat)


def _finding(predictor: Predictor, prediction: Prediction, number: int) -> PredictedFinding:
    label, probability = predictor.contract.labels[number], float(prediction.probabilities[number])
    return PredictedFinding(
        label,
        prediction.verdicts[number],
        None if np.isnan(probability) else probability,
        float(prediction.logits[number]),
        tuple(PredictedBox(box, score) for box, score in prediction.boxes[number]),
        prediction.peaks[number],
        not_judged=prediction.not_judged[number],
        no_probability=predictor.calibrations[number].reason,
    )


def _extent(predictor: Predictor, transform: GridTransform) -> Box:
    """Return the whole model grid in native px."""
    return transform.box_to_native(Box(0.0, 0.0, float(predictor.contract.cols), float(predictor.contract.rows)))


def _size(film: GreyFilm) -> tuple[int, int]:
    return film.pixels.shape[0], film.pixels.shape[1]
