"""The five generated findings: their position, their effect on the rays, and their exact masks."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import label as label_regions

from camray.core.phantom.body import Body
from camray.core.phantom.chest import LUNG_DENSITY, Chest, lung_wall
from camray.core.phantom.fields import BoolImage, FloatImage, between, cloud, dome, ramp
from camray.core.phantom.grid import Grid
from camray.core.phantom.vessels import grow, splat

NODULE, CONSOLIDATION, EFFUSION = "Nodule/Mass", "Consolidation", "Pleural Effusion"
PNEUMOTHORAX, CARDIOMEGALY = "Pneumothorax", "Cardiomegaly"
FINDINGS = (NODULE, CONSOLIDATION, EFFUSION, PNEUMOTHORAX, CARDIOMEGALY)
NORMAL_SHARE = 0.34  # films without any finding
FINDING_SHARE = 0.40  # of each finding in the others, before those that would hold none are drawn again


@dataclass(frozen=True)
class PlannedFindings:
    """The findings that a film will show.

    Parameters
    ----------
    present : tuple of str
        Findings, in the order of `FINDINGS`.
    pneumothorax_side : float
        -1 for right, 1 for left.
    effusion_sides : tuple of float
        One or two, likewise.
    nodules, consolidations : int
        Number of lesions, where present.
    """

    present: tuple[str, ...]
    pneumothorax_side: float = 1.0
    effusion_sides: tuple[float, ...] = (1.0,)
    nodules: int = 1
    consolidations: int = 1


def draw_plan(rng: np.random.Generator) -> PlannedFindings:
    """Draw which findings a film shows and on which sides.

    Parameters
    ----------
    rng : Generator
        Random numbers.

    Returns
    -------
    PlannedFindings
        Air and fluid are never on the same side.
    """
    if rng.random() < NORMAL_SHARE:
        return PlannedFindings(())
    is_present = rng.random(len(FINDINGS)) < FINDING_SHARE
    while not is_present.any():
        is_present = rng.random(len(FINDINGS)) < FINDING_SHARE
    present = tuple(name for name, flag in zip(FINDINGS, is_present, strict=True) if flag)
    side = 1.0 if rng.random() < 0.5 else -1.0
    both = rng.random() < 0.2
    effusion = (-side,) if PNEUMOTHORAX in present or not both else (-side, side)
    return PlannedFindings(present, side, effusion, 1 + int(rng.random() < 0.2), 1 + int(rng.random() < 0.2))


@dataclass(eq=False)
class LungTissue:
    """The parts of the rays that findings change; each finding writes into these arrays.

    Parameters
    ----------
    density : ndarray of shape (H, W), float32
        Water equivalent of a cm of lung.
    vessels : ndarray of shape (H, W), float32
        Path through vessels, cm.
    extra : ndarray of shape (H, W), float32
        Further path through soft tissue, cm; negative for air.
    free : ndarray of shape (H, W), bool
        Aerated lung without a finding so far.
    masks : dict of str to list of ndarray
        One mask of shape (H, W), bool, per lesion.
    """

    density: FloatImage
    vessels: FloatImage
    extra: FloatImage
    free: BoolImage
    masks: dict[str, list[BoolImage]] = field(default_factory=dict)

    def add_mask(self, name: str, mask: BoolImage) -> None:
        """Add the mask of one lesion; an empty mask is dropped.

        Parameters
        ----------
        name : str
            One of `FINDINGS`.
        mask : ndarray of shape (H, W), bool
            The lesion's pixels.
        """
        if mask.any():
            self.masks.setdefault(name, []).append(mask)


@dataclass(frozen=True, eq=False)
class Thorax:
    """One patient's chest on a grid, before its exposure.

    Parameters
    ----------
    grid : Grid
        Patient coordinates of the pixels.
    body : Body
        The patient's build.
    chest : Chest
        Soft tissue and lungs along the rays, the heart's size included.
    lungs : LungTissue
        Texture, vessels and findings of the lungs.
    """

    grid: Grid
    body: Body
    chest: Chest
    lungs: LungTissue


def add_findings(rng: np.random.Generator, thorax: Thorax, plan: PlannedFindings, film_width_cm: float) -> None:
    """Draw all planned findings into ``thorax.lungs``; the heart's size is already in ``thorax.chest``.

    Parameters
    ----------
    rng : Generator
        Of sizes, positions and shapes.
    thorax : Thorax
        Changed in place.
    plan : PlannedFindings
        What to draw.
    film_width_cm : float
        Width of the film in the patient, cm: nodules are drawn large enough for the film.
    """
    if PNEUMOTHORAX in plan.present:
        _add_pneumothorax(rng, thorax, plan.pneumothorax_side)
    if EFFUSION in plan.present:
        for side in plan.effusion_sides:
            _add_effusion(rng, thorax, side)
    if CONSOLIDATION in plan.present:
        for _ in range(plan.consolidations):
            _add_consolidation(rng, thorax)
    if NODULE in plan.present:
        for _ in range(plan.nodules):
            _add_nodule(rng, thorax, film_width_cm)
    if CARDIOMEGALY in plan.present:
        thorax.lungs.add_mask(CARDIOMEGALY, thorax.chest.heart)


def _add_pneumothorax(rng: np.random.Generator, thorax: Thorax, side: float) -> None:
    grid, body, chest, lungs = thorax.grid, thorax.body, thorax.chest, thorax.lungs
    retreat, sink, end = between(rng, 3.0, 5.4), between(rng, 3.2, 6.5), between(rng, 1.0, 9.0)
    block, part = _half(grid, body, side, min(body.apex_left, body.apex_right) - 1, 15)
    surface = lung_wall(part, body, retreat, sink) + np.float32(retreat + 0.3) * ramp((part.v - end) / 5.0)
    slope = np.ones(part.shape, np.float32)
    down, across = np.diff(surface, axis=0)[:, :-1] / part.cm_per_row, np.diff(surface, axis=1)[:-1] / part.cm_per_col
    slope[:-1, :-1] = np.sqrt(down * down + across * across)
    away = surface / np.maximum(slope, 0.5)  # cm across the pleura, positive inside the lung
    half = part.is_left == (side > 0)
    here, beyond = chest.lung[block] & half, half & (away < 0)
    mask = here & beyond
    density = lungs.density[block]
    density[beyond] = 0.01
    density[half & ~beyond] += np.float32(between(rng, 0.04, 0.1))
    lungs.vessels[block][beyond] = 0
    line = np.exp(-np.square(away / 0.13)) * (here & (chest.wall_distance[block] > 0.35))
    lungs.extra[block] += np.float32(between(rng, 1.2, 1.8)) * line
    lungs.free[block] &= ~(here & (away < 0.6))
    lungs.add_mask(PNEUMOTHORAX, grid.whole(mask, block))


def _add_effusion(rng: np.random.Generator, thorax: Thorax, side: float) -> None:
    grid, body, chest, lungs = thorax.grid, thorax.body, thorax.chest, thorax.lungs
    top = body.dome_left if side > 0 else body.dome_right
    level = top - between(rng, 1.6, 6.8)
    block, part = _half(grid, body, side, level - 7, 25)
    climb = np.exp(np.clip(chest.wall_distance[block], 0, None) * np.float32(-1 / 1.7))
    climb *= np.float32(between(rng, 2.2, 4.0))
    climb += np.exp(np.clip(part.side - 2.2, 0, None) * np.float32(-1 / 1.2)) * np.float32(between(rng, 0.4, 1.4))
    depth = part.v - (level - climb)
    half = part.is_left == (side > 0)
    here = chest.lung[block] & half
    share = ramp(depth / 3.2 + 0.2) * half  # fluid thickens downwards from its edge, behind and before the lung
    lungs.density[block] += (0.98 - lungs.density[block]) * share
    lungs.vessels[block] *= 1 - share
    lungs.free[block] &= ~(here & (depth > -0.7))
    lungs.add_mask(EFFUSION, grid.whole(here & (depth > 0), block))


def _half(grid: Grid, body: Body, side: float, v0: float, v1: float) -> tuple[tuple[slice, slice], Grid]:
    """Rows and columns that hold one half of the chest between two heights, and their grid."""
    reach = body.half_width + 0.5
    block = grid.window(min(0.0, side * reach), max(0.0, side * reach), v0, v1)
    return block, grid.cropped(block)


def _add_consolidation(rng: np.random.Generator, thorax: Thorax) -> None:
    grid, chest, lungs = thorax.grid, thorax.chest, thorax.lungs
    half_u, half_v = between(rng, 3.7, 5.2), between(rng, 3.9, 6.2)
    u0, v0 = _draw_centre(rng, grid, lungs.free, max(half_u, half_v) * 0.75)
    block = grid.window(u0 - 2 * half_u, u0 + 2 * half_u, v0 - 2 * half_v, v0 + 2 * half_v)
    part = grid.cropped(block)
    rows, cols = part.shape
    shape = 1.0 - np.hypot((part.u - u0) / half_u, (part.v - v0) / half_v)
    shape += 0.22 * cloud(rng, rows, cols, (10, 10)) + 0.1 * cloud(rng, rows, cols, (28, 28))
    region = (shape > 0) & lungs.free[block]
    regions, count = label_regions(region)
    if count == 0:
        return
    mask = regions == 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
    patches = 0.9 + 0.15 * cloud(rng, rows, cols, (30, 30))
    share = ramp((shape + 0.2) / 0.8) * np.clip(patches, 0.25, 1.0) * chest.lung[block]
    bronchi = splat(part, grow(rng, (u0 - 0.9 * half_u * np.sign(u0), v0 - 0.2), float(np.sign(u0)), 4, 0.62))
    lungs.density[block] += (0.93 - lungs.density[block]) * share
    lungs.vessels[block] *= 1 - share
    lungs.extra[block] -= np.clip(bronchi * 3.0, 0, 0.9) * share
    lungs.free[block] &= ~mask
    lungs.add_mask(CONSOLIDATION, grid.whole(mask, block))


def _add_nodule(rng: np.random.Generator, thorax: Thorax, film_width_cm: float) -> None:
    grid, lungs = thorax.grid, thorax.lungs
    radius = min(0.5 * film_width_cm * between(rng, 0.12, 0.2), between(rng, 3.0, 4.2))
    radius = max(radius, 0.5 * film_width_cm * 0.11)
    u0, v0 = _draw_centre(rng, grid, lungs.free, radius)
    reach = 1.4 * radius
    block = grid.window(u0 - reach, u0 + reach, v0 - reach, v0 + reach)
    part = grid.cropped(block)
    du, dv = part.u - np.float32(u0), part.v - np.float32(v0)
    angle, outline = np.arctan2(dv, du), np.full(part.shape, radius, np.float32)
    for lobes in (2, 3, 5, 7):
        outline *= 1 + np.float32(rng.normal(0, 0.09 / lobes**0.7)) * np.cos(lobes * angle + between(rng, 0, 6.28))
    inside = 1 - np.hypot(du, dv) / outline
    mask = inside > 0
    if not mask.any():
        return
    lungs.extra[block] += np.float32(2 * radius * between(rng, 1.3, 1.7)) * dome(inside * 1.3) * (1 - LUNG_DENSITY)
    lungs.free[block] &= ~mask
    lungs.add_mask(NODULE, grid.whole(mask, block))


def _draw_centre(rng: np.random.Generator, grid: Grid, free: BoolImage, radius_cm: float) -> tuple[float, float]:
    """Draw a centre in free lung with the most free lung around it out of 40 tries; (u, v), cm."""
    coarse = np.argwhere(free[::4, ::4]) * 4
    if len(coarse) == 0:
        return 7.0 * float(rng.choice([-1.0, 1.0])), 0.0
    tries = coarse[rng.integers(0, len(coarse), 40)]
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    r = tries[:, :1] + np.rint(radius_cm / grid.cm_per_row * np.sin(turn)).astype(np.intp)
    c = tries[:, 1:] + np.rint(radius_cm / grid.cm_per_col * np.cos(turn)).astype(np.intp)
    seen = (r >= 0) & (r < grid.shape[0]) & (c >= 0) & (c < grid.shape[1])
    around = free[r.clip(0, grid.shape[0] - 1), c.clip(0, grid.shape[1] - 1)] & seen
    best = tries[int(np.argmax(np.minimum(around.sum(axis=1), 10)))]
    return float(grid.u[best[0], best[1]]), float(grid.v[best[0], best[1]])
