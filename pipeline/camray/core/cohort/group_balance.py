"""Weights of films that make every label independent of groups, such as views, sexes, age bands or sites."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.cohort.groups import group_names


def group_codes(films: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Give films that agree in every column the same number.

    Parameters
    ----------
    films : DataFrame
        As `camray.core.cohort.groups.group_names` takes them; what is missing is a value too.
    columns : sequence of str
        Any of ``view``, ``sex``, ``age``, ``site`` and ``maker``.

    Returns
    -------
    ndarray of shape (films,), int64
        From 0; equal numbers are one group.
    """
    texts = pd.DataFrame({column: group_names(films, column) for column in columns})
    return np.asarray(texts.groupby(list(columns), sort=True).ngroup(), np.int64)


def balance_weights(groups: NDArray[np.int64], targets: NDArray[np.float32], cap: float) -> NDArray[np.float32]:
    """Weight films so that a label is as frequent in every group.

    Parameters
    ----------
    groups : ndarray of shape (N,), int64
        From `group_codes`.
    targets : ndarray of shape (N, L), float32
        1 present, 0 absent, NaN no information.
    cap : float
        Upper limit of a weight; where it is reached, independence is only approached.

    Returns
    -------
    ndarray of shape (N, L), float32
        Of a film of group g and value y: ``n(g) n(y) / (n n(g, y))``, over the films of groups with both values
        (Kamiran and Calders 2012). Films of groups with one value get 0, as do those without information: nothing
        can balance them. A label without any group of both values keeps the weight 1.

    Examples
    --------
    Three of four films of group 0 show the finding, and one of four of group 1:

    >>> groups = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> targets = np.array([[1, 1, 1, 0, 1, 0, 0, 0]], np.float32).T
    >>> np.round(balance_weights(groups, targets, cap=10)[:, 0], 2)
    array([0.67, 0.67, 0.67, 2.  , 2.  , 0.67, 0.67, 0.67], dtype=float32)
    """
    weights = np.ones(targets.shape, np.float32)
    for label, column in enumerate(targets.T):
        is_known = ~np.isnan(column)
        counts = np.zeros((int(groups.max(initial=-1)) + 1, 2))
        np.add.at(counts, (groups[is_known], column[is_known].astype(np.int64)), 1)
        counts[(counts == 0).any(axis=1)] = 0
        if not counts.any():
            continue
        expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
        ratio = np.divide(expected, counts, out=np.zeros_like(counts), where=counts > 0)
        value = np.where(is_known, column, 0).astype(np.int64)
        weights[:, label] = np.where(is_known, np.minimum(ratio[groups, value], cap), 0)
    return weights
