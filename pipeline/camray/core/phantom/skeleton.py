"""Ribs, clavicles, shoulder blades, spine and upper arms, as path through bone in cm."""

import numpy as np

from camray.core.phantom.body import APEX_U_CM, Body
from camray.core.phantom.fields import FloatImage, ramp, stretched, table_of, tube
from camray.core.phantom.grid import Grid, segment_distance

N_RIBS = 11


def bones(grid: Grid, body: Body) -> FloatImage:
    """Compute the path through all bones.

    Parameters
    ----------
    grid : Grid
        Of shape (H, W).
    body : Body
        The patient's build.

    Returns
    -------
    ndarray of shape (H, W), float32
        cm.
    """
    coarse = grid.coarse(2)  # bones overlap in many layers and have no exact outline to keep
    path = np.zeros(coarse.shape, np.float32)
    for rib in range(N_RIBS):
        _add_rib(path, coarse, body, rib)
    _add_clavicles(path, coarse, body)
    _add_shoulders(path, coarse, body)
    _add_spine(path, coarse, body)
    return stretched(path, *grid.shape)


def _cage_width(body: Body, v: float) -> float:
    top = min(body.apex_left, body.apex_right)
    height = float(np.clip((6.0 - v) / (6.0 - top), 0, 1))
    return APEX_U_CM + (body.half_width - APEX_U_CM) * float(np.sqrt(1 - height**2.1)) + 0.45


def _add_rib(path: FloatImage, grid: Grid, body: Body, rib: int) -> None:
    first, pitch, drop, slope, half = body.ribs
    start = first + pitch * rib
    fall = (2.6, 4.4, 6.0, 7.4)[rib] if rib < 4 else drop
    reach = _cage_width(body, start + fall * 0.62) if rib else 6.3
    centre, tall = start + fall / 2, fall / 2
    low, high = start - 2.0, start + fall + slope * (reach + 2) + 2.5
    block = grid.window(-reach - 2, reach + 2, low, high)
    part = grid.cropped(block)
    if not part.u.size:
        return
    x = part.side / reach
    y = np.asarray((part.v - centre - slope * part.side) / tall, dtype=np.float32)
    x2, y2 = x * x, y * y
    value = x2 * x + y2 - 1
    steep = np.sqrt(np.square(x2 * np.float32(3 / reach)) + y2 * np.float32(4 / tall**2) + np.float32(1e-6))
    away = value / steep
    # the front part is broader and flatter, and ends where the cartilage begins
    front = ramp((y + 0.15) / 0.5)
    end = reach * (0.42 + 0.02 * rib) if rib < 8 else reach * (0.78 + 0.1 * (rib - 8))
    solid = 1 - front * (1 - 0.75 * ramp((part.side - end) / 0.9))
    solid *= ramp((part.side - 1.6) / 0.8)
    width = half * (1 + 0.28 * front) * (0.85 if rib == 0 else 1.0)
    path[block] += tube(away, width) * solid * np.float32(1.25)


def _add_clavicles(path: FloatImage, grid: Grid, body: Body) -> None:
    top = body.apex_left
    for sign in (-1.0, 1.0):
        shift = 0.9 * body.turn * sign
        block = grid.window(min(0.5 * sign, 22 * sign), max(0.5 * sign, 22 * sign), top - 8, top + 9)
        part = grid.cropped(block)
        if not part.u.size:
            continue
        u = [sign * (x + shift) for x in (1.7, 4.5, 8.0, 12.0, 16.5)]
        v = [top + h for h in (4.6, 3.9, 2.3, 0.9, 0.5)]
        course = table_of(sorted(zip(u, v, strict=True)), smooth_cm=1.2)
        girth = table_of(sorted(zip(u, (1.05, 0.72, 0.62, 0.66, 0.85), strict=True)), smooth_cm=0.8)
        away = (part.v - part.by_u(course)) * np.float32(0.93)
        ends = ramp((part.side - 1.5 - shift) / 0.5) * ramp((17.2 + shift - part.side) / 0.6)
        path[block] += tube(away, part.by_u(girth)) * ends * np.float32(2.0)


def _add_shoulders(path: FloatImage, grid: Grid, body: Body) -> None:
    wide, top = body.half_width, body.apex_left
    for sign in (-1.0, 1.0):
        block = grid.window(sign * (wide + 4) - 10, sign * (wide + 4) + 10, top - 2, 32)
        part = grid.cropped(block)
        if not part.u.size:
            continue
        corners = [(wide - 2.6, top + 3.2), (wide - 1.6, top + 14.5), (wide + 4.4, top + 4.6)]
        inside = np.full(part.shape, np.inf, np.float32)
        for (u0, v0), (u1, v1) in zip(corners, corners[1:] + corners[:1], strict=True):
            length = float(np.hypot(u1 - u0, v1 - v0))
            inside = np.minimum(inside, ((v1 - v0) * (part.side - u0) - (u1 - u0) * (part.v - v0)) / length)
        path[block] += 0.22 * ramp((inside + 0.5) / 0.6) + 0.42 * np.exp(-np.square((inside - 0.1) / 0.32))
        ball = np.sqrt(np.square(part.side - (wide + 5.9)) + np.square(part.v - (top + 4.4)))
        path[block] += 0.95 * np.sqrt(np.clip(1 - np.square(ball / 2.3), 0, None))
        shaft = segment_distance(part, (sign * (wide + 6.4), top + 6.0), (sign * (wide + 10.5), 32.0))
        path[block] += 2.0 * tube(shaft, 1.15, 0.6)


def _add_spine(path: FloatImage, grid: Grid, body: Body) -> None:
    block = grid.window(-4, 4, -40, 50)
    part = grid.cropped(block)
    if not part.u.size:
        return
    u = part.u + np.float32(0.25 * body.turn)
    half = part.by_v(table_of([(-20, 1.35), (-12, 1.6), (12, 2.25), (25, 2.7)]))
    pitch = 2.3
    beat = np.mod(part.v + np.float32(50 * pitch + body.ribs[0]), pitch) / pitch  # 0-1 down one vertebra
    plate = np.exp(-np.square((beat - 0.12) / 0.055)) + np.exp(-np.square((beat - 0.88) / 0.055))
    solid = ramp((half - np.abs(u)) / 0.35) * (0.35 * ramp((np.abs(beat - 0.5) - 0.5) / -0.09) + 0.16 * plate + 0.35)
    eye = np.sqrt(np.square((np.abs(u) - half * 0.68) / 0.42) + np.square((beat - 0.36) / 0.2))
    process = np.square(u / 0.36) + np.square((beat - 0.66) / 0.26)
    path[block] += 1.3 * solid + 0.4 * np.exp(-np.square((eye - 1) / 0.33)) + 0.5 * np.exp(-process)
