"""Box and mask tables, read into boxes on the native grid of each film."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.csv_text import TableText, plain_name
from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.json_marks import COCO_COLUMNS
from camray.adapters.datasets.label_table import spellings
from camray.adapters.datasets.manifest import BoxTableRules, LabelRules
from camray.adapters.datasets.markup import MASK_COLUMNS, VOC_COLUMNS
from camray.adapters.datasets.mask_table import UNKNOWN_SIDE, read_masks
from camray.adapters.datasets.tables import TextTable, missing_columns, report_unknown_columns
from camray.domain.records import CORNERS

TOLERANCE_PX = 1.0  # annotation tools round: a box may exceed the film by this much without a report
SHAPE_TOLERANCE_PX = 2.0  # a smaller copy of a film has rounded sides
SHARE_TOLERANCE = 0.01  # shares of a side may leave 0-1 by rounding
MANY_BOXES, LARGE_SIDE_PX = 4, 400  # fewer boxes, or smaller films, may have all corners in 0-100 px
IGNORE = "ignore"
BOX_COLUMNS = ("film", "label", "reader", "x0", "y0", "x1", "y1", "rle")


def rules_of_format(text: TableText, rules: BoxTableRules) -> BoxTableRules:
    """Return the rules for a file in a known format that the manifest does not describe: COCO, VOC or masks by film.

    Parameters
    ----------
    text : TableText
        The file's cells.
    rules : BoxTableRules
        The manifest's, which are returned for every other table.
    """
    columns = set(text.cells.columns)
    is_described = bool(columns.intersection(rules.key)) and (rules.label is None or rules.label in columns)
    own: dict[str, object] = {"file": rules.file, "key_is": "any", "implies_label": rules.implies_label}
    if columns == set(COCO_COLUMNS):
        has_sizes = bool(text.cells[["image_width", "image_height"]].notna().all(axis=None))
        own |= {"key": "film", "label": "label", "size": ("x", "y", "width", "height"), "kind": "kind"}
        own |= {"reader": "reader", "ignore": ("image_width", "image_height")}
        own |= {"frame": ("image_height", "image_width") if has_sizes else "native"}
    elif is_described:
        return rules
    elif columns == set(VOC_COLUMNS):
        own |= {"key": "stem", "label": "name", "corners": VOC_COLUMNS[4:], "frame": ("height", "width")}
    elif columns == set(MASK_COLUMNS):
        own |= {"key": "film", "label": "label", "mask": {"column": "counts", "form": "coco"}}
        own |= {"frame": ("height", "width")}
    else:
        return rules
    return BoxTableRules.model_validate(own)


def labels_in_boxes(table: TextTable, rules: BoxTableRules) -> tuple[LabelRules, ...]:
    """Return the labels of a box table (`labels: auto`), in alphabetical order."""
    if rules.constant is not None:
        return (LabelRules(name=rules.constant),)
    if rules.label not in table.cells.columns:
        return ()
    return tuple(LabelRules(name=str(name)) for name in sorted(_label_texts(table, rules).dropna().unique()))


def read_boxes(
    table: TextTable,
    rules: BoxTableRules,
    labels: Sequence[LabelRules],
    sizes_rc: NDArray[np.int64],
    report: FaultReport,
) -> pd.DataFrame:
    """Read a box table into boxes on native grids.

    Parameters
    ----------
    table : TextTable
        The table.
    rules : BoxTableRules
        Its columns, and the frame of its coordinates.
    labels : sequence of LabelRules
        The findings.
    sizes_rc : ndarray of shape (films, 2), int64
        Native (rows, cols) of each film.
    report : FaultReport
        Receives invalid corners, masks that do not fit, inverted boxes, boxes outside their film, boxes drawn on other
        sizes, unknown names and columns.

    Returns
    -------
    DataFrame
        Columns of `BOX_COLUMNS`: position of the film, position of the label, reader, the half-open box in native px,
        corner origin, clipped to the film, and its mask on the native grid as COCO's run lengths (empty for a box).
        Boxes of films that do not exist are omitted.
    """
    frames = _frames(table, rules, sizes_rc, report)
    _report_other_sizes(table, rules, frames, sizes_rc, report)
    native, rle, empty = _marks(table, rules, frames, sizes_rc, report)
    label = _labels(table, rules, labels, report)
    reader = table.column([rules.reader] if rules.reader else [])
    report_unknown_columns(table, rules.columns, report)
    at_hand = (table.films >= 0) & (label >= 0)
    broken = ~np.isfinite(native).all(axis=1) & ~empty
    report.add(table.name, _broken_message(rules), table.lines[broken], stops=True)
    inverted = ~empty & ~broken & ~((native[:, 2:] > native[:, :2]).all(axis=1))
    report.add(table.name, "boxes without area, or inverted (x1 <= x0 or y1 <= y0)", table.lines[inverted], stops=True)
    used = ~empty & ~broken & ~inverted & at_hand
    clipped, inside = _clip(table, native[used], sizes_rc[table.films[used]], table.lines[used], report)
    readers = table.cells[reader][used].fillna("").astype(str).to_numpy() if reader else np.full(int(used.sum()), "")
    boxes = pd.DataFrame({"film": table.films[used], "label": label[used], "reader": readers})
    boxes[CORNERS] = clipped
    boxes["rle"] = rle[used]
    boxes = boxes[inside].reset_index(drop=True)
    repeated = boxes.duplicated().to_numpy()
    report.add(table.name, "repeated boxes; used once", table.lines[used][inside][repeated], stops=False)
    return boxes[~repeated].reset_index(drop=True)


def without_ignored(table: TextTable, rules: BoxTableRules) -> tuple[TextTable, TextTable]:
    """Separate the annotations of a table from its regions to ignore: rows with ``ignore`` in column `kind`, any case.

    The second table has known columns only, so that unknown ones are reported once.
    """
    if rules.kind is None or rules.kind not in table.cells.columns:
        return table, table.rows(np.zeros(len(table.cells), dtype=bool))
    ignored = table.cells[rules.kind].str.casefold().eq(IGNORE).fillna(False).to_numpy(dtype=bool)
    left_out = table.rows(ignored)
    known = [column for column in left_out.cells.columns if column in rules.columns]
    return table.rows(~ignored), replace(left_out, cells=left_out.cells[known])


def derive_boxes(boxes: pd.DataFrame, labels: Sequence[LabelRules]) -> pd.DataFrame:
    """Append the boxes of derived findings, which are those of their parts; arguments as for `read_boxes`."""
    names = [label.name for label in labels]
    for column, label in enumerate(labels):
        if label.any_of:
            parts = boxes[boxes["label"].isin([names.index(part) for part in label.any_of])]
            boxes = pd.concat([boxes, parts.assign(label=column)], ignore_index=True)
    return boxes


def _broken_message(rules: BoxTableRules) -> str:
    if rules.mask is None:
        return "corners that are missing or not finite numbers"
    return "masks whose run lengths do not fill the frame; check the encoding"


def _frames(
    table: TextTable, rules: BoxTableRules, sizes_rc: NDArray[np.int64], report: FaultReport
) -> NDArray[np.float64]:
    """Return the frame (rows, cols) of each row's coordinates, [rows, 2]; NaN if unknown."""
    if rules.frame == "native":
        frames = np.full((len(table.cells), 2), np.nan)
        frames[table.films >= 0] = sizes_rc[table.films[table.films >= 0]]
        return frames
    if isinstance(rules.frame[0], int):
        return np.tile(np.array(rules.frame, dtype=np.float64), (len(table.cells), 1))
    frames = _numbers(table, [str(part) for part in rules.frame], report)
    wrong: NDArray[np.bool_] = np.asarray(~(frames > 0).all(axis=1))
    report.add(table.name, "rows without the size of the image they were drawn on", table.lines[wrong], stops=True)
    return np.where(wrong[:, None], np.nan, frames)


