"""Penalised logistic regression on standardised columns, by scikit-learn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

TOLERANCE = 1e-8  # of the gradient: near the optimum, so that the solver does not show in the figures
MAX_STEPS = 100
CONSTANT = 1e-7  # deviation over mean, below which a column counts as constant (float32 rounding)


@dataclass(frozen=True)
class Logistic:
    """A fitted model: logit = features @ weights + offset.

    Parameters
    ----------
    weights : ndarray of shape (D,), float64
        In units of the features as given, not standardised.
    offset : float
        Logit where all features are 0.
    """

    weights: NDArray[np.float64]
    offset: float

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute logits.

        Parameters
        ----------
        features : ndarray of shape (N, D), floating
            As in the fit.

        Returns
        -------
        ndarray of shape (N,), float64
            Logits.
        """
        return np.asarray(features.astype(np.float64) @ self.weights + self.offset)


def fit_logistic(
    features: NDArray[np.floating],
    target: NDArray[np.bool_],
    counts: NDArray[np.float64] | None = None,
    penalty: float = 1.0,
) -> Logistic:
    """Fit with a penalty of half the squared weights of the standardised columns.

    Parameters
    ----------
    features : ndarray of shape (N, D), floating
        Finite; constant columns get the weight 0.
    target : ndarray of shape (N,), bool
        Must hold both classes.
    counts : ndarray of shape (N,), float64, optional
        Each row counts so many times in the likelihood, positive; once by default.
    penalty : float
        Factor on the penalty, beside the sum (not the mean) of the rows' losses.

    Returns
    -------
    Logistic
        The one optimum: the penalised likelihood is strictly convex.
    """
    columns = features.astype(np.float64)
    mean, deviation = columns.mean(axis=0), columns.std(axis=0)
    varies = deviation > CONSTANT * np.maximum(np.abs(mean), 1e-30)
    weights = np.zeros(columns.shape[1])
    if not varies.any():
        share = np.average(target, weights=counts)
        return Logistic(weights, float(np.log(share / (1 - share))))
    standardised = (columns[:, varies] - mean[varies]) / deviation[varies]
    model = LogisticRegression(C=1.0 / penalty, solver="newton-cholesky", tol=TOLERANCE, max_iter=MAX_STEPS)
    model.fit(standardised, target, sample_weight=counts)
    weights[varies] = model.coef_[0] / deviation[varies]
    return Logistic(weights, float(model.intercept_[0] - weights @ mean))
