"""Comparison of networks, pools and explanation methods: trained alike, explained on the same films, in one table.

Reads   an experiment's settings, its ``compare`` section above all, and its films
Writes  ``runs/<name>-compare/comparison.csv comparison.html comparison.json``; ``inputs/``, ``sample/`` and one run for
        each network and pool below it
Run     ``camray compare configs/phantom.yaml``
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.model_comparison import SANITY, compare_table
from camray.core.training.device import choose_device
from camray.domain.errors import PipelineError
from camray.domain.records import Split
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.artifacts import artifacts_of
from camray.io.bootstrap import bootstrap_of
from camray.io.json_files import read_json
from camray.io.tracking import open_tracker
from camray.io.workflow_artifacts import ComparisonFiles
from camray.reporting.model_comparison_page import compare_page
from camray.workflows.model_comparison.combination import (
    CHEAP,
    EXPENSIVE,
    STAGE,
    ComparisonJob,
    Report,
    complete,
    summary_of,
)
from camray.workflows.model_comparison.film_sampling import write_sample
from camray.workflows.model_comparison.metrics import all_baseline_rows, read_sample
from camray.workflows.model_comparison.plan import plan_of
from camray.workflows.model_comparison.thumbnails import read_strip
from camray.workflows.run import run as run_stages
from camray.workflows.run import settings_written

SUFFIX = "-compare"


@dataclass(frozen=True)
class ModelComparison:
    """Folder of the comparison, its table (`COMPARE_COLUMNS`), and the seconds of each part by combination."""

    folder: Path
    table: pd.DataFrame
    seconds: dict[str, dict[str, float]]


def compare(settings: Settings, runs: Path, report: Report) -> ModelComparison:
    """Train, explain and score every combination that is not finished, and write the table.

    Parameters
    ----------
    settings : Settings
        The experiment.
    runs : Path
        Folder of the runs; the comparison becomes ``<name>-compare`` there.
    report : callable
        Called with one line of text about every finished step.

    Raises
    ------
    SettingsError
        If the ``compare`` section does not fit, or this machine has not the device; before anything is computed.
    InputRefusedError
        If there is no annotated film to compare on.
    PipelineError
        If another process holds the lock of the comparison, or a stage fails.
    """
    plan, folder = plan_of(settings), RunFolder(runs / f"{settings.name}{SUFFIX}")
    for device in {settings.device, *(combination.settings.device for combination in plan.combinations)}:
        choose_device(device)
    with folder.locked(), open_tracker(settings, folder) as tracker, settings_written(settings, folder):
        tracker.params(settings.model_dump(mode="json"))
        tracker.tags({"code_version": code_version(), "seed": str(settings.seed), "device": settings.device})
        job = ComparisonJob(settings, plan, folder.root, tracker, report)
        for stage in run_stages(plan.inputs, job.inputs, NullTracker(), "ingest"):
            report(f"{stage.record['stage']}: {'up to date' if stage.skipped else summary_of(stage.record)}")
        options, splits = job.options, (Split.VALIDATION.value, Split.TEST.value)
        for size, films in (
            (CHEAP, (options.validation_films, options.test_films)),
            (EXPENSIVE, (options.expensive_validation_films, options.expensive_test_films)),
        ):
            write_sample(job.inputs, job.sample(size), dict(zip(splits, films, strict=True)), settings.seed)
        for number, combination in enumerate(plan.combinations, start=1):
            report(f"{combination.name} ({number} of {len(plan.combinations)})")
            complete(job, combination)
        return _write(job)


def _write(job: ComparisonJob) -> ModelComparison:
    """Write the rows of all combinations, the baselines last, as table and page, and track them."""
    tables, strips, seconds = [], [], {}
    sanity: dict[str, list[dict[str, Any]]] = {}
    for combination in job.plan.combinations:
        run = job.run_of(combination)
        files = artifacts_of(run).compared
        table = files.rows.read()
        tables.append(table)
        strips += read_strip(run)
        seconds[combination.name] = _seconds(run)
        for name, figures in read_json(files.baselines).items():
            sanity.setdefault(name, []).append(figures)
        with job.tracker.stage(combination.name):
            job.tracker.params({"network": combination.network, "pool": combination.pool})
            job.tracker.metrics(_metrics(table) | {f"seconds.{k}": v for k, v in seconds[combination.name].items()})
    tables.append(compare_table(_baselines(job, sanity)))
    table = pd.concat(tables, ignore_index=True)
    results = ComparisonFiles(job.root)
    write_bytes(results.table, without_formulas(table).to_csv(index=False, lineterminator="\n").encode())
    page = compare_page(job.settings.name, table, strips, bootstrap_of(job.plan.inputs.score))
    write_bytes(results.page, page.encode())
    write_json(results.summary, {"seconds": seconds, "rows": len(table)})
    for path in (results.table, results.page):
        job.tracker.artifact(path)
    job.tracker.table(table, "comparison")
    return ModelComparison(job.root, table, seconds)


def _baselines(job: ComparisonJob, sanity: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the baselines' rows on the larger sample; their sanity figures are means over the networks.

    Raises
    ------
    PipelineError
        If no method could explain any network.
    """
    for size in (CHEAP, EXPENSIVE):
        for combination in job.plan.combinations:
            part = RunFolder(job.run_of(combination).root / size)
            if part.record("score") is None:
                continue
            settings = combination.settings
            rows = all_baseline_rows(read_sample(part), settings.score.seed, settings.localize.calibrate_iou)
            for row in rows:
                of_networks = sanity.get(row["method"], [])
                if of_networks:
                    row |= {name: float(np.nanmean([each[name] for each in of_networks])) for name in SANITY[:4]}
                    row["sanity_films"] = max(int(each["sanity_films"]) for each in of_networks)
            return rows
    raise PipelineError(f"{job.root}: every method refuses every network; see the reasons in the rows of {STAGE}/")


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Return one combination's figures for the tracking store, by method."""
    calibrated = table[table["threshold_source"] == "validation"]
    metrics = ("hit_rate", "iou_accuracy_0.3", "iou_accuracy_0.5", "mean_iou", "top1_localization_error")
    figures = {f"{row['method']}.{name}": float(row[name]) for row in calibrated.to_dict("records") for name in metrics}
    return figures | ({"auroc": float(table["auroc"].iloc[0])} if len(table) else {})


def _seconds(run: RunFolder) -> dict[str, float]:
    """Return the seconds that each part of a combination took when it last ran."""
    parts = {
        "train": run.record("train"),
        "sanity": run.record("sanity"),
        **{
            f"{stage}.{size}": RunFolder(run.root / size).record(stage)
            for size in (CHEAP, EXPENSIVE)
            for stage in ("explain", "localize", "score")
            if (run.root / size).is_dir()
        },
    }
    return {name: float(record["seconds"]) for name, record in parts.items() if record and "seconds" in record}