def _report_other_sizes(
    table: TextTable,
    rules: BoxTableRules,
    frames_rc: NDArray[np.float64],
    sizes_rc: NDArray[np.int64],
    report: FaultReport,
) -> None:
    """Report boxes that the table says were drawn on another size; of COCO, refuse another shape."""
    if rules.frame == "native" or isinstance(rules.frame[0], int) or not len(sizes_rc):
        return
    sizes = np.where(table.films[:, None] >= 0, sizes_rc[table.films], UNKNOWN_SIDE)
    compared = np.isfinite(frames_rc).all(axis=1) & (sizes != UNKNOWN_SIDE).all(axis=1)
    factors = sizes / np.where(compared[:, None], frames_rc, 1.0)
    off = np.abs(sizes - frames_rc * factors[:, ::-1]) / np.maximum(factors[:, ::-1], 1.0)  # px of the smaller grid
    is_coco = set(table.cells.columns) == set(COCO_COLUMNS)  # manifests describe other tables
    skewed = compared & (off.min(axis=1) > SHAPE_TOLERANCE_PX) & is_coco
    what = "boxes drawn on an image of another shape than the film's; expected the film, or a smaller or larger copy"
    report.add(table.name, what, table.lines[skewed], stops=True)
    other = compared & ~skewed & (factors != 1).any(axis=1)
    edges = (factors[other].min(initial=np.inf), factors[other].max(initial=0))
    by = " to ".join(dict.fromkeys(f"{edge:.4g}" for edge in edges))
    what = (
        f"boxes of {len(np.unique(table.films[other]))} film(s) were drawn on an image of another size; scaled by {by}"
    )
    report.add(table.name, what, stops=False, count=int(other.sum()))


