"""Films unlike those of training, by view, width and appearance; limits come from training and validation films.

A film is *foreign* if its view is not among those of training, if its width in mm is beyond theirs, or if its
appearance is farther from theirs than that of almost all validation films. Appearance is a vector of grey levels and
contrasts (`appearance_of`); its distance counts the directions in which training films vary by their spread, and all
others together by the rest's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from camray.core.imaging.film_statistics import TILE_SIDE, ImageStatistics

LEAST_TRAINING, LEAST_VALIDATION = 50, 20  # patients
DIRECTIONS, FILMS_PER_DIRECTION = 16, 5
LEAST_VIEW_SHARE, LEAST_VIEW_FILMS = 0.005, 3
WIDER, MORE = 1.25, 2.0  # factors on width and deviation of training
DEVIATION = -4  # place of the standard deviation in the appearance
_POOLED = 3  # tiles per side that share a contrast
_LEAST_SPREAD, _LEAST_CONTRAST = 0.01, 0.01  # grey 0-1
_KNOWN = 0.9  # share of training films whose view or width must be known, for it to be compared
_EXTREME = 8.0  # spreads; what is beyond does not shape the directions


@dataclass(frozen=True, eq=False)
class FilmFacts:
    """What is compared of N films.

    Parameters
    ----------
    appearance : ndarray of shape (N, D), float64
        See `appearance_of`.
    views : tuple of str
        See `camray.core.cohort.groups.view_code`; empty where unknown.
    widths_mm : ndarray of shape (N,), float64
        NaN where unknown.
    patients : ndarray of shape (N,), int64
        Number of each film's patient.
    """

    appearance: NDArray[np.float64]
    views: tuple[str, ...]
    widths_mm: NDArray[np.float64]
    patients: NDArray[np.int64]


@dataclass(frozen=True)
class FilmRange:
    """Which films are like those of training: sums over films alone, none of a single film.

    Parameters
    ----------
    training, validation : int
        Patients that it rests on, one film of each.
    reason : str
        Why films are not compared; empty if they are.
    views : tuple of str
        Those of training; empty: not compared.
    widths_mm : (float, float) or None
        Least and greatest width; None: not compared.
    deviations : (float, float)
        Least and greatest standard deviation of grey: a film of one grey is like none.
    centre, scale : tuple of float
        D each: median and spread of training films.
    directions : tuple of tuple of float
        K directions of D numbers, in units of `scale`.
    spreads : tuple of float
        K: standard deviations along them.
    rest : float
        Root mean square of what is left.
    limit : float
        Distance beyond which a film is foreign.
    share : float
        Share of films like the validation films that is beyond, expected.
    """

    training: int
    validation: int
    reason: str = ""
    views: tuple[str, ...] = ()
    widths_mm: tuple[float, float] | None = None
    deviations: tuple[float, float] = (0.0, 1.0)
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    directions: tuple[tuple[float, ...], ...] = ()
    spreads: tuple[float, ...] = ()
    rest: float = 1.0
    limit: float = 0.0
    share: float = 0.0

    def distances(self, appearance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far films are from those of training.

        Parameters
        ----------
        appearance : ndarray of shape (N, D), float64
            See `appearance_of`.

        Returns
        -------
        ndarray of shape (N,), float64
            Root mean square over directions and rest; about 1 for training films.
        """
        unit = (appearance - np.array(self.centre)) / np.array(self.scale)
        directions = np.array(self.directions).reshape(-1, unit.shape[1])
        along = unit @ directions.T
        beside = ((unit - along @ directions) ** 2).sum(axis=1) / self.rest**2
        inside = ((along / np.array(self.spreads)) ** 2).sum(axis=1)
        return np.asarray(np.sqrt((inside + beside) / unit.shape[1]))

    def why_foreign(self, films: FilmFacts) -> list[str]:
        """Say of each film why it is foreign; empty if it is not."""
        if self.reason:
            return [""] * len(films.views)
        low, high = self.deviations
        deviation = films.appearance[:, DEVIATION]
        beyond = (self.distances(films.appearance) > self.limit) | (deviation < low) | (deviation > high)
        return [
            _header_reason(self, view, float(width)) or ("appearance unlike the training films'" if far else "")
            for view, width, far in zip(films.views, films.widths_mm, beyond, strict=True)
        ]


