"""Sanity checks of explanation methods on a trained run, without boxes.

Reads   ``train/``, ``ingest/images.parquet labels.parquet store/``
Writes  ``sanity/sanity.csv sanity.parquet cascade.csv curves.csv cascade.png curves.png``
Run     ``camray sanity runs/phantom``
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.digests import claim_of, digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.explain.method_options import DEFAULT_OPTIONS
from camray.core.explain.methods import METHODS, methods_named
from camray.core.map_sanity.columns import COUNTS, SANITY_COLUMNS
from camray.core.map_sanity.deletion_insertion import Baseline
from camray.core.map_sanity.examination import SanityPlan, examine, examine_order
from camray.core.map_sanity.method_figures import MethodFigures
from camray.core.map_sanity.table import (
    baseline_heat,
    cascade_table,
    choose_pairs,
    curve_table,
    sanity_table,
)
from camray.core.metrics.localization.baselines import CENTRE, RANDOM
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier
from camray.core.training.device import choose_device
from camray.domain.contract import ModelContract
from camray.domain.errors import CheckpointError, InputRefusedError, SettingsError
from camray.domain.records import Counts, Split, StageResult
from camray.domain.spreadsheet_cells import without_formulas
from camray.domain.suggestions import did_you_mean
from camray.io.artifacts import artifacts_of
from camray.io.ingested_films import grey_of, read_ingested
from camray.io.labelled_films import targets_of
from camray.io.method_options import method_options
from camray.io.tracking import open_tracker
from camray.io.trained_model import load_classifier
from camray.io.workflow_artifacts import SanityFiles
from camray.reporting.map_sanity_charts import cascade_chart, curves_chart
from camray.workflows.stored_settings import settings_of

STAGE = "sanity"
ALL = "all"
EXPENSIVE = ("integrated_gradients", "occlusion")
"""Not among the default methods: hundreds of passes per map. Occlusion's coarse-to-fine variant is a default method."""
DEFAULT_METHODS = tuple(name for name in METHODS if name not in EXPENSIVE)
MOST_PASSES = 2500


@dataclass(frozen=True)
class SanityChoice:
    """Methods and films to examine.

    Parameters
    ----------
    methods : tuple of str
        Names.
    films : int
        Pairs of film and label at most, shared out among the labels.
    split : str
        Where they come from.
    label : str or None
        This label alone.
    seed : int
        Of everything that is drawn.
    most_passes : int
        See `SanityPlan`; 0 sets no limit.
    deletion_baseline, insertion_baseline : str
        See `SanityPlan`.
    """

    methods: tuple[str, ...] = DEFAULT_METHODS
    films: int = 16
    split: str = Split.TEST.value
    label: str | None = None
    seed: int = 0
    most_passes: int = MOST_PASSES
    deletion_baseline: Baseline = "mean"
    insertion_baseline: Baseline = "blurred"


@dataclass(frozen=True)
class Checked:
    """Folder of the results, their table (`SANITY_COLUMNS`), and whether they existed before."""

    folder: Path
    table: pd.DataFrame
    skipped: bool


_BASELINES = ("deletion_baseline", "insertion_baseline")


def parse_methods(text: str | None) -> tuple[str, ...]:
    """Read ``cam,gradcam``; None gives the default ones, ``all`` all.

    Raises
    ------
    SettingsError
        If a name is unknown or repeated.
    """
    if text is None:
        return DEFAULT_METHODS
    if text.strip() == ALL:
        return tuple(METHODS)
    return tuple(method.name for method in methods_named(name.strip() for name in text.split(",")))


def check_run(run_root: Path, choice: SanityChoice, force: bool = False) -> Checked:
    """Examine a trained run and write the results; results that are up to date are not computed again.

    Raises
    ------
    SettingsError
        If the run has no such split or label, or no film is requested.
    InputRefusedError
        If no film of the split shows a label.
    PipelineError
        If the folder holds no trained run, or another process holds its lock.
    """
    settings, folder = settings_of(run_root), RunFolder(run_root)
    options, inputs = asdict(choice), {name: folder.output_digest(name) for name in ("ingest", "train")}
    for name in _BASELINES:  # added since 0.2.0: without them, older results stay up to date
        if options[name] == getattr(SanityChoice, name):
            del options[name]
    if (changed := method_options(settings.explain)) != DEFAULT_OPTIONS:
        options["method_options"] = asdict(changed)
    digest, files = digest_of(options), artifacts_of(folder).sanity
    with folder.locked():
        if not force and folder.is_done(STAGE, digest, inputs):
            return Checked(files.folder, files.table.read(), skipped=True)
        with open_tracker(settings, folder) as tracker, tracker.stage(STAGE), folder.replacing(STAGE):
            folder.begin(STAGE, digest, inputs)
            started = time.monotonic()
            table = _check(settings, folder, choice, tracker)
            claim = claim_of(options, inputs)
            refused = int((table["reason"] != "").sum())
            result = StageResult(
                Counts(len(table), len(table) - refused, refused), {"films": int(table["films"].max())}
            )
            folder.finish(STAGE, {**claim, "seconds": round(time.monotonic() - started, 3)}, result)
    return Checked(files.folder, table, skipped=False)