def _marks(
    table: TextTable,
    rules: BoxTableRules,
    frames_rc: NDArray[np.float64],
    sizes_rc: NDArray[np.int64],
    report: FaultReport,
) -> tuple[NDArray[np.float64], NDArray[np.object_], NDArray[np.bool_]]:
    """Return native corners (NaN if invalid), run lengths, and the rows without a mark."""
    if rules.mask is not None:
        masks = read_masks(table, rules.mask, frames_rc, sizes_rc, report)
        return masks.corners, masks.texts, np.asarray((masks.texts == "") & ~masks.broken, dtype=bool)
    corners = _corners(table, rules, frames_rc, report)
    empty = np.asarray(np.isnan(corners).all(axis=1) & (rules.empty == "skip"), dtype=bool)
    if rules.frame != "native":
        at_hand = np.flatnonzero(table.films >= 0)
        scale = sizes_rc[table.films[at_hand]] / frames_rc[at_hand]
        corners[at_hand] *= scale[:, [1, 0, 1, 0]]
    return corners, np.full(len(corners), "", dtype=object), empty


def _corners(
    table: TextTable, rules: BoxTableRules, frames_rc: NDArray[np.float64], report: FaultReport
) -> NDArray[np.float64]:
    columns = list(rules.corners or rules.size or ())
    corners = _numbers(table, columns, report)
    if set(columns) <= set(table.cells.columns):
        sides = frames_rc[np.isfinite(frames_rc)]
        _report_shares(table, corners, float(sides.min(initial=np.inf)) if sides.size else 0.0, report)
    if rules.corners is None:
        corners[:, 2:] += corners[:, :2]
    elif rules.inclusive:
        corners[:, 2:] += 1.0
    return corners


