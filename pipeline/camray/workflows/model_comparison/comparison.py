"""Comparison of networks, pools and explanation methods: trained alike, explained on the same films, in one table.

Reads   an experiment's settings, its ``compare`` section above all, and its films
Writes  ``runs/<name>-compare/comparison.csv comparison.html comparison.json``; ``inputs/``, ``sample/`` and one run for
        each network and pool below it
Run     ``camray compare configs/phantom.yaml``
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from camray.adapters.run_folder import (
    RunFolder,
    code_version,
    digest_of,
    write_bytes,
    write_json,
)
from camray.adapters.settings.comparison import CompareSettings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker, Tracker
from camray.core.metrics.localization.baselines import BASELINES
from camray.core.metrics.model_comparison import SANITY, compare_table
from camray.core.training.device import choose_device
from camray.domain.contract import ModelContract
from camray.domain.errors import PipelineError
from camray.domain.records import Counts, Split, StageResult
from camray.io.artifacts import ComparisonFiles, artifacts_of
from camray.io.ingested_films import read_ingested
from camray.io.json_files import read_json
from camray.io.tracking import open_tracker
from camray.io.trained_model import load_classifier, network_input
from camray.reporting.model_comparison_page import compare_page
from camray.workflows.map_sanity import SanityChoice, check_run
from camray.workflows.model_comparison.explanation import Classifier, Cost, explain_sample, is_expensive, try_methods
from camray.workflows.model_comparison.film_sampling import share, write_sample
from camray.workflows.model_comparison.metrics import Sample, all_baseline_rows, method_rows, network_auroc, read_sample
from camray.workflows.model_comparison.plan import Combination, ComparePlan, plan_of
from camray.workflows.model_comparison.thumbnails import read_strip, write_strip
from camray.workflows.run import run as run_stages
from camray.workflows.run import run_these

SUFFIX = "-compare"
STAGE = "compared"
CHEAP, EXPENSIVE = "films", "dear-films"  # samples below each combination
_SANITY_PASSES_A_FILM = 13  # the map itself, four noisy films and up to eight randomised networks
_LEFT_OUT = 10  # a sanity check that costs so many times more than it may is left out
_SHARED = ("networks", "pools", "changes", "network_changes", "methods")  # what one combination does not depend on
Tell = Callable[[str], None]


@dataclass(frozen=True)
class ModelComparison:
    """Where the comparison lies, its table (`COMPARE_COLUMNS`), and the seconds of each part by combination."""

    folder: Path
    table: pd.DataFrame
    seconds: dict[str, dict[str, float]]


@dataclass(frozen=True)
class _Work:
    """What all combinations share."""

    settings: Settings
    plan: ComparePlan
    root: Path
    tracker: Tracker
    tell: Tell

    @property
    def asked(self) -> CompareSettings:
        return self.settings.compare

    @property
    def inputs(self) -> RunFolder:
        return RunFolder(ComparisonFiles(self.root).inputs)

    def sample(self, size: str) -> RunFolder:
        return RunFolder(ComparisonFiles(self.root).sample(size))


def compare(settings: Settings, runs: Path, tell: Tell) -> ModelComparison:
    """Train, explain and score every combination that is not there yet, and write the table.

    Parameters
    ----------
    settings : Settings
        The experiment.
    runs : Path
        Folder of the runs; the comparison becomes ``<name>-compare`` there.
    tell : callable
        Is told, in a line, what was done.

    Raises
    ------
    SettingsError
        If the ``compare`` section does not fit; before anything is computed.
    InputRefusedError
        If there is no annotated film to compare on.
    PipelineError
        If another process works on the comparison, or a stage fails.
    """
    plan, folder = plan_of(settings), RunFolder(runs / f"{settings.name}{SUFFIX}")
    with folder.locked(), open_tracker(settings, folder) as tracker:
        write_json(artifacts_of(folder).settings, settings.model_dump(mode="json"))
        tracker.params(settings.model_dump(mode="json"))
        tracker.tags({"code_version": code_version(), "seed": str(settings.seed), "device": settings.device})
        work = _Work(settings, plan, folder.root, tracker, tell)
        for report in run_stages(plan.inputs, work.inputs, NullTracker(), "ingest"):
            tell(f"{report.record['stage']}: {'up to date' if report.skipped else _took(report.record)}")
        asked, places = work.asked, (Split.VALIDATION.value, Split.TEST.value)
        for size, films in (
            (CHEAP, (asked.validation_films, asked.test_films)),
            (EXPENSIVE, (asked.expensive_validation_films, asked.expensive_test_films)),
        ):
            write_sample(work.inputs, work.sample(size), dict(zip(places, films, strict=True)), settings.seed)
        for number, combination in enumerate(plan.combinations, start=1):
            tell(f"{combination.name} ({number} of {len(plan.combinations)})")
            _do(work, combination)
        return _write(work)


def _took(record: Mapping[str, Any]) -> str:
    return f"{record['counts']['done']} of {record['counts']['in']} in {record['seconds']:.0f} s"


def _run_of(work: _Work, combination: Combination) -> RunFolder:
    return RunFolder(work.root / combination.name)


def _do(work: _Work, combination: Combination) -> None:
    """Bring one combination to its rows; what is finished is skipped."""
    run = _run_of(work, combination)
    share(work.inputs, run, "ingest")
    for report in run_these(("train",), combination.settings, run, NullTracker()):
        figures = report.record["figures"]
        auroc = figures.get("validation_auroc", float("nan"))
        work.tell(f"  train: {'up to date' if report.skipped else _took(report.record)}, validation AUROC {auroc:.3f}")
    chosen: dict[str, Any] = {
        "settings": combination.settings.model_dump(mode="json"),
        "compare": work.asked.model_dump(mode="json", exclude=set(_SHARED)),
        "methods": list(work.plan.methods),
    }
    chosen["settings"].pop("compare")
    inputs = {"train": run.output_digest("train")}
    inputs |= {size: work.sample(size).output_digest("ingest") for size in (CHEAP, EXPENSIVE)}
    if run.is_done(STAGE, digest_of(chosen), inputs):
        work.tell("  up to date, skipped")
        return
    run.begin(STAGE, digest_of(chosen), inputs)
    network, contract = load_classifier(run, choose_device(combination.settings.device))
    costs, samples = _explain(work, combination, network, contract)
    sanity = _check(work, run, costs)
    rows = _rows(work, combination, network, contract, costs, samples, sanity)
    files = artifacts_of(run).compared
    write_json(files.baselines, {name: sanity[name] for name in BASELINES if name in sanity})
    files.rows.write(compare_table(rows))
    write_strip(run, samples.values(), work.plan.methods, combination.name)
    refused = sum(bool(cost.reason) for cost in costs.values())
    claim = {"settings": chosen, "settings_digest": digest_of(chosen), "inputs": inputs, "code_version": code_version()}
    run.finish(STAGE, claim, StageResult(Counts(len(costs), len(costs) - refused, refused)))
    work.tell(f"  {len(costs) - refused} of {len(costs)} methods, {refused} refuse the network")


def _explain(
    work: _Work, combination: Combination, network: Classifier, contract: ModelContract
) -> tuple[dict[str, Cost], dict[str, Sample]]:
    """Explain, localize and score the samples; return every method's cost and the scored samples."""
    run, asked, methods = _run_of(work, combination), work.asked, work.plan.methods
    tried = try_methods(network, _first_film(work.sample(CHEAP), network), methods)
    films = asked.validation_films + asked.test_films
    costs = dict(tried)
    samples: dict[str, Sample] = {}
    for size in (CHEAP, EXPENSIVE):
        names = [
            name
            for name, cost in tried.items()
            if not cost.reason and (size == EXPENSIVE) == is_expensive(cost, films, asked.most_passes)
        ]
        if not names:
            continue
        part = RunFolder(run.root / size)
        share(work.sample(size), part, "ingest")
        share(run, part, "train")
        found = explain_sample(part, network, contract, names, asked.batch_size)
        costs |= found
        if all(cost.reason for cost in found.values()):
            continue
        for report in run_these(("localize", "score"), combination.settings, part, NullTracker()):
            if not report.skipped:
                work.tell(f"  {report.record['stage']} of {size}: {_took(report.record)}")
        samples[size] = read_sample(part)
    return costs, samples


