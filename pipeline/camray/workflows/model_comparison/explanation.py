"""One network's films explained by many methods: what each costs, which refuse, and the maps of the others.

Reads   ``train/``, ``ingest/images.parquet store/`` of a sample
Writes  ``explain/`` as `camray.stages.explain.stage` does, and ``explain/costs.json``
"""

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore, shard_path, write_shard
from camray.adapters.progress import progress
from camray.adapters.run_folder import (
    RunFolder,
    code_version,
    digest_of,
    read_table,
    write_bytes,
    write_json,
    write_table,
)
from camray.core.explain.methods import METHODS, Method
from camray.core.explain.seam import SeamNetwork, forward
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier
from camray.domain.contract import ModelContract
from camray.domain.errors import PipelineError
from camray.domain.records import EXPLAINED_COLUMNS, IMAGE_COLUMNS, Counts, Split, StageResult
from camray.stages.explain.stage import network_input, to_float16

STAGE = "explain"
_LARGEST_STORED = 2.0**12  # maps are scaled so that their largest value comes near: float16 then loses nothing
_MOST_EXPONENT = 120  # float32 holds the factor
Classifier = PooledClassifier | EnsembleClassifier


@dataclass(frozen=True)
class Cost:
    """What one method costs a film of all labels, or why it refuses the network.

    Parameters
    ----------
    method : str
    reason : str
        Empty where it does not refuse.
    seconds : float
        A film, the forward pass included; on this machine, at this batch size.
    passes : float
        Films through the network's features, without backward passes.
    exponent : int
        What lies on disk is the map times 2 to this power.
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


def try_methods(network: Classifier, film: torch.Tensor, methods: Sequence[str]) -> dict[str, Cost]:
    """Try every method on one film [1, 1, H, W]: which refuse the network, and how dear the others are.

    The seconds are of a cold start and not to be shown.
    """
    return {name: _explained(network, METHODS[name], film, 1)[0] for name in methods}


def is_dear(cost: Cost, films: int, most_passes: int) -> bool:
    """Tell whether a method would cost more passes than it may."""
    return cost.passes * films > most_passes


def explain_sample(
    run: RunFolder, network: Classifier, contract: ModelContract, methods: Sequence[str], batch_size: int
) -> dict[str, Cost]:
    """Explain a sample's validation and test films by all methods, as far as that was not done before.

    Parameters
    ----------
    run : RunFolder
        The sample; its ``ingest`` and ``train`` are there.
    network, contract
        What ``train`` holds.
    methods : sequence of str
        At least one.
    batch_size : int
        Films at a time.

    Returns
    -------
    dict of str to Cost
        One for each method; those with a reason have no map.
    """
    inputs = {name: run.output_digest(name) for name in ("ingest", "train")}
    chosen = {"methods": list(methods), "batch_size": batch_size}
    digest, target = digest_of(chosen), run.root / STAGE
    if run.is_done(STAGE, digest, inputs):
        told = json.loads((target / "costs.json").read_text(encoding="utf-8"))
        return {each["method"]: Cost(**each) for each in told}
    run.begin(STAGE, digest, inputs)
    images = read_table(run.root / "ingest" / "images.parquet", IMAGE_COLUMNS)
    images = images[images["split"] != Split.TRAIN.value].sort_values(["shard", "index"]).reset_index(drop=True)
    store = PixelStore(run.root / "ingest" / "store")
    device = next(iter(network.parameters())).device
    films = network_input(store.rows(images["shard"].tolist(), images["index"].tolist()), device)
    costs: dict[str, Cost] = {}
    for name in progress(list(methods), len(methods), "explaining"):
        costs[name] = _explain_one(target, network, METHODS[name], films, batch_size)
    _close(run, images["image_id"].tolist(), images["split"].tolist(), network, contract, films, batch_size, costs)
    claim = {"settings": chosen, "settings_digest": digest, "inputs": inputs, "code_version": code_version()}
    run.finish(STAGE, claim, StageResult(Counts(len(images), len(images))))
    return costs


def _explain_one(target: Path, network: Classifier, method: Method, films: torch.Tensor, batch_size: int) -> Cost:
    """Explain by one method, unless an earlier start did; its cost is written last."""
    told = target / f"cost-{method.name}.tmp"  # scaffolding
    if told.is_file():
        return Cost(**json.loads(told.read_text(encoding="utf-8")))
    cost, heat = _explained(network, method, films, batch_size)
    if heat is not None:
        path = shard_path(target, 0, f"heat-{method.name}")
        stored = to_float16(heat, method.name, cost.exponent)
        write_shard(path, iter(stored), stored.shape[1:], np.float16)
    write_bytes(told, json.dumps(asdict(cost)).encode())
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


def _close(
    run: RunFolder, image_ids: list[str], splits: list[str], network: Classifier, contract: ModelContract,
    films: torch.Tensor, batch_size: int, costs: dict[str, Cost],
) -> None:  # fmt: skip
    """Write what speaks of all methods, then take the scaffolding down."""
    target = run.root / STAGE
    stream = io.BytesIO()
    np.save(stream, film_logits(network, films, batch_size))
    write_bytes(target / "logits.npy", stream.getvalue())
    explained = {name: cost for name, cost in costs.items() if not cost.reason}
    write_json(
        target / "grid.json",
        {
            "rows": contract.rows,
            "cols": contract.cols,
            "feature_rows": contract.feature_rows,
            "feature_cols": contract.feature_cols,
            "labels": list(contract.labels),
            "methods": list(explained),
            "heat_exponents": {name: cost.exponent for name, cost in explained.items()},
            "notes": {name: METHODS[name].note for name in explained},
            "averaged_over": {"flip": False, "scales": [1.0]},
        },
    )
    table = {"image_id": image_ids, "split": splits, "shard": 0, "index": range(len(image_ids))}
    write_table(target / "images.parquet", pd.DataFrame(table), EXPLAINED_COLUMNS)
    write_json(target / "costs.json", [asdict(cost) for cost in costs.values()])
    for part in target.glob("cost-*.tmp"):
        part.unlink()


@torch.no_grad()
def film_logits(network: Classifier, films: torch.Tensor, batch_size: int) -> NDArray[np.float32]:
    """Return the logits of films [N, 1, H, W], [N, L]."""
    parts = [forward(network, batch).logits.float().cpu() for batch in torch.split(films, batch_size)]
    return np.asarray(torch.cat(parts).numpy())
