"""Secondary capture of one film: heat map, labelled boxes, legend and scales burned in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from camray.domain.film_results import UNVERIFIED
from camray.domain.geometry import Box, GridTransform
from camray.reporting.overlays import (
    FAINT_RGB,
    GAP_PX,
    INK_RGB,
    OUTLINE_RGB,
    PAPER_RGB,
    PREDICTED_RGB,
    GreyImage,
    RgbImage,
    draw_frame,
    fitted_text,
    font,
    tinted,
)

Frame = tuple[int, int, int, int]  # left, top, right, bottom
BAR_PX, RULER_MM = 14, 50.0
LEAST_WIDTH_PX = 480


@dataclass(frozen=True)
class LabelledBox:
    """A box on the native grid, and the text at its corner."""

    box: Box
    text: str


def heat_on_film(
    raw: NDArray[np.floating],
    transform: GridTransform,
    shape_model: tuple[int, int],
    shape_native: tuple[int, int],
    shape_out: tuple[int, int],
    smooth: float = 0.0,
) -> GreyImage:
    """Sample a map at the pixel centres of a grid that covers the film exactly.

    Parameters
    ----------
    raw : ndarray of shape (h, w), float
        Evidence on the feature grid, which covers the model grid exactly.
    transform : GridTransform
        Native to model.
    shape_model, shape_native, shape_out : tuple of int
        (rows, cols) of the model grid, the film and the result.
    smooth : float
        Sigma of a Gaussian applied first (edges mirrored), in feature cells.

    Returns
    -------
    ndarray of shape `shape_out`, float32
        Bilinear, corner origin; beyond the outermost cell centres the outermost value.
    """
    cells = np.asarray(raw, np.float32)
    if smooth > 0:
        cells = gaussian_filter(cells, smooth, mode="reflect")
    weights = []
    for axis, (scale, offset) in enumerate(
        ((transform.scale_y, transform.offset_y), (transform.scale_x, transform.offset_x))
    ):
        native = (np.arange(shape_out[axis]) + 0.5) * (shape_native[axis] / shape_out[axis])
        at = (native * scale + offset) * (cells.shape[axis] / shape_model[axis]) - 0.5
        at = np.clip(at, 0.0, cells.shape[axis] - 1.0)
        low = np.minimum(at.astype(np.int64), max(cells.shape[axis] - 2, 0))
        part = at - low
        matrix = np.zeros((shape_out[axis], cells.shape[axis]), np.float32)
        matrix[np.arange(shape_out[axis]), low] = 1 - part
        matrix[np.arange(shape_out[axis]), np.minimum(low + 1, cells.shape[axis] - 1)] += part
        weights.append(matrix)
    return np.asarray(weights[0] @ cells @ weights[1].T, np.float32)


def display_shape(shape_native: tuple[int, int], aspect: float, longest_px: int) -> tuple[int, int]:
    """Return (rows, cols) of a film on the screen: no side longer than `longest_px`, never enlarged.

    Parameters
    ----------
    shape_native : tuple of int
        (rows, cols).
    aspect : float
        Height over width of one native pixel.
    longest_px : int
        Limit.
    """
    rows, cols = shape_native[0] * max(aspect, 1.0), shape_native[1] * max(1 / aspect, 1.0)
    scale = min(1.0, longest_px / max(rows, cols))
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def draw_capture(
    pixels: GreyImage,
    heat01: GreyImage | None,
    boxes: Sequence[LabelledBox],
    lines: Sequence[str],
    shape_display: tuple[int, int],
    col_spacing_mm: float | None = None,
) -> RgbImage:
    """Draw one film with its heat map, boxes, ruler and legend.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Film, native grid, 0 black to 1 white.
    heat01 : ndarray of shape `shape_display` or None
        Evidence divided by its maximum; None where nothing is reported.
    boxes : sequence of LabelledBox
        Native grid, px.
    lines : sequence of str
        Legend, most probable first; no identifier.
    shape_display : tuple of int
        From `display_shape`.
    col_spacing_mm : float or None
        Distance between the film's columns; with it a ruler of `RULER_MM` is drawn.

    Returns
    -------
    ndarray of shape (R, C, 3), uint8
        The film at the top left corner, the legend below.
    """
    rows, cols = shape_display
    film = Image.fromarray(np.asarray(pixels, np.float32))
    grey = np.clip(np.asarray(film.resize((cols, rows), Image.Resampling.BOX)), 0.0, 1.0)
    heat = np.zeros(shape_display, np.float32) if heat01 is None else np.clip(heat01, 0.0, 1.0)
    picture = Image.fromarray(tinted(grey, heat))
    pen, size = ImageDraw.Draw(picture), max(11, min(rows, cols) // 48)
    scale_x, scale_y = cols / pixels.shape[1], rows / pixels.shape[0]
    for labelled in boxes:
        x0, y0, x1, y1 = labelled.box.as_tuple()
        draw_frame(pen, (x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y), PREDICTED_RGB, False)
    occupied: list[Frame] = []
    if col_spacing_mm is not None and col_spacing_mm > 0:
        occupied += _ruler(pen, RULER_MM / col_spacing_mm * scale_x, rows, cols, size)
    for labelled in boxes:
        x0, y0, _, y1 = labelled.box.as_tuple()
        corner = (x0 * scale_x, y0 * scale_y, y1 * scale_y)
        occupied.append(_label(pen, labelled.text, corner, size, (rows, cols), occupied))
    return _with_legend(picture, lines, heat01 is not None, size)


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float, float],
    size: int,
    shape: tuple[int, int],
    occupied: Sequence[Frame],
) -> Frame:
    """Write a box's text near its corner (left, top and bottom of the box), clear of the other texts."""
    (x, y0, y1), (rows, cols) = corner, shape
    fitted, fits = fitted_text(pen, text, (size, max(8, size - 4)), cols - 2 * GAP_PX)
    width, height = round(pen.textlength(fitted, font(fits))) + 4, fits + 4
    left = max(0, min(round(x), cols - width))
    above, inside, below = round(y0) - height - 2, round(y0) + 3, round(y1) + 2
    tops = [above, inside, below] if above > 0 else [inside, below]
    tops += [*range(inside, rows - height, height), *range(inside, 0, -height)]
    frames = [(left, top, left + width, top + height) for top in tops]
    on_film = [each for each in frames if 0 <= each[1] <= rows - height]
    free = [each for each in on_film if not any(_overlap(each, other) for other in occupied)]
    frame = free[0] if free else frames[0]
    pen.rectangle(frame, fill=OUTLINE_RGB)
    pen.text((frame[0] + 2, frame[1] + 1), fitted, PREDICTED_RGB, font(fits))
    return frame


