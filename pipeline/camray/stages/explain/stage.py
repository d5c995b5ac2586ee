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
import torch
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore, open_shard, shard_path, write_shard
from camray.adapters.progress import progress
from camray.adapters.run_folder import RunFolder, read_table, write_bytes, write_json, write_table
from camray.adapters.settings.schema import ExplainSettings, Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.explain.methods import Method, methods_named
from camray.core.explain.seam import SeamNetwork
from camray.core.explain.test_time_averaging import MapsAndLogits, explain
from camray.core.training.device import choose_device
from camray.domain.contract import ModelContract
from camray.domain.errors import CheckpointError, InputRefusedError, PipelineError, SettingsError
from camray.domain.records import EXPLAINED_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS, Counts, Split, StageResult
from camray.io.trained_model import load_classifier

_LARGEST = float(np.finfo(np.float16).max)
_PART_SUFFIX = ".tmp"  # per-shard logits are scaffolding, not an output


@dataclass(frozen=True)
class _Plan:
    """What is computed, shard by shard, and how a film becomes network input."""

    films: pd.DataFrame  # image_id, split, shard and index of the heat; film_shard and film_index of the pixels
    network: SeamNetwork
    contract: ModelContract
    device: torch.device
    methods: tuple[Method, ...]
    settings: ExplainSettings
    store: PixelStore
    target: Path


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Explain all films of the wanted splits; see `camray.workflows.run` for the calling.

    Raises
    ------
    InputRefusedError
        If no film lies in these splits.
    CheckpointError
        If the films were brought to another model grid than the network's, or a map is not finite.
    """
    methods = methods_named(settings.explain.methods)
    unknown = sorted(set(settings.explain.heat_exponents) - {method.name for method in methods})
    if unknown:
        raise SettingsError(f"explain.heat_exponents: {unknown} are not among explain.methods")
    films = _wanted_films(settings, folder)
    device = choose_device(settings.device)
    network, contract = load_classifier(folder.model_run, device)
    target = folder.stage("explain")
    store = PixelStore(folder.root / "ingest" / "store")
    plan = _Plan(films, network, contract, device, methods, settings.explain, store, target)
    started = time.monotonic()
    computed = _explain_shards(plan)
    seconds = time.monotonic() - started
    if settings.explain.prior and folder.trained is None:
        _write_priors(plan, folder)
    _close(plan)
    tracker.metrics({"films_per_second": computed / seconds if computed else float("nan")})
    figures = {"films": len(films), "methods": ", ".join(settings.explain.methods)}
    rate = {"films_per_second": round(computed / seconds, 2)} if computed else {}
    return StageResult(Counts(len(films), len(films)), figures | rate)


def _wanted_films(settings: Settings, folder: RunFolder) -> pd.DataFrame:
    """Return the films to explain, in the order of the pixel store, with a place for each one's heat."""
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS)
    if folder.trained is None:
        images = images[images["split"].isin(settings.explain.splits)]
    if images.empty:
        raise InputRefusedError(
            f"no film in the splits {', '.join(settings.explain.splits)}; see ingest/refusals.parquet and the split"
        )
    films = images.sort_values(["shard", "index"]).reset_index(drop=True)
    number = np.arange(len(films))
    return pd.DataFrame(
        {
            "image_id": films["image_id"],
            "split": films["split"],
            "shard": number // settings.ingest.shard_films,
            "index": number % settings.ingest.shard_films,
            "film_shard": films["shard"],
            "film_index": films["index"],
        }
    )


def _explain_shards(plan: _Plan) -> int:
    """Compute what is not there yet, a shard at a time; return how many films that were."""
    films_of = {int(shard): plan.films[plan.films["shard"] == shard] for shard in plan.films["shard"].unique()}
    missing = {shard: films for shard, films in films_of.items() if not _is_done(plan, shard, len(films))}
    collected: list[MapsAndLogits] = []
    batches = list(_batches(missing, plan.settings.batch_size))
    for shard, films, is_last in progress(batches, len(batches), "explaining"):
        collected.append(_explain_batch(plan, films))
        if is_last:
            _write_shard(plan, shard, collected)
            collected = []
    return sum(len(films) for films in missing.values())


def _batches(shards: dict[int, pd.DataFrame], batch_size: int) -> Iterator[tuple[int, pd.DataFrame, bool]]:
    """Cut each shard on its own, so that a batch holds the same films whether or not the stage was interrupted."""
    for shard, films in shards.items():
        for start in range(0, len(films), batch_size):
            yield shard, films.iloc[start : start + batch_size], start + batch_size >= len(films)


def _explain_batch(plan: _Plan, films: pd.DataFrame) -> MapsAndLogits:
    pixels = plan.store.rows(films["film_shard"].tolist(), films["film_index"].tolist())
    _check_grid(pixels, plan.contract)
    contract, asked = plan.contract, plan.settings
    found = explain(
        plan.network,
        network_input(pixels, plan.device),
        plan.methods,
        (contract.feature_rows, contract.feature_cols),
        flip=asked.flip,
        scales=asked.scales,
    )
    return MapsAndLogits(found.logits.float().cpu(), {name: heat.float().cpu() for name, heat in found.heat.items()})


