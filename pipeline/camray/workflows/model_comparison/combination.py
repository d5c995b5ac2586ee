"""One combination of a comparison of models: trained, explained, scored, checked, and its rows.

Reads   the shared inputs and samples of the comparison
Writes  ``<network>-<pool>/``: ``train/``, a run for each sample, ``sanity/``, ``compared/``
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.digests import claim_of, digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.comparison import CompareSettings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker, Tracker
from camray.core.metrics.localization.baselines import BASELINES
from camray.core.metrics.model_comparison import SANITY, compare_table
from camray.core.training.device import choose_device
from camray.domain.contract import ModelContract
from camray.domain.records import Counts, Split, StageResult
from camray.io.artifacts import artifacts_of
from camray.io.bootstrap import bootstrap_of
from camray.io.ingested_films import read_ingested
from camray.io.method_options import method_options
from camray.io.trained_model import load_classifier, network_input
from camray.io.workflow_artifacts import ComparisonFiles
from camray.workflows.map_sanity import SanityChoice, check_run
from camray.workflows.model_comparison.explanation import Classifier, Cost, explain_sample, is_expensive, try_methods
from camray.workflows.model_comparison.film_sampling import share
from camray.workflows.model_comparison.metrics import Sample, method_rows, network_auroc, read_sample
from camray.workflows.model_comparison.plan import Combination, ComparePlan
from camray.workflows.model_comparison.thumbnails import write_strip
from camray.workflows.run import run_these

STAGE = "compared"
CHEAP, EXPENSIVE = "films", "dear-films"  # samples below each combination
_SANITY_PASSES_PER_FILM = 13  # the map itself, four noisy films and up to eight randomised networks
_SANITY_EXCESS = 10  # methods that would need so many times more passes than allowed are not checked
_SHARED = ("networks", "pools", "changes", "network_changes", "methods")  # one combination does not depend on these
Report = Callable[[str], None]


@dataclass(frozen=True)
class ComparisonJob:
    """Settings, plan, folder and outputs that all combinations share."""

    settings: Settings
    plan: ComparePlan
    root: Path
    tracker: Tracker
    report: Report

    @property
    def options(self) -> CompareSettings:
        """Section ``compare`` of the settings."""
        return self.settings.compare

    @property
    def inputs(self) -> RunFolder:
        """Run that holds the ingested films."""
        return RunFolder(ComparisonFiles(self.root).inputs)

    def sample(self, size: str) -> RunFolder:
        """Return the run of a sample, `CHEAP` or `EXPENSIVE`."""
        return RunFolder(ComparisonFiles(self.root).sample(size))

    def run_of(self, combination: Combination) -> RunFolder:
        """Return the run of one combination."""
        return RunFolder(self.root / combination.name)


@dataclass(frozen=True)
class _TrainedNetwork:
    """One combination after training."""

    combination: Combination
    run: RunFolder
    network: Classifier
    contract: ModelContract


@dataclass(frozen=True)
class _MethodResults:
    """Results of all methods on one network: costs by method, samples by size, and sanity figures by method."""

    costs: Mapping[str, Cost]
    samples: Mapping[str, Sample]
    sanity: Mapping[str, Mapping[str, Any]]


def summary_of(record: Mapping[str, Any]) -> str:
    """Return counts and seconds of a finished stage as text."""
    return f"{record['counts']['done']} of {record['counts']['in']} in {record['seconds']:.0f} s"


def complete(job: ComparisonJob, combination: Combination) -> None:
    """Write the rows of one combination; finished steps are skipped."""
    run = job.run_of(combination)
    share(job.inputs, run, "ingest")
    for stage in run_these(("train",), combination.settings, run, NullTracker()):
        figures = stage.record["figures"]
        auroc = figures.get("validation_auroc", float("nan"))
        job.report(
            f"  train: {'up to date' if stage.skipped else summary_of(stage.record)}, validation AUROC {auroc:.3f}"
        )
    options: dict[str, Any] = {
        "settings": combination.settings.model_dump(mode="json"),
        "compare": job.options.model_dump(mode="json", exclude=set(_SHARED)),
        "methods": list(job.plan.methods),
    }
    options["settings"].pop("compare")
    inputs = {"train": run.output_digest("train")}
    inputs |= {size: job.sample(size).output_digest("ingest") for size in (CHEAP, EXPENSIVE)}
    digest = digest_of(options)
    if run.is_done(STAGE, digest, inputs):
        job.report("  up to date, skipped")
        return
    run.begin(STAGE, digest, inputs)
    network, contract = load_classifier(run, choose_device(combination.settings.device))
    trained = _TrainedNetwork(combination, run, network, contract)
    costs, samples = _explain(job, trained)
    sanity = _check(job, run, costs)
    rows = _rows(job, trained, _MethodResults(costs, samples, sanity))
    files = artifacts_of(run).compared
    write_json(files.baselines, {name: sanity[name] for name in BASELINES if name in sanity})
    files.rows.write(compare_table(rows))
    write_strip(run, samples.values(), job.plan.methods, combination.name)
    refused = sum(bool(cost.reason) for cost in costs.values())
    claim = claim_of(options, inputs)
    run.finish(STAGE, claim, StageResult(Counts(len(costs), len(costs) - refused, refused)))
    job.report(f"  {len(costs) - refused} of {len(costs)} methods, {refused} refuse the network")


def _explain(job: ComparisonJob, trained: _TrainedNetwork) -> tuple[dict[str, Cost], dict[str, Sample]]:
    """Explain, localize and score the samples; return every method's cost and the scored samples."""
    run, network, options, methods = trained.run, trained.network, job.options, job.plan.methods
    of_methods = method_options(trained.combination.settings.explain)
    tried = try_methods(network, _first_film(job.sample(CHEAP), network), methods, of_methods)
    films = options.validation_films + options.test_films
    costs = dict(tried)
    samples: dict[str, Sample] = {}
    for size in (CHEAP, EXPENSIVE):
        names = [
            name
            for name, cost in tried.items()
            if not cost.reason and (size == EXPENSIVE) == is_expensive(cost, films, options.most_passes)
        ]
        if not names:
            continue
        part = RunFolder(run.root / size)
        share(job.sample(size), part, "ingest")
        share(run, part, "train")
        sample_costs = explain_sample(part, network, trained.contract, names, options.batch_size, of_methods)
        costs |= sample_costs
        if all(cost.reason for cost in sample_costs.values()):
            continue
        for stage in run_these(("localize", "score"), trained.combination.settings, part, NullTracker()):
            if not stage.skipped:
                job.report(f"  {stage.record['stage']} of {size}: {summary_of(stage.record)}")
        samples[size] = read_sample(part)
    return costs, samples


