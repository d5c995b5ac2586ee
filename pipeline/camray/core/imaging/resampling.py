"""Resampling of films from the native to the model grid.

Weights are exact areas in continuous coordinates with the corner origin, so that every point of the film is exactly at
the position that the `GridTransform` returns, fractions of a pixel included.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from camray.domain.geometry import GridTransform, interval_overlap

Fit = Literal["letterbox", "crop", "stretch"]


def plan_grid(
    native_shape_rc: tuple[int, int],
    model_shape_rc: tuple[int, int],
    fit: Fit,
    row_spacing: float | None = None,
    col_spacing: float | None = None,
) -> GridTransform:
    """Compute the transform from a native grid to a model grid.

    Parameters
    ----------
    native_shape_rc, model_shape_rc : (int, int)
        Rows and columns, px.
    fit : str
        ``letterbox`` keeps the whole film and adds a margin, ``crop`` fills the model grid and cuts the film, both
        centred and in true proportions; ``stretch`` fills it with the whole film, whatever the proportions.
    row_spacing, col_spacing : float or None
        Only their ratio matters, so the unit is free; square pixels where either is None.

    Returns
    -------
    GridTransform
        Native to model.

    Raises
    ------
    ValueError
        If a shape or spacing is not positive, or `fit` is none of the three.

    Examples
    --------
    >>> plan_grid((100, 50), (64, 96), "letterbox", row_spacing=0.2, col_spacing=0.4)
    GridTransform(scale_x=1.28, scale_y=0.64, offset_x=16.0, offset_y=0.0)
    """
    if min(*native_shape_rc, *model_shape_rc) < 1:
        raise ValueError(f"shapes must be positive, got {native_shape_rc} and {model_shape_rc}")
    sides = (row_spacing, col_spacing) if row_spacing is not None and col_spacing is not None else (1.0, 1.0)
    if not (0 < sides[0] < np.inf and 0 < sides[1] < np.inf):
        raise ValueError(f"spacings must be positive and finite, got {row_spacing} and {col_spacing}")
    full_y, full_x = (model / native for model, native in zip(model_shape_rc, native_shape_rc, strict=True))
    match fit:
        case "stretch":
            return GridTransform(full_x, full_y)
        case "letterbox":
            per_length = min(full_y / sides[0], full_x / sides[1])
        case "crop":
            per_length = max(full_y / sides[0], full_x / sides[1])
        case other:
            raise ValueError(f"fit is {other!r}; expected letterbox, crop or stretch")
    scale_y, scale_x = per_length * sides[0], per_length * sides[1]
    return GridTransform(
        scale_x,
        scale_y,
        (model_shape_rc[1] - native_shape_rc[1] * scale_x) / 2,
        (model_shape_rc[0] - native_shape_rc[0] * scale_y) / 2,
    )


def to_model_grid(
    pixels: NDArray[np.float32],
    rows: int,
    cols: int,
    fit: Fit,
    row_spacing: float | None = None,
    col_spacing: float | None = None,
) -> tuple[NDArray[np.float32], GridTransform]:
    """Resample a film to the model grid.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Native grid.
    rows, cols : int
        Model grid, px.
    fit, row_spacing, col_spacing
        See `plan_grid`.

    Returns
    -------
    ndarray of shape (rows, cols), float32
        Model grid. A shrunk axis is averaged over each model pixel's exact area; an enlarged one is interpolated
        linearly. Margins are 0, and a pixel partly in the margin is dimmed in proportion.
    GridTransform
        Native to model.
    """
    grid = plan_grid((pixels.shape[0], pixels.shape[1]), (rows, cols), fit, row_spacing, col_spacing)
    return resampled(pixels, rows, cols, grid), grid


def resampled(pixels: NDArray[np.float32], rows: int, cols: int, grid: GridTransform) -> NDArray[np.float32]:
    """Resample a film to a model grid of any place and scale.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float32
        Native grid.
    rows, cols : int
        Model grid, px.
    grid : GridTransform
        Native to model.

    Returns
    -------
    ndarray of shape (rows, cols), float32
        Model grid, as `to_model_grid` returns it.
    """
    down = _axis_weights(pixels.shape[0], rows, grid.scale_y, grid.offset_y)
    across = _axis_weights(pixels.shape[1], cols, grid.scale_x, grid.offset_x)
    model = across @ np.ascontiguousarray((down @ np.asarray(pixels, np.float32)).T)
    return np.ascontiguousarray(model.T)


@lru_cache(maxsize=64)  # films of one device share their grids, and computing weights takes as long as using them
def _axis_weights(native: int, model: int, scale: float, offset: float) -> "scipy.sparse.csr_array":
    """Return the (model, native) weights of one axis; a row sums to its pixel's fraction inside the film."""
    edges = (np.arange(model + 1) - offset) / scale  # model pixel borders on the native axis
    low, high = np.clip(edges[:-1], 0.0, native), np.clip(edges[1:], 0.0, native)
    # an offset is a difference of near-equal numbers: its rounding must not leave a sliver outside
    covered = np.clip(np.round((high - low) * scale, 9), 0.0, 1.0)
    if scale < 1:
        first = np.floor(low).astype(np.int64)
        reach = int(np.ceil(1 / scale)) + 1
        index = first[:, None] + np.arange(reach)
        weights = interval_overlap(index, index + 1, low[:, None], high[:, None])
    else:  # linear between pixel centres, the outermost pixels held to the border
        centre = np.clip((low + high) / 2 - 0.5, 0.0, native - 1.0)
        first = np.floor(centre).astype(np.int64)
        index = first[:, None] + np.arange(2)
        weights = 1.0 - np.abs(centre[:, None] - index)
    weights = np.where((index < native) & (covered[:, None] > 0), np.clip(weights, 0.0, None), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    weights *= np.divide(covered[:, None], total, out=np.zeros_like(total), where=total > 0)
    row = np.broadcast_to(np.arange(model)[:, None], index.shape)
    used = weights > 0
    return scipy.sparse.csr_array((weights[used].astype(np.float32), (row[used], index[used])), shape=(model, native))
