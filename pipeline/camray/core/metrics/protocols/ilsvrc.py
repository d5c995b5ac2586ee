"""Protocol `ilsvrc`: rows of top-1 and top-5 errors, see `camray.core.metrics.protocols.top_k_errors`.

One number over all labels: rows carry the label ``all`` and have no mean. ``k`` is the criterion; with fewer than five
labels the second one is all of them.
"""

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import FloatArray, IntArray
from camray.core.metrics.protocols.top_k_errors import TOP_KS, top_errors
from camray.core.metrics.statistics import ALL_LABELS, RatioStatistic, StatisticRow


def top_errors_statistic(
    logits: FloatArray, present: NDArray[np.bool_], right: FloatArray, patients: IntArray, method: str, source: str
) -> RatioStatistic:
    """Make the rows of one method.

    Parameters
    ----------
    logits, present, right
        As for `top_errors`, [N, L].
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    method, source : str
        As in the score table.

    Returns
    -------
    RatioStatistic
        Classification and localization errors for each k.
    """
    rows, errors = [], []
    counted = np.asarray(present.any(axis=1), np.float64)
    for k in sorted({min(k, logits.shape[1]) for k in TOP_KS}):
        films = [top_errors(logits[[n]], present[[n]], right[[n]], k) for n in range(len(logits))]
        for kind in ("classification", "localization"):
            rows.append(StatisticRow(ALL_LABELS, method, f"ilsvrc/{kind}_error", float(k), source, int(counted.sum())))
            errors.append([getattr(each, kind) for each in films])
    above = np.nan_to_num(np.array(errors, np.float64).T.reshape(len(logits), len(rows)))
    return RatioStatistic(rows, patients, above, np.repeat(counted[:, None], len(rows), axis=1))
