"""Logistic regression to its optimum by Newton's steps: many small fits, each a matter of milliseconds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

MOST_STEPS = 50
PRECISION = 1e-5  # of the last step; what is left after it is about its square


@dataclass(frozen=True)
class Logistic:
    """A fitted model: logit = features @ weights + offset; weights of shape (D,), float64."""

    weights: NDArray[np.float64]
    offset: float

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the logits [N] of features [N, D]."""
        return np.asarray(features.astype(np.float64) @ self.weights + self.offset)


def fit_logistic(features: NDArray[np.floating], target: NDArray[np.bool_]) -> Logistic:
    """Fit with a penalty of half the squared weights of the standardised columns.

    Parameters
    ----------
    features : ndarray of shape (N, D), floating
        Finite; constant columns get the weight 0.
    target : ndarray of shape (N,), bool
        Both kinds.

    Notes
    -----
    The penalised likelihood is strictly convex, so there is one answer, that of scikit-learn's ``LogisticRegression``
    with ``C=1`` on standardised columns; a step that does not lower the cost is halved.
    """
    columns = features.astype(np.float64)
    mean, deviation = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(deviation > 1e-7 * np.maximum(np.abs(mean), 1e-30), deviation, np.inf)
    design = np.column_stack([(columns - mean) / scale, np.ones(len(columns))])
    signs, penalty = np.where(target, 1.0, -1.0), np.append(np.ones(columns.shape[1]), 0.0)
    share = target.mean()
    weights = np.append(np.zeros(columns.shape[1]), np.log(share / (1 - share)))
    cost = _cost(design, signs, penalty, weights)
    for _ in range(MOST_STEPS):
        probability = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (probability - target) + penalty * weights
        weighed = design * np.sqrt(probability * (1 - probability))[:, None]
        curvature = weighed.T @ weighed + np.diag(penalty)  # half the work, as it is symmetric
        step = cho_solve(cho_factor(curvature, check_finite=False), gradient, check_finite=False)
        while (lower := _cost(design, signs, penalty, weights - step)) > cost and np.abs(step).max() > PRECISION:
            step /= 2
        weights, cost = weights - step, lower
        if np.abs(step).max() <= PRECISION:
            break
    return Logistic(weights[:-1] / scale, float(weights[-1] - (weights[:-1] / scale) @ mean))


def _cost(
    design: NDArray[np.float64], signs: NDArray[np.float64], penalty: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    return float(np.logaddexp(0.0, -signs * (design @ weights)).sum() + (penalty * weights**2).sum() / 2)
