"""Python face: trained models applied to films, and films as all stages see them; imported as ``camray``."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from camray.domain.errors import ImageError, PipelineError, SettingsError
from camray.domain.geometry import Box
from camray.domain.predicted_films import (
    ExplainedFilm,
    FilmPicture,
    HeatMaps,
    PredictedBox,
    PredictedFilm,
    PredictedFinding,
    RefusedFilm,
    Verdict,
)
from camray.domain.scores import Score, Scores
from camray.domain.suggestions import did_you_mean
from camray.io.film_files import file_of_bytes
from camray.io.film_files import read_film as read_film_file
from camray.workflows.predicted_films import explained_films, predicted_films
from camray.workflows.predictor import Predictor, load_predictor
from camray.workflows.scored_films import scored_films
from camray.workflows.trained_source import trained_folder

__all__ = [
    "Box",
    "ExplainedFilm",
    "FilmPicture",
    "HeatMaps",
    "ImageError",
    "Model",
    "PipelineError",
    "PredictedBox",
    "PredictedFilm",
    "PredictedFinding",
    "RefusedFilm",
    "Score",
    "Scores",
    "SettingsError",
    "Verdict",
    "load",
    "read_film",
    "score",
]
FilmInput = str | Path | bytes | NDArray[Any]


@dataclass(frozen=True)
class Model:
    """A trained network with the thresholds of its run; `load` makes one."""

    _predictor: Predictor

    @property
    def labels(self) -> tuple[str, ...]:
        """Findings that the model knows, in the order of its answers."""
        return self._predictor.contract.labels

    @property
    def method(self) -> str:
        """Explanation method whose maps become boxes."""
        return self._predictor.method

    def predict(
        self, films: FilmInput | Iterable[FilmInput], *, maps: bool = False
    ) -> list[PredictedFilm | RefusedFilm]:
        """Find boxes, as ``camray predict`` does.

        Parameters
        ----------
        films : path, bytes, ndarray, or several of these
            Files (DICOM, PNG, JPEG) by path or content, or grey values [H, W]: float 0 black to 1 white, or uint8. An
            array [N, H, W] is N films. A folder is no film: list its files.
        maps : bool
            Whether to return the heat maps that the boxes were drawn from.

        Returns
        -------
        list of PredictedFilm or RefusedFilm
            One of each film, in their order. A film that cannot be used is refused with a reason; the others are not
            affected.

        Raises
        ------
        SettingsError
            If `films` is none of these; before any film is read.
        """
        return list(predicted_films(self._predictor, films, maps=maps))

    def explain(
        self, films: FilmInput | Iterable[FilmInput], *, method: str | None = None, label: str | None = None
    ) -> list[ExplainedFilm | RefusedFilm]:
        """Compute raw heat maps by a method of choice, with the views and options of the run.

        Parameters
        ----------
        films
            As of `predict`.
        method : str, optional
            ``cam``, ``gradcam``, ``layercam``, ...; by default the model's own. Methods of the input's pixels return
            maps on the model grid, others on the feature grid.
        label : str, optional
            Finding to explain; all by default.

        Returns
        -------
        list of ExplainedFilm or RefusedFilm
            One of each film, in their order.

        They are not held inside the chest where the run's own are (`explain.within`).

        Raises
        ------
        SettingsError
            If a method or label does not exist, or `films` is none of those.
        CheckpointError
            If the method cannot treat the network; the message says why.
        """
        if label is not None and label not in self.labels:
            raise SettingsError(f"no label '{label}'; {did_you_mean(label, self.labels, 'the model knows')}")
        labels = self.labels if label is None else (label,)
        return list(explained_films(self._predictor, films, method or self.method, labels))


def load(run: str | Path) -> Model:
    """Load a trained model, on the CPU.

    Parameters
    ----------
    run : str or Path
        Folder of a run, ``runs/<name>``, or a model package. Or an address in MLflow: ``models:/name@alias``,
        ``models:/name/1``, ``models:/name/latest``, ``runs:/run_id/model``; the store is that of
        ``MLFLOW_TRACKING_URI``, else the one in ``runs/``. Its files are obtained once, and kept in the user's cache.

    Raises
    ------
    SettingsError
        If there is no such run, package or model.
    UnreachableError
        If the MLflow store does not answer.
    CheckpointError
        If weights are missing, or do not fit their contract.
    PipelineError
        If another file is missing, or has changed since the run ended.
    """
    return Model(load_predictor(trained_folder(run)))


def score(
    run: str | Path,
    films: str | Path,
    *,
    labels: str | Path,
    boxes: str | Path | None = None,
    manifest: str | None = None,
) -> Scores:
    """Score a trained model on films with known findings, as ``camray predict --labels --boxes`` does, on the CPU.

    Parameters
    ----------
    run : str or Path
        As of `load`.
    films : str or Path
        Folder of films, or one film.
    labels : str or Path
        Table with a row for each film and a column for each finding: 1, 0, or nothing where nothing is known.
    boxes : str or Path, optional
        Table of the boxes that readers have drawn: ``image_id, label, x0, y0, x1, y1``, native px, half-open.
    manifest : str, optional
        Data manifest of these tables; by default the run's.

    Returns
    -------
    Scores
        AUROC and other scores of the findings; with boxes also those of the boxes, beside baselines.

    Raises
    ------
    SettingsError
        If a path or the run does not exist.
    PipelineError
        If the tables do not fit the films, or a file of the run is missing or has changed.
    """
    tables = (Path(labels), None if boxes is None else Path(boxes))
    return scored_films(trained_folder(run), Path(films), *tables, manifest)


def read_film(film: str | Path | bytes) -> FilmPicture:
    """Read one film as all stages see it.

    Parameters
    ----------
    film : str, Path or bytes
        A file (DICOM, PNG, JPEG), or its content. Of DICOM, any modality and view is read.

    Raises
    ------
    ImageError
        If it is no usable film; `reason` is from a closed list.
    SettingsError
        If it is neither a path nor bytes.
    """
    if isinstance(film, bytes):
        with file_of_bytes(film) as path:
            return read_film(path)
    if not isinstance(film, str | Path):
        raise SettingsError(f"film: got {type(film).__name__}; expected a path, or the bytes of a file")
    read = read_film_file(Path(film), None)
    header = read.header
    return FilmPicture(
        pixels=read.pixels,
        row_spacing_mm=header.row_spacing_mm,
        col_spacing_mm=header.col_spacing_mm,
        spacing_source=header.spacing_source,
        photometric=header.photometric,
        bits_stored=header.bits_stored,
        modality=header.modality,
        view=header.view,
        laterality=header.laterality,
        note=read.note,
    )
