"""Tables of an import: decisions of each reader, and the run's annotations with the readers' answers in place.

Reads   ``ingest/{images,labels,annotations}.parquet``
Writes  ``reviewed/decisions.parquet readings.parquet problems.csv unread.csv labels.csv boxes.csv
        labels.parquet annotations.parquet``
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.tables import write_table
from camray.core.metrics.localization.masks import box_from_rle
from camray.core.reader_study.consensus import MergedDecision
from camray.domain.reader_decisions import Decision, Problem, Reading, Unread
from camray.domain.records import ANNOTATION_COLUMNS, CORNERS, LABEL_COLUMNS
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.ingested_films import IngestedFilms
from camray.io.workflow_artifacts import ReviewedFiles

DECISION_COLUMNS = {
    "reader": "string",
    "image_id": "string",
    "label": "string",
    "phase": "string",
    "value": "string",
    "verdict": "string",  # empty where the form knows none
    "is_explicit": "bool",
    "boxes": "string",  # JSON: [[x0, y0, x1, y1], ...], native px
    "comment": "string",
    "changed": "string",
    "ai_shown": "boolean",  # whether the reader had seen the AI's result by then; missing where that is not known
    "annotations_shown": "boolean",  # the same of the annotations
}
READING_COLUMNS = {
    "reader": "string",
    "image_id": "string",
    "is_finished": "bool",
    "seconds": "float64",
    "blind_seconds": "float64",
    "changed": "string",
}


def write_decisions(
    files: ReviewedFiles,
    decisions: Sequence[Decision],
    readings: Sequence[Reading],
    problems: Sequence[Problem],
    unread: Sequence[Unread] = (),
) -> None:
    """Write decisions, reading times, problems and unread marks."""
    rows = [
        {
            **{key: getattr(decision, key) for key in ("reader", "image_id", "label", "value", "is_explicit")},
            **{key: getattr(decision, key) for key in ("comment", "changed")},
            "phase": str(decision.phase),
            "verdict": "" if decision.verdict is None else str(decision.verdict),
            "boxes": json.dumps([list(box.as_tuple()) for box in decision.boxes]),
            "ai_shown": decision.shown.ai,
            "annotations_shown": decision.shown.annotations,
        }
        for decision in decisions
    ]
    order = ["reader", "image_id", "label", "phase"]
    table = pd.DataFrame(rows, columns=list(DECISION_COLUMNS)).sort_values(order, ignore_index=True)
    write_table(files.decisions, table, DECISION_COLUMNS)
    read = pd.DataFrame([asdict(reading) for reading in readings], columns=list(READING_COLUMNS))
    write_table(files.readings, read.sort_values(["reader", "image_id"]), READING_COLUMNS)
    columns = ["source", "what", "reader", "image_id", "label"]
    problem_table = pd.DataFrame([asdict(problem) for problem in problems], columns=columns)
    write_bytes(files.problems, without_formulas(problem_table).to_csv(index=False, lineterminator="\n").encode())
    marks = [(m.source, m.reader, m.image_id, m.text, *(m.box.as_tuple() if m.box else (None,) * 4)) for m in unread]
    unread_table = pd.DataFrame(marks, columns=["source", "reader", "image_id", "words", *CORNERS])
    write_bytes(files.unread, without_formulas(unread_table).to_csv(index=False, lineterminator="\n").encode())


def write_merged(
    films: IngestedFilms,
    files: ReviewedFiles,
    labels_in_order: Sequence[str],
    merged: Mapping[tuple[str, str], MergedDecision],
) -> None:
    """Write the run's labels and annotations with the readers' answers in place of what they judged.

    ``labels.csv`` (1, 0, -1 uncertain, empty unknown) and ``boxes.csv`` have the form of the data manifest ``folder``;
    a mask is replaced by its enclosing box.
    """
    labels, annotations = films.files.labels.read(), films.files.annotations.read()
    labels, annotations = (
        table.loc[[key not in merged for key in zip(table["image_id"], table["label"], strict=True)]]
        for table in (labels, annotations)
    )
    values = [(*key, decision.value) for key, decision in merged.items()]
    boxes = [
        (*key, reader, "box", *box.as_tuple(), "") for key, decision in merged.items() for reader, box in decision.boxes
    ]
    labels = _stacked(labels, values, LABEL_COLUMNS)
    annotations = _stacked(annotations, boxes, ANNOTATION_COLUMNS)
    files.annotations.write(annotations)
    files.labels.write(labels)
    wide = labels.assign(value=labels["value"].replace({"uncertain": "-1"})).pivot(
        index="image_id", columns="label", values="value"
    )
    wide = wide.reindex(columns=list(labels_in_order)).sort_index()
    write_bytes(files.labels_csv, wide.to_csv(lineterminator="\n").encode())
    columns = ["image_id", "label", *CORNERS, "reader"]
    table = _with_corners(annotations, films.sizes)[columns]
    table = table.assign(reader=without_formulas(table[["reader"]])["reader"])  # names that readers gave themselves
    write_bytes(files.boxes_csv, table.to_csv(index=False, lineterminator="\n").encode())


def _stacked(table: pd.DataFrame, rows: Sequence[tuple[Any, ...]], columns: Mapping[str, str]) -> pd.DataFrame:
    added = pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))
    both = [part for part in (table, added) if len(part)]
    return (pd.concat(both) if both else table).sort_values(["image_id", "label"], kind="stable", ignore_index=True)


def _with_corners(annotations: pd.DataFrame, sizes: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    """Set the corners of masks to their enclosing boxes; empty masks are dropped."""
    table = annotations.copy()
    corners = table[CORNERS].to_numpy(np.float64, copy=True)
    for number in np.flatnonzero((table["x0"].isna() & (table["rle"] != "")).to_numpy(dtype=bool)):
        row = table.iloc[int(number)]
        box = box_from_rle(str(row["rle"]), *sizes[str(row["image_id"])])
        if box is not None:
            corners[number] = box.as_tuple()
    table[CORNERS] = corners
    return table.dropna(subset=CORNERS)
