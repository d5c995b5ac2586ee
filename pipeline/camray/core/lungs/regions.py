"""From a mask or a film to right and left lung: clean regions, checked for being lungs at all.

Everything lies on the generator's square grid. Areas are fractions of the film (the window it covers on that grid),
so that a chest half on a narrow grid is judged like a whole film.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, binary_opening, gaussian_filter
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import convex_hull_image, isotropic_closing, isotropic_opening

from camray.domain.geometry import Box, box_from_mask
from camray.domain.zones import LungSource, Side

BoolImage = NDArray[np.bool_]
FloatImage = NDArray[np.float32]

_SMALLEST, _LARGEST = 0.025, 0.6  # one lung, fraction of the film
_LEAST_HEIGHT = 0.22  # of one lung, fraction of the film's rows
_SECOND = 0.2  # a second region smaller than this fraction of the first is no lung
_LEAST_TALL = 0.6  # height over width of one lung
_LEAST_SOLIDITY = 0.6  # area over its convex hull's
_LEAST_APART = 0.15  # of the two centres, fraction of the film's columns
_MERGED_WIDTH, _MERGED_WAIST = 0.55, 0.5  # one region that wide, with a waist that narrow, is two lungs
_MOST_BORDER = 0.12  # a dark region whose outline lies on the film's edge to this part is the air around the patient
_SMOOTH = 1.0  # of probabilities, px
_LEAST_SPREAD = 1e-3  # of a film's grey values; below it there is nothing to cut
_LEAST_LEFT = 0.2  # of that range, in what is left when the air is taken out
_ROUNDS = 3  # of taking out air and cutting anew
_WIDE = 0.7  # columns over rows from which a film may show two lungs
_SURROUNDINGS = 16.0  # Gaussian's sigma, px of the grid
_CUTS = (0.0, 0.04, 0.08, 0.12, 0.16, 0.2)  # below Otsu's threshold, fraction of the grey values' range


@dataclass(frozen=True, eq=False)
class Lungs:
    """The lungs found on a film.

    Parameters
    ----------
    masks : dict of Side to ndarray of shape (H, W), bool
        Generator's grid; a side that was not found has no entry.
    source : LungSource
        How they were found.
    """

    masks: dict[Side, BoolImage]
    source: LungSource

    def box(self) -> Box | None:
        """Enclose all lungs; None where there are none."""
        if not self.masks:
            return None
        return box_from_mask(np.logical_or.reduce(list(self.masks.values())))


@dataclass(frozen=True)
class FilmWindow:
    """Rows [row0, row1) and columns [col0, col1) of the grid that the film covers, px."""

    row0: int
    col0: int
    row1: int
    col1: int

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.row1 - self.row0) * (self.col1 - self.col0)


def find_lungs(grey: FloatImage, probability: FloatImage | None, window: FilmWindow, side: Side | None = None) -> Lungs:
    """Find right and left lung on a film.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        The film on the generator's grid, 0-1, air dark.
    probability : ndarray of shape (H, W), float32, or None
        What the generator says; None goes straight to the classical way.
    window : FilmWindow
        Where the film lies.
    side : Side, optional
        The one side that the film is recorded to show.

    Returns
    -------
    Lungs
        From the generator if its regions are plausible, else from thresholds if theirs are, else none.
    """
    if probability is not None:
        likely = (
            gaussian_filter(probability, _SMOOTH, mode="nearest") >= 0.5
        )  # smoothed: transposed convolutions leave a fine grid
        parts = [_closed(part) for part in lung_parts(_within(likely, window), window)]
        if is_plausible(parts, window):
            return Lungs(sided(parts, window, side), LungSource.NETWORK)
    parts = classical_parts(grey, window)
    return Lungs(sided(parts, window, side), LungSource.CLASSICAL) if parts else Lungs({}, LungSource.NONE)


def lung_parts(mask: BoolImage, window: FilmWindow) -> list[BoolImage]:
    """Clean a mask and keep its one or two largest regions, cut in two where both lungs have grown together.

    Returns
    -------
    list of ndarray of shape (H, W), bool
        Largest first; empty for an empty mask.
    """
    clean = binary_fill_holes(binary_opening(mask))
    regions = _regions(clean, _SMALLEST * window.area / 4)[:2]
    if not regions:
        return []
    if len(regions) == 2 and regions[1].sum() < _SECOND * regions[0].sum():
        regions = regions[:1]
    if len(regions) == 1:
        regions = _cut(regions[0], window)
    return sorted(regions, key=lambda part: -int(part.sum()))


def is_plausible(parts: list[BoolImage], window: FilmWindow) -> bool:
    """Tell whether regions can be one or two lungs: by number, area, height, shape, and being side by side."""
    if not parts or len(parts) > 2:
        return False
    for part in parts:
        if not _SMALLEST * window.area <= part.sum() <= _LARGEST * window.area:
            return False
        tall, wide = (span.stop - span.start for span in (_span(part, 0, 0), _span(part, 1, 0)))
        if tall < max(_LEAST_HEIGHT * (window.row1 - window.row0), _LEAST_TALL * wide):
            return False
        hull = convex_hull_image(part[_span(part, 0, 0), _span(part, 1, 0)])  # type: ignore[no-untyped-call]
        if part.sum() < _LEAST_SOLIDITY * hull.sum():
            return False
    if len(parts) == 1:
        return True
    (y0, x0), (y1, x1) = (_centre(part) for part in parts)
    apart = abs(x0 - x1)
    return apart >= _LEAST_APART * (window.col1 - window.col0) and apart > abs(y0 - y1)


def sided(parts: list[BoolImage], window: FilmWindow, side: Side | None) -> dict[Side, BoolImage]:
    """Say which region is which lung.

    Parameters
    ----------
    parts : list of ndarray
        One or two plausible regions.
    window : FilmWindow
    side : Side or None
        The one side that the film is recorded to show. It names a single region; of two regions, position decides:
        such a film shows both lungs, whatever its header says.

    Returns
    -------
    dict of Side to ndarray
        Of two, the patient's right is the one at the left of the picture. A single one that no header names is the
        right one if its upper third lies further right than its lower third: position would be wrong on chest halves,
        where the arm's side takes up the room.
    """
    if len(parts) == 2:
        first, second = sorted(parts, key=lambda part: _centre(part)[1])
        return {Side.RIGHT: first, Side.LEFT: second}
    return {side or _side_by_shape(parts[0], window): parts[0]}


def _side_by_shape(part: BoolImage, window: FilmWindow) -> Side:
    """Tell which lung a single region is: lungs lean towards the spine at the top, and spread to the side below."""
    rows = np.flatnonzero(part.any(axis=1))
    third = max(1, rows.size // 3)
    upper, lower = (float(np.nonzero(part[rows[each]])[1].mean()) for each in (slice(third), slice(-third, None)))
    if upper != lower:
        return Side.RIGHT if upper > lower else Side.LEFT
    return Side.RIGHT if _centre(part)[1] < (window.col0 + window.col1) / 2 else Side.LEFT


def classical_parts(grey: FloatImage, window: FilmWindow) -> list[BoolImage]:
    """Take for lungs what is dark, inside the patient and shaped like one or two lungs; no training.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        Air dark.
    window : FilmWindow

    Returns
    -------
    list of ndarray of shape (H, W), bool
        Plausible regions, largest first; empty where there are none.

    Notes
    -----
    The film is smoothed and cut at Otsu's threshold, then at lower ones: where the lungs run into the air around the
    patient, a darker cut parts them. Dark regions that lie along the film's edge are that air, or a shutter; they are
    taken out, and the rest is cut anew, for they shift the threshold. What is left is closed by a disk, which bridges
    ribs and vessels. Two lungs at any cut are better than one. On a film wide enough for two they are then sought in
    the film less its surroundings (a Gaussian's), where uneven exposure hides them.
    """
    grid = slice(window.row0, window.row1), slice(window.col0, window.col1)
    smooth = gaussian_filter(grey[grid], 1.5, mode="nearest")
    single = _cut_at_thresholds(smooth, window, grey.shape)
    if len(single) == 2 or window.col1 - window.col0 < _WIDE * (window.row1 - window.row0):
        return single
    local = smooth - gaussian_filter(smooth, _SURROUNDINGS, mode="nearest")
    both = _cut_at_thresholds(local, window, grey.shape)
    return both if len(both) == 2 or not single else single


def _cut_at_thresholds(values: FloatImage, window: FilmWindow, shape: tuple[int, ...]) -> list[BoolImage]:
    """Cut the film's part of the grid at falling thresholds until it shows two lungs, or else one."""
    grid = slice(window.row0, window.row1), slice(window.col0, window.col1)
    spread, inside = float(np.ptp(values)), np.ones(values.shape, np.bool_)
    single: list[BoolImage] = []
    for _ in range(_ROUNDS):
        if not inside.any() or np.ptp(values[inside]) < max(_LEAST_SPREAD, _LEAST_LEFT * spread):
            break
        highest = float(threshold_otsu(values[inside]))  # type: ignore[no-untyped-call]
        for lower in _CUTS:
            dark = isotropic_opening(inside & (values < highest - lower * spread), 2)  # type: ignore[no-untyped-call]
            found = np.zeros(shape, np.bool_)
            for part in _regions(dark, _SMALLEST * window.area / 4):
                if _on_border(part) < _MOST_BORDER:
                    found[grid] |= part
            parts = [_within(_closed(part), window) for part in lung_parts(found, window)]
            if len(parts) == 2 and is_plausible(parts, window):
                return parts
            single = single or (parts if is_plausible(parts, window) else [])
        for part in _regions(inside & (values < highest), 1):
            if _on_border(part | ~inside) >= _MOST_BORDER and _on_border(part) > 0:
                inside &= ~part
    return single


def _closed(part: BoolImage) -> BoolImage:
    """Close a region by a disk of 1/16 of the grid and fill its holes; what lies beyond the grid is empty."""
    reach = max(2, part.shape[0] // 16)
    span = _span(part, 0, reach), _span(part, 1, reach)
    padded = np.pad(part[span], reach)
    whole = binary_fill_holes(isotropic_closing(padded, reach))  # type: ignore[no-untyped-call]
    closed = np.zeros_like(part)
    closed[span] = whole[reach:-reach, reach:-reach]
    return closed


def _span(part: BoolImage, axis: int, reach: int) -> slice:
    found = np.flatnonzero(part.any(axis=1 - axis))
    return slice(max(0, int(found[0]) - reach), int(found[-1]) + 1 + reach)


def _on_border(part: BoolImage) -> float:
    """Return the share of a region's outline that lies on the border of its array."""
    padded = np.pad(part, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline = part & ~inner
    edge = outline[0].sum() + outline[-1].sum() + outline[1:-1, 0].sum() + outline[1:-1, -1].sum()
    return float(edge) / max(1, int(outline.sum()))


def _regions(mask: BoolImage, least: float) -> list[BoolImage]:
    """Part a mask into regions through edges that have `least` pixels or more, largest first."""
    numbered = label(mask, connectivity=1)  # type: ignore[no-untyped-call]
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    order = [int(number) for number in np.argsort(-sizes, kind="stable") if sizes[number] >= max(1.0, least)]
    return [np.asarray(numbered == number, np.bool_) for number in order]


def _cut(region: BoolImage, window: FilmWindow) -> list[BoolImage]:
    """Cut a region across its waist if it is as wide as two lungs and has one."""
    cols = np.flatnonzero(region.any(axis=0))
    left, right = int(cols[0]), int(cols[-1]) + 1
    width = right - left
    if width < _MERGED_WIDTH * (window.col1 - window.col0):
        return [region]
    heights = region.sum(axis=0)
    low, high = left + width // 3, left + 2 * width // 3
    waist = low + int(np.argmin(heights[low:high]))
    if heights[waist] > _MERGED_WAIST * min(heights[left:waist].max(), heights[waist:right].max()):
        return [region]
    first, second = region.copy(), region.copy()
    first[:, waist:], second[:, :waist] = False, False
    return [first, second]


def _within(mask: BoolImage, window: FilmWindow) -> BoolImage:
    cut = np.zeros(mask.shape, np.bool_)
    part = slice(window.row0, window.row1), slice(window.col0, window.col1)
    cut[part] = mask[part]
    return cut


def _centre(part: BoolImage) -> tuple[float, float]:
    rows, cols = np.nonzero(part)
    return float(rows.mean()), float(cols.mean())
