"""Explanation of one network by many methods: cost of each, refusals, and maps.

Reads   ``train/``, ``ingest/images.parquet store/`` of a sample
Writes  ``explain/`` as `camray.stages.explain.stage` does, and ``explain/costs.json``
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.digests import claim_of, digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.explain.method import Method
from camray.core.explain.method_options import DEFAULT_OPTIONS, MethodOptions
from camray.core.explain.methods import methods_named
from camray.core.explain.seam import SeamNetwork, forward
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier
from camray.domain.contract import ModelContract
from camray.domain.errors import PipelineError
from camray.domain.records import Counts, Split, StageResult
from camray.io.artifacts import ExplainFiles, artifacts_of, save_array
from camray.io.explanation_grid import ExplanationGrid
from camray.io.heat_shards import write_heat_shard
from camray.io.ingested_films import read_ingested
from camray.io.json_files import read_json
from camray.io.trained_model import network_input

STAGE = "explain"
_LARGEST_STORED = 2.0**12  # maps are scaled so that their largest value comes near: float16 then loses nothing
_MOST_EXPONENT = 120  # float32 holds the factor
Classifier = PooledClassifier | EnsembleClassifier


@dataclass(frozen=True)
class Cost:
    """Cost of one method per film, all labels together, or why it refuses the network.

    Parameters
    ----------
    method : str
    reason : str
        Empty where it does not refuse.
    seconds : float
        Per film, the forward pass included; on this machine, at this batch size.
    passes : float
        Forward passes of the network's features per film.
    exponent : int
        The stored map is the map times 2 to this power.
    """

    method: str
    reason: str = ""
    seconds: float = float("nan")
    passes: float = float("nan")
    exponent: int = 0


class _Counted:
    """A network that counts the films that go through its features."""

    def __init__(self, network: Classifier) -> None:
        self.network, self.spec, self.passes = network, network.spec, 0
        self.head: Callable[[torch.Tensor], torch.Tensor] = network.head
        self.cam: Callable[[torch.Tensor], torch.Tensor] = network.cam

    def features(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += len(x)
        return self.network.features(x)


def try_methods(
    network: Classifier, film: torch.Tensor, methods: Sequence[str], options: MethodOptions = DEFAULT_OPTIONS
) -> dict[str, Cost]:
    """Try every method on one film [1, 1, H, W]: which refuse the network, and the cost of the others.

    The seconds include a cold start; do not report them.
    """
    return {method.name: _explained(network, method, film, 1)[0] for method in methods_named(methods, options)}


def is_expensive(cost: Cost, films: int, most_passes: int) -> bool:
    """Return whether a method needs more passes than allowed."""
    return cost.passes * films > most_passes


def explain_sample(
    run: RunFolder,
    network: Classifier,
    contract: ModelContract,
    names: Sequence[str],
    batch_size: int,
    method_options: MethodOptions = DEFAULT_OPTIONS,
) -> dict[str, Cost]:
    """Explain a sample's validation and test films by all methods, except what an earlier start finished.

    Parameters
    ----------
    run : RunFolder
        The sample; its ``ingest`` and ``train`` are there.
    network, contract
        Contents of ``train``.
    names : sequence of str
        Methods, at least one.
    batch_size : int
        Films at a time.
    method_options : MethodOptions
        Of those methods that have any.

    Returns
    -------
    dict of str to Cost
        One for each method; those with a reason have no map.
    """
    inputs = {name: run.output_digest(name) for name in ("ingest", "train")}
    options: dict[str, Any] = {"methods": list(names), "batch_size": batch_size}
    if method_options != DEFAULT_OPTIONS:
        options["method_options"] = asdict(method_options)
    digest, files = digest_of(options), artifacts_of(run).explain
    if run.is_done(STAGE, digest, inputs):
        return {each["method"]: Cost(**each) for each in read_json(files.costs)}
    run.begin(STAGE, digest, inputs)
    ingested = read_ingested(run)
    images = ingested.images[ingested.images["split"] != Split.TRAIN.value]
    images = images.sort_values(["shard", "index"]).reset_index(drop=True)
    device = next(iter(network.parameters())).device
    films = network_input(ingested.stored_pixels(images), device)
    costs: dict[str, Cost] = {}
    methods = methods_named(names, method_options)
    for method in progress(methods, len(methods), "explaining"):
        costs[method.name] = _explain_one(files, network, method, films, batch_size)
    write_json(files.costs, [asdict(cost) for cost in costs.values()])
    explained = pd.DataFrame(
        {"image_id": images["image_id"], "split": images["split"], "shard": 0, "index": images.index}
    )
    files.images.write(explained)
    save_array(files.logits, film_logits(network, films, batch_size))
    files.grid.write(_grid(contract, costs, {method.name: method.note for method in methods}))
    for name in costs:
        files.unfinished_cost(name).unlink(missing_ok=True)
    claim = claim_of(options, inputs)
    run.finish(STAGE, claim, StageResult(Counts(len(images), len(images))))
    return costs


def _explain_one(
    files: ExplainFiles, network: Classifier, method: Method, films: torch.Tensor, batch_size: int
) -> Cost:
    """Explain by one method, unless an earlier start did; its cost is written last."""
    unfinished = files.unfinished_cost(method.name)
    if unfinished.is_file():
        return Cost(**read_json(unfinished))
    cost, heat = _explained(network, method, films, batch_size)
    if heat is not None:
        write_heat_shard(files, method.name, 0, heat, cost.exponent)
    write_json(unfinished, asdict(cost))
    return cost


def _explained(
    network: Classifier, method: Method, films: torch.Tensor, batch_size: int
) -> tuple[Cost, NDArray[np.float32] | None]:
    """Return a method's cost and its raw maps [N, L, h, w]; no maps where it refuses the network, or a film."""
    counted = _Counted(network)
    seam: SeamNetwork = counted
    parts = []
    started = time.perf_counter()
    try:
        for batch in torch.split(films, batch_size):
            passed = forward(seam, batch)
            parts.append(method.finish(method.signed(seam, passed)).detach().float().cpu())
    except PipelineError as error:
        return Cost(method.name, str(error)), None
    seconds = (time.perf_counter() - started) / len(films)
    heat = torch.cat(parts).numpy()
    if not np.isfinite(heat).all():
        return Cost(method.name, "its maps are not finite"), None
    return Cost(method.name, "", seconds, counted.passes / len(films), _exponent(heat)), heat


def _exponent(heat: NDArray[np.float32]) -> int:
    largest = float(np.abs(heat).max(initial=0.0))
    return min(int(np.floor(np.log2(_LARGEST_STORED / largest))), _MOST_EXPONENT) if largest > 0 else 0


def _grid(contract: ModelContract, costs: dict[str, Cost], notes: dict[str, str]) -> ExplanationGrid:
    explained = {name: cost for name, cost in costs.items() if not cost.reason}
    return ExplanationGrid(
        rows=contract.rows,
        cols=contract.cols,
        feature_rows=contract.feature_rows,
        feature_cols=contract.feature_cols,
        labels=contract.labels,
        methods=tuple(explained),
        heat_exponents={name: cost.exponent for name, cost in explained.items()},
        notes={name: notes[name] for name in explained},
    )


@torch.no_grad()
def film_logits(network: Classifier, films: torch.Tensor, batch_size: int) -> NDArray[np.float32]:
    """Return the logits of films [N, 1, H, W], [N, L]."""
    parts = [forward(network, batch).logits.float().cpu() for batch in torch.split(films, batch_size)]
    return np.asarray(torch.cat(parts).numpy())
