"""Groups of films, by view, sex, age band, site or manufacturer: balanced in training, compared in scores."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

GROUP_NAMES = ("sex", "age", "view", "maker", "site")
BAND_YEARS = 20
OLDEST_BAND = 80  # years; older patients share a band
OTHER_VIEW = "other"
_VIEWS = {"", "AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "LATERAL", "FRONTAL"}


def view_code(view: str) -> str:
    """Return a view if it is a usual one: the text of a header or table is free, and results have no free text.

    Examples
    --------
    >>> view_code("pa"), view_code("Smith^Anna"), view_code("")
    ('PA', 'other', '')
    """
    return view.upper() if view.upper() in _VIEWS else OTHER_VIEW


def group_names(films: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """Name each film's group.

    Parameters
    ----------
    films : DataFrame
        Columns ``view``, ``sex``, ``site`` and ``maker`` as text, and ``age_years``; those that are asked for.
    column : str
        One of `GROUP_NAMES`; ages are compared in bands of `BAND_YEARS`.

    Returns
    -------
    ndarray of shape (films,), object
        Texts; empty where it is not known.

    Examples
    --------
    >>> group_names(pd.DataFrame({"age_years": [7.0, 59.0, 91.0, None]}), "age").tolist()
    ['0-19', '40-59', '80+', '']
    """
    if column != "age":
        return films[column].astype("string").fillna("").to_numpy(dtype=object)
    first = (films["age_years"].clip(upper=OLDEST_BAND) // BAND_YEARS * BAND_YEARS).astype("Int64").astype("string")
    last = (films["age_years"] // BAND_YEARS * BAND_YEARS + BAND_YEARS - 1).astype("Int64").astype("string")
    bands = (first + "-" + last).where(films["age_years"] < OLDEST_BAND, first + "+")
    return bands.fillna("").to_numpy(dtype=object)
