"""Regions of a lung mask: cleaned, split into two lungs, checked for plausibility, and assigned to a side.

All masks are on the segmenter's square grid. Areas are fractions of the film (the window that it covers on that grid),
so that a half of a chest on a narrow film is judged like a whole film.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, binary_opening
from skimage.measure import label
from skimage.morphology import convex_hull_image, isotropic_closing

from camray.domain.geometry import CropWindow
from camray.domain.zones import Side

BoolImage = NDArray[np.bool_]
FloatImage = NDArray[np.float32]

MIN_LUNG_AREA, _MAX_LUNG_AREA = 0.025, 0.6  # of one lung, fraction of the film
_MIN_HEIGHT = 0.22  # of one lung, fraction of the film's rows
_MIN_SECOND = 0.2  # a second region smaller than this fraction of the first is no lung
_MIN_ASPECT = 0.6  # height over width of one lung
_MIN_SOLIDITY = 0.6  # area over its convex hull's
_MIN_DISTANCE = 0.15  # of the two centres, fraction of the film's columns
_MERGED_WIDTH, _MERGED_WAIST = 0.55, 0.5  # one region that wide, with a waist that narrow, is two lungs


def lung_parts(mask: BoolImage, window: CropWindow) -> list[BoolImage]:
    """Clean a mask and keep its one or two largest regions, split in two where both lungs are connected.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        Segmenter's grid.
    window : CropWindow
        The film's part of the grid.

    Returns
    -------
    list of ndarray of shape (H, W), bool
        Largest first; empty for an empty mask.
    """
    clean = binary_fill_holes(binary_opening(mask))
    regions = connected_regions(clean, MIN_LUNG_AREA * window.area / 4)[:2]
    if not regions:
        return []
    if len(regions) == 2 and regions[1].sum() < _MIN_SECOND * regions[0].sum():
        regions = regions[:1]
    if len(regions) == 1:
        regions = _split_at_waist(regions[0], window)
    return sorted(regions, key=lambda part: -int(part.sum()))


def is_plausible(parts: list[BoolImage], window: CropWindow) -> bool:
    """Return whether regions can be one or two lungs: by number, area, height, shape, and being side by side.

    Parameters
    ----------
    parts : list of ndarray of shape (H, W), bool
        Segmenter's grid.
    window : CropWindow
        The film's part of the grid.

    Returns
    -------
    bool
        False for no region.
    """
    if not parts or len(parts) > 2 or not all(_is_lung_shaped(part, window) for part in parts):
        return False
    if len(parts) == 1:
        return True
    (y0, x0), (y1, x1) = (_centre(part) for part in parts)
    return abs(x0 - x1) >= _MIN_DISTANCE * window.cols and abs(x0 - x1) > abs(y0 - y1)


def _is_lung_shaped(part: BoolImage, window: CropWindow) -> bool:
    """Check the area, height, aspect ratio and solidity of one region."""
    if not MIN_LUNG_AREA * window.area <= part.sum() <= _MAX_LUNG_AREA * window.area:
        return False
    rows, cols = _span(part, 0, 0), _span(part, 1, 0)
    height, width = rows.stop - rows.start, cols.stop - cols.start
    if height < max(_MIN_HEIGHT * window.rows, _MIN_ASPECT * width):
        return False
    hull = convex_hull_image(part[rows, cols])  # type: ignore[no-untyped-call]
    return bool(part.sum() >= _MIN_SOLIDITY * hull.sum())


def assign_sides(parts: list[BoolImage], window: CropWindow, side: Side | None) -> dict[Side, BoolImage]:
    """Assign each region to the right or the left lung.

    Parameters
    ----------
    parts : list of ndarray of shape (H, W), bool
        One or two plausible regions, segmenter's grid.
    window : CropWindow
        The film's part of the grid.
    side : Side or None
        The only side that the film shows according to its header. It names a single region; two regions are assigned
        by position: such a film shows both lungs, whatever its header says.

    Returns
    -------
    dict of Side to ndarray of shape (H, W), bool
        Of two, the patient's right lung is the one at the left of the image. A single one without a side in the header
        is the right one if its upper third is further right than its lower third: position would be wrong on chest
        halves, where the arm's side takes up the room.
    """
    if len(parts) == 2:
        first, second = sorted(parts, key=lambda part: _centre(part)[1])
        return {Side.RIGHT: first, Side.LEFT: second}
    return {side or _side_by_shape(parts[0], window): parts[0]}


def _side_by_shape(part: BoolImage, window: CropWindow) -> Side:
    """Infer the side of a single lung: lungs lean towards the spine at the top and away from it at the base."""
    rows = np.flatnonzero(part.any(axis=1))
    third = max(1, rows.size // 3)
    upper, lower = (float(np.nonzero(part[rows[each]])[1].mean()) for each in (slice(third), slice(-third, None)))
    if upper != lower:
        return Side.RIGHT if upper > lower else Side.LEFT
    return Side.RIGHT if _centre(part)[1] < (window.col0 + window.col1) / 2 else Side.LEFT


def closed(part: BoolImage) -> BoolImage:
    """Close a region by a disk with a radius of 1/16 of the grid's rows, and fill its holes.

    Parameters
    ----------
    part : ndarray of shape (H, W), bool
        Not empty. Outside the grid counts as empty.

    Returns
    -------
    ndarray of shape (H, W), bool
        The closed region.
    """
    reach = max(2, part.shape[0] // 16)
    span = _span(part, 0, reach), _span(part, 1, reach)
    padded = np.pad(part[span], reach)
    whole = binary_fill_holes(isotropic_closing(padded, reach))  # type: ignore[no-untyped-call]
    result = np.zeros_like(part)
    result[span] = whole[reach:-reach, reach:-reach]
    return result


def inside_window(mask: BoolImage, window: CropWindow) -> BoolImage:
    """Remove the part of a mask that is outside the film.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        Segmenter's grid.
    window : CropWindow
        The film's part of the grid.

    Returns
    -------
    ndarray of shape (H, W), bool
        A copy.
    """
    result = np.zeros(mask.shape, np.bool_)
    result[window.slices] = mask[window.slices]
    return result


def connected_regions(mask: BoolImage, min_area_px: float) -> list[BoolImage]:
    """Separate a mask into regions connected through edges.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        Any grid.
    min_area_px : float
        Smaller regions are dropped.

    Returns
    -------
    list of ndarray of shape (H, W), bool
        Largest first.
    """
    numbered = label(mask, connectivity=1)  # type: ignore[no-untyped-call]
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    order = [int(number) for number in np.argsort(-sizes, kind="stable") if sizes[number] >= max(1.0, min_area_px)]
    return [np.asarray(numbered == number, np.bool_) for number in order]


def border_fraction(part: BoolImage) -> float:
    """Return the fraction of a region's outline that is on the border of its array.

    Parameters
    ----------
    part : ndarray of shape (H, W), bool
        Any grid.

    Returns
    -------
    float
        0-1; 0 for an empty region.

    Examples
    --------
    >>> border_fraction(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]], bool))
    0.75
    """
    padded = np.pad(part, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline = part & ~inner
    edge = outline[0].sum() + outline[-1].sum() + outline[1:-1, 0].sum() + outline[1:-1, -1].sum()
    return float(edge) / max(1, int(outline.sum()))


def _split_at_waist(region: BoolImage, window: CropWindow) -> list[BoolImage]:
    """Split a region at its waist if it is as wide as two lungs and has one."""
    cols = np.flatnonzero(region.any(axis=0))
    first_col, end_col = int(cols[0]), int(cols[-1]) + 1
    width = end_col - first_col
    if width < _MERGED_WIDTH * window.cols:
        return [region]
    heights = region.sum(axis=0)
    low, high = first_col + width // 3, first_col + 2 * width // 3
    waist = low + int(np.argmin(heights[low:high]))
    if heights[waist] > _MERGED_WAIST * min(heights[first_col:waist].max(), heights[waist:end_col].max()):
        return [region]
    first, second = region.copy(), region.copy()
    first[:, waist:], second[:, :waist] = False, False
    return [first, second]


def _span(part: BoolImage, axis: int, reach: int) -> slice:
    occupied = np.flatnonzero(part.any(axis=1 - axis))
    return slice(max(0, int(occupied[0]) - reach), int(occupied[-1]) + 1 + reach)


def _centre(part: BoolImage) -> tuple[float, float]:
    rows, cols = np.nonzero(part)
    return float(rows.mean()), float(cols.mean())
