"""Masks as run lengths: COCO's compressed text, and the texts of published tables.

All count down the columns. *Counts* are the lengths of the runs of absent and present pixels in turn, the first one
absent (it may be 0), and their sum is the number of pixels.
"""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
_MAX_CHARACTERS = 8  # five bits each: enough for any run of a mask below 2**39 px


def counts_of_mask(mask: NDArray[np.bool_]) -> Counts:
    """Return the counts of a mask [H, W]."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start = [0, 0] if flat[0] else [0]
    ends: Counts = np.concatenate([start, changes, [flat.size]]).astype(np.int64)
    return ends[1:] - ends[:-1]


def mask_of_counts(counts: Counts, rows: int, cols: int) -> NDArray[np.bool_]:
    """Return the mask [rows, cols] of counts.

    Raises
    ------
    ValueError
        If the counts do not fill it exactly.
    """
    _check(counts, rows * cols)
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(cols, rows).T


def coco_text(counts: Counts) -> str:
    """Compress counts to text.

    Notes
    -----
    From the fourth on, a number is stored as its difference to the number two before. Each takes characters of five
    bits, least first, with a continuation bit of 32 and an offset of 48. Source: ``rleToString`` of the COCO API.

    Examples
    --------
    >>> coco_text(counts_of_mask(np.array([[False, True], [True, True]])))
    '13'
    """
    remaining = counts.copy()
    remaining[3:] -= counts[1:-2]
    characters = np.zeros((remaining.size, _MAX_CHARACTERS), np.uint8)
    is_open = np.ones(remaining.size, np.bool_)
    for position in range(_MAX_CHARACTERS):
        five = remaining & 31
        remaining >>= 5
        continues = np.where(five & 16, remaining != -1, remaining != 0)
        characters[is_open, position] = (five + 32 * continues + 48)[is_open]
        is_open &= continues
        if not is_open.any():
            break
    return characters[characters > 0].tobytes().decode("ascii")


def coco_counts(text: str, pixels: int) -> Counts:
    """Read COCO's compressed run lengths; see `coco_text`.

    Raises
    ------
    ValueError
        If the text does not describe a mask of so many pixels.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    counts = np.array(runs, dtype=np.int64)
    if shift:
        raise ValueError("the text ends within a number")
    _check(counts, pixels)
    return counts


def relative_counts(text: str, pixels: int) -> Counts:
    """Read pairs of (pixels since the end of the run before, length): SIIM-ACR's encoding.

    Parameters
    ----------
    text : str
        Whole numbers and blanks.
    pixels : int
        Of the mask.

    Raises
    ------
    ValueError
        If the text holds anything else, or the runs reach over the mask's end.

    Notes
    -----
    The challenge's own reader fills a flat array from these pairs and turns rows into columns afterwards: runs go down
    the columns, as COCO's do, and the pairs are its counts but for the absent rest.

    Examples
    --------
    >>> relative_counts("1 2 3 1", 9).tolist()
    [1, 2, 3, 1, 2]
    """
    numbers = _pairs(text)
    counts = np.append(numbers, pixels - numbers.sum())
    _check(counts, pixels)
    return counts


def absolute_counts(text: str, pixels: int) -> Counts:
    """Read pairs of (number of the first pixel from 1, length), ascending: the usual encoding of challenges.

    Examples
    --------
    >>> absolute_counts("2 2 7 1", 9).tolist()
    [1, 2, 3, 1, 2]
    """
    numbers = _pairs(text)
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    ends = np.append(0, starts + lengths)
    counts = np.append(np.stack([starts - ends[:-1], lengths], axis=1).ravel(), pixels - ends[-1])
    _check(counts, pixels)
    return counts


def box_of_counts(counts: Counts, rows: int) -> tuple[float, float, float, float] | None:
    """Return the smallest upright box (x0, y0, x1, y1) around a mask, half-open; None if it is empty."""
    ends = np.cumsum(counts)[1::2]
    starts, ends = ends - counts[1::2], ends
    starts, ends = starts[ends > starts], ends[ends > starts]
    if starts.size == 0:
        return None
    first, last = starts // rows, (ends - 1) // rows
    wraps = bool((first != last).any())  # a run over a column's end holds a last row and a first one
    y0 = 0 if wraps else int((starts % rows).min())
    y1 = rows if wraps else int(((ends - 1) % rows).max()) + 1
    return float(first[0]), float(y0), float(last[-1] + 1), float(y1)


def scaled_counts(counts: Counts, from_rc: tuple[int, int], to_rc: tuple[int, int]) -> Counts:
    """Bring a mask onto another grid of the same film: each pixel takes the old one that its centre lies in."""
    mask = mask_of_counts(counts, *from_rc)
    rows, cols = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for new, old in zip(to_rc, from_rc, strict=True)
    )
    return counts_of_mask(mask[np.ix_(rows, cols)])


def _pairs(text: str) -> Counts:
    try:
        numbers = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError("expected whole numbers and blanks") from error
    if len(numbers) % 2:
        raise ValueError("expected pairs of numbers")
    return numbers


def _check(counts: Counts, pixels: int) -> None:
    if (counts < 0).any() or int(counts.sum()) != pixels:
        raise ValueError(f"the runs do not fill {pixels} px exactly")
