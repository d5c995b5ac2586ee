"""Secondary capture of one film: heat maps and named boxes in one colour per finding, markers, legend and scales."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from camray.domain.film_results import UNVERIFIED
from camray.domain.geometry import GridTransform
from camray.reporting.captured_film import CapturedFilm, CapturedFinding, EdgeMarkers
from camray.reporting.overlays import (
    FAINT_RGB,
    GAP_PX,
    INK_RGB,
    PAPER_RGB,
    GreyImage,
    RgbImage,
    draw_frame,
)
from camray.reporting.picture_text import OUTLINE_RGB, Rgb, draw_text, shortened, text_width, wrapped

Frame = tuple[int, int, int, int]  # left, top, right, bottom
RULER_MM = 50.0
LEAST_LETTER_PX, LEAST_PAGE_PX = 16, (480, 128)  # width and height of the film's part of the picture
_LEAST_FILM_PX = (640, 256)  # longest and shortest side: smaller films are enlarged
_STRONGEST_TINT = 0.6
_SCALE_NOTE = "Strength of a colour: heat map from 0 to its maximum, no probability"


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
    """Return (rows, cols) of a film on the screen: small films enlarged, no side longer than `longest_px`.

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
    enlarged = max(1.0, _LEAST_FILM_PX[0] / max(rows, cols), _LEAST_FILM_PX[1] / min(rows, cols))
    scale = min(enlarged, longest_px / max(rows, cols))
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def draw_capture(film: CapturedFilm, findings: Sequence[CapturedFinding], shape_display: tuple[int, int]) -> RgbImage:
    """Draw one film with its heat maps, boxes, markers, ruler and legend.

    Parameters
    ----------
    film : CapturedFilm
        The film.
    findings : sequence of CapturedFinding
        Those that are reported.
    shape_display : tuple of int
        From `display_shape`.

    Returns
    -------
    ndarray of shape (R, C, 3), uint8
        The film at the top left corner, the legend below. No letter is smaller than `LEAST_LETTER_PX`.
    """
    rows, cols = shape_display
    size = max(LEAST_LETTER_PX, max(rows, cols) // 48)
    page = Image.new("RGB", (max(cols, LEAST_PAGE_PX[0]), max(rows, LEAST_PAGE_PX[1])), PAPER_RGB)
    page.paste(Image.fromarray(_tinted(_resized(film.pixels, shape_display), findings)), (0, 0))
    pen = ImageDraw.Draw(page)
    scale_x, scale_y = cols / film.pixels.shape[1], rows / film.pixels.shape[0]
    corners = [
        (finding, (box.x0 * scale_x, box.y0 * scale_y, box.x1 * scale_x, box.y1 * scale_y))
        for finding in findings
        for box in finding.boxes
    ]
    for finding, frame in corners:
        draw_frame(pen, frame, finding.rgb, False)
    occupied = _draw_markers(pen, film.markers, shape_display, size)
    if film.col_spacing_mm is not None and film.col_spacing_mm > 0:
        occupied += _ruler(pen, RULER_MM / film.col_spacing_mm * scale_x, shape_display, size)
    for finding, frame in corners:
        occupied.append(_label(pen, finding, frame, (page.height, page.width), occupied))
    return _with_legend(page, findings, film.lines, size)


def _resized(pixels: GreyImage, shape: tuple[int, int]) -> GreyImage:
    how = Image.Resampling.BOX if shape[0] <= pixels.shape[0] else Image.Resampling.BICUBIC
    film = Image.fromarray(np.asarray(pixels, np.float32)).resize((shape[1], shape[0]), how)
    return np.asarray(np.clip(np.asarray(film), 0.0, 1.0), np.float32)


def _tinted(grey: GreyImage, findings: Sequence[CapturedFinding]) -> RgbImage:
    """Lay heat maps over a film; where several are, their colours are mixed in proportion."""
    film = np.repeat(grey[..., None] * 255.0, 3, axis=2)
    total, strongest = np.zeros(grey.shape, np.float32), np.zeros(grey.shape, np.float32)
    colour = np.zeros(film.shape, np.float32)
    for finding in findings:
        if finding.heat01 is not None:
            heat = np.clip(finding.heat01, 0.0, 1.0)
            total, strongest = total + heat, np.maximum(strongest, heat)
            colour += heat[..., None] * np.asarray(finding.rgb, np.float32)
    colour /= np.maximum(total, 1e-6)[..., None]
    share = _STRONGEST_TINT * strongest[..., None]
    return np.asarray(np.rint(film * (1 - share) + colour * share), np.uint8)


def _draw_markers(pen: ImageDraw.ImageDraw, markers: EdgeMarkers, shape: tuple[int, int], size: int) -> list[Frame]:
    """Write the markers; return the areas that they occupy."""
    (rows, cols), large = shape, round(1.5 * size)
    centre, middle = (cols - large) // 2, rows // 3
    places = (
        (markers.left, GAP_PX, middle),
        (markers.right, cols - GAP_PX - large, middle),
        (markers.top, centre, GAP_PX),
        (markers.bottom, centre, rows - GAP_PX - large),
    )
    written = [place for place in places if place[0]]
    for letter, x, y in written:
        draw_text(pen, (x + (large - text_width(letter, large)) // 2, y), letter, INK_RGB, large, outline_px=2)
    return [(x, y, x + large, y + large) for _, x, y in written]


def _label(
    pen: ImageDraw.ImageDraw,
    finding: CapturedFinding,
    corners: tuple[float, float, float, float],
    shape: tuple[int, int],
    occupied: Sequence[Frame],
) -> Frame:
    """Write a finding's name near its box, clear of the other texts; `shape` is that of film and paper beside it."""
    (rows, cols), size = shape, max(LEAST_LETTER_PX, shape[0] // 60)
    text = shortened(finding.name, f" {finding.score}", size, min(cols - 2 * GAP_PX, 24 * size))
    width, height = text_width(text, size) + 6, size + 6
    x0, y0, x1, y1 = (round(side) for side in corners)
    above, inside, below = y0 - height - 2, y0 + 3, y1 + 2
    lefts = dict.fromkeys(max(0, min(left, cols - width)) for left in (x0, x1 - width))
    tops = [above, inside, below, *range(inside, rows - height, height), *range(inside, 0, -height)]
    frames = [(left, top, left + width, top + height) for top in tops for left in lefts]
    on_film = [frame for frame in frames if 0 <= frame[1] <= rows - height]
    free = [frame for frame in on_film if not any(_overlap(frame, other) for other in occupied)]
    frame = next(iter([*free, *on_film]), (0, 0, width, height))
    pen.rectangle(frame, fill=OUTLINE_RGB)
    pen.rectangle((frame[0], frame[1], frame[0] + 2, frame[3]), fill=finding.rgb)
    draw_text(pen, (frame[0] + 5, frame[1] + 3), text, _readable(finding.rgb), size)
    return frame


def _readable(rgb: Rgb) -> Rgb:
    """Return a colour half way to white: letters on black need more contrast than frames."""
    red, green, blue = ((part + 255) // 2 for part in rgb)
    return red, green, blue


def _overlap(first: Frame, second: Frame) -> bool:
    return first[0] <= second[2] and second[0] <= first[2] and first[1] <= second[3] and second[1] <= first[3]


def _ruler(pen: ImageDraw.ImageDraw, length_px: float, shape: tuple[int, int], size: int) -> list[Frame]:
    """Draw a ruler, unless it is too short or too long for the film; return the area that it occupies."""
    rows, cols = shape
    if not 8 <= length_px <= cols - 4 * GAP_PX or rows < 4 * size:
        return []
    x1, bottom = cols - 2 * GAP_PX, rows - 2 * GAP_PX
    x0 = x1 - round(length_px)
    for grow, rgb in ((1, OUTLINE_RGB), (0, INK_RGB)):
        pen.rectangle((x0 - grow, bottom - 2 - grow, x1 + grow, bottom + grow), fill=rgb)
        for end in (x0, x1):
            pen.rectangle((end - 1 - grow, bottom - 8 - grow, end + grow, bottom + grow), fill=rgb)
    text = f"{RULER_MM:.0f} mm at detector"
    at = (max(0, x1 - text_width(text, size)), bottom - size - 14)
    draw_text(pen, at, text, INK_RGB, size, outline_px=1)
    return [(min(at[0], x0), at[1], x1, bottom)]


def _with_legend(film: Image.Image, findings: Sequence[CapturedFinding], lines: Sequence[str], size: int) -> RgbImage:
    """Return the film above its legend: findings with their colours, further lines, and the warning."""
    step, swatch = size + GAP_PX, 6 * size
    rows: list[tuple[str, Rgb, CapturedFinding | None]] = []
    for finding in findings:
        texts = wrapped(f"{finding.name} {finding.score} {finding.note}", size, film.width - swatch - 3 * GAP_PX)
        rows += [(text, INK_RGB, None if number else finding) for number, text in enumerate(texts)]
    indented = len(rows)
    further = [*lines, _SCALE_NOTE] if any(finding.heat01 is not None for finding in findings) else [*lines]
    for line in further or []:
        rows += [(text, FAINT_RGB, None) for text in wrapped(line, size, film.width - 2 * GAP_PX)]
    rows.append((UNVERIFIED, INK_RGB, None))
    page = Image.new("RGB", (film.width, film.height + 2 * GAP_PX + step * len(rows)), PAPER_RGB)
    page.paste(film, (0, 0))
    pen = ImageDraw.Draw(page)
    for number, (text, rgb, named) in enumerate(rows):
        left, top = GAP_PX, film.height + GAP_PX + step * number
        if named is not None:
            page.paste(_swatch(named, (size, swatch)), (left, top))
        draw_text(pen, (left + (swatch + GAP_PX if number < indented else 0), top), text, rgb, size)
    return np.asarray(page, np.uint8)


def _swatch(finding: CapturedFinding, shape: tuple[int, int]) -> Image.Image:
    """Return the colours of a finding's heat map, from none to the most; one colour without a map."""
    if finding.heat01 is None:
        return Image.new("RGB", (shape[1], shape[0]), finding.rgb)
    ramp = np.tile(np.linspace(0, 1, shape[1], dtype=np.float32), (shape[0], 1))
    scale = CapturedFinding("", "", "", finding.rgb, ramp, ())
    picture = Image.fromarray(_tinted(np.full(shape, 0.3, np.float32), [scale]))
    ImageDraw.Draw(picture).rectangle((0, 0, shape[1] - 1, shape[0] - 1), outline=finding.rgb, width=2)
    return picture
