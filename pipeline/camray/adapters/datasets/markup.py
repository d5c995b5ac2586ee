"""Annotations in other formats, as rows of text: folders of VOC XML files, and JSON of masks or polygons."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from camray.domain.errors import ManifestError
from camray.domain.polygons import mask_of_polygons
from camray.domain.run_lengths import coco_text, counts_of_mask

MAX_XML_BYTES = 2**20
VOC_COLUMNS = ("stem", "width", "height", "name", "xmin", "ymin", "xmax", "ymax")
SIZE_KEY, MAX_PIXELS = "img_size", 2**27
FINDINGS_KEYS, FINDINGS_SIDE_PX = frozenset({"file_name", "syms", "polygons"}), 1024  # ChestX-Det draws on 1024 x 1024
MASK_COLUMNS = ("film", "label", "height", "width", "counts")


def voc_cells(folder: Path) -> pd.DataFrame:
    """Read a folder of Pascal VOC files, one per film.

    Parameters
    ----------
    folder : Path
        Contains ``<stem of the film>.xml``, also in sub-folders.

    Returns
    -------
    DataFrame
        Text columns `VOC_COLUMNS`, one row per object, files in alphabetical order. ``width`` and ``height`` are those
        of the image that the box was drawn on, which may differ from the film's.

    Raises
    ------
    ManifestError
        If files are invalid; the message counts them all.
    """
    rows: list[tuple[str | None, ...]] = []
    broken = []
    for path in sorted(folder.rglob("*.xml")):
        try:
            rows += _voc_rows(path)
        except (ElementTree.ParseError, expat.ExpatError, ValueError, LookupError, OSError):
            broken.append(path.relative_to(folder).as_posix())
    if broken:
        raise ManifestError(
            f"{folder.name}: {len(broken)} XML file(s) are not VOC annotations with size and boxes, or declare a "
            f"document type: {', '.join(broken[:8])}{', ...' if len(broken) > 8 else ''}; correct or remove them"
        )
    return pd.DataFrame(rows, columns=list(VOC_COLUMNS), dtype="string")


def _voc_rows(path: Path) -> list[tuple[str | None, ...]]:
    if path.stat().st_size > MAX_XML_BYTES:
        raise ValueError("too large")
    content = path.read_bytes()
    _check_no_document_type(content)
    root = ElementTree.fromstring(content)
    size = [root.findtext(f"size/{name}") for name in ("width", "height")]
    if any(not text or not text.strip().isdigit() or int(text) == 0 for text in size):
        raise ValueError("no size")
    inside = ("name", *(f"bndbox/{corner}" for corner in ("xmin", "ymin", "xmax", "ymax")))
    return [
        (path.stem, *size, *(_stripped(item.findtext(name)) for name in inside)) for item in root.iterfind("object")
    ]


def _check_no_document_type(content: bytes) -> None:
    """Refuse XML with a document type, in any encoding: its entities may expand without limit."""

    def refuse(*_: Any) -> None:
        raise ValueError("document type")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(content, True)


def mask_cells(name: str, films: Mapping[str, Any], outline: bool = False) -> pd.DataFrame:
    """Read JSON of masks or polygons, as published with CheXlocalize.

    Parameters
    ----------
    name : str
        File name, for messages.
    films : mapping
        ``gt_segmentations_*.json``: film, then label, then ``{"size": [h, w], "counts": text}``, COCO's compressed run
        lengths as pycocotools writes them. Or ``gt_annotations_*.json``: film, then ``"img_size": [h, w]`` beside
        labels, each with a list of polygons, lists of [x, y] in px of that size.
    outline : bool
        Whether Pillow draws the polygons with their outline, as the authors of CheXlocalize do.

    Returns
    -------
    DataFrame
        Text columns of `MASK_COLUMNS`, in the order of the file; polygons of a label are filled together, see
        `camray.domain.polygons.mask_of_polygons`.

    Raises
    ------
    ManifestError
        If the file is invalid.

    Notes
    -----
    Source: the data of Saporta et al., Nature Machine Intelligence 2022. Their masks include the outlines of the
    polygons: if both files exist, use the masks, which are the published reference.
    """
    try:
        rows = [row for film, marks in films.items() for row in _film_rows(film, marks, outline)]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ManifestError(
            f"{name}: cannot be read as masks ({type(error).__name__}); expected COCO, or JSON of film, label and "
            '{"size": [height, width], "counts": run lengths}, or of film, "img_size" and label with polygons of [x, y]'
        ) from error
    return pd.DataFrame(rows, columns=list(MASK_COLUMNS), dtype="string")


def is_list_of_findings(content: Any) -> bool:
    """Return whether the content of a JSON file has the form of ChestX-Det's annotations."""
    is_list = isinstance(content, list) and bool(content)
    return is_list and all(isinstance(film, dict) and set(film) >= FINDINGS_KEYS for film in content)


