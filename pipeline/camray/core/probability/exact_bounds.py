"""Exact one-sided bounds of a share (Clopper and Pearson, Biometrika 1934)."""

from scipy.special import betaincinv


def lowest_share(hits: int, n: int, error: float) -> float:
    """Return the lower bound of a share.

    Parameters
    ----------
    hits, n : int
        Of `n` independent trials so many hit.
    error : float
        Probability that the true share is below the bound, at most; 0-1.

    Returns
    -------
    float
        0 without a hit.

    Examples
    --------
    >>> round(lowest_share(4, 4, 0.1), 4)  # x ** 4 = 0.1
    0.5623
    """
    return float(betaincinv(hits, n - hits + 1, error)) if hits else 0.0


def highest_share(hits: int, n: int, error: float) -> float:
    """Return the upper bound of a share, likewise.

    Examples
    --------
    >>> round(highest_share(0, 4, 0.1), 4)  # (1 - x) ** 4 = 0.1
    0.4377
    """
    return 1.0 - lowest_share(n - hits, n, error)
