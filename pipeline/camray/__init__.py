"""Lesion boxes on chest radiographs. These names are the Python face, `camray.api`; it is imported when one is used."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camray.api import (
        Box,
        ExplainedFilm,
        FilmPicture,
        HeatMaps,
        ImageError,
        Model,
        PipelineError,
        PredictedBox,
        PredictedFilm,
        PredictedFinding,
        RefusedFilm,
        Score,
        Scores,
        SettingsError,
        Verdict,
        load,
        read_film,
        score,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'camray' has no attribute '{name}'")
    from camray import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
