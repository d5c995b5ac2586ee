"""Boxes in formats of other tools: CSV, COCO, Label Studio, Pascal VOC. Native px, corner origin, half-open."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from camray.domain.errors import ExportError
from camray.domain.records import CORNERS
from camray.domain.spreadsheet_cells import without_formulas

BOX_COLUMNS = (
    *("image_id", "file", "label", "probability", *CORNERS, "score", "method"),
    *("threshold_id", "threshold_source", "rank", "zone"),
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2
_NOTE = "camray: boxes found by software and not verified; [x, y, width, height], native px, corner origin"


def write_boxes_csv(path: Path, boxes: pd.DataFrame) -> None:
    """Write one row per box.

    Parameters
    ----------
    path : Path
        File to write.
    boxes : DataFrame
        Columns `BOX_COLUMNS`, native grid; x1 and y1 are one past the last pixel.

    Raises
    ------
    ExportError
        If a column is missing or a box is invalid.
    """
    _check(path, boxes)
    without_formulas(boxes.loc[:, list(BOX_COLUMNS)]).to_csv(path, index=False, lineterminator="\n")


def write_coco(path: Path, images: pd.DataFrame, boxes: pd.DataFrame, labels: Sequence[str]) -> None:
    """Write COCO JSON.

    Parameters
    ----------
    path : Path
        File to write.
    images : DataFrame
        Columns ``image_id``, ``source``, ``rows``, ``cols``: every film, also without boxes.
    boxes : DataFrame
        As for `write_boxes_csv`.
    labels : sequence of str
        Categories, in this order, numbered from 1.

    Raises
    ------
    ExportError
        If a column is missing, a box is invalid, or the film or label of a box is not listed.

    Notes
    -----
    ``file_name`` is the source file relative to the folder of the films, which is the name that FiftyOne and CVAT look
    for; ``film`` is the image_id. A probability that is not stated is left out: readers of COCO expect numbers.
    """
    _check(path, boxes)
    films = [
        {"id": number, "file_name": str(image["source"]), **_size(image), "film": str(image["image_id"])}
        for number, image in enumerate(images.to_dict("records"), start=1)
    ]
    film_numbers = {str(image_id): number for number, image_id in enumerate(images["image_id"], start=1)}
    categories = {label: number for number, label in enumerate(labels, start=1)}
    _check_listed(path, boxes, film_numbers, categories)
    content: dict[str, Any] = {
        "info": {"description": _NOTE},
        "images": films,
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
        "annotations": [
            _coco_annotation(number, box, film_numbers[box["image_id"]], categories[box["label"]])
            for number, box in enumerate(boxes.to_dict("records"), start=1)
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _size(image: Mapping[Any, Any]) -> dict[str, int]:
    return {"width": int(image["cols"]), "height": int(image["rows"])}


def _coco_annotation(number: int, box: Mapping[Any, Any], film: int, category: int) -> dict[str, Any]:
    width, height, probability = box["x1"] - box["x0"], box["y1"] - box["y0"], _probability(box)
    return {
        "id": number,
        "image_id": film,
        "category_id": category,
        "bbox": [float(side) for side in (box["x0"], box["y0"], width, height)],
        "area": float(width * height),
        "iscrowd": 0,
        "score": float(box["score"]),
        **({} if probability is None else {"probability": probability}),
        "attributes": {"zone": str(box["zone"])},
    }


def write_label_studio(path: Path, images: pd.DataFrame, boxes: pd.DataFrame, labels: Sequence[str]) -> None:
    """Write tasks with predictions for Label Studio, and the labeling interface beside them (``.xml``).

    Parameters
    ----------
    path : Path
        JSON file to write.
    images, boxes, labels
        As for `write_coco`.

    Raises
    ------
    ExportError
        As `write_coco`.

    Notes
    -----
    Sides are in percent of the film's. ``data.image`` is ``<image_id>.png``: serve the images under this name.
    """
    _check(path, boxes)
    by_film = _by_film(path, images, boxes, labels)
    tasks = [
        {
            "data": {"image": f"{film['image_id']}.png", "image_id": film["image_id"], "file": film["source"]},
            "predictions": [
                {
                    "model_version": "camray: AI, not verified",
                    "score": max(filter(None, map(_probability, film_boxes)), default=None if film_boxes else 0.0),
                    "result": [_rectangle(film, box, number) for number, box in enumerate(film_boxes)],
                }
            ],
        }
        for film, film_boxes in by_film
    ]
    path.write_text(json.dumps(tasks, indent=1) + "\n", encoding="utf-8")
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image", zoom="true")
    choices = ElementTree.SubElement(view, "RectangleLabels", name="label", toName="image")
    for label in labels:
        ElementTree.SubElement(choices, "Label", value=label)
    _write_xml(path.with_suffix(".xml"), view)


def _rectangle(film: dict[str, Any], box: dict[str, Any], number: int) -> dict[str, Any]:
    rows, cols = int(film["rows"]), int(film["cols"])
    value = {
        "x": 100 * float(box["x0"]) / cols,
        "y": 100 * float(box["y0"]) / rows,
        "width": 100 * float(box["x1"] - box["x0"]) / cols,
        "height": 100 * float(box["y1"] - box["y0"]) / rows,
        "rotation": 0,
        "rectanglelabels": [str(box["label"])],
    }
    return {
        "id": f"box{number}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "image_rotation": 0,
        "original_width": cols,
        "original_height": rows,
        "score": _probability(box),
        "value": value,
    }


def _probability(box: Mapping[Any, Any]) -> float | None:
    """Return a box's probability; None where none is stated."""
    return None if isnan(box["probability"]) else float(box["probability"])


