"""Which boxes of a network are trusted enough to train a second one: no annotation is needed to say."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Outcome(StrEnum):
    """What becomes of a film's box of a label that it shows; the first reason that holds, in this order."""

    UNLIKELY = "not confident enough"
    NO_BOX = "no box"
    UNSTABLE = "mirror image disagrees"
    LARGE = "not compact"
    USED = "used"


@dataclass(frozen=True)
class RegionBounds:
    """Bounds of a trusted box; documented in the ``refine`` section of the settings."""

    confidence: float
    agreement: float
    most_area: float


def outcomes(
    confidence: NDArray[np.float64],
    agreement: NDArray[np.float64],
    area: NDArray[np.float64],
    bounds: RegionBounds,
) -> list[Outcome]:
    """Say of each box whether it is trusted, or the first reason why not.

    Parameters
    ----------
    confidence : ndarray of shape (N,), float64
        Output of the network for the label on the film, 0-1; not calibrated.
    agreement : ndarray of shape (N,), float64
        IoU of the boxes of the film and of its mirror image; NaN if one has none.
    area : ndarray of shape (N,), float64
        Of the box, fraction of the film; NaN if there is none.
    bounds : RegionBounds
        What is required.

    Returns
    -------
    list of Outcome
        N of them.

    Examples
    --------
    >>> nan, bounds = float("nan"), RegionBounds(confidence=0.7, agreement=0.5, most_area=0.1)
    >>> given = [np.array(row) for row in ([0.6, 0.9, 0.9, 0.9, 0.9], [1, nan, 0.4, 0.6, 0.6], [1, nan, 1, 0.2, 0.1])]
    >>> [each.value for each in outcomes(*given, bounds)]
    ['not confident enough', 'no box', 'mirror image disagrees', 'not compact', 'used']
    """
    conditions = [
        confidence < bounds.confidence,
        np.isnan(agreement) | np.isnan(area),
        agreement < bounds.agreement,
        area > bounds.most_area,
    ]
    reasons = [Outcome.UNLIKELY, Outcome.NO_BOX, Outcome.UNSTABLE, Outcome.LARGE]
    chosen = np.select(conditions, np.arange(len(reasons)), default=len(reasons))
    return [(*reasons, Outcome.USED)[number] for number in chosen]