def _write_priors(plan: _Plan, folder: RunFolder) -> None:
    """Average the maps of the training films that show a label; a label that none shows gets zeros."""
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS)
    labels = read_table(folder.root / "ingest" / "labels.parquet", LABEL_COLUMNS)
    shown = labels[(labels["value"] == "1") & labels["label"].isin(plan.contract.labels)]
    wanted = images[(images["split"] == Split.TRAIN) & images["image_id"].isin(shown["image_id"])]
    films = wanted.sort_values(["shard", "index"]).rename(columns={"shard": "film_shard", "index": "film_index"})
    shows = pd.crosstab(shown["image_id"], shown["label"]).reindex(
        index=films["image_id"], columns=list(plan.contract.labels), fill_value=0
    )
    weights = (shows.to_numpy() > 0).astype(np.float64)
    grid = (plan.contract.feature_rows, plan.contract.feature_cols)
    totals = {method.name: np.zeros((weights.shape[1], *grid)) for method in plan.methods}
    starts = range(0, len(films), plan.settings.batch_size)
    for start in progress(starts, len(starts), "averaging training maps"):
        part = slice(start, start + plan.settings.batch_size)
        found = _explain_batch(plan, films.iloc[part])
        for name, total in totals.items():
            total += np.einsum("blhw,bl->lhw", found.heat[name].numpy().astype(np.float64), weights[part])
    counts = np.maximum(weights.sum(axis=0), 1.0)[:, None, None]
    for name, total in totals.items():
        write_bytes(plan.target / f"prior-{name}.npy", _npy((total / counts).astype(np.float32)))


def network_input(pixels: NDArray[np.uint8] | NDArray[np.uint16], device: torch.device) -> torch.Tensor:
    """Turn stored films [B, H, W] into network input [B, 1, H, W], grey 0-1, float32."""
    largest = float(np.iinfo(pixels.dtype).max)
    return torch.from_numpy(pixels.astype(np.float32)).to(device)[:, None] / largest


def _check_grid(pixels: NDArray[np.uint8] | NDArray[np.uint16], contract: ModelContract) -> None:
    if pixels.shape[1:] != (contract.rows, contract.cols):
        raise CheckpointError(
            f"films of {pixels.shape[1]} x {pixels.shape[2]} px, the network takes {contract.rows} x {contract.cols}; "
            "ingest with the trained run's grid"
        )


def _part_path(plan: _Plan, shard: int) -> Path:
    return plan.target / f"logits-{shard:05d}.npy{_PART_SUFFIX}"


def _is_done(plan: _Plan, shard: int, films: int) -> bool:
    """Tell whether a shard's logits and maps are all there; its logits are written last."""
    paths = [_part_path(plan, shard), *(shard_path(plan.target, shard, _stem(method.name)) for method in plan.methods)]
    try:
        return all(len(_open(path)) == films for path in paths)
    except PipelineError:
        return False


def _open(path: Path) -> NDArray[np.float32]:
    return (
        np.load(io.BytesIO(path.read_bytes())) if path.suffix == _PART_SUFFIX and path.is_file() else open_shard(path)
    )


def _stem(method: str) -> str:
    return f"heat-{method}"


def _write_shard(plan: _Plan, shard: int, collected: Sequence[MapsAndLogits]) -> None:
    for method in plan.methods:
        heat = np.concatenate([each.heat[method.name].numpy() for each in collected])
        stored = to_float16(heat, method.name, plan.settings.heat_exponents.get(method.name, 0))
        write_shard(shard_path(plan.target, shard, _stem(method.name)), iter(stored), stored.shape[1:], np.float16)
    logits = np.concatenate([each.logits.numpy() for each in collected])
    if not np.isfinite(logits).all():
        raise CheckpointError("the network gives logits that are not finite; train again, or start from other weights")
    write_bytes(_part_path(plan, shard), _npy(logits))


def to_float16(heat: NDArray[np.float32], method: str, exponent: int) -> NDArray[np.float16]:
    """Round maps to what lies on disk: ``heat * 2**exponent`` as float16.

    Raises
    ------
    CheckpointError
        If a map is not finite.
    SettingsError
        If float16 cannot hold a value; the message names the exponent that would do.
    """
    if not np.isfinite(heat).all():
        raise CheckpointError(f"method '{method}' gives heat that is not finite; train again, or use other weights")
    largest = float(np.abs(heat).max(initial=0.0))
    if largest * 2.0**exponent > _LARGEST:
        fitting = int(np.floor(np.log2(_LARGEST / largest)))
        raise SettingsError(
            f"method '{method}': heat reaches {largest:.3g}, float16 ends at {_LARGEST:.0f}; "
            f"set explain.heat_exponents.{method}={fitting} or less"
        )
    return (heat * np.float32(2.0**exponent)).astype(np.float16)


def _npy(array: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _close(plan: _Plan) -> None:
    """Write what speaks of all shards, then take the scaffolding down."""
    shards = sorted(plan.films["shard"].unique())
    parts = [_part_path(plan, int(shard)) for shard in shards]
    write_bytes(plan.target / "logits.npy", _npy(np.concatenate([_open(part) for part in parts])))
    contract = plan.contract
    write_json(
        plan.target / "grid.json",
        {
            "rows": contract.rows,
            "cols": contract.cols,
            "feature_rows": contract.feature_rows,
            "feature_cols": contract.feature_cols,
            "labels": list(contract.labels),
            "methods": [method.name for method in plan.methods],
            "heat_exponents": {
                method.name: plan.settings.heat_exponents.get(method.name, 0) for method in plan.methods
            },
            "notes": {method.name: method.note for method in plan.methods},
            "averaged_over": {"flip": plan.settings.flip, "scales": list(plan.settings.scales)},
        },
    )
    write_table(plan.target / "images.parquet", plan.films[list(EXPLAINED_COLUMNS)], EXPLAINED_COLUMNS)
    for part in parts:
        part.unlink()
