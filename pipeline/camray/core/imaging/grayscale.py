"""Stored values to displayed grey: modality transform, VOI window, inversion.

0 is the darkest, 1 the brightest value of a display. The order is the standard's (PS3.3 C.11, PS3.14), padding last.
Each grey level of an integer film is computed once, in float64, and looked up.
"""

import numpy as np
from numpy.typing import NDArray

from camray.domain.films import GreyScale, LookupTable, VoiWindow

PERCENTILES = (0.5, 99.5)  # displayed range of a film whose header has no usable window
BLANK_PERCENTILES = (0.1, 99.9)
BLANK_LEVELS = 4  # a film with fewer levels between the two percentiles is blank
_ONE_GREY = BLANK_LEVELS / 256  # a VOI transform that shows less between the two percentiles is not used
_MAX_TABLE = 2**20  # levels; of a wider range only the distinct values are computed

Floats = NDArray[np.float64]


def to_unit_scale(stored: NDArray[np.integer], grey: GreyScale) -> NDArray[np.float32]:
    """Convert stored values to displayed grey.

    Parameters
    ----------
    stored : ndarray of shape (H, W), any integer dtype
        Masked and sign-extended stored values, native grid; at least one pixel.
    grey : GreyScale
        From the film's header.

    Returns
    -------
    ndarray of shape (H, W), float32
        0-1, native grid. Padding is 0, and so is a film of a single level.

    Notes
    -----
    The first VOI LUT is applied, else the first valid window, else the film's own 0.5 and 99.5 percentiles (padding
    excluded) become 0 and 1; also where the VOI transform would display the whole film in one grey: less than 4 of 256
    greys between its 0.1 and 99.9 percentiles. Inversion (MONOCHROME1 or INVERSE) is 1 - x of the VOI output range,
    whatever the film's maximum.

    Examples
    --------
    >>> grey = GreyScale(photometric="MONOCHROME1", windows=(VoiWindow(2.0, 4.0, "LINEAR_EXACT"),))
    >>> to_unit_scale(np.array([[0, 1, 4]], np.uint8), grey)
    array([[1.  , 0.75, 0.  ]], dtype=float32)
    """
    levels, index = _levels_of(stored)
    padding = _is_padding(levels, grey)
    unit, _ = _grey_of_levels(_modality(levels, grey), index, padding, grey)
    if grey.is_inverted:
        unit = 1.0 - unit
    unit[padding] = 0.0
    return np.asarray(unit.astype(np.float32)[index])


def stretched_range(stored: NDArray[np.integer], grey: GreyScale) -> tuple[float, float] | None:
    """Return the values that `to_unit_scale` shows darkest and brightest where it does not use the header's VOI.

    Parameters
    ----------
    stored : ndarray of shape (H, W), any integer dtype
        Stored values, native grid.
    grey : GreyScale
        From the film's header.

    Returns
    -------
    (float, float) or None
        In units of the modality transform's output; equal for a film of one level. None where the header's VOI LUT or
        window is used.
    """
    levels, index = _levels_of(stored)
    return _grey_of_levels(_modality(levels, grey), index, _is_padding(levels, grey), grey)[1]


def grey_note(stored: NDArray[np.integer], grey: GreyScale) -> str:
    """Return why the film is not displayed as its header says; empty if it is.

    Parameters
    ----------
    stored : ndarray of shape (H, W), any integer dtype
        Stored values, native grid.
    grey : GreyScale
        From the film's header.

    Returns
    -------
    str
        Reasons, joined by "; ".
    """
    if not (grey.windows or grey.voi_luts) or stretched_range(stored, grey) is None:
        return grey.note
    window = "the header's window is not usable or shows the film in one grey; its percentiles are displayed"
    return "; ".join(filter(None, (grey.note, window)))


def is_blank(stored: NDArray[np.integer], grey: GreyScale) -> bool:
    """Tell whether a film is blank: fewer than four levels between its 0.1 and 99.9 percentiles.

    Parameters
    ----------
    stored : ndarray of shape (H, W), any integer dtype
        Stored values, native grid; padding is excluded. A film of padding alone is blank.
    grey : GreyScale
        With the padding values.

    Returns
    -------
    bool
        True for a blank film.
    """
    sample = stored[::8, ::8]  # decides for nearly every film; only one that is blank there is examined in full
    if _spread(sample[~_is_padding(sample, grey)], (5, 95)) >= BLANK_LEVELS:
        return False
    return _spread(stored[~_is_padding(stored, grey)], BLANK_PERCENTILES) < BLANK_LEVELS


