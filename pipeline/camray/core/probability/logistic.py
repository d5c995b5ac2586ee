"""Logits to probabilities: the logistic function without overflow."""

import numpy as np
from numpy.typing import NDArray


def probabilities_of(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logistic function of logits.

    Parameters
    ----------
    logits : ndarray of any shape, floating
        Any real numbers.

    Returns
    -------
    ndarray of the same shape, float64
        0-1; computed as ``(1 + tanh(logit / 2)) / 2`` in float64, which overflows nowhere.

    Examples
    --------
    >>> probabilities_of(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64))))


def odds(probability: float) -> float:
    """Return the odds of a probability below 1.

    Examples
    --------
    >>> odds(0.75)
    3.0
    """
    return probability / (1.0 - probability)
