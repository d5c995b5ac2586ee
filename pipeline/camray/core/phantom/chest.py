"""Soft tissue, heart and lungs of one body, along every ray of a grid."""

import math
from dataclasses import dataclass

import numpy as np

from camray.core.phantom.body import APEX_U_CM, Body
from camray.core.phantom.fields import BoolImage, FloatImage, dome, stretched, table_of
from camray.core.phantom.grid import Grid
from camray.core.phantom.torso import breasts, gas, torso

LUNG_DENSITY = 0.27  # water equivalent of a cm of aerated lung


@dataclass(frozen=True, eq=False)
class Chest:
    """Tissue and air along every ray, before any finding except the heart's size.

    Parameters
    ----------
    tissue : ndarray of shape (H, W), float32
        Path through soft tissue if the lungs were solid, cm of water.
    air : ndarray of shape (H, W), float32
        Path through aerated lung, cm.
    lung : ndarray of shape (H, W), bool
        Visible lung fields: beside mediastinum and heart, above the diaphragm.
    heart : ndarray of shape (H, W), bool
        Outline of the heart.
    wall_distance : ndarray of shape (H, W), float32
        From the rib cage's inner side, positive inside, cm.
    """

    tissue: FloatImage
    air: FloatImage
    lung: BoolImage
    heart: BoolImage
    wall_distance: FloatImage


def build_chest(grid: Grid, body: Body) -> Chest:
    """Add up torso, arms, breasts, heart, mediastinum, airways, lungs and bowel gas on a grid.

    Parameters
    ----------
    grid : Grid
        Of shape (H, W).
    body : Body
        The patient's build.

    Returns
    -------
    Chest
        Arrays of shape (H, W); path lengths in cm.
    """
    wall = lung_wall(grid, body, 0.0, 0.0)
    medial = grid.side - grid.by_v(mediastinal_profile(body, left=False))
    medial = np.where(grid.is_left, grid.side - grid.by_v(mediastinal_profile(body, left=True)), medial)
    above = grid.by_u(diaphragm_profile(body)) - grid.v
    inside = (wall > 0) & (medial > 0) & (above > 0)
    full = dome(wall / 5.5) * dome(medial / 1.6) * dome(above / 3.0)
    air = full * np.float32(body.inflation * body.depth)
    heart_chord = heart_shape(grid, body)
    is_heart = heart_chord > 0
    air = np.clip(air - heart_chord * np.float32(0.85 * body.inflation * body.depth), 0, None)
    coarse = grid.coarse(2)
    smooth = torso(coarse, body)
    if body.breast > 0.2:
        smooth += breasts(coarse, body)
    tissue = stretched(smooth, *grid.shape) - gas(grid, body)
    return Chest(np.clip(tissue, 0, None), air, inside & ~is_heart, is_heart, wall)


def lung_wall(grid: Grid, body: Body, retreat_cm: float, sink_cm: float) -> FloatImage:
    """Compute the distance from the lung's outer surface, which may have retreated from ribs and apex.

    Parameters
    ----------
    grid : Grid
        Of shape (H, W).
    body : Body
        The patient's build.
    retreat_cm, sink_cm : float
        Distance of the surface from its usual position: inwards at the side, and downwards at the apex.

    Returns
    -------
    ndarray of shape (H, W), float32
        cm, positive inside.
    """
    tables = []
    for apex in (body.apex_right, body.apex_left):
        v = np.arange(-20.0, 20.0, 0.25)
        widest, top = 6.0, apex + sink_cm
        height = np.clip((widest - v) / (widest - top), 0, 1)
        outer = APEX_U_CM + (body.half_width - retreat_cm - APEX_U_CM) * np.sqrt(np.clip(1 - height**2.1, 0, None))
        outer -= 0.035 * np.square(np.clip(v - widest, 0, None)) / 2
        outer = np.where(v <= top, APEX_U_CM - 2.5 * (top - v), outer)
        tables.append(table_of(list(zip(v, outer, strict=True))))
    return np.where(grid.is_left, grid.by_v(tables[1]), grid.by_v(tables[0])) - grid.side