def _report_shares(
    table: TextTable, numbers: NDArray[np.float64], smallest_side_px: float, report: FaultReport
) -> None:
    """Report boxes whose numbers are shares of the film's sides in place of px."""
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(numbers).all(axis=1))
    within = (numbers > -SHARE_TOLERANCE) & (numbers < 1 + SHARE_TOLERANCE)  # NaN is outside
    within_one: NDArray[np.bool_] = within.all(axis=1) & (numbers != 0).any(axis=1)
    has_fractions: NDArray[np.bool_] = (np.where(within, numbers, 0) % 1 != 0).any(axis=1)
    shares = within_one & (has_fractions | bool(within_one[finite].all()))
    what = "all numbers of the box are in 0-1: shares of the film's sides? expected px; multiply by width and height"
    report.add(table.name, what, table.lines[shares], stops=True)
    is_per_cent = bool(((numbers >= 0) & (numbers <= 100)).all())
    if len(numbers) >= MANY_BOXES and is_per_cent and not shares.any() and smallest_side_px > LARGE_SIDE_PX:
        what = f"all numbers are in 0-100 on films of more than {LARGE_SIDE_PX} px: per cent of the sides? expected px"
        report.add(table.name, what, stops=False, count=len(numbers))


def _numbers(table: TextTable, columns: Sequence[str], report: FaultReport) -> NDArray[np.float64]:
    missing = [column for column in columns if column not in table.cells.columns]
    if missing:
        what = missing_columns(missing, "with the corners", table.cells.columns)
        report.add(table.name, what, stops=True, count=len(missing))
        return np.tile(np.array([0.0, 0.0, 1.0, 1.0][-len(columns) :]), (len(table.cells), 1))
    numbers = [
        pd.to_numeric(_with_decimal_points(table.cells[column]), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        for column in columns
    ]
    return np.stack(numbers, axis=1)


def _with_decimal_points(cells: "pd.Series[str]") -> "pd.Series[str]":
    """Write decimal commas as points, but where the comma may separate thousands."""
    is_thousands = cells.str.fullmatch(r"-?\d{1,3},\d{3}").fillna(False).astype(bool)
    return cells.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True).where(~is_thousands, cells)


def _labels(
    table: TextTable, rules: BoxTableRules, labels: Sequence[LabelRules], report: FaultReport
) -> NDArray[np.int64]:
    columns = spellings(labels)
    if rules.constant is not None:
        return np.full(len(table.cells), columns.get(rules.constant.casefold(), -1), np.int64)
    if rules.label not in table.cells.columns:
        what = missing_columns([str(rules.label)], "with the names of the findings", table.cells.columns)
        report.add(table.name, what, stops=True, count=1)
        return np.full(len(table.cells), -1, np.int64)
    texts = _label_texts(table, rules)
    indices = texts.str.casefold().map(columns).fillna(-1).to_numpy(np.int64)
    what = f"'{rules.label}' is empty or names a finding that is not in the manifest"
    no_finding = texts.isin(rules.nothing).to_numpy(dtype=bool)
    report.add(table.name, what, table.lines[(indices < 0) & ~no_finding], stops=report.is_strict)
    return np.asarray(indices)


def _label_texts(table: TextTable, rules: BoxTableRules) -> "pd.Series[str]":
    return table.cells[rules.label].map(plain_name, na_action="ignore").astype("string")


def _clip(
    table: TextTable,
    corners: NDArray[np.float64],
    sizes_rc: NDArray[np.int64],
    lines: NDArray[np.int64],
    report: FaultReport,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    limit = np.stack([sizes_rc[:, 1], sizes_rc[:, 0]], axis=1).astype(np.float64)
    over = np.maximum(-corners[:, :2], corners[:, 2:] - limit).max(axis=1, initial=-np.inf)
    clipped = np.concatenate([np.clip(corners[:, :2], 0, limit), np.clip(corners[:, 2:], 0, limit)], axis=1)
    inside = np.asarray((clipped[:, 2:] > clipped[:, :2]).all(axis=1), dtype=bool)
    report.add(table.name, "boxes entirely outside their film; check the frame", lines[~inside], stops=True)
    what = f"boxes that exceed the film by more than {TOLERANCE_PX:g} px; clipped"
    report.add(table.name, what, lines[inside & (over > TOLERANCE_PX)], stops=False)
    return clipped, inside