def _first_film(sample: RunFolder, network: Classifier) -> torch.Tensor:
    films = read_ingested(sample)
    first = films.split(Split.TEST).sort_values("image_id").iloc[:1]
    return network_input(films.stored_pixels(first), next(iter(network.parameters())).device)


def _check(job: ComparisonJob, run: RunFolder, costs: Mapping[str, Cost]) -> dict[str, dict[str, Any]]:
    """Run the sanity checks of the methods that are cheap enough; return their columns by method and baseline."""
    options = job.options
    affordable = tuple(
        name
        for name, cost in costs.items()
        if not cost.reason and cost.passes * _SANITY_PASSES_PER_FILM <= _SANITY_EXCESS * options.sanity_passes
    )
    if not (options.sanity_films and affordable):
        return {}
    choice = SanityChoice(affordable, options.sanity_films, seed=job.settings.seed, most_passes=options.sanity_passes)
    checked = check_run(run.root, choice)
    if not checked.skipped:
        job.report(f"  sanity: {len(affordable)} methods in {(run.record('sanity') or {})['seconds']:.0f} s")
    return {
        str(row["method"]): {**{name: row[name] for name in SANITY}, "sanity_films": row["films"]}
        for row in checked.table.to_dict("records")
        if not row["reason"]
    }


def _rows(job: ComparisonJob, trained: _TrainedNetwork, results: _MethodResults) -> list[dict[str, Any]]:
    """Return the rows of every method: its scores, or the reason why it refuses the network; and its sanity figures."""
    settings, contract = trained.combination.settings, trained.contract
    bootstrap = replace(bootstrap_of(settings.score), seed=settings.seed)
    shared = {
        "network": trained.combination.network,
        "pool": trained.combination.pool,
        "map": f"{contract.feature_rows}x{contract.feature_cols}",
        "train_seconds": (trained.run.record("train") or {}).get("seconds", float("nan")),
        **network_auroc(trained.run, trained.network, contract.labels, job.options.batch_size, bootstrap),
    }
    rows_by_method: dict[str, list[dict[str, Any]]] = {}
    for sample in results.samples.values():
        costs = {name: cost for name, cost in results.costs.items() if name in sample.run.methods}
        for row in method_rows(sample, costs, shared):
            rows_by_method.setdefault(row["method"], []).append(row)
    rows = []
    for name, cost in results.costs.items():
        for row in rows_by_method.get(name, [{**shared, "method": name, "reason": cost.reason}]):
            rows.append({**row, **results.sanity.get(name, {})})
    return rows
