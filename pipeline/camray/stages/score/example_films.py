"""Example films of the score report: the best, the median and the worst film of each finding."""

import io
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.metrics.localization.annotated_films import AnnotatedFilms
from camray.core.metrics.localization.hits_and_iou import best_overlaps, point_hits
from camray.domain.geometry import Box
from camray.domain.records import CORNERS
from camray.io.explained_run import ExplainedRun
from camray.reporting.overlays import draw_overlay, heat01_of
from camray.reporting.score_report.page import FilmPicture
from camray.stages.score.chart_selection import annotated_labels
from camray.stages.score.protocol_inputs import ProtocolInputs


def draw_examples(inputs: ProtocolInputs) -> list[FilmPicture]:
    """Draw the examples of all labels with annotated films."""
    pictures = []
    for label in annotated_labels(inputs.films):
        threshold = inputs.run.default_thresholds.get(label)
        if threshold is not None:
            pictures += _draw_label(inputs, inputs.films.items[label], threshold)
    return pictures


def _draw_label(inputs: ProtocolInputs, items: AnnotatedFilms, threshold: BoxThreshold) -> list[FilmPicture]:
    best = inputs.best_predictions(items.label)
    rows = best[best["threshold_id"] == threshold.id].set_index("image_id").reindex(list(items.image_ids))
    iou, _ = best_overlaps(items, rows[CORNERS].to_numpy(dtype=np.float64))
    hits = point_hits(items, rows[["peak_x", "peak_y"]].to_numpy(dtype=np.float64))
    pictures = []
    for rank, number in _choose(iou).items():
        row = rows.iloc[number]
        zone = row["zone"] if isinstance(row["zone"], str) else ""
        caption = ", ".join(filter(None, (inputs.names[items.label], f"IoU {iou[number]:.2f}", zone)))
        pictures.append(
            FilmPicture(
                label=items.label,
                rank=rank,
                image_id=items.image_ids[number],
                iou=float(iou[number]),
                is_hit=bool(hits[number]),
                certainty=_certainty(row),
                png=_png_of(_draw(inputs.run, items, number, row, threshold, caption)),
            )
        )
    return pictures


def _certainty(row: "pd.Series[Any]") -> str:
    """Return the label's probability as text; in words whether it is reported where none is stated."""
    if np.isfinite(row["probability"]):
        return f"probability {row['probability']:.2f}"
    return "reported" if row["reported"] else "not reported"


def _choose(iou: NDArray[np.float64]) -> dict[str, int]:
    """Choose the best, the median and the worst film; fewer if there are fewer films. Ties go by ``image_id``."""
    order = np.argsort(-iou, kind="stable")
    ranks = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    numbers: dict[str, int] = {}
    for name, rank in ranks.items():
        if int(order[rank]) not in numbers.values():
            numbers[name] = int(order[rank])
    return numbers


def _draw(
    run: ExplainedRun,
    items: AnnotatedFilms,
    number: int,
    row: "pd.Series[Any]",
    threshold: BoxThreshold,
    caption: str,
) -> NDArray[np.uint8]:
    """Draw one film with the map that its box was drawn from."""
    view = run.view(items.image_ids[number], threshold)
    corners = row[CORNERS].to_numpy(dtype=np.float64)
    predicted = [Box(*map(float, corners))] if np.isfinite(corners).all() else []
    annotated = [Box(*map(float, corners)) for corners in items.boxes_of(number)]
    return draw_overlay(
        view.grey, heat01_of(view.heat), view.boxes(predicted), view.boxes(annotated), caption, aspect=view.aspect
    )


def _png_of(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="png", compress_level=4)
    return stream.getvalue()