def appearance_of(film: ImageStatistics) -> NDArray[np.float64]:
    """Return a film's appearance: grey in 8 x 8 tiles, log contrast in 4 x 4, and five figures of its grey levels.

    Parameters
    ----------
    film : ImageStatistics
        Of the film on the model grid, margins excluded.

    Returns
    -------
    ndarray of shape (85,), float64
    """
    side = TILE_SIDE // _POOLED
    contrasts = film.tiles[TILE_SIDE**2 :].astype(np.float64).reshape(side, _POOLED, side, _POOLED).mean(axis=(1, 3))
    levels = (film.mean, film.deviation, film.low, film.median, film.high)
    return np.concatenate([film.thumbnail, np.log(contrasts.ravel() + _LEAST_CONTRAST), levels]).astype(np.float64)


def fit_film_range(training: FilmFacts, validation: FilmFacts, share: float) -> FilmRange:
    """Learn which films are like those of training.

    Parameters
    ----------
    training, validation : FilmFacts
        One film of each patient.
    share : float
        Of films like those of validation, how many may be called foreign by their appearance. With n patients the limit
        is the distance of number ``ceil((n + 1)(1 - share))``, the conformal one: the share is kept on average. With
        few patients it is the farthest, and the share 1 / (n + 1).

    Returns
    -------
    FilmRange
        With a reason in place of limits where there are fewer than `LEAST_TRAINING` or `LEAST_VALIDATION` patients.
    """
    n_training, n_validation = len(training.views), len(validation.views)
    counted = FilmRange(n_training, n_validation)
    if why := too_few(n_training, n_validation):
        return replace(counted, reason=why)
    shaped = _with_directions(counted, training)
    ordered = np.sort(shaped.distances(validation.appearance))
    rank = min(n_validation, ceil((n_validation + 1) * (1 - share) - 1e-9))
    return replace(
        shaped,
        limit=round(float(ordered[rank - 1]), 6) + 1e-6,
        share=1 - rank / (n_validation + 1),
    )


def too_few(training: int, validation: int) -> str:
    """Say that so many patients are too few to compare films; empty if they are enough."""
    if training >= LEAST_TRAINING and validation >= LEAST_VALIDATION:
        return ""
    return (
        f"{training} training and {validation} validation patients; {LEAST_TRAINING} and {LEAST_VALIDATION} are needed"
    )


def _with_directions(counted: FilmRange, films: FilmFacts) -> FilmRange:
    """Return views, widths, and the directions in which films vary."""
    centre = np.median(films.appearance, axis=0)
    spread = 1.4826 * np.median(np.abs(films.appearance - centre), axis=0)
    scale = np.maximum(spread, _LEAST_SPREAD)
    unit = np.clip((films.appearance - centre) / scale, -_EXTREME, _EXTREME)
    _, singular, directions = np.linalg.svd(unit, full_matrices=False)
    kept = min(DIRECTIONS, len(unit) // FILMS_PER_DIRECTION)
    rest = np.sqrt((singular[kept:] ** 2).sum() / (len(unit) * (unit.shape[1] - kept)))
    return replace(
        counted,
        views=_views_of(films.views),
        widths_mm=_widths_of(films.widths_mm),
        deviations=_widened(films.appearance[:, DEVIATION], MORE),
        centre=_rounded(centre),
        scale=_rounded(scale),
        directions=tuple(map(_rounded, directions[:kept])),
        spreads=_rounded(np.maximum(singular[:kept] / np.sqrt(len(unit)), 0.01)),
        rest=max(round(float(rest), 5), 0.01),
    )


def _views_of(views: Sequence[str]) -> tuple[str, ...]:
    known = [view for view in views if view]
    if len(known) < _KNOWN * len(views):
        return ()
    names, counts = np.unique(known, return_counts=True)
    least = max(LEAST_VIEW_FILMS, LEAST_VIEW_SHARE * len(known))
    return tuple(str(name) for name, count in zip(names, counts, strict=True) if count >= least)


def _widths_of(widths: NDArray[np.float64]) -> tuple[float, float] | None:
    known = widths[np.isfinite(widths)]
    if len(known) < _KNOWN * len(widths):
        return None
    return _widened(known, WIDER)


def _widened(values: NDArray[np.float64], factor: float) -> tuple[float, float]:
    low, high = np.quantile(values, (0.005, 0.995))
    return round(float(low) / factor, 4), round(float(high) * factor, 4)


def _header_reason(known: FilmRange, view: str, width: float) -> str:
    if known.views and view and view not in known.views:
        return f"view {view}, training films have {', '.join(known.views)}"
    if known.widths_mm is not None and np.isfinite(width):
        low, high = known.widths_mm
        if not low <= width <= high:
            return f"{width:.0f} mm wide, training films {low:.0f} to {high:.0f} mm"
    return ""


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)