def write_voc(
    folder: Path, images: pd.DataFrame, boxes: pd.DataFrame, labels: Sequence[str], names: Mapping[str, str]
) -> None:
    """Write Pascal VOC: ``Annotations/<name>.xml`` per film, ``ImageSets/Main/default.txt``, ``labelmap.txt``.

    Parameters
    ----------
    folder : Path
        Created if missing.
    images, boxes, labels
        As for `write_coco`.
    names : mapping
        image_id to a file name without suffix.

    Raises
    ------
    ExportError
        As `write_coco`.

    Notes
    -----
    ``xmin ymin xmax ymax`` are the corners as in all of camray: fractional, half-open, with the origin at the outer
    corner of the first pixel. Datumaro and CVAT read them so; the VOC files of 2007-2012 count whole pixels from 1,
    including the last. Names of findings are spelled as `voc_label_names` returns them, in all files.
    """
    _check(folder, boxes)
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    spelled = voc_label_names(labels)
    by_film = _by_film(folder, images, boxes, labels)
    for film, film_boxes in by_film:
        name = names[str(film["image_id"])]
        film_boxes = [{**box, "label": spelled[str(box["label"])]} for box in film_boxes]
        _write_xml(folder / "Annotations" / f"{name}.xml", _voc_annotation(name, film, film_boxes))
    listed = "".join(names[str(film["image_id"])] + "\n" for film, _ in by_film)
    (folder / "ImageSets" / "Main" / "default.txt").write_text(listed, encoding="utf-8")
    lines = ["# label:color_rgb:parts:actions"]
    lines += [f"# {name} stands for {label!r}" for label, name in spelled.items() if name != label]
    lines += [f"{name}:::" for name in spelled.values()]
    (folder / "labelmap.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def voc_label_names(labels: Sequence[str]) -> dict[str, str]:
    """Return a name for each finding that ``labelmap.txt`` can hold, no two alike.

    A line of that file is ``name:color:parts:actions``, and a line that begins with ``#`` is a comment.

    Examples
    --------
    >>> voc_label_names(["Mass", "Opacity: right", "#1 nodule"])
    {'Mass': 'Mass', 'Opacity: right': 'Opacity_ right', '#1 nodule': '_1 nodule'}
    """
    names: dict[str, str] = {}
    for label in labels:
        visible = "".join(sign if sign.isprintable() else " " for sign in label)
        plain = label if visible == label else " ".join(visible.split())
        name = re.sub(r"^\s*#", "_", plain.replace(":", "_"))
        while name != label and (name in names.values() or name in labels):
            name += "_"
        names[label] = name
    return names


def _voc_annotation(name: str, film: dict[str, Any], boxes: list[dict[str, Any]]) -> ElementTree.Element:
    root = _element(None, "annotation")
    _element(root, "folder", "JPEGImages")
    _element(root, "filename", f"{name}.png")
    _element(_element(root, "source"), "annotation", "camray: AI, not verified")
    size = _element(root, "size")
    for key, value in (("width", film["cols"]), ("height", film["rows"]), ("depth", 1)):
        _element(size, key, str(int(value)))
    _element(root, "segmented", "0")
    for box in boxes:
        item = _element(root, "object")
        for key, text in (("name", box["label"]), ("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            _element(item, key, str(text))
        if (probability := _probability(box)) is not None:
            _element(item, "confidence", repr(probability))
        corners = _element(item, "bndbox")
        for key, side in (("xmin", "x0"), ("ymin", "y0"), ("xmax", "x1"), ("ymax", "y1")):
            _element(corners, key, repr(float(box[side])))
    return root


def _element(parent: ElementTree.Element | None, name: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.Element(name) if parent is None else ElementTree.SubElement(parent, name)
    element.text = text
    return element


def _write_xml(path: Path, root: ElementTree.Element) -> None:
    ElementTree.indent(root)
    text = _NOT_XML.sub("\ufffd", ElementTree.tostring(root, encoding="unicode"))
    path.write_text(text + "\n", encoding="utf-8")


def _by_film(
    path: Path, images: pd.DataFrame, boxes: pd.DataFrame, labels: Sequence[str]
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return each film's row with its boxes, in the order of the films."""
    by_id: dict[str, list[dict[str, Any]]] = {str(image_id): [] for image_id in images["image_id"]}
    _check_listed(path, boxes, by_id, labels)
    for box in boxes.to_dict("records"):
        by_id[str(box["image_id"])].append({str(key): value for key, value in box.items()})
    films = [{str(key): value for key, value in film.items()} for film in images.to_dict("records")]
    return [(film, by_id[str(film["image_id"])]) for film in films]


def _check_listed(path: Path, boxes: pd.DataFrame, films: Collection[str], labels: Collection[str]) -> None:
    films_missing, labels_missing = set(boxes["image_id"]) - set(films), set(boxes["label"]) - set(labels)
    if films_missing or labels_missing:
        raise ExportError(
            f"{path.name}: {len(films_missing)} films and {len(labels_missing)} labels of the boxes are not listed"
        )


def _check(path: Path, boxes: pd.DataFrame) -> None:
    missing = [column for column in BOX_COLUMNS if column not in boxes.columns]
    if missing:
        raise ExportError(f"{path.name}: the boxes have no {', '.join(missing)}")
    sides = (boxes["x1"] > boxes["x0"]) & (boxes["y1"] > boxes["y0"])  # false for missing corners too
    if not sides.all():
        raise ExportError(f"{path.name}: {int((~sides).sum())} boxes have no positive width and height; localize again")
