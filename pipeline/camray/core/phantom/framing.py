"""Layout of a film: format and pixels, position of the chest, collimation, lead letters at the border."""

from dataclasses import dataclass

import numpy as np

from camray.core.phantom.fields import BoolImage, FloatImage, between
from camray.core.phantom.grid import Grid

LONG_SIDE_CM = 43.0
FORMATS_CM = ((43.0, 35.0), (35.0, 43.0), (43.0, 43.0), (40.0, 30.0), (35.0, 35.0))  # rows, columns
FORMAT_SHARES = (0.42, 0.26, 0.12, 0.12, 0.08)
CHEST_WIDE_CM, CHEST_TALL_CM = 27.0, 26.5  # the part that should stay on the film
LEAD_CM = 9.0  # thickness of bone with the attenuation of a letter
STROKES: dict[str, tuple[tuple[float, float, float, float], ...]] = {  # x0, y0, x1, y1 in a box of 1 x 1
    "L": ((0.1, 0, 0.1, 1), (0.1, 1, 0.75, 1)),
    "R": (
        *((0.1, 0, 0.1, 1), (0.1, 0, 0.6, 0.02), (0.6, 0.02, 0.75, 0.25)),
        *((0.75, 0.25, 0.6, 0.5), (0.6, 0.5, 0.1, 0.52), (0.4, 0.52, 0.8, 1)),
    ),
    "P": (
        (0.1, 0, 0.1, 1),
        (0.1, 0, 0.6, 0.02),
        (0.6, 0.02, 0.75, 0.27),
        (0.75, 0.27, 0.6, 0.54),
        (0.6, 0.54, 0.1, 0.54),
    ),
    "A": ((0.05, 1, 0.42, 0), (0.42, 0, 0.8, 1), (0.2, 0.65, 0.65, 0.65)),
}


@dataclass(frozen=True)
class Frame:
    """Layout of one film.

    Parameters
    ----------
    rows, cols : int
        Native grid, px.
    row_cm, col_cm : float
        Distance between rows and between columns at the detector, cm.
    scale : float
        Film cm per patient cm.
    offset_x, offset_y : float
        Position of the hila relative to the film's centre, film cm, x right and y down.
    angle : float
        Rotation of the patient on the film, rad, clockwise in the image.
    field : (float, float, float, float) or None
        Collimated x0, y0, x1, y1 from the film's centre, cm; None leaves the whole film open.
    is_field_dark : bool
        Whether the area outside the field is black (a shutter), else bright (not exposed).
    """

    rows: int
    cols: int
    row_cm: float
    col_cm: float
    scale: float
    offset_x: float
    offset_y: float
    angle: float
    field: tuple[float, float, float, float] | None
    is_field_dark: bool


def draw_frame(rng: np.random.Generator, long_rows: int) -> Frame:
    """Draw a film's layout.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    long_rows : int
        Pixels along `LONG_SIDE_CM`.

    Returns
    -------
    Frame
        Native grid and position of the chest.
    """
    tall, wide = FORMATS_CM[int(rng.choice(len(FORMATS_CM), p=FORMAT_SHARES))]
    pitch = LONG_SIDE_CM / long_rows
    squeeze = float(rng.choice([1.0, 1.25, 0.8], p=[0.92, 0.05, 0.03]))
    scale = between(rng, 0.84, 1.08) * min(1.0, min(tall, wide) / 35.0)
    slack_x = max(1.0, (wide - CHEST_WIDE_CM * scale) / 2)
    slack_y = max(1.0, (tall - CHEST_TALL_CM * scale) / 2)
    # more often near an edge than in the middle, so that no fixed place on the film finds the heart
    x, y = (float(np.sin(between(rng, -0.5, 0.5) * np.pi)) * slack for slack in (slack_x, slack_y))
    angle = float(np.clip(rng.normal(0, 0.055), -0.16, 0.16))
    margins = rng.uniform(0.5, [6.5, 5.5, 6.5, 9.5])
    reach = np.array([-CHEST_WIDE_CM / 2, -CHEST_TALL_CM / 2, CHEST_WIDE_CM / 2, CHEST_TALL_CM / 2]) * scale
    edges = reach + margins * [-1, -1, 1, 1] + [x, y, x, y]
    edges = np.clip(edges, [-wide / 2, -tall / 2] * 2, [wide / 2, tall / 2] * 2)
    field = tuple(float(edge) for edge in edges) if rng.random() < 0.9 - 0.5 * (scale > 0.85) else None
    rows, cols = round(tall / pitch), round(wide / (pitch * squeeze))
    return Frame(
        rows=rows,
        cols=cols,
        row_cm=tall / rows,
        col_cm=wide / cols,
        scale=scale,
        offset_x=x,
        offset_y=y - 0.5 * scale,
        angle=angle,
        field=field if field is None else (field[0], field[1], field[2], field[3]),
        is_field_dark=bool(rng.random() < 0.72),
    )