def mediastinal_profile(body: Body, left: bool) -> FloatImage:
    """Tabulate the half width of the mediastinum on one side.

    Parameters
    ----------
    body : Body
        The patient's build.
    left : bool
        The patient's left side, else the right.

    Returns
    -------
    ndarray of shape (N,), float32
        cm, by `v` on `AXIS_CM`.
    """
    apex = body.apex_left if left else body.apex_right
    sign = 1.0 if left else -1.0
    width, shift = body.mediastinum, sign * body.turn
    knots = [
        (apex - 0.05, APEX_U_CM),
        (apex + 0.35, width + 1.2 + shift * 0.5),
        (apex + 1.6, width + 0.25 + shift * 0.7),
        (-7.5, width - 0.2 + shift),
        (-3.0, width - 0.3 + shift),
        (0.5, width - 0.1 + shift),
        (4.0, 2.2),
        (14.0, 2.0),
    ]
    table = table_of(knots, smooth_cm=0.35)
    if left:
        arch = [(v, max(0.0, 1 - ((v + 4.9) / 1.9) ** 2) ** 0.5) for v in np.linspace(-6.8, -3.0, 39)]
        trunk = [(v, max(0.0, 1 - ((v + 0.6) / 2.2) ** 2) ** 0.5) for v in np.linspace(-2.8, 1.6, 45)]
        table = table + np.float32(body.knob) * table_of(arch, 0.18) + np.float32(0.45) * table_of(trunk, 0.3)
    return np.asarray(table, dtype=np.float32)


def diaphragm_profile(body: Body) -> FloatImage:
    """Tabulate the height of the diaphragm: one dome per side, with a sharp angle at the ribs.

    Parameters
    ----------
    body : Body
        The patient's build.

    Returns
    -------
    ndarray of shape (N,), float32
        `v` in cm, by `u` on `AXIS_CM`.
    """
    knots = []
    for sign, top in ((-1.0, body.dome_right), (1.0, body.dome_left)):
        side = np.linspace(0.0, body.half_width + 3, 40)
        x = (side - 6.3) / (body.half_width - 6.3)
        drop = np.where(x < 0, 1.6 * np.square(x), 1.4 * np.square(x) + 3.0 * np.clip(x, 0, None) ** 4)
        knots += [(sign * s, top + d) for s, d in zip(side, drop, strict=True)]
    return table_of(sorted(knots))


def heart_axes(body: Body) -> tuple[float, float, float, float]:
    """Compute the heart's ellipse.

    Parameters
    ----------
    body : Body
        The patient's build.

    Returns
    -------
    (float, float, float, float)
        Centre u and v, long and short half axis, cm.
    """
    width = body.heart_ratio * 2 * body.half_width
    tilt, aspect = body.heart_tilt, body.heart_aspect
    short = (width * 0.47) / math.hypot(aspect * math.cos(tilt), math.sin(tilt))
    low = short * math.hypot(aspect * math.sin(tilt), math.cos(tilt))
    floor = (body.dome_left + body.dome_right) / 2 + 1.6 - body.heart_lift
    return body.turn + 0.2 * width, floor - low, short * aspect, short


def heart_shape(grid: Grid, body: Body) -> FloatImage:
    """Compute the chord of the heart, made of a tilted left ventricle and a right atrium.

    Parameters
    ----------
    grid : Grid
        Of shape (H, W).
    body : Body
        The patient's build.

    Returns
    -------
    ndarray of shape (H, W), float32
        In units of the largest chord, 0-1; 0 outside.
    """
    hu, hv, long, short = heart_axes(body)
    cos, sin = math.cos(body.heart_tilt), math.sin(body.heart_tilt)
    width = body.heart_ratio * 2 * body.half_width
    path = np.zeros(grid.shape, np.float32)
    block = grid.window(body.turn - 0.45 * width, hu + long, hv - long, hv + long)
    part = grid.cropped(block)
    du, dv = part.u - np.float32(hu), part.v - np.float32(hv)
    chord = 1 - np.square((du * cos + dv * sin) / long) - np.square((dv * cos - du * sin) / short)
    atrium_v, atrium = hv - 0.02 * width, 0.3 * width
    right_edge = body.turn - 0.36 * width
    au, av = part.u - np.float32(right_edge + 0.8 * atrium), part.v - np.float32(atrium_v)
    chord = np.maximum(chord, 1 - np.square(au / (0.8 * atrium)) - np.square(av / (1.15 * atrium)))
    path[block] = np.sqrt(np.clip(chord, 0, None))
    return path
