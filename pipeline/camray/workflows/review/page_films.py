"""Films of a review page: the run's boxes, the annotations, and where the two differ."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.localization.masks import box_from_rle
from camray.domain.geometry import Box, boxes_to_array, iou_matrix
from camray.domain.records import CORNERS
from camray.io.explained_run import ExplainedRun
from camray.io.film_verdicts import not_judged_table
from camray.reporting.review_page.records import PageFilm

_Key = tuple[str, str]  # image_id and label
_Mark = tuple[int, str, Box]  # number of the label, reader and box


class ReviewedFilms:
    """Films of a run with boxes and annotations.

    Parameters
    ----------
    run : ExplainedRun
        The run.
    report : {'judged', 'cutoff', 'all'}
        As `localize.report`.
    with_annotations : bool
        False leaves labels and annotations unread.
    """

    def __init__(self, run: ExplainedRun, report: str, *, with_annotations: bool) -> None:
        self._run, self._not_judged = run, not_judged_table(run, report)
        predictions = run.default_predictions.sort_values(["image_id", "label", "rank"])
        self._boxes: dict[_Key, list[Box]] = {}
        for image_id, label, *corners in predictions.dropna(subset=CORNERS)[["image_id", "label", *CORNERS]].to_numpy():
            self._boxes.setdefault((image_id, label), []).append(Box(*map(float, corners)))
        reported = predictions[predictions["reported"]]
        self._reported = set(zip(reported["image_id"], reported["label"], strict=True))
        labels = run.films.labels if with_annotations else run.films.labels.iloc[:0]
        self._values: dict[_Key, str] = {(i, label): value for i, label, value in labels.itertuples(index=False)}
        self._marks = _marks_of(run) if with_annotations else {}

    @property
    def has_annotations(self) -> bool:
        """Whether there is any label or annotation to show."""
        return bool(self._values or self._marks)

    def page_film(self, image_id: str, grey: NDArray[np.uint8], note: str) -> PageFilm:
        """Return one film for the page.

        Parameters
        ----------
        image_id : str
            The film.
        grey : ndarray of shape (H, W), uint8
            Its picture.
        note : str
            What readers must know of the picture; may be empty.
        """
        run, labels = self._run, self._run.labels
        film, window = run.films.film(image_id), run.placements[image_id].window
        boxes = [self._boxes.get((image_id, label), []) for label in labels]
        reported = [(image_id, label) in self._reported for label in labels]
        not_judged = [str(self._not_judged.at[image_id, label]) for label in labels]
        logits = run.film_logits(image_id)
        probabilities = run.thresholds.probabilities(labels, logits[None])[0]
        marks = self._marks.get(image_id, [])
        annotated: list[bool] = [False] * len(labels)
        disagreement: list[float | None] = [None] * len(labels)
        if self.has_annotations:
            for number, label in enumerate(labels):
                value, of_label = self._values.get((image_id, label)), [box for n, _, box in marks if n == number]
                annotated[number] = value == "1" or bool(of_label)
                if not not_judged[number]:
                    disagreement[number] = _disagreement(
                        reported[number], boxes[number], annotated[number], of_label, value
                    )
        return PageFilm(
            image_id=image_id,
            grey=grey,
            heat=np.asarray(run.stored_heat(run.default_method, image_id), np.float16),
            shape_native=film.shape_native,
            aspect=film.native_aspect,
            transform=film.transform,
            window=(window.row0, window.row1, window.col0, window.col1),
            probabilities=[None if np.isnan(value) else float(value) for value in probabilities],
            logits=[float(value) for value in logits],
            reported=reported,
            boxes=boxes,
            annotations=marks,
            annotated=annotated,
            disagreement=disagreement,
            not_judged=not_judged,
            note=note,
            facts=f"{film.cols} × {film.rows} px" + (f" · {film.view}" if film.view else ""),
        )


def _marks_of(run: ExplainedRun) -> dict[str, list[_Mark]]:
    """Return the annotations of the explained films, masks as the boxes around them."""
    table = run.films.annotations
    table = table[table["image_id"].isin(set(run.image_ids)) & table["label"].isin(run.labels)]
    marks: dict[str, list[_Mark]] = {}
    row: Any
    for row in table.itertuples(index=False):
        corners = (row.x0, row.y0, row.x1, row.y1)
        box: Box | None = None
        if np.isfinite(corners).all():
            box = Box(*map(float, corners))
        elif row.rle:
            box = box_from_rle(row.rle, *run.films.sizes[row.image_id])
        if box is not None:
            marks.setdefault(row.image_id, []).append((run.labels.index(row.label), row.reader, box))
    return marks


def _disagreement(
    reported: bool, boxes: list[Box], annotated: bool, marks: list[Box], value: str | None
) -> float | None:
    """Return how much the AI differs from the annotation: 1 on presence, else what the best box lacks in IoU."""
    if value == "uncertain" or (not annotated and value != "0"):
        return None
    if reported != annotated:
        return 1.0
    if not (reported and boxes and marks):
        return 0.0
    return 1.0 - float(iou_matrix(boxes_to_array(boxes[:1]), boxes_to_array(marks)).max())
