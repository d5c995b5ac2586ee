"""Boxes as tables that other tools read: CSV, and COCO JSON. Native grid, px, corner origin, half-open."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.domain.errors import ExportError

BOX_COLUMNS = (
    "image_id", "label", "probability", "x0", "y0", "x1", "y1", "score", "method", "threshold_id", "threshold_source",
    "rank", "zone",
)  # fmt: skip
_NOTE = "camray: boxes found by software and not verified; [x, y, width, height], native px, corner origin"


def write_boxes_csv(path: Path, boxes: pd.DataFrame) -> None:
    """Write one row a box.

    Parameters
    ----------
    path : Path
        File to write.
    boxes : DataFrame
        Columns `BOX_COLUMNS`, native grid; x1, y1 lie one past the last pixel.

    Raises
    ------
    ExportError
        If a column is missing or a box is none.
    """
    _check(path, boxes)
    boxes.loc[:, list(BOX_COLUMNS)].to_csv(path, index=False, lineterminator="\n")


def write_coco(path: Path, images: pd.DataFrame, boxes: pd.DataFrame, labels: Sequence[str]) -> None:
    """Write COCO JSON.

    Parameters
    ----------
    path : Path
        File to write.
    images : DataFrame
        Columns ``image_id``, ``rows``, ``cols``: every film looked at. One without a box is a film without a finding.
    boxes : DataFrame
        As for `write_boxes_csv`.
    labels : sequence of str
        Categories, in this order, numbered from 1.

    Raises
    ------
    ExportError
        If a column is missing, a box is none, or a box belongs to no film or label named here.

    Notes
    -----
    ``file_name`` is the image_id: paths of source files may tell whose films they are.
    """
    _check(path, boxes)
    films = [
        {"id": number, "file_name": str(image["image_id"]), "width": int(image["cols"]), "height": int(image["rows"])}
        for number, image in enumerate(images.to_dict("records"), start=1)
    ]
    film_numbers = {film["file_name"]: film["id"] for film in films}
    categories = {label: number for number, label in enumerate(labels, start=1)}
    lost = set(boxes["image_id"]) - set(film_numbers), set(boxes["label"]) - set(categories)
    if any(lost):
        raise ExportError(f"{path.name}: {len(lost[0])} films and {len(lost[1])} labels of the boxes are not listed")
    content: dict[str, Any] = {
        "info": {"description": _NOTE},
        "images": films,
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
        "annotations": [
            {
                "id": number,
                "image_id": film_numbers[box["image_id"]],
                "category_id": categories[box["label"]],
                "bbox": [float(side) for side in (box["x0"], box["y0"], box["x1"] - box["x0"], box["y1"] - box["y0"])],
                "area": float((box["x1"] - box["x0"]) * (box["y1"] - box["y0"])),
                "iscrowd": 0,
                "score": float(box["score"]),
                "probability": float(box["probability"]),
                "attributes": {"zone": str(box["zone"])},
            }
            for number, box in enumerate(boxes.to_dict("records"), start=1)
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _check(path: Path, boxes: pd.DataFrame) -> None:
    missing = [column for column in BOX_COLUMNS if column not in boxes.columns]
    if missing:
        raise ExportError(f"{path.name}: the boxes lack {', '.join(missing)}")
    sides = (boxes["x1"] > boxes["x0"]) & (boxes["y1"] > boxes["y0"])  # false for missing corners too
    if not sides.all():
        raise ExportError(f"{path.name}: {int((~sides).sum())} boxes have no positive width and height; localize again")