def _check(settings: Settings, folder: RunFolder, choice: SanityChoice, tracker: Tracker) -> pd.DataFrame:
    methods = methods_named(choice.methods, method_options(settings.explain))
    device = choose_device(settings.device)
    network, contract = load_classifier(folder, device)
    sample = _films_to_examine(folder, contract, choice)
    films = torch.from_numpy(sample.grey)[:, None].to(device)
    plan = SanityPlan(
        seed=choice.seed,
        most_passes=choice.most_passes or None,
        deletion_baseline=choice.deletion_baseline,
        insertion_baseline=choice.insertion_baseline,
    )
    examined = list(progress(examine(network, films, sample.labels, methods, plan), len(methods), "examining methods"))
    examined += _baselines(network, contract, sample, films, plan)
    return _write(artifacts_of(folder).sanity, examined, tracker, asdict(choice))


@dataclass(frozen=True, eq=False)
class _Films:
    """Films [N, H, W], grey 0-1, float32, with their names and the label each is examined for."""

    grey: NDArray[np.float32]
    image_ids: list[str]
    labels: list[int]


def _films_to_examine(folder: RunFolder, contract: ModelContract, choice: SanityChoice) -> _Films:
    known = tuple(split.value for split in Split)
    if choice.split not in known:
        raise SettingsError(f"no split '{choice.split}'; {did_you_mean(choice.split, known, 'the splits are')}")
    if choice.label is not None and choice.label not in contract.labels:
        near = did_you_mean(choice.label, contract.labels, "the run knows")
        raise SettingsError(f"no label '{choice.label}'; {near}")
    if choice.films < 1:
        raise SettingsError(f"{choice.films} films; expected one or more")
    ingested = read_ingested(folder)
    images = ingested.split(choice.split).sort_values(["shard", "index"])
    targets = targets_of(images["image_id"], ingested.labels, contract.labels)
    number = None if choice.label is None else contract.labels.index(choice.label)
    pairs = choose_pairs(targets, choice.films, choice.seed, number)
    if not pairs:
        raise InputRefusedError(
            f"no film of the split '{choice.split}' shows {choice.label or 'a label'}; choose another split or label"
        )
    rows = images.iloc[[film for film, _ in pairs]]
    pixels = ingested.stored_pixels(rows)
    if pixels.shape[1:] != (contract.rows, contract.cols):
        raise CheckpointError(
            f"films of {pixels.shape[1]} x {pixels.shape[2]} px, the network takes {contract.rows} x {contract.cols}; "
            "train again on what was ingested"
        )
    return _Films(grey_of(pixels), rows["image_id"].tolist(), [label for _, label in pairs])


def _baselines(
    network: PooledClassifier | EnsembleClassifier,
    contract: ModelContract,
    sample: _Films,
    films: torch.Tensor,
    plan: SanityPlan,
) -> list[MethodFigures]:
    names = [contract.labels[number] for number in sample.labels]
    grid = (contract.feature_rows, contract.feature_cols)
    return [
        examine_order(
            network, films, sample.labels, baseline_heat(name, plan.seed, sample.image_ids, names, grid), name, plan
        )
        for name in (RANDOM, CENTRE)
    ]


def _write(
    files: SanityFiles, examined: Sequence[MethodFigures], tracker: Tracker, settings: dict[str, Any]
) -> pd.DataFrame:
    table, cascades, curves = sanity_table(examined), cascade_table(examined), curve_table(examined)
    files.table.write(table)
    for path, rows in ((files.table_csv, table), (files.cascade_csv, cascades), (files.curves_csv, curves)):
        write_bytes(path, without_formulas(rows).to_csv(index=False, lineterminator="\n").encode())
    write_bytes(files.curves_chart, curves_chart(curves, table))
    write_bytes(files.cascade_chart, cascade_chart(cascades))
    tracker.params({STAGE: settings})
    for row in table.to_dict("records"):
        figures = {key: float(row[key]) for key in SANITY_COLUMNS if key not in {"method", "reason", *COUNTS}}
        tracker.metrics({f"{row['method']}.{key}": value for key, value in figures.items()})
    tracker.table(table, STAGE)
    for chart in (files.curves_chart, files.cascade_chart):
        tracker.picture(chart, f"sanity/{chart.stem}")
    for path in (files.cascade_csv, files.curves_csv, files.table_csv):
        tracker.artifact(path, STAGE)
    return table
