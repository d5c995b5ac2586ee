"""Soft tissue and lungs of one body, along every ray of a grid."""

import math
from dataclasses import dataclass

import numpy as np

from camray.core.phantom.body import APEX_U_CM, Body
from camray.core.phantom.fields import BoolImage, FloatImage, Grid, dome, ramp, segment_distance, stretched, table_of

LUNG_DENSITY = 0.27  # water equivalent of a cm of aerated lung


@dataclass(frozen=True, eq=False)
class Chest:
    """What the body is made of along every ray, before any finding but the heart's size.

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
    """Add up torso, arms, breasts, heart, mediastinum, airways, lungs and belly gas on a grid."""
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
    """Distance from the lung's outer surface, positive inside; the surface may have retreated from ribs and apex.

    Parameters
    ----------
    grid : Grid
        Where.
    body : Body
        Whose.
    retreat_cm, sink_cm : float
        How far the surface lies inside its usual place at the side, and below it at the apex.
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
    """Half width of the mediastinum on one side, by `v`."""
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
    """Height of the diaphragm by `u`: a dome a side, with a sharp angle at the ribs."""
    knots = []
    for sign, top in ((-1.0, body.dome_right), (1.0, body.dome_left)):
        side = np.linspace(0.0, body.half_width + 3, 40)
        x = (side - 6.3) / (body.half_width - 6.3)
        drop = np.where(x < 0, 1.6 * np.square(x), 1.4 * np.square(x) + 3.0 * np.clip(x, 0, None) ** 4)
        knots += [(sign * s, top + d) for s, d in zip(side, drop, strict=True)]
    return table_of(sorted(knots))


def heart_axes(body: Body) -> tuple[float, float, float, float]:
    """Return the heart's centre (u, v) and its long and short half axis, cm."""
    width = body.heart_ratio * 2 * body.half_width
    tilt, aspect = body.heart_tilt, body.heart_aspect
    short = (width * 0.47) / math.hypot(aspect * math.cos(tilt), math.sin(tilt))
    low = short * math.hypot(aspect * math.sin(tilt), math.cos(tilt))
    floor = (body.dome_left + body.dome_right) / 2 + 1.6 - body.heart_lift
    return body.turn + 0.2 * width, floor - low, short * aspect, short


def heart_shape(grid: Grid, body: Body) -> FloatImage:
    """Chord of the heart in units of its greatest; 0 outside. A tilted left ventricle and a right atrium."""
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


def torso(grid: Grid, body: Body) -> FloatImage:
    """Path through head, neck, shoulders, trunk and arms, cm."""
    wide = body.half_width + body.fat
    outline = table_of(
        [
            *((-60, 8), (-25, 8), (-20.5, 6.6), (-18.0, 5.6), (-16.2, 6.2), (-14.8, 8.6), (-13.2, 13.0)),
            *((-11.6, wide + 1), (-9, wide + 3.4), (-5, wide + 3), (-1.5, wide + 0.9)),
            *((4, wide), (13, wide - 0.4), (22, wide), (60, wide)),
        ],
        smooth_cm=0.7,
    )
    depth = table_of(
        [(-60, 17), (-22, 15), (-17, 11.5), (-13, 13), (-9, body.depth - 4), (-3, body.depth), (60, body.depth + 1.5)],
        smooth_cm=1.0,
    )
    x = grid.side / grid.by_v(outline)
    path = grid.by_v(depth) * np.sqrt(np.clip(1 - x * x * x, 0, None))
    for sign in (-1.0, 1.0):
        reach = wide + 2.0
        block = grid.window(sign * reach - 13, sign * reach + 13, -16, 40)
        part = grid.cropped(block)
        if part.u.size:
            away = segment_distance(part, (sign * reach, -7.5), (sign * (reach + 5.5), 30.0))
            path[block] += 8.5 * dome(1 - away / 4.4) * ramp((away + part.side - reach + 1.0) / 6.0)
    return np.asarray(path)


def breasts(grid: Grid, body: Body) -> FloatImage:
    """Path through the breasts, cm: round and sharp below, fading upwards."""
    dv = grid.v - np.float32(body.breast_v)
    q = np.square((grid.side - body.breast_u) / 6.2) + np.square(dv / np.where(dv > 0, 4.6, 9.0))
    return np.asarray(body.breast * np.sqrt(np.clip(1 - q, 0, None)))


def gas(grid: Grid, body: Body) -> FloatImage:
    """Path through air outside the lungs, cm: windpipe and main bronchi, stomach bubble under the left dome."""
    path = np.zeros(grid.shape, np.float32)
    shift = 0.8 * body.turn
    block = grid.window(-6, 6, -40, 2.5)
    part = grid.cropped(block)
    airway = np.sqrt(np.clip(0.81 - np.square(part.u - np.float32(shift)), 0, None)) * ramp(-1.2 - part.v)
    for sign, end in ((-1.0, (-3.6, 1.0)), (1.0, (4.4, 1.4))):
        away = segment_distance(part, (shift, -2.0), (end[0] + shift, end[1]))
        branch = np.sqrt(np.clip(0.42 - away * away, 0, None)) * ramp((4.0 - sign * part.u) / 2.0)
        airway = np.maximum(airway, branch)
    path[block] = 2.2 * airway
    block = grid.window(3, 9, body.dome_left + 1, body.dome_left + 4.2)
    part = grid.cropped(block)
    bubble = np.square((part.u - 6.0) / 2.9) + np.square((part.v - (body.dome_left + 2.6)) / 1.5)
    level = ramp((body.dome_left + 3.2 - part.v) / 0.25)
    path[block] += 4.5 * np.sqrt(np.clip(1 - bubble, 0, None)) * level
    return path
