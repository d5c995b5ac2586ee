"""Overlays: a film beside the same film with heat map, boxes and a legend.

Predicted boxes are solid and annotated ones dashed, so that they differ without colour too. The heat map is tinted with
a perceptually uniform colour map and transparent where there is no positive evidence.
"""

import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from camray.domain.film_results import UNVERIFIED
from camray.domain.geometry import Box
from camray.reporting.picture_text import OUTLINE_RGB, draw_text, fitted_text, text_width

GreyImage = NDArray[np.float32]
RgbImage = NDArray[np.uint8]
PREDICTED_RGB, ANNOTATED_RGB = (0, 229, 255), (140, 255, 90)
PAPER_RGB, INK_RGB, FAINT_RGB = (24, 24, 28), (245, 245, 245), (190, 190, 196)
SIDE_PX, GAP_PX, LEAST_WIDTH_PX = 384, 6, 300
LINE_PX, DASH_PX = 2, 7
STRONGEST_TINT = 0.65
_TINT_FROM = 0.25  # the colour map's dark end would hide the film


def png_of_picture(picture: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def heat01_of(heat: NDArray[np.floating]) -> GreyImage:
    """Rescale the positive part of raw evidence to 0-1 by its maximum.

    Parameters
    ----------
    heat : ndarray of shape (H, W), float
        Raw and signed; NaN counts as no evidence.

    Returns
    -------
    ndarray of shape (H, W), float32
        All zero where nothing is positive.
    """
    positive = np.clip(np.nan_to_num(np.asarray(heat, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0), 0.0, None)
    top = float(positive.max(initial=0.0))
    return np.asarray(positive / np.float32(top) if top > 0 else positive, dtype=np.float32)


def tinted(grey: GreyImage, heat01: GreyImage) -> RgbImage:
    """Lay a heat map over a film.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float
        Film, 0 black to 1 white.
    heat01 : ndarray of shape (H, W), float
        0 leaves the film as it is, 1 covers it most.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    return tinted_colours(_rgb(grey), heat01)


def tinted_colours(picture: RgbImage, heat01: GreyImage) -> RgbImage:
    """Lay a heat map over a picture in colour, [H, W, 3]; see `tinted`."""
    film = picture.astype(np.float32)
    colour = colormaps["inferno"](_TINT_FROM + (1 - _TINT_FROM) * heat01)[..., :3].astype(np.float32) * 255
    share = (STRONGEST_TINT * np.sqrt(heat01) * (heat01 > 0))[..., None].astype(np.float32)
    return np.asarray(np.rint(film * (1 - share) + colour * share), dtype=np.uint8)


def heat_colours() -> tuple[int, ...]:
    """Return the tint's 256 colours, 0xRRGGBB, from no evidence to the most."""
    share = _TINT_FROM + (1 - _TINT_FROM) * np.arange(256) / 255
    table = np.rint(colormaps["inferno"](share)[:, :3] * 255).astype(int)
    return tuple(int(red << 16 | green << 8 | blue) for red, green, blue in table.tolist())


def draw_overlay(
    grey: GreyImage,
    heat01: GreyImage | None,
    predicted: Sequence[Box],
    annotated: Sequence[Box],
    caption: str,
    aspect: float | None = None,
) -> RgbImage:
    """Draw a film, the same film with its evidence and boxes beside it, and a legend below.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float
        Film, 0 black to 1 white.
    heat01 : ndarray of shape (H, W) or None
        Evidence on the film's grid, see `heat01_of`; None where there is none.
    predicted, annotated : sequence of Box
        Half-open, px of `grey`, corner origin; clipped to the film.
    caption : str
        Finding and probability; no identifier.
    aspect : float, optional
        Height over width on the screen, where the pixels of `grey` are not square; by default H / W.

    Returns
    -------
    ndarray of shape (R, C, 3), uint8
        The film's longer side measures `SIDE_PX`.

    Raises
    ------
    ValueError
        If `grey` is empty or not 2-D, or the heat map has another shape.
    """
    if grey.ndim != 2 or 0 in grey.shape:
        raise ValueError(f"film of shape {grey.shape}; expected two axes (rows, columns) and at least one pixel")
    if heat01 is not None and heat01.shape != grey.shape:
        raise ValueError(f"heat map of shape {heat01.shape}; expected the film's shape, {grey.shape}")
    size = _panel_size(aspect or grey.shape[0] / grey.shape[1])
    plain = Image.fromarray(_rgb(grey)).resize(size, Image.Resampling.BICUBIC)
    marked = plain.copy() if heat01 is None else _tinted_panel(grey, heat01, size)
    scale_x, scale_y = size[0] / grey.shape[1], size[1] / grey.shape[0]
    pen = ImageDraw.Draw(marked)
    for boxes, rgb, dashed in ((annotated, ANNOTATED_RGB, True), (predicted, PREDICTED_RGB, False)):
        for box in boxes:
            inside = box.clipped(*grey.shape)
            if inside is not None:
                corners = (inside.x0 * scale_x, inside.y0 * scale_y, inside.x1 * scale_x, inside.y1 * scale_y)
                draw_frame(pen, corners, rgb, dashed)
    return _compose(plain, marked, caption, bool(predicted), bool(annotated))


def films_to_draw(
    probabilities: Mapping[str, Sequence[tuple[float, str]]], negatives: Iterable[str], count: int, seed: int
) -> list[tuple[str, str]]:
    """Choose which films are drawn, and for which label.

    Parameters
    ----------
    probabilities : mapping of label to sequence of (probability, image_id)
        Films that may be drawn for the label.
    negatives : iterable of str
        Films without any finding; they get a quarter of `count`.
    count : int
        Films at most.
    seed : int
        Of the random choice among the negatives.

    Returns
    -------
    list of (image_id, label)
        No film twice. First the labels' most probable films, one label after the other in turn; then negatives, each
        with its most probable label. Ties are resolved by image_id.
    """
    ranked = {label: sorted(rows, key=lambda row: (-row[0], row[1])) for label, rows in probabilities.items()}
    best: dict[str, tuple[float, str]] = {}
    for label, rows in ranked.items():
        for probability, image_id in rows:
            if image_id not in best or probability > best[image_id][0]:
                best[image_id] = (probability, label)
    candidates = sorted(set(negatives) & set(best))
    order = np.random.default_rng(seed).permutation(len(candidates))
    drawn = [candidates[int(index)] for index in order[: math.ceil(count / 4)]]
    label_of: dict[str, str] = {}
    queues = {label: [image_id for _, image_id in rows if image_id not in candidates] for label, rows in ranked.items()}
    while len(label_of) < count - len(drawn) and any(queues.values()):
        for label, queue in queues.items():
            while queue and queue[0] in label_of:
                queue.pop(0)
            if queue and len(label_of) < count - len(drawn):
                label_of[queue.pop(0)] = label
    return [*label_of.items(), *((image_id, best[image_id][1]) for image_id in drawn)]


def _rgb(grey: GreyImage) -> RgbImage:
    levels = np.rint(np.clip(np.nan_to_num(grey), 0.0, 1.0) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _panel_size(aspect: float) -> tuple[int, int]:
    """Return (width, height) in px for a height over width."""
    if aspect >= 1:
        return max(1, round(SIDE_PX / aspect)), SIDE_PX
    return SIDE_PX, max(1, round(SIDE_PX * aspect))


def _tinted_panel(grey: GreyImage, heat01: GreyImage, size: tuple[int, int]) -> Image.Image:
    film, heat = (
        np.asarray(Image.fromarray(np.asarray(part, dtype=np.float32)).resize(size, how))
        for part, how in ((grey, Image.Resampling.BICUBIC), (heat01, Image.Resampling.BILINEAR))
    )
    return Image.fromarray(tinted(film, np.clip(heat, 0.0, 1.0)))


def draw_frame(
    pen: ImageDraw.ImageDraw, corners: tuple[float, float, float, float], rgb: tuple[int, int, int], dashed: bool
) -> None:
    """Draw a frame whose outer edge is the box: half-open corners (x0, y0, x1, y1) to inclusive pixels."""
    x0, y0 = round(corners[0]), round(corners[1])
    x1, y1 = max(round(corners[2]) - 1, x0 + 1), max(round(corners[3]) - 1, y0 + 1)
    if not dashed:
        pen.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=OUTLINE_RGB)
        pen.rectangle((x0, y0, x1, y1), outline=rgb, width=LINE_PX)
        return
    for start in range(x0, x1 + 1, 2 * DASH_PX):
        stop = min(start + DASH_PX, x1)
        pen.rectangle((start, y0, stop, y0 + LINE_PX - 1), fill=rgb)
        pen.rectangle((start, y1 - LINE_PX + 1, stop, y1), fill=rgb)
    for start in range(y0, y1 + 1, 2 * DASH_PX):
        stop = min(start + DASH_PX, y1)
        pen.rectangle((x0, start, x0 + LINE_PX - 1, stop), fill=rgb)
        pen.rectangle((x1 - LINE_PX + 1, start, x1, stop), fill=rgb)


def _compose(plain: Image.Image, marked: Image.Image, caption: str, predicted: bool, annotated: bool) -> RgbImage:
    width = max(2 * plain.width + GAP_PX, LEAST_WIDTH_PX)
    large, small = min(width // 15, 30), min(width // 24, 20)
    strip = large + small + 5 * GAP_PX
    page = Image.new("RGB", (width, plain.height + strip), PAPER_RGB)
    half = width // 2
    page.paste(plain, ((half - GAP_PX // 2 - plain.width) // 2 if width == LEAST_WIDTH_PX else 0, 0))
    page.paste(marked, (width - marked.width if width != LEAST_WIDTH_PX else half + (half - marked.width) // 2, 0))
    pen = ImageDraw.Draw(page)
    top = plain.height + GAP_PX
    text, size = fitted_text(caption, (large, small), width - 2 * GAP_PX)
    draw_text(pen, (GAP_PX, top), text, INK_RGB, size)
    top += large + 2 * GAP_PX
    draw_text(pen, (GAP_PX, top), UNVERIFIED, FAINT_RGB, small)
    right = width - GAP_PX
    entries = (("reader", ANNOTATED_RGB, True, annotated), ("camray", PREDICTED_RGB, False, predicted))
    for name, rgb, dashed, is_drawn in entries:
        if is_drawn:
            right -= text_width(name, small)
            draw_text(pen, (right, top), name, FAINT_RGB, small)
            right -= GAP_PX + 2 * small
            draw_frame(pen, (right, top, right + 2 * small, top + small), rgb, dashed)
            right -= 2 * GAP_PX
    return np.asarray(page, dtype=np.uint8)