def _spread(values: NDArray[np.integer], percentiles: tuple[float, float]) -> int:
    if values.size == 0:
        return 0
    low, high = np.percentile(values, percentiles, method="nearest")
    return int(high) - int(low)


def _levels_of(stored: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
    """Return all levels in ascending order, and each pixel's index into them."""
    low, high = int(stored.min()), int(stored.max())
    if low >= 0 and high < _MAX_TABLE:
        return np.arange(high + 1), stored
    if high - low < _MAX_TABLE:
        return np.arange(low, high + 1), stored.astype(np.int64) - low
    levels, index = np.unique(stored, return_inverse=True)
    return levels.astype(np.int64), index.reshape(stored.shape)


def _is_padding(levels: NDArray[np.integer], grey: GreyScale) -> NDArray[np.bool_]:
    if grey.padding is None:
        return np.zeros(levels.shape, bool)
    first, last = sorted(grey.padding)
    return np.asarray((levels >= first) & (levels <= last))


def _modality(levels: NDArray[np.int64], grey: GreyScale) -> Floats:
    if grey.modality_lut is not None:
        return _look_up(levels.astype(np.float64), grey.modality_lut)
    return np.asarray(levels * grey.slope + grey.intercept, np.float64)


def _voi(values: Floats, grey: GreyScale) -> Floats | None:
    """Return the VOI transform's output divided by its range, or None if the header has no valid one."""
    if grey.voi_luts:
        lut = grey.voi_luts[0]
        return _look_up(values, lut) / (2.0**lut.bits - 1)
    for window in grey.windows:
        if window.is_valid:
            return _apply_window(values, window)
    return None


def _apply_window(values: Floats, window: VoiWindow) -> Floats:
    """Apply PS3.3 C.11.2.1.2 with an output range of 0 to 1."""
    centre, width = window.centre, window.width
    match window.function:
        case "SIGMOID":  # C.11.2.1.3.1; the exponent is bounded to avoid overflow
            return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700.0, 700.0))))
        case "LINEAR_EXACT":  # C.11.2.1.3.2
            return np.asarray(np.clip((values - centre) / width + 0.5, 0.0, 1.0))
        case "LINEAR":  # C.11.2.1.2.1
            if width == 1:  # a step: the ramp has no length
                return (values > centre - 0.5).astype(np.float64)
            return np.asarray(np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0))
        case other:
            raise ValueError(f"VOI LUT function {other!r}; expected LINEAR, LINEAR_EXACT or SIGMOID")


def _look_up(values: Floats, lut: LookupTable) -> Floats:
    index = np.clip(np.rint(values) - lut.first_mapped, 0, lut.entries.size - 1).astype(np.int64)
    return np.asarray(lut.entries[index], np.float64)


def _grey_of_levels(
    values: Floats,
    index: NDArray[np.integer],
    padding: NDArray[np.bool_],
    grey: GreyScale,
) -> tuple[Floats, tuple[float, float] | None]:
    """Return each level's grey before inversion, and the range that was stretched if the header's VOI is not used."""
    unit = _voi(values, grey)
    sample = index[::8, ::8]
    if unit is not None and _is_varied(unit[sample[~padding[sample]]], (5, 95)):
        return unit, None  # decides for nearly every film
    counts = np.bincount(index.ravel(), minlength=values.size)
    counts[padding] = 0
    if unit is not None and (not counts.any() or _is_varied(np.repeat(unit, counts), BLANK_PERCENTILES)):
        return unit, None
    low, high = _percentile_range(values, counts)
    if high <= low:
        return np.zeros_like(values), (low, low)
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0)), (low, high)


def _is_varied(unit: Floats, percentiles: tuple[float, float]) -> bool:
    """Return whether pixels differ visibly in grey between two percentiles."""
    if unit.size == 0:
        return False
    low, high = np.percentile(unit, percentiles, method="nearest")
    return bool(high - low >= _ONE_GREY)


def _percentile_range(values: Floats, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return the given percentiles of the counted levels; their extremes where the two coincide."""
    if not counts.any():
        return 0.0, 0.0
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order])
    ranks = np.array(PERCENTILES) / 100 * cumulative[-1]
    low, high = values[order][np.searchsorted(cumulative, ranks)]
    if high <= low:
        occurring = values[counts > 0]
        low, high = occurring.min(), occurring.max()
    return float(low), float(high)
