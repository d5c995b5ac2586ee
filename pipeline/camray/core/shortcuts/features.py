"""Trivial features of films, by kind: grey levels, tags, patients, and parts of the film without lungs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.imaging.film_statistics import HISTOGRAM_BINS, THUMBNAIL_SIDE, TILE_SIDE

RARE_FILMS = 5
MOST_YEARS = 120  # NIH's table holds ages over 400
CORNER_TILES = 3  # a quarter of each side: where markers and text are
LUNG_SHARE, LUNG_FILMS = 0.1, 0.05  # a tile is lung if so much of it is, on more than this share of the films
FEWEST_LUNG_FILMS = 8
SCANNER_TAGS = ("maker", "spacing", "size", "transfer_syntax", "photometric", "bits_stored", "spacing_source")


def probe_features(
    images: pd.DataFrame, glances: NDArray[np.float32], lungs: NDArray[np.bool_] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Gather all kinds of trivial features; kinds that do not vary over the films are left out.

    Parameters
    ----------
    images : DataFrame
        Columns of the images table, and ``maker, site, sex, age_years``.
    glances : ndarray of shape (films, 384), float32
        Histogram, thumbnail and tiles of each film.
    lungs : ndarray of shape (12, 12), bool, optional
        From `lung_tiles`; None leaves ``lungs masked out`` out.

    Returns
    -------
    dict
        Kind to features, [films, D].
    """
    tags = acquisition_tags(images)
    tiles = glances[:, HISTOGRAM_BINS + THUMBNAIL_SIDE**2 :]
    by_kind = {
        "grey-level histogram": glances[:, :HISTOGRAM_BINS],
        "8x8 thumbnail": glances[:, HISTOGRAM_BINS : HISTOGRAM_BINS + THUMBNAIL_SIDE**2],
        "acquisition tags": one_hot(tags),
        "scanner": one_hot({name: tags[name] for name in SCANNER_TAGS}),
        **{name: one_hot({name: images[name].fillna("").astype(str).tolist()}) for name in ("site", "view", "sex")},
        "age": _age(images["age_years"].to_numpy(np.float64, na_value=np.nan)),
        **{kind: tiles[:, np.tile(mask.ravel(), 2)] for kind, mask in regions(lungs).items()},
    }
    always = ("grey-level histogram", "8x8 thumbnail", "acquisition tags")
    return {
        kind: table
        for kind, table in by_kind.items()
        if kind in always or (table.size and (np.ptp(table, axis=0) > 0).any())
    }


def border_and_contrast(glances: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average the outermost tiles of films, and the standard deviation within all tiles.

    Parameters
    ----------
    glances : ndarray of shape (films, 384), float32
        Histogram, thumbnail and tiles of each film.

    Returns
    -------
    border, contrast : ndarray of shape (films,), float64
        Grey 0-1.
    """
    tiles = glances[:, HISTOGRAM_BINS + THUMBNAIL_SIDE**2 :].astype(np.float64)
    means, deviations = tiles[:, : TILE_SIDE**2], tiles[:, TILE_SIDE**2 :]
    return means[:, regions(None)["border"].ravel()].mean(axis=1), deviations.mean(axis=1)


def tile_shares(mask: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Compute how much of each of side x side equal tiles a mask covers.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        At least side x side px.
    side : int
        Tiles per axis.

    Returns
    -------
    ndarray of shape (side, side), float64
        0-1.
    """
    rows, cols = (((np.arange(length) + 0.5) * side / length).astype(np.int64) for length in mask.shape)
    tile = (rows[:, None] * side + cols[None]).ravel()
    sums = np.bincount(tile, weights=mask.ravel().astype(np.float64), minlength=side * side)
    return np.asarray(sums / np.maximum(np.bincount(tile, minlength=side * side), 1)).reshape(side, side)


def lung_tiles(shares: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Find the tiles that are lung on films of this kind.

    Parameters
    ----------
    shares : ndarray of shape (films, 12, 12), float64
        The share of each tile that is lung, on films whose lungs were found.

    Returns
    -------
    ndarray of shape (12, 12), bool, or None
        Tiles of which `LUNG_SHARE` is lung on more than `LUNG_FILMS` of the films. None with fewer than
        `FEWEST_LUNG_FILMS` of them.

    Notes
    -----
    One mask serves all films. Were each film's own lungs cut out, the shape of the hole would reveal the disease: a
    consolidated lung is found smaller than a clear one.
    """
    if len(shares) < FEWEST_LUNG_FILMS:
        return None
    return np.asarray((shares >= LUNG_SHARE).mean(axis=0) > LUNG_FILMS)


def regions(lungs: NDArray[np.bool_] | None) -> dict[str, NDArray[np.bool_]]:
    """Return the tiles of parts of a film with little or no lung.

    Parameters
    ----------
    lungs : ndarray of shape (12, 12), bool, or None
        Tiles of the lungs, see `lung_tiles`; None where they are unknown.

    Returns
    -------
    dict of str to ndarray of shape (12, 12), bool
        By name of the part; ``lungs masked out`` only with `lungs`.
    """
    border, corners = (np.zeros((TILE_SIDE, TILE_SIDE), np.bool_) for _ in range(2))
    border[[0, -1]] = border[:, [0, -1]] = True
    for rows in (slice(0, CORNER_TILES), slice(-CORNER_TILES, None)):
        for cols in (slice(0, CORNER_TILES), slice(-CORNER_TILES, None)):
            corners[rows, cols] = True
    around = {} if lungs is None else {"lungs masked out": ~lungs}
    return {"border": border, "corners (markers)": corners, **around}


def _age(years: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return age, its square, and whether it is known; films without it get the median."""
    is_known = np.isfinite(years) & (years < MOST_YEARS)
    median = float(np.median(years[is_known])) if is_known.any() else 0.0
    filled = np.where(is_known, years, median)
    return np.stack([filled, filled**2, is_known], axis=1).astype(np.float32)


def one_hot(tags: Mapping[str, Sequence[str]]) -> NDArray[np.float32]:
    """Turn acquisition tags into 0/1 columns; values of fewer than `RARE_FILMS` films share one column per tag.

    Parameters
    ----------
    tags : mapping of str to sequence of str
        One value per film; never identifiers.

    Returns
    -------
    ndarray of shape (films, D), float32
        At least one column.
    """
    films = len(next(iter(tags.values()), ()))
    columns: list[NDArray[np.float32]] = [np.zeros(films, np.float32)]
    for values in tags.values():
        names, code, count = np.unique(np.asarray(values, dtype=str), return_inverse=True, return_counts=True)
        common = np.flatnonzero(count >= RARE_FILMS)
        columns += [(code == number).astype(np.float32) for number in common]
        if common.size < names.size:
            columns.append(np.isin(code, common, invert=True).astype(np.float32))
    return np.stack(columns, axis=1)


def acquisition_tags(images: pd.DataFrame) -> dict[str, list[str]]:
    """List the tags that say how a film was made.

    Parameters
    ----------
    images : DataFrame
        Columns of the images table and ``maker``, any text that names the manufacturer.
    """
    spacing = images["row_spacing_mm"].round(2).astype(str)
    size = (images["rows"] // 64 * 64).astype(str) + "x" + (images["cols"] // 64 * 64).astype(str)
    plain = ["transfer_syntax", "photometric", "bits_stored", "modality", "view", "spacing_source", "maker"]
    tags = {name: images[name].fillna("").astype(str).tolist() for name in plain}
    return {**tags, "spacing": spacing.tolist(), "size": size.tolist()}
