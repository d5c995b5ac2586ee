"""Columns of run lengths, read into masks and boxes on native grids."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.manifest import MaskRules
from camray.adapters.datasets.tables import TextTable, missing_columns
from camray.domain.run_lengths import (
    Counts,
    absolute_counts,
    box_of_counts,
    coco_counts,
    coco_text,
    relative_counts,
    scaled_counts,
)

UNKNOWN_SIDE = 2**24  # for films that were not read: boxes are not clipped, and masks keep their own grids
_READERS: dict[str, Callable[[str, int], Counts]] = {
    "relative": relative_counts,
    "absolute": absolute_counts,
    "coco": coco_counts,
}


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of a table's rows.

    Parameters
    ----------
    corners : ndarray of shape (rows, 4), float64
        Smallest box around each mask, native px, half-open; NaN without a mask.
    texts : ndarray of shape (rows,), object
        COCO's compressed run lengths on the native grid; empty without a mask.
    broken : ndarray of shape (rows,), bool
        Whether the run lengths do not fit the frame.
    """

    corners: NDArray[np.float64]
    texts: NDArray[np.object_]
    broken: NDArray[np.bool_]


def read_masks(
    table: TextTable, rules: MaskRules, frames_rc: NDArray[np.float64], sizes_rc: NDArray[np.int64], report: FaultReport
) -> Masks:
    """Decode the masks of films that exist, and resample them to the native grids.

    Parameters
    ----------
    table : TextTable
        The table.
    rules : MaskRules
        Its column of masks and their encoding.
    frames_rc : ndarray of shape (rows, 2), float64
        Rows and columns of the grid that each mask was drawn on; NaN if unknown.
    sizes_rc : ndarray of shape (films, 2), int64
        Native (rows, cols) of each film; `UNKNOWN_SIDE` if unknown.
    report : FaultReport
        Receives a missing column.
    """
    rows = len(table.cells)
    masks = Masks(np.full((rows, 4), np.nan), np.full(rows, "", dtype=object), np.zeros(rows, bool))
    if rules.column not in table.cells.columns:
        what = missing_columns([rules.column], "with the masks", table.cells.columns)
        report.add(table.name, what, stops=True, count=1)
        return masks
    texts = table.cells[rules.column].to_numpy(dtype=object, na_value="")
    for row in np.flatnonzero(table.films >= 0):
        text = str(texts[row])
        if not text or text in rules.none:
            continue
        native = (int(sizes_rc[table.films[row]][0]), int(sizes_rc[table.films[row]][1]))
        try:
            counts = _native_counts(text, rules, frames_rc[row], native)
        except ValueError:
            masks.broken[row] = True
            continue
        box = box_of_counts(counts, native[0])
        if box is not None:
            masks.corners[row], masks.texts[row] = box, coco_text(counts)
    return masks


def _native_counts(text: str, rules: MaskRules, frame_rc: NDArray[np.float64], native: tuple[int, int]) -> Counts:
    if not np.isfinite(frame_rc).all():
        raise ValueError("no frame")
    frame = (int(frame_rc[0]), int(frame_rc[1]))
    counts = _READERS[rules.form](text, frame[0] * frame[1])
    return counts if frame == native or UNKNOWN_SIDE in native else scaled_counts(counts, frame, native)
