"""Result of one film from a predictor, and its rows in the table of boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.domain.geometry import Box, GridTransform
from camray.domain.predicted_films import RefusedFilm, Verdict
from camray.domain.records import CORNERS
from camray.workflows.predictor_input import GreyFilm

_NO_BOX = dict.fromkeys((*CORNERS, "score"), float("nan"))
COLUMNS = ("image_id", "label", "probability", *CORNERS, "score", "logit", "verdict")


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
    peaks : tuple
        Label by label, the peak (x, y) of the run's map, native px; None without localization.
    verdicts : tuple of Verdict
        Label by label, as the run's settings report findings.
    not_judged : tuple of str
        Label by label, why the finding is not judged; empty if it is.
    """

    film: GreyFilm
    grey: NDArray[np.float32]
    transform: GridTransform
    probabilities: NDArray[np.float64]
    logits: NDArray[np.float64]
    heat: NDArray[np.float32]
    boxes: tuple[tuple[tuple[Box, float], ...], ...]
    peaks: tuple[tuple[float, float] | None, ...]
    verdicts: tuple[Verdict, ...]
    not_judged: tuple[str, ...]


def rows_of(prediction: Prediction, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return a film's rows, `COLUMNS`: one a box; a label without one has a row with missing corners and score."""
    rows: list[dict[str, Any]] = []
    for number, label in enumerate(labels):
        shared = {
            "image_id": prediction.film.image_id,
            "label": label,
            "probability": float(prediction.probabilities[number]),
            "logit": float(prediction.logits[number]),
            "verdict": str(prediction.verdicts[number]),
        }
        boxes = [
            dict(zip(CORNERS, box.as_tuple(), strict=True)) | {"score": score}
            for box, score in prediction.boxes[number]
        ]
        rows += [{**shared, **box} for box in boxes or [_NO_BOX]]
    return rows


def refused_row(film: RefusedFilm) -> dict[str, Any]:
    """Return the row of a film that cannot be used; what is missing is left out."""
    return {"image_id": film.image_id, "label": f"refused:{film.reason}"}
