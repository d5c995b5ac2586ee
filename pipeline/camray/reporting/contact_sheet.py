"""Sheets of small pictures: panels with heat map and boxes, captions below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from camray.domain.geometry import Box
from camray.reporting.overlays import (
    ANNOTATED_RGB,
    FAINT_RGB,
    GAP_PX,
    INK_RGB,
    PAPER_RGB,
    PREDICTED_RGB,
    RgbImage,
    draw_frame,
    tinted_colours,
)
from camray.reporting.picture_text import draw_text, fitted_text

CAPTION_PX, SMALLEST_PX = 15, 10


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture and its caption.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8
    caption : str
        No identifier.
    """

    picture: RgbImage
    caption: str


def evidence_panel(
    picture: RgbImage,
    heat01: NDArray[np.floating] | None,
    size_px: tuple[int, int],
    boxes: Sequence[Box] = (),
    outline: NDArray[np.bool_] | None = None,
) -> RgbImage:
    """Draw a picture with heat map, boxes and an annotated outline at a panel's size.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8
    heat01 : ndarray of shape (H, W) or None
        On the picture's grid, see `camray.reporting.overlays.heat01_of`.
    size_px : (int, int)
        Rows and columns of the panel.
    boxes : sequence of Box
        Predicted; half-open, px of `picture`.
    outline : ndarray of shape (H, W), bool, optional
        Annotated mask; its border is drawn.

    Returns
    -------
    ndarray of shape (rows, cols, 3), uint8
    """
    rows, cols = size_px
    panel = np.asarray(Image.fromarray(picture).resize((cols, rows), Image.Resampling.BICUBIC))
    if heat01 is not None:
        heat = Image.fromarray(np.asarray(heat01, np.float32)).resize((cols, rows), Image.Resampling.BILINEAR)
        panel = tinted_colours(panel, np.clip(np.asarray(heat), 0.0, 1.0))
    if outline is not None:
        inside = Image.fromarray(outline.astype(np.uint8) * 255).resize((cols, rows), Image.Resampling.BILINEAR)
        mask = np.asarray(inside) >= 128
        panel = panel.copy()
        panel[mask & ~binary_erosion(mask)] = ANNOTATED_RGB
    image = Image.fromarray(panel)
    pen = ImageDraw.Draw(image)
    scale_x, scale_y = cols / picture.shape[1], rows / picture.shape[0]
    for box in boxes:
        inside_box = box.clipped(picture.shape[0], picture.shape[1])
        if inside_box is not None:
            x0, y0, x1, y1 = inside_box.as_tuple()
            draw_frame(pen, (x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y), PREDICTED_RGB, False)
    return np.asarray(image, dtype=np.uint8)


def sheet(panels: Sequence[Panel], columns: int, note: str = "") -> RgbImage:
    """Lay panels out in rows, each above its caption, with a faint note at the bottom.

    Parameters
    ----------
    panels : sequence of Panel
        One or more; a column is as wide as the widest panel, a row as high as the highest.
    columns : int
        Panels per row.
    note : str
        Below all panels.

    Returns
    -------
    ndarray of shape (R, C, 3), uint8

    Raises
    ------
    ValueError
        If there is no panel, or less than one column.
    """
    if not panels or columns < 1:
        raise ValueError(f"{len(panels)} panels in {columns} columns; expected at least one of each")
    count = min(columns, len(panels))
    lines = -(-len(panels) // count)
    wide = max(panel.picture.shape[1] for panel in panels) + GAP_PX
    high = max(panel.picture.shape[0] for panel in panels) + CAPTION_PX + 3 * GAP_PX
    foot = CAPTION_PX + GAP_PX if note else 0
    page = Image.new("RGB", (count * wide + GAP_PX, lines * high + GAP_PX + foot), PAPER_RGB)
    pen = ImageDraw.Draw(page)
    for number, panel in enumerate(panels):
        x0, y0 = GAP_PX + number % count * wide, GAP_PX + number // count * high
        page.paste(Image.fromarray(panel.picture), (x0, y0))
        text, size = fitted_text(panel.caption, (CAPTION_PX, SMALLEST_PX), wide - GAP_PX)
        draw_text(pen, (x0, y0 + panel.picture.shape[0] + GAP_PX // 2), text, INK_RGB, size)
    if note:
        text, size = fitted_text(note, (CAPTION_PX - 2, SMALLEST_PX), page.width - 2 * GAP_PX)
        draw_text(pen, (GAP_PX, page.height - foot), text, FAINT_RGB, size)
    return np.asarray(page, dtype=np.uint8)


def panel_size(shape_rc: tuple[int, int], longer_px: int) -> tuple[int, int]:
    """Return (rows, cols) of a panel whose longer side measures `longer_px`, in a picture's proportions."""
    scale = longer_px / max(shape_rc)
    return max(1, round(shape_rc[0] * scale)), max(1, round(shape_rc[1] * scale))
