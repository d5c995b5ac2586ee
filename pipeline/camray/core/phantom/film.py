"""One generated film from a seed and a number: image, masks and header fields."""

from dataclasses import dataclass

import numpy as np

from camray.core.phantom.body import Body, draw_body
from camray.core.phantom.chest import LUNG_DENSITY, Chest, build_chest
from camray.core.phantom.exposure import draw_technique, expose
from camray.core.phantom.fields import BoolImage, FloatImage, between, cloud, stream
from camray.core.phantom.findings import CARDIOMEGALY, FINDINGS, LungTissue, Thorax, add_findings, draw_plan
from camray.core.phantom.framing import Frame, draw_frame, letters, open_field, patient_grid
from camray.core.phantom.grid import Grid
from camray.core.phantom.skeleton import bones
from camray.core.phantom.vessels import Courses, grow, splat

PATIENT, FILM, FRAME, PLAN, LESION, TECHNIQUE, NOISE, TEXTURE, MARKER = range(9)  # random streams
FILMS_PER_BLOCK = 13
PATIENT_OF_FILM = (0, 1, 2, 2, 3, 4, 5, 6, 6, 7, 8, 9, 9)  # 13 films of 10 patients


@dataclass(frozen=True)
class PhantomMeta:
    """Header fields of a generated film.

    Parameters
    ----------
    index, patient : int
        Number of the film and of its patient, from 0.
    sex : str
        ``F`` or ``M``.
    age_years : int
        At this film.
    view : str
        ``PA`` or ``AP``.
    row_spacing_mm, col_spacing_mm : float
        Distance between rows and between columns at the detector.
    """

    index: int
    patient: int
    sex: str
    age_years: int
    view: str
    row_spacing_mm: float
    col_spacing_mm: float


@dataclass(frozen=True, eq=False)
class PhantomFilm:
    """A generated film.

    Parameters
    ----------
    image : ndarray of shape (H, W), float32
        0 is the darkest and 1 the brightest that a display shows; native grid.
    masks : dict of str to tuple of ndarray
        Findings present, each with one mask of shape (H, W), bool, per lesion. A finding that is absent has no entry.
    lung_masks : dict of str to ndarray
        ``lung_right`` and ``lung_left``, visible lung fields of shape (H, W), bool, findings included.
    meta : PhantomMeta
        Header fields.
    """

    image: FloatImage
    masks: dict[str, tuple[BoolImage, ...]]
    lung_masks: dict[str, BoolImage]
    meta: PhantomMeta


def render_film(seed: int, index: int, rows: int) -> PhantomFilm:
    """Draw one film. Equal arguments give equal bytes, whatever films were drawn before.

    Parameters
    ----------
    seed : int
        Of the whole data set, not negative.
    index : int
        Number of the film, from 0.
    rows : int
        Rows of a film of 43 cm, px; other formats have the same resolution.

    Returns
    -------
    PhantomFilm
        Image, masks and header fields.

    Raises
    ------
    ValueError
        If `seed` or `index` is negative or `rows` is less than 64.
    """
    if seed < 0 or index < 0 or rows < 64:
        raise ValueError(f"need seed >= 0, index >= 0 and rows >= 64, got {seed}, {index} and {rows}")
    patient = PATIENT_OF_FILM[index % FILMS_PER_BLOCK] + 10 * (index // FILMS_PER_BLOCK)
    build, stance = stream(seed, patient, PATIENT), stream(seed, index, FILM)
    is_female, age = bool(build.random() < 0.5), int(build.integers(19, 88))
    is_portable = bool(stance.random() < 0.35)
    plan = draw_plan(stream(seed, index, PLAN))
    body = draw_body(build, stance, is_female, is_portable, CARDIOMEGALY in plan.present)
    frame = draw_frame(stream(seed, index, FRAME), rows)
    field = open_field(frame)
    grid = patient_grid(frame).cropped(field)
    chest = build_chest(grid, body)
    lungs = _lungs(stream(seed, index, TEXTURE), grid, body, chest)
    film_width_cm = frame.cols * frame.col_cm / frame.scale
    add_findings(stream(seed, index, LESION), Thorax(grid, body, chest, lungs), plan, film_width_cm)
    bone = bones(grid, body)
    bone += letters(stream(seed, index, MARKER), frame, is_portable, field)
    tissue = chest.tissue - chest.air * (1 - lungs.density) + lungs.vessels + lungs.extra
    technique = draw_technique(stream(seed, index, TECHNIQUE))
    noise = stream(seed, index, NOISE)
    image = expose(noise, technique, body, np.clip(tissue, 0, None), bone)
    lung_masks = {"lung_right": chest.lung & ~grid.is_left, "lung_left": chest.lung & grid.is_left}
    view = "AP" if is_portable else "PA"
    return PhantomFilm(
        image=_with_border(noise, image, frame, field),
        masks={
            name: tuple(_on_film(mask, frame, field) for mask in lungs.masks[name])
            for name in FINDINGS
            if name in lungs.masks
        },
        lung_masks={name: _on_film(mask, frame, field) for name, mask in lung_masks.items()},
        meta=PhantomMeta(index, patient, "F" if is_female else "M", age, view, frame.row_cm * 10, frame.col_cm * 10),
    )


def _on_film(mask: BoolImage, frame: Frame, field: tuple[slice, slice]) -> BoolImage:
    whole = np.zeros((frame.rows, frame.cols), np.bool_)
    whole[field] = mask
    return whole


def _with_border(rng: np.random.Generator, image: FloatImage, frame: Frame, field: tuple[slice, slice]) -> FloatImage:
    """Set the exposed field into the film: black shutter around it, or bright film that saw no light."""
    if image.shape == (frame.rows, frame.cols):
        return image
    if frame.is_field_dark:
        film = np.zeros((frame.rows, frame.cols), np.float32)
    else:
        film = np.float32(0.97) + np.float32(0.01) * rng.standard_normal((frame.rows, frame.cols), dtype=np.float32)
        np.clip(film, 0, 1, out=film)
    film[field] = image
    return film


def _lungs(rng: np.random.Generator, grid: Grid, body: Body, chest: Chest) -> LungTissue:
    """Vessels and texture of healthy lungs."""
    rows, cols = grid.shape
    generations: list[Courses] = []
    trees = [
        grow(rng, (sign * (2.4 + 0.3 * sign) + 0.6 * body.turn, 0.4 - 0.5 * sign), sign, 9, body.half_width / 13.2)
        for sign in (-1.0, 1.0)
    ]
    for right, left in zip(*trees, strict=True):
        generations.append(
            Courses(*(np.concatenate([getattr(right, key), getattr(left, key)]) for key in ("u", "v", "volume")))
        )
    vessels = splat(grid, generations) * np.float32(between(rng, 1.0, 1.6)) * np.clip(chest.air / 5, 0, 1)
    cells = max(8, round(rows * grid.cm_per_row / 0.35)), max(8, round(cols * grid.cm_per_col / 0.35))
    density = np.float32(LUNG_DENSITY) + np.float32(0.018) * cloud(rng, rows, cols, cells, 0.8)
    return LungTissue(density, vessels, np.zeros(grid.shape, np.float32), chest.lung & (chest.air > 2.5))
