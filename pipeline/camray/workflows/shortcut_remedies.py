"""Shortcut probes of a run's films before and after each remedy, without training.

Reads   ``ingest/`` of a run that trains, and the source films
Run     ``camray remedies runs/phantom``
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from camray.adapters.process_pool import count_workers, map_processes
from camray.adapters.progress import progress
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.cohort.deduplication import patient_split_key
from camray.core.cohort.group_balance import balance_weights, group_codes
from camray.core.imaging.film_statistics import TILE_SIDE, film_area, image_statistics, quantise
from camray.core.imaging.resampling import resampled
from camray.core.preparation.film_lungs import native_lungs
from camray.core.preparation.prepared_film import ModelGrid, prepare_film
from camray.core.shortcuts.features import lung_tiles, probe_features, tile_shares
from camray.core.shortcuts.probes import Probe, run_probes, with_any_finding
from camray.core.shortcuts.remedies import ANY_FINDING
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.preparation import FilmPreparation
from camray.io.film_files import read_film
from camray.io.film_lungs import shipped_lung_network
from camray.io.ingested_films import IngestedFilms, read_ingested
from camray.io.labelled_films import targets_of
from camray.io.source_films import source_root
from camray.workflows.stored_settings import settings_of

NOW, BALANCE, BORDER = "now", "balance", 0.08
_GROUPS = ("view", "sex", "age", "site", "maker")
_TILES = TILE_SIDE**2


@dataclass(frozen=True)
class RemedyTable:
    """AUC of each probe, now and with each remedy.

    Parameters
    ----------
    films : int
        That were read.
    settings : dict of str to str
        Column of the table to the settings that it stands for.
    rows : list of dict
        ``label, features, films``, and the AUC in each column; None where it could not be measured. Strongest first.
    uncounted : float
        Share of known labels that do not count under the balance.
    """

    films: int
    settings: dict[str, str]
    rows: list[dict[str, str | int | float | None]]
    uncounted: float


@dataclass(frozen=True)
class _Measuring:
    """What a worker does with each film."""

    root: Path
    grid: ModelGrid
    bits: int
    preparations: tuple[FilmPreparation, ...]


def remedy_table(run_root: Path, films: int) -> RemedyTable:
    """Measure what trivial features predict, as the films are and with each remedy.

    Parameters
    ----------
    run_root : Path
        A run whose films are ingested.
    films : int
        Films at most, chosen at random with the seed of the split; 0 takes all.

    Raises
    ------
    SettingsError
        If the run does not say where its films are.
    PipelineError
        If a film has changed since it was ingested, or the run does not train.
    """
    settings, folder = settings_of(run_root), RunFolder(run_root)
    ingested, root = read_ingested(folder), source_root(settings, folder)
    if root is None:
        raise SettingsError(f"{run_root}: its settings name no films; set data.root")
    seed, groups = settings.ingest.split_seed, ingested.groups
    chosen = _chosen(len(groups), films, seed)
    images = ingested.images.iloc[chosen].reset_index(drop=True)
    images = images.assign(**{name: groups[name].to_numpy()[chosen] for name in ("sex", "site", "maker", "age_years")})
    contract = ingested.contract
    named = _preparations(contract.preparation)
    grid = ModelGrid(contract.rows, contract.cols, contract.fit)
    measured = _measure(_Measuring(root, grid, contract.bits, tuple(named.values())), images, settings.ingest.workers)
    labels, values = _values(ingested, images)
    patients = patient_split_key(images["patient_key"].to_numpy(object), images["source"].to_numpy(object))
    columns = [name for name in _GROUPS if len(np.unique(group_codes(images, [name]))) > 1]
    weights = _balance(images, values, columns, settings.train.max_balance_weight)
    probes: dict[str, list[Probe]] = {}
    with threadpool_limits(1, "blas"):
        for number, name in enumerate(named):
            features = _features(images, measured[:, number])
            probes[name] = run_probes(features, values, labels, patients, seed)
        features = _features(images, measured[:, 0])
        probes[BALANCE] = run_probes(features, values, labels, patients, seed, weights)
    texts = {name: _changed(contract.preparation, each) for name, each in named.items() if name != NOW}
    texts[BALANCE] = f"train.balance='[{', '.join(columns)}]'"
    known = values >= 0
    return RemedyTable(len(images), texts, _rows(probes), float((known & (weights == 0)).sum() / max(known.sum(), 1)))


def _chosen(films: int, most: int, seed: int) -> NDArray[np.int64]:
    if not 0 < most < films:
        return np.arange(films)
    return np.sort(np.random.default_rng(seed).choice(films, most, replace=False))


def _preparations(present: FilmPreparation) -> dict[str, FilmPreparation]:
    """Return the films' present preparation, each change of it, and all changes together."""
    changes: dict[str, dict[str, float | bool]] = {
        "mask_border": {"mask_border": BORDER},
        "mask_markers": {"mask_markers": True},
        "equalize": {"equalize": True},
        "crop_lungs": {"crop_lungs": True},
    }
    together = {key: value for each in changes.values() for key, value in each.items()}
    named = {name: replace(present, **each) for name, each in {**changes, "all four": together}.items()}  # type: ignore[arg-type]
    return {NOW: present, **{name: each for name, each in named.items() if each != present}}


