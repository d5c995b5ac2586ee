"""Random streams, smooth profiles and noise of the generated anatomy. Lengths are cm in the patient."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]

TABLE_REACH_CM = 80.0
TABLE_STEP_CM = 0.02
KNOT_EVERY = 5  # entries of a table between points that are smoothed
AXIS_CM: FloatImage = np.arange(-TABLE_REACH_CM, TABLE_REACH_CM + TABLE_STEP_CM, TABLE_STEP_CM).astype(np.float32)


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Return the random numbers of one purpose, so that drawing more for one never shifts another.

    Parameters
    ----------
    seed, index, purpose : int
        Of the data set, the film or patient, and the use; not negative.

    Returns
    -------
    Generator
        Equal for equal arguments.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, purpose])))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw one number uniformly from [low, high)."""
    return float(rng.uniform(low, high))


def dome(depth01: FloatImage) -> FloatImage:
    """Evaluate a quarter circle, the chord of a round body near its rim.

    Parameters
    ----------
    depth01 : ndarray, float32
        Any shape; 0 at the rim.

    Returns
    -------
    ndarray, float32
        0 at or below 0, 1 at or above 1, steep at 0.
    """
    inside = np.clip(depth01, 0, 1)
    return np.asarray(np.sqrt(inside * (2 - inside)))


def ramp(depth01: FloatImage) -> FloatImage:
    """Evaluate the smoothstep polynomial.

    Parameters
    ----------
    depth01 : ndarray, float32
        Any shape.

    Returns
    -------
    ndarray, float32
        0 at or below 0, 1 at or above 1, flat at both.
    """
    inside = np.clip(depth01, 0, 1)
    return np.asarray(inside * inside * (3 - 2 * inside))


def tube(distance_cm: FloatImage, radius_cm: float | FloatImage, shell: float = 0.72) -> FloatImage:
    """Compute the chord of a bone with a dense shell and light marrow, so that both edges are bright.

    Parameters
    ----------
    distance_cm : ndarray, float32
        From the axis, any sign, cm.
    radius_cm : float or ndarray
        Of the bone, cm.
    shell : float
        Radius of the marrow as a fraction of the bone's.

    Returns
    -------
    ndarray, float32
        In units of the bone's diameter.
    """
    x2 = np.square(distance_cm / radius_cm)
    outer = np.sqrt(np.clip(1 - x2, 0, None))
    return np.asarray(outer - 0.62 * np.sqrt(np.clip(shell * shell - x2, 0, None)))


def table_of(knots_cm: list[tuple[float, float]], smooth_cm: float = 0.0) -> FloatImage:
    """Tabulate a profile on `AXIS_CM`, linear between its knots and constant outside them.

    Parameters
    ----------
    knots_cm : list of (float, float)
        Position and value, by rising position.
    smooth_cm : float
        Standard deviation of a Gaussian that smooths the profile, cm; 0 for none.

    Returns
    -------
    ndarray of shape (N,), float32
        Value at each position of `AXIS_CM`.
    """
    at, values = zip(*knots_cm, strict=True)
    if smooth_cm == 0:
        return np.asarray(np.interp(AXIS_CM, at, values), dtype=np.float32)
    coarse = AXIS_CM[::KNOT_EVERY]
    smooth = gaussian_filter1d(
        np.interp(coarse, at, values), smooth_cm / (KNOT_EVERY * TABLE_STEP_CM), mode="nearest", truncate=3
    )
    return np.asarray(np.interp(AXIS_CM, coarse, smooth), dtype=np.float32)


def stretched(small: FloatImage, rows: int, cols: int) -> FloatImage:
    """Interpolate a coarse field linearly, corner cell on corner pixel.

    Parameters
    ----------
    small : ndarray of shape (h, w), float32
        At least 2 x 2 cells.
    rows, cols : int
        Of the result, px.

    Returns
    -------
    ndarray of shape (rows, cols), float32
        Its corners equal those of `small`.
    """
    r = np.linspace(0, small.shape[0] - 1, rows, dtype=np.float32)
    c = np.linspace(0, small.shape[1] - 1, cols, dtype=np.float32)
    r0, c0 = np.minimum(r.astype(np.intp), small.shape[0] - 2), np.minimum(c.astype(np.intp), small.shape[1] - 2)
    tall = small.take(r0, axis=0)
    tall += (small.take(r0 + 1, axis=0) - tall) * (r - r0)[:, None]
    wide, step = tall.take(c0, axis=1), tall.take(c0 + 1, axis=1)
    step -= wide
    step *= (c - c0)[None, :]
    wide += step
    return np.asarray(wide, dtype=np.float32)


def cloud(rng: np.random.Generator, rows: int, cols: int, cells: tuple[int, int], sigma: float = 1.0) -> FloatImage:
    """Draw smooth noise of mean about 0 and deviation about 1.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    rows, cols : int
        Of the result, px.
    cells : (int, int)
        Rows and columns of the coarse grid on which it is drawn.
    sigma : float
        Standard deviation of the smoothing, cells.

    Returns
    -------
    ndarray of shape (rows, cols), float32
        Noise.
    """
    coarse = gaussian_filter(rng.standard_normal(cells, dtype=np.float32), sigma, mode="reflect", truncate=3)
    return stretched((coarse - coarse.mean()) / max(float(coarse.std()), 1e-6), rows, cols)