def _first_film(sample: RunFolder, network: Classifier) -> torch.Tensor:
    films = read_ingested(sample)
    first = films.split(Split.TEST).sort_values("image_id").iloc[:1]
    return network_input(films.stored_pixels(first), next(iter(network.parameters())).device)


def _check(work: _Work, run: RunFolder, costs: Mapping[str, Cost]) -> dict[str, dict[str, Any]]:
    """Put to the sanity checks what they can afford; return their columns by method and baseline."""
    asked = work.asked
    affordable = tuple(
        name
        for name, cost in costs.items()
        if not cost.reason and cost.passes * _SANITY_PASSES_A_FILM <= _LEFT_OUT * asked.sanity_passes
    )
    if not (asked.sanity_films and affordable):
        return {}
    choice = SanityChoice(affordable, asked.sanity_films, seed=work.settings.seed, most_passes=asked.sanity_passes)
    checked = check_run(run.root, choice)
    if not checked.skipped:
        work.tell(f"  sanity: {len(affordable)} methods in {(run.record('sanity') or {})['seconds']:.0f} s")
    return {
        str(row["method"]): {**{name: row[name] for name in SANITY}, "sanity_films": row["films"]}
        for row in checked.table.to_dict("records")
        if not row["reason"]
    }


def _rows(
    work: _Work, combination: Combination, network: Classifier, contract: ModelContract,
    costs: Mapping[str, Cost], samples: Mapping[str, Sample], sanity: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:  # fmt: skip
    run, settings = _run_of(work, combination), combination.settings
    named = {
        "network": combination.network,
        "pool": combination.pool,
        "map": f"{contract.feature_rows}x{contract.feature_cols}",
        "train_seconds": (run.record("train") or {}).get("seconds", float("nan")),
        **network_auroc(run, network, contract, work.asked.batch_size, settings.seed, settings.score.bootstrap),
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for sample in samples.values():
        its = {name: cost for name, cost in costs.items() if name in sample.run.methods}
        for row in method_rows(sample, its, named):
            found.setdefault(row["method"], []).append(row)
    rows = []
    for name, cost in costs.items():
        for row in found.get(name, [{**named, "method": name, "reason": cost.reason}]):
            rows.append({**row, **sanity.get(name, {})})
    return rows


def _write(work: _Work) -> ModelComparison:
    """Join all rows, the baselines last, and hand them on."""
    tables, strips, seconds = [], [], {}
    sanity: dict[str, list[dict[str, Any]]] = {}
    for combination in work.plan.combinations:
        run = _run_of(work, combination)
        files = artifacts_of(run).compared
        table = files.rows.read()
        tables.append(table)
        strips += read_strip(run)
        seconds[combination.name] = _seconds(run)
        for name, figures in read_json(files.baselines).items():
            sanity.setdefault(name, []).append(figures)
        with work.tracker.stage(combination.name):
            work.tracker.params({"network": combination.network, "pool": combination.pool})
            work.tracker.metrics(_metrics(table) | {f"seconds.{k}": v for k, v in seconds[combination.name].items()})
    tables.append(compare_table(_baselines(work, sanity)))
    table = pd.concat(tables, ignore_index=True)
    results = ComparisonFiles(work.root)
    write_bytes(results.table, table.to_csv(index=False, lineterminator="\n").encode())
    write_bytes(results.page, compare_page(work.settings.name, table, strips).encode())
    write_json(results.summary, {"seconds": seconds, "rows": len(table)})
    for path in (results.table, results.page):
        work.tracker.artifact(path)
    work.tracker.table(table, "comparison")
    return ModelComparison(work.root, table, seconds)


def _baselines(work: _Work, sanity: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the baselines' rows on the larger sample; their sanity figures are means over the networks.

    Raises
    ------
    PipelineError
        If no method could explain any network.
    """
    for size in (CHEAP, EXPENSIVE):
        for combination in work.plan.combinations:
            part = RunFolder(_run_of(work, combination).root / size)
            if part.record("score") is None:
                continue
            settings = combination.settings
            rows = all_baseline_rows(read_sample(part), settings.score.seed, settings.localize.calibrate_iou)
            for row in rows:
                found = sanity.get(row["method"], [])
                if found:
                    row |= {name: float(np.nanmean([each[name] for each in found])) for name in SANITY[:4]}
                    row["sanity_films"] = max(int(each["sanity_films"]) for each in found)
            return rows
    raise PipelineError(f"{work.root}: every method refuses every network; see the reasons in the rows of {STAGE}/")


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Return one combination's figures for the tracking store, by method."""
    chosen = table[table["threshold_source"] == "validation"]
    wanted = ("hit_rate", "iou_accuracy_0.3", "iou_accuracy_0.5", "mean_iou", "top1_localization_error")
    figures = {f"{row['method']}.{name}": float(row[name]) for row in chosen.to_dict("records") for name in wanted}
    return figures | ({"auroc": float(table["auroc"].iloc[0])} if len(table) else {})


def _seconds(run: RunFolder) -> dict[str, float]:
    """Return the seconds of each part of a combination, as their last start took."""
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
