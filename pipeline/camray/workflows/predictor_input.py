"""Input of a predictor: films from files of any kind, from tables of paths, or from arrays."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.cohort.groups import view_code
from camray.domain.errors import ImageError, SettingsError
from camray.domain.films import FilmPolicy, check_aspect, width_mm
from camray.domain.predicted_films import RefusedFilm
from camray.io.film_files import file_of_bytes, read_film


@dataclass(frozen=True)
class GreyFilm:
    """One input film: an id, grey values 0-1 on the native grid; and where known pixel spacing, view and width."""

    image_id: str
    pixels: NDArray[np.float32]
    row_spacing_mm: float | None = None
    col_spacing_mm: float | None = None
    view: str = ""
    width_mm: float = float("nan")


def films_of(films: Any, policy: FilmPolicy | None = None) -> Iterator[GreyFilm | RefusedFilm]:
    """Yield films, or why a file is no usable film.

    Parameters
    ----------
    films : DataFrame with a column ``path``, sequence of paths or of files' contents, or array
        See `camray.workflows.predictor.Predictor.__call__`.
    policy : FilmPolicy, optional
        Which DICOM files are admitted; all without one.

    Raises
    ------
    SettingsError
        If `films` is none of these.
    """
    if isinstance(films, np.ndarray) and films.dtype.kind in "fbui":
        yield from _from_array(films)
        return
    if isinstance(films, pd.DataFrame) and "path" in films.columns:
        paths: Any = films["path"]
    elif isinstance(films, pd.Series | list | tuple | np.ndarray):
        paths = films
    else:
        raise SettingsError(
            f"films: got {type(films).__name__}; expected a table with a column 'path', a list of paths, or an array"
        )
    for number, path in enumerate(paths):
        if isinstance(path, bytes):
            yield film_of_bytes(path, str(number), policy)
            continue
        if not isinstance(path, str | Path):
            yield from _from_array(_numbers_of(paths))
            return
        yield film_or_refusal(Path(path), policy)


def _numbers_of(lists: Any) -> NDArray[Any]:
    """Return nested lists of numbers, which a JSON request makes of an array, as an array."""
    try:
        array = np.asarray(lists)
        return array if array.dtype.kind in "fbui" else array.astype(np.float32)  # None is NaN
    except (ValueError, TypeError, OverflowError) as error:  # ragged, or with texts
        raise SettingsError("films: lists that are no films; expected numbers in rows of one length") from error


def _from_array(films: NDArray[Any]) -> Iterator[GreyFilm | RefusedFilm]:
    stack = films[None] if films.ndim == 2 else films
    if stack.ndim != 3 or 0 in stack.shape[1:]:
        raise SettingsError(f"films: array of shape {films.shape}; expected [N, H, W] or [H, W]")
    grey = stack.astype(np.float32) / np.float32(255 if stack.dtype == np.uint8 else 1)
    if not (np.isfinite(grey).all() and grey.min(initial=0.0) >= 0 and grey.max(initial=0.0) <= 1):
        raise SettingsError("films: grey values must be uint8, or float from 0 (black) to 1 (white)")
    try:
        check_aspect(*stack.shape[1:])
    except ImageError as error:
        yield from (_refused(str(number), error) for number in range(len(grey)))
        return
    yield from (GreyFilm(str(number), pixels) for number, pixels in enumerate(grey))


def film_from_file(path: Path, policy: FilmPolicy | None = None) -> GreyFilm:
    """Read one film of any kind.

    Raises
    ------
    ImageError
        If it is no usable film.
    """
    film = read_film(path, policy)
    header = film.header
    width = width_mm(header.cols, header.col_spacing_mm, header.spacing_source)
    spacing = header.row_spacing_mm, header.col_spacing_mm
    return GreyFilm(header.image_id, film.pixels, *spacing, view_code(header.view), width)


def film_or_refusal(path: Path, policy: FilmPolicy | None) -> GreyFilm | RefusedFilm:
    """Read one film, or say why it is none."""
    try:
        return film_from_file(path, policy)
    except ImageError as error:
        return _refused(path.stem, error)


def film_of_bytes(content: bytes, name: str, policy: FilmPolicy | None) -> GreyFilm | RefusedFilm:
    """Read one film from the content of a file, or say why it is none; a film without a UID is called `name`."""
    with file_of_bytes(content) as path:
        film = film_or_refusal(path, policy)
        return replace(film, image_id=name) if film.image_id == path.stem else film


def _refused(image_id: str, error: ImageError) -> RefusedFilm:
    return RefusedFilm(image_id, image_id, error.reason, error.message)
