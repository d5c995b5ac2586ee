"""Mean and spread of score tables over several seeds. No seed is ever chosen by its scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

KEYS = ["split", "method", "label", "metric", "criterion", "threshold_source"]
SPREAD_COLUMNS = (*KEYS, "mean", "sd", "low", "high", "seeds", "n")


def spread_of(tables: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Combine the score tables of runs that differ in their seed alone.

    Parameters
    ----------
    tables : mapping
        Seed to `SCORE_COLUMNS`.

    Returns
    -------
    DataFrame
        `SPREAD_COLUMNS` and a column ``seed_<n>`` a run, rows in the order of the first table. ``sd`` is the sample's
        standard deviation (n - 1), ``low`` and ``high`` the least and largest value over the seeds; they hold what
        training varies, not what the choice of patients does: that is in each run's own intervals. ``seeds`` counts
        the runs whose value is defined, ``n`` the films (of the first table).

    Raises
    ------
    ValueError
        If there are fewer than two tables.
    """
    if len(tables) < 2:
        raise ValueError("a spread needs at least two seeds")
    tables_of_seeds = []
    for seed, table in sorted(tables.items()):
        tables_of_seeds.append(table.assign(seed=seed))
    rows = pd.concat(tables_of_seeds, ignore_index=True)
    rows["threshold_source"] = rows["threshold_source"].astype("string").fillna("")
    rows["criterion"] = rows["criterion"].astype(np.float64)
    grouped = rows.groupby(KEYS, sort=False, dropna=False)
    values: Any = grouped["value"]  # the stubs take named aggregations for a series
    spread_rows = values.agg(mean="mean", sd="std", low="min", high="max", seeds="count")
    spread_rows["n"] = grouped["n"].first()
    for seed in sorted(tables):
        spread_rows[f"seed_{seed}"] = (
            rows["value"]
            .where(rows["seed"] == seed)
            .groupby([rows[key] for key in KEYS], sort=False, dropna=False)
            .first()
        )
    spread: pd.DataFrame = spread_rows.reset_index()
    return spread[[*SPREAD_COLUMNS, *(f"seed_{seed}" for seed in sorted(tables))]]
