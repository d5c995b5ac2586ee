"""Annotations that are no tables: folders of VOC XML files, and JSON of masks, as rows of text."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from pipeline.domain.errors import ManifestError

MAX_XML_BYTES = 2**20
VOC_COLUMNS = ("stem", "width", "height", "name", "xmin", "ymin", "xmax", "ymax")
MASK_COLUMNS = ("film", "label", "height", "width", "counts")
_DOCUMENT_TYPE = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def voc_cells(folder: Path) -> pd.DataFrame:
    """Read a folder of Pascal VOC files, one a film.

    Parameters
    ----------
    folder : Path
        Holds ``<stem of the film>.xml``; sub-folders count.

    Returns
    -------
    DataFrame
        Text columns of `VOC_COLUMNS`, a row an object, files in order of their names. ``width`` and ``height`` are
        those of the picture the box was drawn on, which need not be the film's at hand.

    Raises
    ------
    ManifestError
        If a file is no such file; the message counts them all.
    """
    rows: list[tuple[str | None, ...]] = []
    broken = []
    for path in sorted(folder.rglob("*.xml")):
        try:
            rows += _voc_rows(path)
        except (ElementTree.ParseError, ValueError, OSError):
            broken.append(path.relative_to(folder).as_posix())
    if broken:
        raise ManifestError(
            f"{folder.name}: {len(broken)} XML file(s) are no VOC annotations with a size and boxes, or hold a "
            f"document type: {', '.join(broken[:8])}{', ...' if len(broken) > 8 else ''}; correct or remove them"
        )
    return pd.DataFrame(rows, columns=list(VOC_COLUMNS), dtype="string")


def _voc_rows(path: Path) -> list[tuple[str | None, ...]]:
    if path.stat().st_size > MAX_XML_BYTES:
        raise ValueError("too large")
    content = path.read_bytes()
    if _DOCUMENT_TYPE.search(content):
        raise ValueError("document types may expand without end")
    root = ElementTree.fromstring(content)
    size = [root.findtext(f"size/{name}") for name in ("width", "height")]
    if any(not text or not text.strip().isdigit() or int(text) == 0 for text in size):
        raise ValueError("no size")
    inside = ("name", *(f"bndbox/{corner}" for corner in ("xmin", "ymin", "xmax", "ymax")))
    return [
        (path.stem, *size, *(_stripped(found.findtext(name)) for name in inside)) for found in root.iterfind("object")
    ]


def mask_cells(path: Path) -> pd.DataFrame:
    """Read JSON of masks as CheXlocalize publishes them: film, then label, then ``{"size": [h, w], "counts": text}``.

    Returns
    -------
    DataFrame
        Text columns of `MASK_COLUMNS`, in the order of the file.

    Raises
    ------
    ManifestError
        If the file is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = [_mask_row(film, label, mask) for film, masks in found.items() for label, mask in masks.items()]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ManifestError(
            f"{path.name}: cannot be read as masks ({type(error).__name__}); expected JSON of film, label and "
            '{"size": [height, width], "counts": run lengths}'
        ) from error
    return pd.DataFrame(rows, columns=list(MASK_COLUMNS), dtype="string")


def _mask_row(film: str, label: str, mask: Any) -> tuple[str, ...]:
    height, width = mask["size"]
    return film, label, str(int(height)), str(int(width)), str(mask["counts"])


def _stripped(text: str | None) -> str | None:
    return text.strip() or None if text else None