def _changed(present: FilmPreparation, other: FilmPreparation) -> str:
    """Spell out the settings that lead from one preparation to another."""
    values = {name: getattr(other, name) for name in FilmPreparation.__dataclass_fields__}
    new = {name: value for name, value in values.items() if value != getattr(present, name)}
    return " ".join(f"ingest.prepare.{name}={str(value).lower()}" for name, value in new.items())


def _measure(plan: _Measuring, images: pd.DataFrame, workers: int) -> NDArray[np.float32]:
    """Return the statistics of every film and preparation, and its lungs' share of each tile, [films, P, 528]."""
    items = list(zip(images["source"].astype(str), images["pixel_sha256"].astype(str), strict=True))
    rows: list[NDArray[np.float32]] = []
    for outcome in progress(
        map_processes(partial(_statistics, plan), items, count_workers(workers)), len(items), "films"
    ):
        if outcome.value is None:
            raise PipelineError(f"{outcome.item[0]}: {outcome.error}; the film has changed since it was ingested")
        rows.append(outcome.value)
    return np.stack(rows)


def _statistics(plan: _Measuring, item: tuple[str, str]) -> NDArray[np.float32]:
    """Measure one film in all its preparations; runs in worker processes."""
    source, digest = item
    film = read_film(plan.root / source, None)
    if film.pixel_sha256 != digest:
        raise PipelineError(f"{source}: its pixels have changed since it was ingested; run `camray ingest` again")
    spacing = film.header.row_spacing_mm, film.header.col_spacing_mm
    lungs = native_lungs(film.pixels, spacing, shipped_lung_network())
    rows = []
    for preparation in plan.preparations:
        prepared = prepare_film(film.pixels, spacing, plan.grid, preparation, lungs)
        stored = quantise(prepared.grey, plan.bits)
        area = film_area(stored.shape, film.pixels.shape, prepared.transform)
        shares = np.full(_TILES, np.nan, np.float32)
        if lungs is not None:
            mask = (
                resampled(lungs.lungs.astype(np.float32), plan.grid.rows, plan.grid.cols, prepared.transform)[area]
                >= 0.5
            )
            shares = tile_shares(mask, TILE_SIDE).ravel().astype(np.float32)
        seen = image_statistics(stored[area])
        rows.append(np.concatenate([seen.histogram, seen.thumbnail, seen.tiles, shares]))
    return np.stack(rows)


def _features(images: pd.DataFrame, measured: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    shares = measured[:, -_TILES:].astype(np.float64).reshape(-1, TILE_SIDE, TILE_SIDE)
    return probe_features(images, measured[:, :-_TILES], lung_tiles(shares[np.isfinite(shares[:, 0, 0])]))


def _values(ingested: IngestedFilms, images: pd.DataFrame) -> tuple[list[str], NDArray[np.int8]]:
    """Return the labels that are probed, and their values: 1 present, 0 absent, -1 no information."""
    labels = list(ingested.contract.labels)
    targets = targets_of(images["image_id"], ingested.labels, labels)
    values = np.where(np.isnan(targets), -1, targets).astype(np.int8)
    return ([*labels, ANY_FINDING], with_any_finding(values)) if len(labels) > 1 else (labels, values)


def _balance(images: pd.DataFrame, values: NDArray[np.int8], columns: list[str], cap: float) -> NDArray[np.float32]:
    if not columns:
        return np.ones(values.shape, np.float32)
    targets = np.where(values < 0, np.nan, values).astype(np.float32)
    return balance_weights(group_codes(images, columns), targets, cap)


def _rows(probes: Mapping[str, list[Probe]]) -> list[dict[str, str | int | float | None]]:
    """Join the probes of all columns; a kind of features that no longer varies predicts nothing."""
    after = {name: {(each.label, each.features): each.auc for each in found} for name, found in probes.items()}
    rows: list[dict[str, str | int | float | None]] = [
        {
            "label": probe.label,
            "features": probe.features,
            "films": probe.n,
            **{name: found.get((probe.label, probe.features), 0.5) for name, found in after.items()},
        }
        for probe in sorted(probes[NOW], key=lambda each: -(each.auc or 0.0))
    ]
    return rows