def _overlap(first: Frame, second: Frame) -> bool:
    return first[0] <= second[2] and second[0] <= first[2] and first[1] <= second[3] and second[1] <= first[3]


def _ruler(pen: ImageDraw.ImageDraw, length_px: float, rows: int, cols: int, size: int) -> list[Frame]:
    """Draw a ruler, unless it is too short or too long for the film; return the area that it occupies."""
    if not 8 <= length_px <= cols - 4 * GAP_PX:
        return []
    x1, bottom = cols - 2 * GAP_PX, rows - 2 * GAP_PX
    x0 = x1 - round(length_px)
    for grow, rgb in ((1, OUTLINE_RGB), (0, INK_RGB)):
        pen.rectangle((x0 - grow, bottom - 2 - grow, x1 + grow, bottom + grow), fill=rgb)
        for end in (x0, x1):
            pen.rectangle((end - 1 - grow, bottom - 8 - grow, end + grow, bottom + grow), fill=rgb)
    text = f"{RULER_MM:.0f} mm at detector"
    at = (max(0, x1 - round(pen.textlength(text, font(size)))), bottom - size - 14)
    pen.text(at, text, INK_RGB, font(size), stroke_width=1, stroke_fill=OUTLINE_RGB)
    return [(min(at[0], x0), at[1], x1, bottom)]


def _with_legend(film: Image.Image, lines: Sequence[str], has_heat: bool, size: int) -> RgbImage:
    width, step = max(film.width, LEAST_WIDTH_PX), size + GAP_PX
    strip = 2 * GAP_PX + step * (len(lines) + 1) + (BAR_PX + step if has_heat else 0)
    page = Image.new("RGB", (width, film.height + strip), PAPER_RGB)
    page.paste(film, (0, 0))
    pen, top = ImageDraw.Draw(page), film.height + GAP_PX
    if has_heat:
        ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (BAR_PX, 1))
        bar = tinted(np.full((BAR_PX, 256), 0.3, np.float32), ramp)
        page.paste(Image.fromarray(bar), (GAP_PX, top))
        scale = "heat map: 0 to its maximum, not a probability"
        fitted, fits = fitted_text(pen, scale, (size, max(8, size - 4)), width - 262 - 2 * GAP_PX)
        pen.text((GAP_PX + 262, top), fitted, FAINT_RGB, font(fits))
        top += BAR_PX + step
    for line in (*lines, UNVERIFIED):
        fitted, fits = fitted_text(pen, line, (size, max(8, size - 4)), width - 2 * GAP_PX)
        pen.text((GAP_PX, top), fitted, INK_RGB if line != UNVERIFIED else PREDICTED_RGB, font(fits))
        top += step
    return np.asarray(page, np.uint8)