def finding_cells(name: str, films: Sequence[Mapping[str, Any]], outline: bool = False) -> pd.DataFrame:
    """Read polygons with one finding each, as published with ChestX-Det.

    Parameters
    ----------
    name : str
        File name, for messages.
    films : sequence of mapping
        Each has ``file_name``, ``syms`` (the findings, one per polygon) and ``polygons`` (lists of [x, y] in px of a
        film of `FINDINGS_SIDE_PX` rows and columns). Other keys are not read: ``boxes`` surround the polygons.
    outline : bool
        As for `mask_cells`.

    Returns
    -------
    DataFrame
        Text columns of `MASK_COLUMNS`, one row per polygon. A film without findings has no row.

    Raises
    ------
    ManifestError
        If a film has another number of findings than of polygons, or a polygon is invalid.

    Notes
    -----
    Source: Lian et al., A structure-aware relation network for thoracic diseases detection and segmentation, IEEE
    Transactions on Medical Imaging 2021, and the files that its authors publish.
    """
    side = FINDINGS_SIDE_PX
    try:
        rows = [
            row
            for film in films
            for finding, corners in zip(film["syms"], film["polygons"], strict=True)
            for row in _film_rows(str(film["file_name"]), {SIZE_KEY: (side, side), str(finding): [corners]}, outline)
        ]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ManifestError(
            f"{name}: cannot be read as ChestX-Det's annotations ({type(error).__name__}); expected a list of "
            '{"file_name": name, "syms": findings, "polygons": one list of [x, y] per finding}'
        ) from error
    return pd.DataFrame(rows, columns=list(MASK_COLUMNS), dtype="string")


def _film_rows(film: str, marks: Any, outline: bool) -> list[tuple[str, ...]]:
    if SIZE_KEY not in marks:
        return [_mask_row(film, label, mask) for label, mask in marks.items()]
    height, width = (int(side) for side in marks[SIZE_KEY])
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ValueError("implausible size")
    rows: list[tuple[str, ...]] = []
    for label, polygons in marks.items():
        if label != SIZE_KEY:
            fill = _painted if outline else mask_of_polygons
            mask = fill([np.asarray(corners, np.float64) for corners in polygons], height, width)
            rows.append((film, label, str(height), str(width), coco_text(counts_of_mask(mask))))
    return rows


def _painted(polygons: Sequence[NDArray[np.float64]], rows: int, cols: int) -> NDArray[np.bool_]:
    """Fill polygons and paint their outlines: a mask is up to a pixel wider than by `mask_of_polygons`."""
    picture = Image.new("1", (cols, rows))
    draw = ImageDraw.Draw(picture)
    for corners in polygons:
        if len(corners) > 1:
            draw.polygon([(float(x), float(y)) for x, y in corners], fill=1, outline=1)
    return np.array(picture, dtype=bool)


def _mask_row(film: str, label: str, mask: Any) -> tuple[str, ...]:
    height, width = mask["size"]
    return film, label, str(int(height)), str(int(width)), str(mask["counts"])


def _stripped(text: str | None) -> str | None:
    return text.strip() or None if text else None
