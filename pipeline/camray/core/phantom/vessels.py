"""Branching vessels of the lungs: points along their courses, binned onto the pixel grid and blurred to calibre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from camray.core.phantom.fields import FloatImage
from camray.core.phantom.grid import Grid

STEPS = 24  # points along one branch: closer than the finest blur, or vessels look like beads
LENGTHS_CM = (2.3, 2.3, 2.2, 2.0, 1.8, 1.5)  # of a branch, by generation
CALIBRES_CM = (0.40, 0.31, 0.235, 0.175, 0.13, 0.10)  # radius, by generation
BLURS_CM = (0.14, 0.05)  # blur of the three thicker and the three thinner generations


@dataclass(frozen=True, eq=False)
class Courses:
    """Points along branches.

    Parameters
    ----------
    u, v : ndarray of shape (N,), float64
        Patient coordinates, cm.
    volume : ndarray of shape (N,), float64
        Volume of vessel per point, cm cubed.
    """

    u: NDArray[np.float64]
    v: NDArray[np.float64]
    volume: NDArray[np.float64]


def grow(
    rng: np.random.Generator, root: tuple[float, float], sign: float, stems: int = 8, size: float = 1.0
) -> list[Courses]:
    """Grow a tree from a root into one lung.

    Parameters
    ----------
    rng : Generator
        Draws directions, lengths and bends.
    root : (float, float)
        (u, v) of the hilum, cm.
    sign : float
        -1 to grow to the patient's right, 1 to the left.
    stems : int
        First branches; every further generation doubles them.
    size : float
        Scale of lengths and calibres.

    Returns
    -------
    list of Courses
        One per generation, thickest first.
    """
    heading = np.linspace(-1.35, 1.45, stems) + rng.normal(0, 0.12, stems)  # 0 points sideways, positive down
    u, v = root[0] + rng.normal(0, 0.25, stems), root[1] + 0.9 * np.sin(heading) + rng.normal(0, 0.3, stems)
    generations = []
    for length, calibre in zip(LENGTHS_CM, CALIBRES_CM, strict=True):
        step = size * length * rng.uniform(0.65, 1.35, (heading.size, 1)) / STEPS
        bend = np.cumsum(rng.normal(0, 0.31 / STEPS**0.5, (heading.size, STEPS)), axis=1)
        course = heading[:, None] + bend
        us = u[:, None] + sign * np.cumsum(step * np.cos(course), axis=1)
        vs = v[:, None] + np.cumsum(step * np.sin(course), axis=1)
        radius = size * calibre * rng.uniform(0.7, 1.2, (heading.size, 1))
        volume = np.broadcast_to(np.pi * radius**2 * step, us.shape)
        generations.append(Courses(us.ravel(), vs.ravel(), volume.ravel()))
        fork = rng.uniform(0.18, 0.55, heading.size)
        heading = np.concatenate([course[:, -1] - fork, course[:, -1] + fork])
        u, v = np.tile(us[:, -1], 2), np.tile(vs[:, -1], 2)
    return generations


def splat(grid: Grid, generations: list[Courses]) -> FloatImage:
    """Turn courses into path length through vessels.

    Parameters
    ----------
    grid : Grid
        Of shape (H, W).
    generations : list of Courses
        From `grow`.

    Returns
    -------
    ndarray of shape (H, W), float32
        cm.
    """
    path = np.zeros(grid.shape, np.float32)
    for group, blur_cm in enumerate(BLURS_CM):
        courses = generations[3 * group : 3 * group + 3]
        sigma = (max(blur_cm / grid.cm_per_row, 0.6), max(blur_cm / grid.cm_per_col, 0.6))
        path += gaussian_filter(_binned(grid, courses), sigma, mode="constant", truncate=2.5)
    return path


def _binned(grid: Grid, courses: list[Courses]) -> FloatImage:
    rows, cols = grid.shape
    r, col = grid.to_rc(np.concatenate([c.u for c in courses]), np.concatenate([c.v for c in courses]))
    volume = np.concatenate([c.volume for c in courses])
    seen = (r >= 0) & (r < rows - 1) & (col >= 0) & (col < cols - 1)
    r, col, volume = r[seen], col[seen], volume[seen] / (grid.cm_per_row * grid.cm_per_col)
    r0, c0 = r.astype(np.intp), col.astype(np.intp)
    fr, fc, at = r - r0, col - c0, r0 * cols + c0
    indices = np.concatenate([at, at + 1, at + cols, at + cols + 1])
    weights = np.concatenate([(1 - fr) * (1 - fc), (1 - fr) * fc, fr * (1 - fc), fr * fc]) * np.tile(volume, 4)
    return np.bincount(indices, weights, rows * cols).reshape(rows, cols).astype(np.float32)
