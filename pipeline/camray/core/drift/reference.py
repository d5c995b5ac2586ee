"""Distribution of one feature over the films that a folder is compared with: counts in cells, without any film.

The cells are chosen on these films alone: quantiles of numbers, or the values of texts and of numbers with few values.
Both tests and the page need the counts only, so that a model package can have them in place of its films.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.core.drift.features import Feature

FEWEST_FILMS = 20  # with fewer nothing is said
MOST_BINS = 10  # of PSI
FILMS_PER_BIN = 5
CELLS_PER_BIN = 5  # of the Kolmogorov-Smirnov distance
FEW_VALUES = 12  # numbers with no more values than this are compared value by value
RARE_FILMS = 5  # values of fewer films share a cell, with all that no film of the reference has
OTHER = "another value"
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reference:
    """Counts of one feature.

    Parameters
    ----------
    key, title : str
        As of the `Feature`.
    names : tuple of str
        Values that have a cell each; then the last cell is `OTHER`. Empty for quantile cells.
    edges : tuple of float
        Lower edges of all quantile cells but the first; a cell is half-open. Empty for values.
    bins : tuple of int
        Bin of PSI that each cell is in, ascending.
    counts : tuple of int
        Films in each cell.
    median : float or None
        Of numbers.
    """

    key: str
    title: str
    names: tuple[str, ...]
    edges: tuple[float, ...]
    bins: tuple[int, ...]
    counts: tuple[int, ...]
    median: float | None = None

    @property
    def films(self) -> int:
        """Films of which the value is known."""
        return sum(self.counts)

    @property
    def is_continuous(self) -> bool:
        """Whether the cells are in order along a number."""
        return bool(self.edges)

    def count(self, feature: Feature) -> IntArray:
        """Count other films in the cells.

        Parameters
        ----------
        feature : Feature
            The same feature of other films.

        Returns
        -------
        ndarray of shape (cells,), int64
            Films whose value is not known are left out.
        """
        if self.is_continuous:
            known = feature.values[np.isfinite(feature.values)]
            cells = np.searchsorted(self.edges, known, side="right")
        else:
            position = {name: number for number, name in enumerate(self.names)}
            cells = np.array([position.get(text, len(self.names)) for text in _as_texts(feature)], np.int64)
        return np.bincount(cells, minlength=len(self.counts))

    def in_bins(self, counts: NDArray[Any]) -> IntArray:
        """Add cells up to the bins of PSI.

        Parameters
        ----------
        counts : ndarray of shape (cells,)
            Films.

        Returns
        -------
        ndarray of shape (bins,), int64
        """
        return np.bincount(self.bins, weights=counts).astype(np.int64)

    @property
    def bin_titles(self) -> tuple[str, ...]:
        """Return the bins in words: values, or the lower edge of each bin after the first."""
        if not self.is_continuous:
            return (*self.names, OTHER)
        first = [self.bins.index(number) for number in range(1, max(self.bins) + 1)]
        lower = [f"{self.edges[cell - 1]:.3g}" for cell in first]
        return (f"< {lower[0]}", *(f"{edge} +" for edge in lower)) if lower else ("all",)


@dataclass(frozen=True)
class RunReference:
    """What the folders of a run's predictions are compared with.

    Parameters
    ----------
    references : tuple of Reference
        Of each feature.
    maker_key : str
        Fingerprint of the key that manufacturers are hashed with; empty where they are not known.
    training, held_out : int
        Training patients, for header and appearance; validation and test patients, for outputs.
    networks : tuple of str
        Digests that predictions may name as their network's.
    """

    references: tuple[Reference, ...]
    maker_key: str
    training: int
    held_out: int
    networks: tuple[str, ...]


def reference_of(feature: Feature) -> Reference:
    """Count the films of the reference; numbers in quantile cells where there are many values.

    Parameters
    ----------
    feature : Feature
        Of the films of the reference.

    Examples
    --------
    >>> reference_of(Feature("header/view", "view", np.array(["PA"] * 7 + ["AP"] * 5 + ["LL"], object))).counts
    (7, 5, 1)
    """
    if feature.is_number:
        known = feature.values[np.isfinite(feature.values)]
        median = float(np.median(known)) if known.size else None
        if len(np.unique(known)) > FEW_VALUES:
            return _in_quantiles(feature, known, median)
    else:
        median = None
    common = [(name, count) for name, count in Counter(_as_texts(feature)).most_common() if count >= RARE_FILMS]
    common.sort(key=lambda each: (-each[1], each[0]))
    names = tuple(name for name, _ in common)
    empty = Reference(feature.key, feature.title, names, (), tuple(range(len(names) + 1)), (), median)
    return _with_counts(empty, feature, len(names) + 1)


def _in_quantiles(feature: Feature, known: NDArray[np.float64], median: float | None) -> Reference:
    bins = int(np.clip(len(known) // FILMS_PER_BIN, 2, MOST_BINS))
    edges = np.unique(np.quantile(known, np.arange(1, bins * CELLS_PER_BIN) / (bins * CELLS_PER_BIN)))
    bin_edges = np.unique(np.quantile(known, np.arange(1, bins) / bins))
    lower = np.concatenate([[-np.inf], edges])
    number = np.searchsorted(bin_edges, lower, side="right")
    number = np.unique(number, return_inverse=True)[1]
    plain = (tuple(map(float, edges)), tuple(map(int, number)))
    return _with_counts(Reference(feature.key, feature.title, (), *plain, (), median), feature, len(lower))


def _with_counts(empty: Reference, feature: Feature, cells: int) -> Reference:
    known = Reference(empty.key, empty.title, empty.names, empty.edges, empty.bins, (0,) * cells, empty.median)
    counts = tuple(map(int, known.count(feature)))
    return Reference(empty.key, empty.title, empty.names, empty.edges, empty.bins, counts, empty.median)


def _as_texts(feature: Feature) -> list[str]:
    """Return the values as texts; numbers shortened, so that spacings of one detector are one value."""
    if not feature.is_number:
        return [str(value) for value in feature.values]
    return [f"{value:.4g}" for value in feature.values[np.isfinite(feature.values)]]
