"""What became of a promise on scored films: sensitivity and PPV beside what was promised, and the share not judged.

- ``promise/sensitivity``: of films with the finding, those on which it is reported or not judged; ``criterion`` is the
  promised share, missing where none is promised.
- ``promise/ppv``: of films on which the finding is reported, those that show it; likewise.
- ``promise/not_judged``: share of all films on which the finding is neither reported nor denied.
"""

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.score_table import CLASSIFIER, LabelLogits
from camray.core.metrics.statistics import RatioStatistic, StatisticRow
from camray.core.probability.promise import Promise

PREFIX = "promise/"
SENSITIVITY, PPV, NOT_JUDGED = f"{PREFIX}sensitivity", f"{PREFIX}ppv", f"{PREFIX}not_judged"


def promise_statistic(
    promise: Promise,
    films: LabelLogits,
    is_reported: NDArray[np.bool_],
    is_unjudged: NDArray[np.bool_],
    source: str,
) -> RatioStatistic:
    """Make the three rows of one finding.

    Parameters
    ----------
    promise : Promise
        Of the finding.
    films : LabelLogits
        N scored films whose label is known.
    is_reported, is_unjudged : ndarray of shape (N,), bool
        What is said of them.
    source : str
        Threshold source: where the cutoffs were chosen.

    Returns
    -------
    RatioStatistic
        Sensitivity, PPV and share not judged.
    """
    present, everything = films.present, np.ones(len(films.present), np.bool_)
    kept = promise.terms.sensitivity if promise.lower is not None else None
    right = promise.terms.ppv if promise.upper is not None else None
    shares = (
        (SENSITIVITY, kept, is_reported | is_unjudged, present),
        (PPV, right, present, is_reported),
        (NOT_JUDGED, None, is_unjudged, everything),
    )
    rows = [
        StatisticRow(promise.label, CLASSIFIER, metric, criterion, source, int(of.sum()))
        for metric, criterion, _, of in shares
    ]
    above, below = (
        np.stack(columns, axis=1).astype(np.float64)
        for columns in zip(*((hit & of, of) for _, _, hit, of in shares), strict=True)
    )
    return RatioStatistic(rows, films.patients, above, below)
