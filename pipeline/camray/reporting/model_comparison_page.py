"""The comparison of networks, pools and methods: a sortable table, and the same film under every method."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.model_comparison import BASELINE_NETWORK
from camray.core.metrics.summary import BASELINE_NAMES
from camray.domain.geometry import Box
from camray.domain.records import ThresholdSource
from camray.reporting.overlays import heat01_of, tinted
from camray.reporting.page_rendering import render

THUMB_PX = 96
_JPEG_QUALITY = 85
_BOX_RGB = (90, 220, 255)
_COLUMNS = {  # head on the page: column of the table, digits
    "map": ("map", 0),
    "AUROC": ("auroc", 2),
    "top-1 class error": ("top1_classification_error", 2),
    "top-1 loc. error": ("top1_localization_error", 2),
    "top-5 class error": ("top5_classification_error", 2),
    "top-5 loc. error": ("top5_localization_error", 2),
    "hit rate": ("hit_rate", 2),
    **{f"IoU ≥ 0.{tenth}": (f"iou_accuracy_0.{tenth}", 2) for tenth in range(1, 8)},
    "mean IoU": ("mean_iou", 2),
    "films": ("films", 0),
    "boxed labels": ("boxed_labels", 0),
    "seconds per film": ("seconds_a_film", 4),
    "deletion": ("deletion_auc", 3),
    "insertion": ("insertion_auc", 3),
    "avg. drop": ("average_drop", 2),
    "avg. increase": ("average_increase", 2),
    "rank, head random": ("rank_head", 2),
    "rank, all random": ("rank_all", 2),
    "noise": ("noise_max", 2),
    "sanity films": ("sanity_films", 0),
}
_INTERVALS = ("auroc", "hit_rate", "iou_accuracy_0.3", "iou_accuracy_0.5", "mean_iou")


@dataclass(frozen=True)
class _ComparisonCell:
    """A cell's text, what the column is sorted by (None: the text itself), and the text under the pointer."""

    text: str
    sort_value: str | None = None
    tooltip: str = ""


@dataclass(frozen=True)
class _ComparisonRow:
    """A row; its kind is ``baseline``, ``fixed`` or empty."""

    kind: str
    cells: tuple[_ComparisonCell, ...]


@dataclass(frozen=True)
class Strip:
    """One film under every method of a network.

    Parameters
    ----------
    title : str
        Network, pool and label.
    names : tuple of str
        The film, then the methods, left to right.
    jpeg : bytes
        Thumbs side by side.
    """

    title: str
    names: tuple[str, ...]
    jpeg: bytes


def draw_strip(
    grey: NDArray[np.float32], heats: Mapping[str, NDArray[np.floating]], boxes: Sequence[Box], title: str
) -> Strip:
    """Draw a film, and again under each map's positive part.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        Model grid, 0-1.
    heats : mapping of str to ndarray of shape (h, w)
        Raw maps, feature grids.
    boxes : sequence of Box
        Annotated ones, model grid, px.
    title : str
    """
    size = (THUMB_PX, THUMB_PX)
    film = np.asarray(Image.fromarray(grey.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    film = np.clip(film, 0.0, 1.0)
    page = Image.new("RGB", (THUMB_PX * (1 + len(heats)), THUMB_PX))
    empty = np.zeros((1, 1), np.float32)
    for number, heat in enumerate([empty, *heats.values()]):
        heat01 = np.asarray(Image.fromarray(heat01_of(heat)).resize(size, Image.Resampling.BILINEAR))
        thumb = Image.fromarray(tinted(film, np.clip(heat01, 0.0, 1.0)))
        pen = ImageDraw.Draw(thumb)
        for box in boxes:
            x0, x1 = (round(x * THUMB_PX / grey.shape[1]) for x in (box.x0, box.x1))
            y0, y1 = (round(y * THUMB_PX / grey.shape[0]) for y in (box.y0, box.y1))
            pen.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=_BOX_RGB)
        page.paste(thumb, (number * THUMB_PX, 0))
    stream = io.BytesIO()
    page.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return Strip(title, ("film", *heats), stream.getvalue())


def compare_page(name: str, table: pd.DataFrame, strips: Sequence[Strip], bootstrap: Bootstrap) -> str:
    """Return the page as HTML; nothing in it is loaded from elsewhere.

    Parameters
    ----------
    name : str
        Of the experiment.
    table : DataFrame
        `camray.core.metrics.model_comparison.COMPARE_COLUMNS`.
    strips : sequence of Strip
    bootstrap : Bootstrap
        Of the intervals.
    """
    heads = ["network", "pool", "method", "threshold", *_COLUMNS, "note"]
    rows = [_row(row) for row in table.to_dict("records")]
    return render("model_comparison.html.j2", name=name, heads=heads, rows=rows, strips=strips, bootstrap=bootstrap)


def _row(row: Mapping[Any, Any]) -> _ComparisonRow:
    is_baseline = row["network"] == BASELINE_NETWORK
    is_fixed = row["threshold_source"] == ThresholdSource.FIXED.value and not is_baseline
    method = BASELINE_NAMES.get(str(row["method"]), str(row["method"]))
    texts = (row["network"], row["pool"], method, row["threshold_source"])
    numbers = [_cell(row, column, digits) for column, digits in _COLUMNS.values()]
    cells = (*(_ComparisonCell(str(text)) for text in texts), *numbers, _ComparisonCell(str(row["reason"])))
    return _ComparisonRow("baseline" if is_baseline else "fixed" if is_fixed else "", cells)


def _cell(row: Mapping[Any, Any], column: str, digits: int) -> _ComparisonCell:
    value = row[column]
    if isinstance(value, str):
        return _ComparisonCell(value)
    number = float(value)
    if not np.isfinite(number) or (digits == 0 and number == 0):
        return _ComparisonCell("", sort_value="")
    return _ComparisonCell(
        f"{number:.{digits}f}", f"{number:.6g}", _interval(row, column) if column in _INTERVALS else ""
    )


def _interval(row: Mapping[Any, Any], column: str) -> str:
    low, high = (float(row[f"{column}_{end}"]) for end in ("low", "high"))
    return f"{low:.2f}–{high:.2f}" if np.isfinite(low) else ""