def film_axes(frame: Frame) -> tuple[FloatImage, FloatImage]:
    """Compute the film coordinates of the pixel centres.

    Parameters
    ----------
    frame : Frame
        Of rows x cols = (H, W).

    Returns
    -------
    (ndarray of shape (1, W), ndarray of shape (H, 1)), float32
        x of every column and y of every row from the film's centre, film cm.
    """
    x = (np.arange(frame.cols, dtype=np.float32) + 0.5 - frame.cols / 2) * np.float32(frame.col_cm)
    y = (np.arange(frame.rows, dtype=np.float32) + 0.5 - frame.rows / 2) * np.float32(frame.row_cm)
    return x[None, :], y[:, None]


def patient_grid(frame: Frame) -> Grid:
    """Compute the patient coordinates of every pixel centre.

    Parameters
    ----------
    frame : Frame
        Of rows x cols = (H, W).

    Returns
    -------
    Grid
        Of shape (H, W).
    """
    x, y = film_axes(frame)
    x, y = (
        (x - np.float32(frame.offset_x)) / np.float32(frame.scale),
        (y - np.float32(frame.offset_y)) / np.float32(frame.scale),
    )
    cos, sin = np.float32(np.cos(frame.angle)), np.float32(np.sin(frame.angle))
    return Grid(x * cos + y * sin, y * cos - x * sin, frame.row_cm / frame.scale, frame.col_cm / frame.scale)


def open_field(frame: Frame) -> tuple[slice, slice]:
    """Return the rows and columns inside the collimated field.

    Parameters
    ----------
    frame : Frame
        Layout of the film.

    Returns
    -------
    (slice, slice)
        Native grid; the whole film without collimation.
    """
    if frame.field is None:
        return slice(0, frame.rows), slice(0, frame.cols)
    x, y = film_axes(frame)
    x0, y0, x1, y1 = frame.field
    return _span((y[:, 0] >= y0) & (y[:, 0] < y1)), _span((x[0] >= x0) & (x[0] < x1))


def letters(rng: np.random.Generator, frame: Frame, is_portable: bool, field: tuple[slice, slice]) -> FloatImage:
    """Draw lead letters near a corner of the field.

    Parameters
    ----------
    rng : Generator
        Of side, size and position.
    frame : Frame
        Layout of the film.
    is_portable : bool
        Letters may say AP.
    field : (slice, slice)
        Rows and columns of the field.

    Returns
    -------
    ndarray of shape (H, W), float32
        Lead on the field's grid, as cm of bone.
    """
    x, y = (axis.ravel() for axis in film_axes(frame))
    x, y = x[field[1]], y[field[0]]
    is_left = bool(rng.random() < 0.55)
    size, tilt = between(rng, 1.1, 1.9), float(rng.normal(0, 0.12))
    word = ("L" if is_left else "R") + ("AP" if is_portable and rng.random() < 0.3 else "")
    inset = between(rng, 0.4, 1.4)
    left = float(x[-1]) - inset - size * len(word) if is_left else float(x[0]) + inset
    below, above = between(rng, 0.5, 3.0), between(rng, 0.5, 3.0) + size
    top = float(y[0]) + below if rng.random() < 0.85 else float(y[-1]) - above
    lead = np.zeros((y.size, x.size), np.float32)
    near_x = (x > left - size) & (x < left + size * (len(word) + 1))
    near_y = (y > top - size) & (y < top + 2 * size)
    block = _span(near_y), _span(near_x)
    bx, by = (x[None, block[1]] - left) / size, (y[block[0], None] - top) / size
    bx, by = bx * np.cos(tilt) + by * np.sin(tilt), by * np.cos(tilt) - bx * np.sin(tilt)
    strokes = [(x0 + n, y0, x1 + n, y1) for n, letter in enumerate(word) for x0, y0, x1, y1 in STROKES[letter]]
    away = np.full(bx.shape, np.inf, np.float32)
    for x0, y0, x1, y1 in strokes:
        du, dv = x1 - x0, y1 - y0
        along = np.clip(((bx - x0) * du + (by - y0) * dv) / (du * du + dv * dv), 0, 1)
        away = np.minimum(away, np.hypot(bx - x0 - along * du, by - y0 - along * dv))
    lead[block] = LEAD_CM * np.clip((0.1 - away) * (size / frame.row_cm) + 0.5, 0, 1)
    return lead


def _span(inside: BoolImage) -> slice:
    indices = np.flatnonzero(inside)
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, 0)
