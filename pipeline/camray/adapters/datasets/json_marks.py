"""JSON files of boxes or masks: COCO, the two forms of CheXlocalize, and ChestX-Det's."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.datasets.csv_text import MAX_TABLE_BYTES, TableText, TextFault, plain_name
from camray.adapters.datasets.markup import finding_cells, is_list_of_findings, mask_cells
from camray.domain.errors import ManifestError

COCO_COLUMNS = ("film", "label", "reader", "kind", "x", "y", "width", "height", "image_width", "image_height")
_COCO_KEYS = frozenset({"images", "annotations", "categories"})


def read_json_marks(path: Path, outline: bool = False) -> TableText:
    """Read a JSON file, one row per box or mask.

    Parameters
    ----------
    path : Path
        COCO (``images``, ``categories`` and ``annotations`` with ``bbox``): columns `COCO_COLUMNS`; ``kind`` is
        ``ignore`` for crowds. Or masks or polygons, see `camray.adapters.datasets.markup.mask_cells` and
        `camray.adapters.datasets.markup.finding_cells`.
    outline : bool
        Of polygons, likewise.

    Raises
    ------
    ManifestError
        If the file is invalid, or of another format.
    """
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ManifestError(f"{path.name}: has more than {MAX_TABLE_BYTES >> 20} MiB; expected COCO or masks")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(
            f"{path.name}: cannot be read as JSON ({type(error).__name__}); expected COCO or masks; export it again"
        ) from error
    if is_list_of_findings(content):
        cells = finding_cells(path.name, content, outline)
        return TableText(cells, _rows(len(cells)))
    if not isinstance(content, dict):
        raise ManifestError(
            f"{path.name}: its JSON is a {type(content).__name__}; expected COCO (images, categories, annotations), "
            "masks by film and label, or ChestX-Det's list (file_name, syms, polygons); of Label Studio's formats "
            "export COCO or CSV"
        )
    if set(content) >= _COCO_KEYS:
        return _read_coco(path.name, content)
    cells = mask_cells(path.name, content, outline)
    return TableText(cells, _rows(len(cells)))


def _read_coco(name: str, content: Mapping[str, Any]) -> TableText:
    try:
        images = {image["id"]: image for image in content["images"]}
        labels = {category["id"]: plain_name(str(category["name"])) for category in content["categories"]}
        reader = str((content.get("info") or {}).get("reader") or "")
        marks = list(content["annotations"])
        unknown = sum(mark["image_id"] not in images or mark["category_id"] not in labels for mark in marks)
        if unknown:
            raise ManifestError(
                f"{name}: {unknown} annotation(s) are of an image or category that the file does not list; export it "
                "again"
            )
        rows = [_coco_row(mark, images[mark["image_id"]], labels[mark["category_id"]], reader) for mark in marks]
        scored = sum("score" in mark for mark in marks)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ManifestError(
            f"{name}: cannot be read as COCO ({type(error).__name__}); expected images with id and file_name, "
            "categories with id and name, and annotations with image_id, category_id and bbox"
        ) from error
    cells = pd.DataFrame(rows, columns=list(COCO_COLUMNS), dtype="string")
    what = "boxes with a score, as software writes them; they are used as boxes of a reader"
    faults = (TextFault(what, stops=False, count=scored),)
    return TableText(cells, _rows(len(cells)), faults)


def _coco_row(mark: Mapping[str, Any], image: Mapping[str, Any], label: str, reader: str) -> tuple[str | None, ...]:
    sides = mark.get("bbox") or _polygon_box(mark.get("segmentation"))
    if sides is not None and len(sides) != 4:
        raise ValueError("a bbox has four numbers")
    kind = "ignore" if mark.get("iscrowd") else ""
    corners = [None] * 4 if sides is None else [repr(float(side)) for side in sides]
    size = [str(int(image[side])) if image.get(side) else None for side in ("width", "height")]
    return (str(image["file_name"]), label, reader or None, kind or None, *corners, *size)


def _polygon_box(polygons: Any) -> list[float] | None:
    """Return x, y, width and height of the box around polygons; None for run lengths and for nothing."""
    if not isinstance(polygons, Sequence) or not polygons:
        return None
    points = np.concatenate([np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in polygons])
    low, high = points.min(axis=0), points.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


def _rows(count: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.arange(1, count + 1, dtype=np.int64)
