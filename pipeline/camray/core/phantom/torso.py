"""Path through torso, breasts and gas outside the lungs, along every ray of a grid."""

import numpy as np

from camray.core.phantom.body import Body
from camray.core.phantom.fields import FloatImage, dome, ramp, table_of
from camray.core.phantom.grid import Grid, segment_distance


def torso(grid: Grid, body: Body) -> FloatImage:
    """Compute the path through head, neck, shoulders, trunk and arms.

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
    """Compute the path through the breasts: round and sharp below, fading upwards.

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
    dv = grid.v - np.float32(body.breast_v)
    q = np.square((grid.side - body.breast_u) / 6.2) + np.square(dv / np.where(dv > 0, 4.6, 9.0))
    return np.asarray(body.breast * np.sqrt(np.clip(1 - q, 0, None)))


def gas(grid: Grid, body: Body) -> FloatImage:
    """Compute the path through air outside the lungs: trachea, main bronchi, stomach bubble under the left dome.

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
