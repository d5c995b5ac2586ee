"""Logits and raw heat maps of all labels, on the feature grid.

Reads   ``ingest/images.parquet store/``; the checkpoint of ``train/`` (of the trained run, for new films)
Writes  ``explain/images.parquet logits.npy heat-<method>-<shard>.npy grid.json``, with ``explain.prior`` also
        ``prior-<method>.npy`` (float32 [labels, h, w]: mean raw map of the training films that show a label)
Run     ``camray explain configs/phantom.yaml``
"""

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import open_shard
from camray.adapters.progress import progress
from camray.adapters.run_folders.part_folders import PartFolder
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import ExplainSettings, Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.explain.method import Method
from camray.core.explain.methods import methods_named
from camray.core.explain.test_time_averaging import MapsAndLogits
from camray.core.networks.lung_unet import LungUNet
from camray.core.training.device import choose_device
from camray.domain.errors import CheckpointError, InputRefusedError, PipelineError, SettingsError
from camray.domain.records import EXPLAINED_COLUMNS, Counts, Split, StageResult
from camray.domain.suggestions import did_you_mean
from camray.io.artifacts import ExplainFiles, artifacts_of, save_array
from camray.io.explanation_grid import ExplanationGrid
from camray.io.heat_shards import write_heat_shard
from camray.io.ingested_films import IngestedFilms, read_ingested
from camray.io.method_options import method_options
from camray.io.trained_model import TrainedNetwork, explain_pixels, load_trained, network_input
from camray.stages.explain.chest import bounded_maps, chest_finder, windows_of


@dataclass(frozen=True)
class _Explanation:
    """Inputs of the computation, which goes shard by shard."""

    films: pd.DataFrame  # image_id, split, shard and index of the heat; film_shard and film_index of the pixels
    trained: TrainedNetwork
    methods: tuple[Method, ...]
    settings: ExplainSettings
    ingested: IngestedFilms
    files: ExplainFiles
    chest: LungUNet | None  # where maps are held inside the chest

    @property
    def shards(self) -> list[int]:
        """Numbers of the shards, ascending."""
        return list(range(int(self.films["shard"].iloc[-1]) + 1))

    def films_of(self, shard: int) -> pd.DataFrame:
        """Return the films of a shard."""
        start, end = np.searchsorted(self.films["shard"].to_numpy(), [shard, shard + 1])  # ascending
        return self.films.iloc[start:end]

    def exponent(self, method: str) -> int:
        """Return the power of two that a method's maps are stored with."""
        return self.settings.heat_exponents.get(method, 0)


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Explain all films of the requested splits; see `camray.workflows.run`.

    Raises
    ------
    InputRefusedError
        If these splits have no film.
    CheckpointError
        If the films were brought to another model grid than the network's, or a map is not finite.
    """
    job = _open(settings, folder, artifacts_of(folder).explain)
    missing = [shard for shard in job.shards if not _is_done(job, shard)]
    started = time.monotonic()
    computed = sum(len(job.films_of(shard)) for shard in _explain_shards(job, missing))
    seconds = time.monotonic() - started
    if settings.explain.prior and folder.trained is None:
        _write_priors(job)
    _close(job)
    tracker.metrics({"films_per_second": computed / seconds if computed else float("nan")})
    films = len(job.films)
    figures = {"films": films, "methods": ", ".join(settings.explain.methods)}
    rate = {"films_per_second": round(computed / seconds, 2)} if computed else {}
    return StageResult(Counts(films, films), figures | rate)


def run_part(settings: Settings, folder: RunFolder, part: PartFolder) -> None:
    """Explain the films of one part's shards into the part's folder; raises as `run` does."""
    job = _open(settings, folder, ExplainFiles(part.folder))
    for shard in _explain_shards(job, part.begin(len(job.shards))):
        part.finish(shard, _shard_files(job, shard))


def _open(settings: Settings, folder: RunFolder, files: ExplainFiles) -> _Explanation:
    methods = methods_named(settings.explain.methods, method_options(settings.explain))
    unknown = sorted(set(settings.explain.heat_exponents) - {method.name for method in methods})
    if unknown:
        near = did_you_mean(unknown, settings.explain.methods, "expected names out of explain.methods:")
        raise SettingsError(f"explain.heat_exponents: {unknown}; {near}")
    ingested = read_ingested(folder)
    splits = settings.explain.splits if folder.trained is None else None
    films = _films_to_explain(ingested.images, splits, settings.ingest.shard_films)
    trained = load_trained(folder.model_run, choose_device(settings.device))
    chest = chest_finder(settings.explain.within, trained.device)
    return _Explanation(films, trained, methods, settings.explain, ingested, files, chest)


def _films_to_explain(images: pd.DataFrame, splits: Sequence[str] | None, shard_films: int) -> pd.DataFrame:
    """Return the films of some splits, or all, in the order of the pixel store, and where the maps of each go."""
    if splits is not None:
        images = images[images["split"].isin(splits)]
    if images.empty:
        named = "" if splits is None else f" in the splits {', '.join(splits)}"
        raise InputRefusedError(f"no film{named} to explain; see the refusals of ingest and the split")
    films = images.sort_values(["shard", "index"]).reset_index(drop=True)
    number = np.arange(len(films))
    return pd.DataFrame(
        {
            "image_id": films["image_id"],
            "split": films["split"],
            "shard": number // shard_films,
            "index": number % shard_films,
            "film_shard": films["shard"],
            "film_index": films["index"],
        }
    )


def _explain_shards(job: _Explanation, shards: Sequence[int]) -> Iterator[int]:
    """Compute these shards, one at a time; yield each as it is written."""
    collected: list[MapsAndLogits] = []
    batches = list(_batches({shard: job.films_of(shard) for shard in shards}, job.settings.batch_size))
    for shard, films, is_last in progress(batches, len(batches), "explaining"):
        collected.append(_explain_batch(job, films))
        if is_last:
            _write_shard(job, shard, collected)
            collected = []
            yield shard


def _batches(shards: dict[int, pd.DataFrame], batch_size: int) -> Iterator[tuple[int, pd.DataFrame, bool]]:
    """Cut each shard on its own, so that a batch holds the same films whether or not the stage was interrupted."""
    for shard, films in shards.items():
        for start in range(0, len(films), batch_size):
            yield shard, films.iloc[start : start + batch_size], start + batch_size >= len(films)


def _explain_batch(job: _Explanation, films: pd.DataFrame) -> MapsAndLogits:
    pixels = job.ingested.store.rows(films["film_shard"].tolist(), films["film_index"].tolist())
    maps = explain_pixels(job.trained, pixels, job.methods, flip=job.settings.flip, scales=job.settings.scales)
    if job.chest is None:
        return maps
    windows = windows_of(job.ingested, films, (job.trained.contract.rows, job.trained.contract.cols))
    return bounded_maps(maps, network_input(pixels, job.trained.device), windows, job.chest)


def _write_priors(job: _Explanation) -> None:
    """Average the maps of the training films that show a label; a label that none shows gets zeros."""
    images, labels = job.ingested.split(Split.TRAIN), job.ingested.labels.astype(str)
    present = labels[(labels["value"] == "1") & labels["label"].isin(job.trained.contract.labels)]
    images = images[images["image_id"].isin(present["image_id"])].sort_values(["shard", "index"])
    films = images.rename(columns={"shard": "film_shard", "index": "film_index"})
    shows_label = pd.crosstab(present["image_id"], present["label"]).reindex(
        index=films["image_id"], columns=list(job.trained.contract.labels), fill_value=0
    )
    weights = (shows_label.to_numpy() > 0).astype(np.float64)
    grid = (job.trained.contract.feature_rows, job.trained.contract.feature_cols)
    totals = {method.name: np.zeros((weights.shape[1], *grid)) for method in job.methods}
    starts = range(0, len(films), job.settings.batch_size)
    for start in progress(starts, len(starts), "averaging training maps"):
        part = slice(start, start + job.settings.batch_size)
        maps = _explain_batch(job, films.iloc[part])
        for name, total in totals.items():
            total += np.einsum("blhw,bl->lhw", maps.heat[name].numpy().astype(np.float64), weights[part])
    counts = np.maximum(weights.sum(axis=0), 1.0)[:, None, None]
    for name, total in totals.items():
        save_array(job.files.prior(name), (total / counts).astype(np.float32))


def _is_done(job: _Explanation, shard: int) -> bool:
    """Return whether a shard's logits and maps are complete; its logits are written last."""
    films, (*heat, logits) = len(job.films_of(shard)), _shard_files(job, shard)
    try:
        return len(_read_logits(logits)) == films and all(len(open_shard(path)) == films for path in heat)
    except (PipelineError, OSError, ValueError):
        return False


def _shard_files(job: _Explanation, shard: int) -> list[Path]:
    """Return the files of a shard, the logits last."""
    heat = [job.files.heat_shard(method.name, shard) for method in job.methods]
    return [*heat, job.files.unfinished_logits(shard)]


def _read_logits(path: Path) -> NDArray[np.float32]:
    return np.asarray(np.load(io.BytesIO(path.read_bytes()), allow_pickle=False), np.float32)


def _write_shard(job: _Explanation, shard: int, collected: Sequence[MapsAndLogits]) -> None:
    for method in job.methods:
        heat = np.concatenate([each.heat[method.name].numpy() for each in collected])
        write_heat_shard(job.files, method.name, shard, heat, job.exponent(method.name))
    logits = np.concatenate([each.logits.numpy() for each in collected])
    if not np.isfinite(logits).all():
        raise CheckpointError("the network gives logits that are not finite; train again, or start from other weights")
    save_array(job.files.unfinished_logits(shard), logits)


def _close(job: _Explanation) -> None:
    """Write the tables of all shards, then delete the unfinished logits."""
    parts = [job.files.unfinished_logits(shard) for shard in job.shards]
    save_array(job.files.logits, np.concatenate([_read_logits(part) for part in parts]))
    contract = job.trained.contract
    job.files.grid.write(
        ExplanationGrid(
            rows=contract.rows,
            cols=contract.cols,
            feature_rows=contract.feature_rows,
            feature_cols=contract.feature_cols,
            labels=contract.labels,
            methods=tuple(method.name for method in job.methods),
            heat_exponents={method.name: job.exponent(method.name) for method in job.methods},
            notes={method.name: method.note for method in job.methods},
            flip=job.settings.flip,
            scales=job.settings.scales,
            within=job.settings.within,
        )
    )
    job.files.images.write(job.films[list(EXPLAINED_COLUMNS)])
    for part in parts:
        part.unlink()
